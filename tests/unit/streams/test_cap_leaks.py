"""The cap-leak meter: each cause lands in a bucket of its own."""

import msgspec
import pytest

from models import links
from models.caps import CapLedger, fold_outcome
from models.evidence import Evidence
from models.limits import Limit
from models.outcomes import Billing, ImportedImpression, Outcome
from models.profile import publish
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId
from streams.stages.cap_leaks import Billed, LeakCause, leak_of, leaks_of
from streams.stages.persons import digest_outcomes
from tests.fakes.installation import KEYS, Installation
from tests.fakes.records import NODES, START_MS

DAY = 86_400
TWO = Limit(2, DAY)
NODE = NODES[0]


def billing(
    nonce: str, billed_ms: int, *limits: Limit, bid_ms: int | None = None, campaign: str = "C"
) -> Billing:
    """Billed so long after the beginning; bid 10 ms before, and reserved for 10 s."""
    return Billing(
        node=NODE, nonce=nonce, campaign=CampaignId(campaign), creative=CreativeId("R"),
        exchange=ExchangeId("E"), clearing_cpm_micros=1, notice_time_ms=START_MS + billed_ms,
        personal=True, bid_time_ms=START_MS + (billed_ms - 10 if bid_ms is None else bid_ms),
        advertiser=AdvertiserId("air"), reserved_seconds=10, limits=limits,
    )  # fmt: skip


def imported(name: str, shown_ms: int) -> ImportedImpression:
    return ImportedImpression(
        node=NODE, impression_id=name, source="direct", advertiser=AdvertiserId("air"),
        campaign=CampaignId("C"), shown_time_ms=START_MS + shown_ms,
    )  # fmt: skip


def causes(*outcomes: Outcome) -> list[LeakCause | None]:
    """What the meter says of each billing, in the order in which they are folded."""
    ledger, found = CapLedger(), []
    for offset, outcome in enumerate(outcomes):
        ledger = fold_outcome(ledger, outcome, offset)
        if isinstance(outcome, Billing):
            found.append(leak_of(ledger, outcome))
    return found


def used(count: int, limit: Limit = TWO) -> Limit:
    return msgspec.structs.replace(limit, used=count)


def test_what_keeps_to_its_limits_is_no_leak() -> None:
    within = [billing(str(n), n * DAY * 500, used(min(n, 1))) for n in range(6)]
    assert causes(*within) == [None] * 6, "two in any day"
    assert causes(billing("1", 0), billing("2", 1), billing("3", 2)) == [None] * 3, "no limits"


def test_a_notice_after_its_reservation_is_late() -> None:
    """C 4: a seeded leak of each cause lands in its own bucket."""
    late = billing("3", 10_001, TWO, bid_ms=0)
    assert causes(billing("1", 1, used(0)), billing("2", 2, used(1)), late)[-1] == "late"


def test_impressions_that_were_imported_after_the_bid_are_named() -> None:
    assert causes(imported("x", 1), billing("1", 2, used(0)), billing("2", 12, used(1))) == [
        None, "imported",
    ]  # fmt: skip


def test_what_had_been_billed_and_was_not_seen_came_by_a_join() -> None:
    assert causes(billing("1", 1), billing("2", 2), billing("3", 500, used(0)))[-1] == "joined"


def test_bids_that_were_out_at_once_are_in_flight() -> None:
    bids = [billing(str(n), 100 + n, used(0), bid_ms=0) for n in range(3)]
    assert causes(*bids) == [None, None, "in_flight"]


def test_a_late_fold_of_an_earlier_impression_is_found_too() -> None:
    """Partitions are folded in any order: the window that is too full may end after it."""
    first = billing("1", 1, used(0), bid_ms=0)
    others = [billing(str(n), 10 + n, used(0), bid_ms=0) for n in (2, 3)]
    assert causes(*others, first) == [None, None, "in_flight"]


def test_limits_of_the_advertiser_count_all_of_its_campaigns() -> None:
    limit = Limit(1, DAY, of_advertiser=True)
    assert causes(billing("1", 1, campaign="D"), billing("2", 2, limit, bid_ms=0))[-1] == (
        "in_flight"
    )
    assert causes(billing("1", 1, campaign="D"), billing("2", 2, Limit(1, DAY)))[-1] is None


def test_a_repeated_notice_is_counted_once_by_the_meter() -> None:
    installation = Installation()
    limit = Limit(1, DAY)
    first, second = billing("1", 1, limit, bid_ms=0), billing("2", 2, limit, bid_ms=0)
    found: list[LeakCause] = []
    for offset, one in enumerate((first, second, second, first)):
        steps = digest_outcomes(KEYS, NODE, 1, [(offset, one)])
        touched = installation.store.run(steps)
        installation._publish([touched])
        billed = [Billed(NODE, touched.root, touched.billed)]
        found += installation.store.run(leaks_of(KEYS, billed))
    assert found == ["in_flight"]


@pytest.mark.parametrize("is_merged", [False, True])
def test_the_whole_person_is_measured_wherever_their_root_is_now(*, is_merged: bool) -> None:
    installation, other = Installation(), NODES[1]
    limit = Limit(1, DAY)
    elsewhere = msgspec.structs.replace(billing("1", 1, limit, bid_ms=0), node=other)
    installation.bill(elsewhere)
    touched = installation.store.run(
        digest_outcomes(KEYS, NODE, 1, [(0, billing("2", 2, limit, bid_ms=0))])
    )
    installation._publish([touched])
    if is_merged:
        link(installation)
    billed = [Billed(NODE, touched.root, touched.billed)]
    assert installation.store.run(leaks_of(KEYS, billed)) == (["in_flight"] if is_merged else [])


def link(installation: Installation) -> None:
    made = links.link(KEYS, NODE, NODES[1], Evidence("sign_in", 1), lambda: "t")
    installation.store.run(made)
    installation.store.run(publish(KEYS, NODE))
