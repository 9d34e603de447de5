"""The interval index of segments, against asking each segment by itself."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog_records import Condition, Feature, Segment
from models.dealings import BuyerStats, Dealings, Known, dealings_of
from models.errors import InvalidFieldError
from models.features import NUMBERS, WORDS
from models.limits import Cap
from models.segment_index import SegmentIndex
from models.units import DAY_MS, DAY_S, MICROS, AdvertiserId, SegmentId

NOW_MS = 20_000 * DAY_MS
TIERS = ("gold", "silver", "")
ROUTES = ("JFK-LAX", "EWR-SFO")

limits = st.none() | st.integers(0, 5) | st.floats(0, 5)


def segment(name: str, *when: Condition, **changes: object) -> Segment:
    made = Segment(
        id=SegmentId(f"air/{name}"), advertiser=AdvertiserId("air"), when=when,
        target_cpa_micros=MICROS, caps=(Cap(1, 1),), creative_set="any",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


@st.composite
def conditions(draw: st.DrawFn, feature: Feature) -> Condition:
    if feature in WORDS:
        words = st.lists(st.sampled_from([*TIERS[:2], *ROUTES]), max_size=2).map(tuple)
        return Condition(feature=feature, one_of=draw(words), none_of=draw(words))
    unit = MICROS if feature in {"average_order", "yearly_value"} else 1
    low, high = draw(limits), draw(limits)
    if low is not None and high is not None:
        low, high = sorted((low, high))
    return Condition(
        feature=feature,
        at_least=None if low is None else low * unit,
        at_most=None if high is None else high * unit,
    )


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    made = []
    for number in range(draw(st.integers(0, 6))):
        asked = draw(st.lists(st.sampled_from([*NUMBERS, *WORDS]), unique=True, max_size=3))
        mean, cpa = draw(st.integers(1, 2)), draw(st.integers(0, 3))
        when = [draw(conditions(feature)) for feature in asked]
        made.append(segment(str(number), *when, mean_value_micros=mean, target_cpa_micros=cpa))
    return made


@st.composite
def dealings(draw: st.DrawFn) -> Dealings:
    orders = draw(st.integers(0, 5))
    last_s = (NOW_MS - draw(st.integers(0, 6)) * DAY_MS) // 1000
    buyer = BuyerStats(orders, 0, last_s, last_s, 0, draw(st.integers(0, 25)) * MICROS)
    searches = draw(st.lists(st.tuples(st.sampled_from(ROUTES), st.integers(0, 6)), max_size=3))
    searched_s = sorted((NOW_MS // 1000 - ago * DAY_S for _, ago in searches), reverse=True)
    return dealings_of(
        Known(
            buyer if orders else None,
            routes=[route for route, _ in searches],
            days_ahead=draw(
                st.lists(st.integers(0, 9), min_size=len(searches), max_size=len(searches))
            ),
            searched_s=searched_s,
            tier=draw(st.sampled_from(TIERS)),
        )
    )


def holds(one: Condition, known: Dealings) -> bool:
    """What the documentation of a condition says, word by word."""
    if one.feature in WORDS:
        words = set(WORDS[one.feature](known))
        return (not one.one_of or bool(words & set(one.one_of))) and not words & set(one.none_of)
    value = NUMBERS[one.feature](known, NOW_MS)
    if one.at_least is None and one.at_most is None:
        return value is not None
    return (
        value is not None
        and (one.at_least is None or one.at_least <= value)
        and (one.at_most is None or value <= one.at_most)
    )


@given(segments(), dealings())
def test_the_index_holds_whom_every_condition_of_a_segment_holds(
    every: list[Segment], known: Dealings
) -> None:
    expected = [one for one in every if all(holds(each, known) for each in one.when)]
    index = SegmentIndex(every)
    held = index.mask_of(known, NOW_MS)
    assert sorted(index.those(held), key=_by_id) == sorted(expected, key=_by_id)
    assert index.first_of(held, [one.id for one in every]) == (expected[0] if expected else None)
    for mean_value_micros, group in index.groups:
        members = list(index.those(group))
        assert {one.mean_value_micros for one in members} == {mean_value_micros}
        target_cpas = [one.target_cpa_micros for one in members]
        assert target_cpas == sorted(target_cpas, reverse=True)


def _by_id(one: Segment) -> str:
    return one.id


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (Condition(feature="orders"), "at_least or at_most"),
        (Condition(feature="orders", one_of=("1",)), "at_least or at_most"),
        (Condition(feature="orders", at_least=2, at_most=1), "at most at_most"),
        (Condition(feature="average_order", at_least=2e6, at_most=1e6), r"at most at_most \(1\)"),
        (Condition(feature="tier"), "one_of or none_of"),
        (Condition(feature="tier", at_least=1), "one_of or none_of"),
    ],
)
def test_a_condition_that_could_never_or_would_always_hold_is_refused(
    when: Condition, text: str
) -> None:
    with pytest.raises(InvalidFieldError, match=text):
        segment("bad", when).check()


def test_a_feature_is_asked_for_once() -> None:
    twice = segment("twice", Condition(feature="orders", at_least=1), min_orders=1)
    with pytest.raises(InvalidFieldError, match="asked for once"):
        twice.check()
