"""Call histories are bounded unions by id: order-free, idempotent, each call once."""

import itertools
import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.calls import (
    KEPT_CALLS,
    KEPT_KINDS,
    KEPT_LEASES,
    CallHistory,
    fold_phone,
    merge_calls,
    told_call,
)
from models.events import Call, NumberLease
from tests.fakes import records
from tests.fakes.phone_calls import a_call, a_lease, at_ms

Told = Call | NumberLease
many_calls = st.builds(
    lambda number, told, tag, missed: a_call(
        f"call-{number}", number % 29, told_ms=told, missed=missed, tag=tag,
        missed_reason="no_answer" if missed else "",
    ),
    st.integers(0, 60), st.integers(1, 4), st.sampled_from(["", "a", "b", *map(str, range(20))]),
    st.booleans(),
)  # fmt: skip
"""More calls than are kept, of more kinds than are kept, each told now as this and now as that."""
histories = st.lists(records.calls | records.leases, max_size=30) | st.lists(
    many_calls, max_size=60
)


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
    assert len(history.last_of_kind) <= KEPT_KINDS


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


def test_the_newest_call_of_each_kind_stays_however_many_of_others_follow() -> None:
    news: list[Told] = [a_call("asks", 0, tag="call_back"), a_call("talk", 1)]
    news += [a_call(f"c{n}", 2 + n, missed=True) for n in range(3 * KEPT_CALLS)]
    history = folded(news)
    assert [call.call_id for call in history.last_of_kind] == ["asks", "talk"]
    assert [call.call_id for call in history.known_calls[:2]] == ["asks", "talk"]


def test_a_talk_with_service_does_not_hide_an_older_one_with_sales() -> None:
    """Only one of them closes a call-back of sales, so they are two kinds."""
    news: list[Told] = [a_call("sales", 0), a_call("served", 1, department="service")]
    news += [a_call(f"c{n}", 2 + n, missed=True) for n in range(KEPT_CALLS)]
    assert [call.call_id for call in folded(news).last_of_kind] == ["sales", "served"]


def test_of_a_call_that_is_told_anew_the_latest_telling_is_known() -> None:
    history = folded([a_call("c"), a_call("c", tag="repeat", told_ms=at_ms(60))])
    assert [call.tag for call in history.last_of_kind] == [""]
    assert [call.tag for call in history.known_calls] == ["repeat"]


def test_a_history_that_was_kept_without_kinds_is_read() -> None:
    old = msgspec.msgpack.encode([[told_call(a_call())], []])
    history = msgspec.msgpack.decode(old, type=CallHistory)
    assert history == folded([a_call()])
