"""The rule that joins a dialled number to the session that saw it."""

import pytest

from models.call_join import GRACE_MS, Joined, join_call
from models.calls import Lease
from tests.fakes.phone_calls import MINUTE_MS, a_told_lease, at_ms

GRACE = GRACE_MS // MINUTE_MS
OLD = a_told_lease("old", 0, 10, "a")
NEW = a_told_lease("new", 20, 30, "b")


def joined(minute: float, *leases: Lease) -> tuple[str, float] | str:
    outcome = join_call(at_ms(minute), leases)
    if isinstance(outcome, Joined):
        return outcome.lease.lease_id, outcome.confidence
    return outcome


@pytest.mark.parametrize(
    ("minute", "wanted"),
    [
        (-0.01, "unmatched"),
        (0, ("old", 0.9)),
        (9.99, ("old", 0.9)),
        (10, ("old", 0.5)),  # late
        (19.99, ("old", 0.5)),
        (20, ("new", 0.7)),  # reused: the old visitor may still call
        (30, ("new", 0.3)),
        (10 + GRACE, ("new", 0.5)),  # the old visitor's grace is over
        (30 + GRACE - 0.01, ("new", 0.5)),
        (30 + GRACE, "unmatched"),
    ],
)
def test_a_call_belongs_to_the_newest_lease_that_began_before_it(
    minute: float, wanted: tuple[str, float] | str
) -> None:
    assert joined(minute, OLD, NEW) == joined(minute, NEW, OLD) == wanted


def test_a_number_on_two_screens_at_once_is_nobodys() -> None:
    other = a_told_lease("other", 5, 15, "b")
    assert joined(4, OLD, other) == ("old", 0.9)
    assert joined(7, OLD, other) == "ambiguous"
    assert joined(12, OLD, other) == ("other", 0.7)
    assert joined(16, OLD, other) == "ambiguous"  # after both, neither is likelier


def test_two_leases_of_one_session_are_no_contradiction() -> None:
    assert joined(7, OLD, a_told_lease("again", 5, 15, "a")) == ("again", 0.9)


def test_the_grace_is_a_setting() -> None:
    assert join_call(at_ms(10), [OLD], grace_ms=0) == "unmatched"
    assert isinstance(join_call(at_ms(10), [OLD], grace_ms=1), Joined)


def test_without_leases_a_call_is_unmatched() -> None:
    assert joined(0) == "unmatched"
