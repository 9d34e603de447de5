"""Who is at a shared device now."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.identifiers import NodeId
from models.presence import Present, who_is_there

EMAIL, OTHER_EMAIL = NodeId("e" + "e" * 22), NodeId("e" + "f" * 22)
PHONE = NodeId("p" + "p" * 22)
X, Y, Z = (NodeId("c" + letter * 22) for letter in "xyz")
STAY_MS = 1000

sign_ins = st.lists(
    st.tuples(
        st.sampled_from([EMAIL, OTHER_EMAIL, PHONE, X, Y]), st.sampled_from([X, Y, Z]),
        st.integers(0, 10_000),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def ratio(told: list[tuple[NodeId, NodeId, int]], now_ms: int) -> float:
    present = who_is_there(told, now_ms, STAY_MS)
    assert present is not None
    return present.ratio


def test_nobody_who_signed_in_is_nobody() -> None:
    assert who_is_there([], 5, STAY_MS) is None


def test_right_after_the_sign_in_it_is_certain() -> None:
    assert who_is_there([(EMAIL, X, 5), (OTHER_EMAIL, Y, 9)], 9, STAY_MS) == Present(OTHER_EMAIL, 1)


def test_after_a_long_time_it_is_anybody_of_them() -> None:
    told = [(EMAIL, X, 0), (OTHER_EMAIL, Y, 1), (PHONE, Z, 2)]
    assert ratio(told, 10**9) == pytest.approx(1 / 3)


def test_after_the_mean_stay_the_excess_over_chance_has_fallen_to_one_in_e() -> None:
    told = [(EMAIL, X, 0), (OTHER_EMAIL, Y, 1000)]
    assert ratio(told, 2000) == pytest.approx(0.5 + 0.5 * exp(-1))


def test_two_accounts_of_one_person_are_one_person() -> None:
    assert ratio([(EMAIL, X, 0), (PHONE, X, 1)], 10**9) == 1.0


@given(sign_ins, st.integers(0, 20_000), st.integers(0, 20_000))
def test_the_probability_falls_with_time_and_never_below_chance(
    told: list[tuple[NodeId, NodeId, int]], one_ms: int, other_ms: int
) -> None:
    early, late = sorted((one_ms, other_ms))
    persons = len({root for _, root, _ in told})
    assert 1 >= ratio(told, early) >= ratio(told, late) >= 1 / persons - 1e-12


@given(sign_ins, st.randoms(use_true_random=False))
def test_the_order_of_telling_makes_no_difference(
    told: list[tuple[NodeId, NodeId, int]], rng: object
) -> None:
    shuffled = list(told)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    one, other = who_is_there(told, 20_000, STAY_MS), who_is_there(shuffled, 20_000, STAY_MS)
    assert one == other
