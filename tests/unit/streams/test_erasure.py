"""An erasure among random events: a replay of everything brings back what was there, and no more.

The same log is folded twice: as it came, with the erasure in the middle, and again from the
beginning, as after a rebuild, when Redis knows from the start who was erased.
"""

import asyncio
import itertools
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.consents import Consents, is_withdrawn, withdrawn_in
from models.erasure import begin_erasure, disown, holding, part_erased, to_tell
from models.erasure_records import ErasureRecord, outliving
from models.events import AccountErased, Billing, Consent, Event, SignIn
from models.evidence import Verdict
from models.forest import settle
from models.identifiers import NodeId
from models.link_records import VerdictRecord
from models.person_events import Purpose
from models.profile import person_of
from tests.fakes.memory_store import run
from tests.unit.streams.test_link_ledger import KEYS, verdict
from tests.unit.streams.test_verdicts import NODES, Done, Run, billing, event, groups, nodes, times

ERASED_MS = 40
"""No time of before is greater."""

later = st.integers(1, 2 * ERASED_MS)
purposes = st.sampled_from([("personal_ads",), ("email", "personal_ads")])


def consent(node: NodeId, at: int, said_of: Sequence[Purpose], is_off: bool) -> Consent:
    said: dict[str, Any] = {"withdrawn" if is_off else "granted": tuple(said_of)}
    return Consent(event_id=str(at), ids=(node,), event_time_ms=at, source="cmp", **said)


def done_at(times: st.SearchStrategy[int]) -> st.SearchStrategy[Done]:
    return st.one_of(
        st.builds(event, st.just(SignIn), groups, times),
        st.builds(billing, nodes, times),
        st.builds(consent, nodes, times, purposes, st.booleans()),
    )


done, done_later = done_at(times), done_at(later)


def erase(live: Run, nodes: Sequence[NodeId]) -> list[Event]:
    """What ``kinbid erase`` does; returns what it tells the others, and them."""
    store = live.redis.store
    withdrawn = withdrawn_in([run(store, holding(KEYS, node)).consents for node in nodes])
    records = [
        ErasureRecord(node=node, erased_ms=ERASED_MS, open_request="r", withdrawn=withdrawn)
        for node in nodes
    ]
    pairs = run(store, begin_erasure(KEYS, nodes, ERASED_MS))
    told: list[Event] = [
        AccountErased(event_id=f"{one}/{other}", ids=(other,), event_time_ms=ERASED_MS, account=one)
        for one, other in to_tell(nodes, pairs)
    ]
    for _ in range(2):
        steps = part_erased(KEYS, nodes, pairs, lambda: f"e{next(live.tokens)}")
        asyncio.run(live.ledger.tell([run(store, steps)]))
        run(store, disown(KEYS, nodes, pairs, ERASED_MS))
    return told + [outliving(one) for one in records if withdrawn]


def replayed(log: Sequence[Done], erased: Sequence[NodeId], seed: int) -> Run:
    """A rebuild: each identifier's records in their order, all identifiers at once."""
    rebuilt = Run()
    for node in erased:
        rebuilt.redis.store.execute(("FCALL", "kinbid_v1_erase", 1, KEYS.parent(node), ERASED_MS))
    queues: defaultdict[tuple[NodeId, str], deque[Done]] = defaultdict(deque)
    for one in log:
        key = (one.node, "c") if isinstance(one, Billing) else (one.ids[0], "f")
        queues[key].append(one)
    chance = random.Random(seed)
    while queues:
        key = chance.choice(list(queues))
        rebuilt.fold(queues[key].popleft())
        if not queues[key]:
            del queues[key]
    return rebuilt


@given(st.lists(done, max_size=12), st.lists(done_later, max_size=8), nodes, st.integers(0, 99))
def test_a_replay_comes_to_what_stood_there(
    before: list[Done], after: list[Done], node: NodeId, seed: int
) -> None:
    live = Run()
    for one in before:
        live.fold(one)
    erased = run(live.redis.store, settle(KEYS, node)).members
    told = erase(live, erased)
    assert all(run(live.redis.store, holding(KEYS, one)).is_empty for one in erased)
    for one in itertools.chain(told, after):
        live.fold(one)
    rebuilt = replayed([*before, *told, *after], erased, seed)
    assert live.persons(*NODES) == rebuilt.persons(*NODES)


def consents_of_person(live: Run, node: NodeId) -> Consents:
    return person_of(run(live.redis.store, settle(KEYS, node)))[0].consents


@given(st.lists(done, max_size=12), nodes, st.data())
def test_what_a_person_has_withdrawn_stays_withdrawn_for_each_of_their_identifiers(
    before: list[Done], node: NodeId, data: st.DataObject
) -> None:
    live = Run()
    for one in before:
        live.fold(one)
    erased = run(live.redis.store, settle(KEYS, node)).members
    words = consents_of_person(live, node)
    for told in erase(live, erased):
        live.fold(told)
    for one in before:
        live.fold(one)  # what comes again changes nothing
    for member in erased:
        kept = consents_of_person(live, member)
        assert set(kept) == {purpose for purpose in words if is_withdrawn(words, purpose)}
        assert {source for _, _, source in kept.values()} <= {"erasure"}
    member = data.draw(st.sampled_from(erased))
    live.fold(consent(member, ERASED_MS + 2, ("personal_ads",), is_off=False))
    assert not is_withdrawn(consents_of_person(live, member), "personal_ads")


def decided(a: NodeId, b: NodeId, word: Verdict, at_ms: int) -> VerdictRecord:
    return msgspec.structs.replace(verdict(a, b, word), at_ms=at_ms)


@pytest.mark.parametrize("is_seen", [True, False])
@pytest.mark.parametrize("word", ["approved", "rejected"])
def test_a_verdict_of_before_is_void_and_one_of_after_stands(
    word: Verdict,
    is_seen: bool,
) -> None:
    device, account = NODES[0], NODES[2]
    live = Run()
    if is_seen:
        live.fold(event(SignIn, [device, account], 1))
    live.judge(decided(device, account, word, 2))
    erased = run(live.redis.store, settle(KEYS, account)).members
    for told in erase(live, erased):
        live.fold(told)
    assert all(run(live.redis.store, holding(KEYS, one)).is_empty for one in erased)
    live.judge(decided(device, account, word, 2))  # a replay
    assert all(run(live.redis.store, holding(KEYS, one)).is_empty for one in erased)
    live.fold(event(SignIn, [device, account], ERASED_MS + 1))
    assert live.person(device) == {device, account}
    live.judge(decided(device, account, "rejected", ERASED_MS + 2))
    assert live.person(device) == {device}
    live.fold(event(SignIn, [device, account], 1))
    live.fold(event(SignIn, [device, account], ERASED_MS + 3))
    assert live.person(device) == {device}


@given(st.lists(done, max_size=12), nodes)
def test_what_is_left_is_what_others_did_and_the_same_for_an_erasure_again(
    before: list[Done], node: NodeId
) -> None:
    live = Run()
    for one in before:
        live.fold(one)
    erased = run(live.redis.store, settle(KEYS, node)).members
    for one in erase(live, erased):
        live.fold(one)
    left = live.persons(*NODES)
    for person in left:
        assert not set(person.profile["sign_ins"]).intersection(erased)
        if not set(person.members).isdisjoint(erased):
            assert len(person.members) == 1
            assert not person.profile["touches"]
            assert not person.ledger["campaigns"]
    for one in [*before, *erase(live, erased)]:
        live.fold(one)
    assert [one.members for one in live.persons(*NODES)] == [one.members for one in left]
