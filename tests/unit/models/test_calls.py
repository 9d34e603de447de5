"""Call histories are bounded unions by id: order-free, idempotent, each call once."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from models.calls import KEPT_CALLS, KEPT_LEASES, CallHistory, fold_phone, merge_calls, told_call
from models.events import Call, NumberLease
from tests.fakes import records
from tests.fakes.phone_calls import a_call, a_lease, at_ms

Told = Call | NumberLease
histories = st.lists(records.calls | records.leases, max_size=30)


def folded(news: list[Told]) -> CallHistory:
    history = CallHistory()
    for event in news:
        history = fold_phone(history, event)
    return history


@given(histories, st.integers(0, 2**32))
def test_the_order_of_tellings_does_not_matter_nor_their_number(
    news: list[Told], seed: int
) -> None:
    again = [*news, *news[::2]]
    random.Random(seed).shuffle(again)
    assert folded(again) == folded(news)


@given(histories, histories, histories)
def test_merging_is_a_semilattice(x: list[Told], y: list[Told], z: list[Told]) -> None:
    a, b, c = folded(x), folded(y), folded(z)
    assert merge_calls(a, b) == merge_calls(b, a) == folded([*x, *y])
    assert merge_calls(merge_calls(a, b), c) == merge_calls(a, merge_calls(b, c))
    assert merge_calls(a, a) == merge_calls(a, CallHistory()) == a


@given(histories)
def test_a_history_is_bounded(news: list[Told]) -> None:
    history = folded(news)
    assert len(history.calls) <= KEPT_CALLS
    assert len(history.leases) <= KEPT_LEASES


def test_the_latest_telling_of_a_call_stands() -> None:
    first, tagged = a_call("c"), a_call("c", tag="repeat", score=80, told_ms=at_ms(60))
    for news in itertools.permutations([first, tagged, first]):
        (call,) = folded(list(news)).calls
        assert (call.tag, call.score) == ("repeat", 80)


def test_two_advertisers_may_name_their_calls_alike() -> None:
    history = folded([a_call("c", advertiser="airline"), a_call("c", advertiser="shop")])
    assert [call.advertiser for call in history.calls] == ["airline", "shop"]


def test_the_newest_calls_stay() -> None:
    news: list[Told] = [a_call(f"c{minute}", minute) for minute in range(KEPT_CALLS + 3)]
    assert [call.call_id for call in folded(news).calls] == [
        f"c{minute}" for minute in range(3, KEPT_CALLS + 3)
    ]


def test_a_renewed_lease_lasts_until_its_latest_end() -> None:
    (lease,) = folded([a_lease("l", 0, 60), a_lease("l", 0, 30)]).leases
    assert (lease.start_ms, lease.expires_ms) == (at_ms(0), at_ms(60))


def test_a_missed_call_without_a_reason_is_missed_all_the_same() -> None:
    assert told_call(a_call(missed=True)).missed_reason == "unknown"
    assert told_call(a_call()).is_answered
