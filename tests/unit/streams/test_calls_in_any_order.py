"""Which calls speak for which sessions does not depend on the order in which things are told."""

import itertools
import random
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.call_join import Joined, join_call
from models.calls import join_leases, lease_of
from models.commands import Steps, fields_of
from models.event_base import MAX_TIME_MS
from models.events import Call, NumberLease
from models.evidence import FULL_CONFIDENCE, Evidence, Pair, encode_evidence
from models.export import canonical_person, export_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from streams.stages.calls import Linked, SoftLink, apply_soft_link, join_number
from tests.fakes.installation import Installation
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run
from tests.fakes.phone_calls import NUMBER, a_call, a_lease, at_ms, cookie, phone

KEYS = Keys("o")
CALLERS, SESSIONS = "xy", "ab"
NODES = [*map(phone, CALLERS), *map(cookie, SESSIONS)]

Told: TypeAlias = Call | NumberLease


def some_lease(name: int, length: int) -> NumberLease:
    """One of four leases, of two sessions by turns; told with another length it is renewed."""
    start = 10 * name
    return a_lease(f"l{name}", start, start + length, session=SESSIONS[name % 2])


def some_call(name: int, tag: str) -> Call:
    """One of three calls from two phones, most of them after the leases have ended."""
    minute = 35 + 12 * name
    told_ms = at_ms(minute + 5) if tag else 0
    return a_call(f"c{name}", minute, caller=CALLERS[name // 2], tag=tag, told_ms=told_ms)


leases = st.builds(some_lease, st.integers(0, 3), st.sampled_from([5, 10, 14, 30]))
calls = st.builds(some_call, st.integers(0, 2), st.sampled_from(["", "call_back"]))
histories = st.lists(st.one_of(leases, calls), min_size=3, max_size=8)


def evidence_by_rule(news: Iterable[Told]) -> dict[Pair, bytes]:
    """The strongest that any call says of its caller and a session, all told at once."""
    told = list(news)
    shown = join_leases(lease_of(one) for one in told if isinstance(one, NumberLease)).values()
    found: dict[Pair, bytes] = {}
    for call in (one for one in told if isinstance(one, Call)):
        outcome = join_call(call.event_time_ms, shown)
        if isinstance(outcome, Joined):
            percent = round(outcome.confidence * FULL_CONFIDENCE)
            said = encode_evidence(Evidence("call_session", call.event_time_ms, percent))
            pair = call.ids[0], outcome.lease.session
            found[pair] = min(said, found.get(pair, said))
    return found


def evidence_kept() -> Steps[dict[Pair, bytes]]:
    """What the callers' evidence says."""
    callers = list(map(phone, CALLERS))
    replies = yield [("HGETALL", KEYS.evidence(caller)) for caller in callers]
    return {
        (caller, NodeId(name[2:].decode())): said
        for caller, reply in zip(callers, replies, strict=True)
        for name, said in fields_of(reply).items()
        if name[:2] == b"e:"
    }


def end_of(news: Sequence[Told]) -> tuple[dict[Pair, bytes], bytes]:
    """The evidence that is kept in the end, and all persons as ``kinbid export`` tells of them."""
    here = Installation()
    here.tell(*news)
    settled = {one.root: one for one in (here.store.run(settle(KEYS, node)) for node in NODES)}
    body = export_of(filter(None, map(canonical_person, settled.values()))).body
    return here.store.run(evidence_kept()), body


@given(histories, st.integers(0, 2**32))
@settings(max_examples=150)
def test_any_order_and_any_repetition_give_the_same_links_and_the_same_export(
    news: list[Told], seed: int
) -> None:
    chance = random.Random(seed)
    told = [*news, *chance.sample(news, len(news) // 2)]
    ends = [end_of(chance.sample(told, len(told))) for _ in range(2)]
    assert [known for known, _ in ends] == [evidence_by_rule(news)] * 2
    assert ends[0] == ends[1]


@pytest.mark.parametrize("last", ["before", "lease", "first", "second"])
def test_a_call_that_says_less_than_it_did_does_not_silence_another_one(last: str) -> None:
    """The lease that is told last makes the first call a weaker guess, and not the second."""
    news: dict[str, Told] = {
        "before": a_lease("l0", 5, 35, "b"), "lease": a_lease("l1", 50, 60, "a"),
        "first": a_call("c1", 63, "x"), "second": a_call("c2", 81, "x"),
    }  # fmt: skip
    told = news.pop(last)
    for order in itertools.permutations(news.values()):
        here = Installation()
        here.tell(*order, told)
        assert here.are_one(phone("x"), cookie("a"))


@given(histories, st.integers(0, 2**32))
@settings(max_examples=200)
def test_workers_side_by_side_keep_the_strongest_evidence_of_each_pair(
    news: list[Told], seed: int
) -> None:
    store, tokens = MemoryStore(), itertools.count()

    def apply(soft: SoftLink) -> Steps[Linked]:
        return apply_soft_link(KEYS, soft, lambda: f"t{next(tokens)}")

    runners = [
        Runner(store, join_number(KEYS, NUMBER, [one], now_ms=MAX_TIME_MS, apply=apply))
        for one in news
    ]
    interleave(runners, random.Random(seed).randrange)
    assert run(store, evidence_kept()) == evidence_by_rule(news)
