"""Calls and leases meet at their number, whatever the order, the interleaving and the crashes."""

import itertools
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.call_join import Joined, join_call
from models.calls import join_leases, lease_of
from models.commands import Steps
from models.events import Call, NumberLease
from models.evidence import Evidence, decode_evidence, encode_evidence
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.lines import LINE_SECONDS
from models.links import Linked as MadeLink
from models.links import link
from models.number_book import BOOK_SECONDS
from models.profile import publish_all
from models.splits import note
from models.units import DAY_MS
from streams.stages.calls import (
    Linked,
    NumberJoins,
    SoftLink,
    apply_soft_link,
    join_number,
    link_told,
    measure_lines,
    news_of,
)
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run
from tests.fakes.phone_calls import (
    AIR,
    NUMBER,
    START_MS,
    a_call,
    a_lease,
    at_ms,
    cookie,
    phone,
)

KEYS = Keys("o")
BOOK = KEYS.number(NUMBER).encode()
LATER_MS = START_MS + 100 * DAY_MS
Told = Call | NumberLease


def keep(soft: SoftLink) -> Steps[Linked]:
    """An identity that only remembers which calls speak for which links."""
    field = f"{soft.call_id}/{soft.other}"
    is_wrong = soft.withdrawn_ms is not None
    yield [("HDEL", "links", field)] if is_wrong else [("HSET", "links", field, b"1")]
    return Linked(soft, soft.caller, MadeLink("withdrawn" if is_wrong else "linked"))


def told(*news: Told) -> Steps[NumberJoins]:
    return join_number(KEYS, NUMBER, news, now_ms=LATER_MS, apply=keep)


def links(store: MemoryStore) -> set[str]:
    return {name.decode() for name in store.hash(b"links")}


def wanted(news: list[Told]) -> set[str]:
    """The links that the rule gives for all of it at once."""
    leases = join_leases(lease_of(one) for one in news if isinstance(one, NumberLease))
    found = set()
    for call in (one for one in news if isinstance(one, Call)):
        outcome = join_call(call.event_time_ms, leases.values())
        if isinstance(outcome, Joined):
            found.add(f"{call.call_id}/{outcome.lease.session}")
    return found


some_calls = st.builds(
    lambda name, minute: a_call(f"c{name}", minute + name / 10, caller="abc"[name]),
    st.integers(0, 2), st.just(40),
)  # fmt: skip
some_leases = st.builds(
    lambda name, length: a_lease(
        f"l{name}", 5 + 12 * name, 5 + 12 * name + length, session="abac"[name]
    ),
    st.integers(0, 3),
    st.sampled_from([5, 12, 20, 40]),
)
histories = st.lists(st.one_of(some_calls, some_leases), min_size=2, max_size=7)


@given(histories, st.integers(0, 2**32))
@settings(max_examples=300)
def test_the_joins_are_those_of_the_rule_whatever_the_interleaving(
    news: list[Told], seed: int
) -> None:
    store = MemoryStore()
    interleave([Runner(store, told(one)) for one in news], random.Random(seed).randrange)
    assert links(store) == wanted(news)


@given(histories, st.integers(0, 2**32))
@settings(max_examples=300)
def test_a_worker_that_dies_anywhere_leaves_what_redelivery_finishes(
    news: list[Told], seed: int
) -> None:
    store, chance = MemoryStore(), random.Random(seed)
    dying = [Runner(store, told(one)) for one in news]
    for _ in range(chance.randrange(12)):
        alive = [one for one in dying if not one.done]
        if alive:
            chance.choice(alive).step()
    interleave([Runner(store, told(one)) for one in news], chance.randrange)
    assert links(store) == wanted(news)


@given(st.permutations([
    a_call("c", 20), a_lease("l0", 0, 15, "a"), a_lease("l0", 0, 25, "a"),
    a_lease("l1", 16, 30, "b"), a_call("d", 28, caller="b"),
]))  # fmt: skip
def test_the_order_in_which_things_are_told_does_not_matter(news: list[Told]) -> None:
    store = MemoryStore()
    for one in news:
        run(store, told(one))
    assert links(store) == wanted(news) == {f"d/{cookie('b')}"}


def test_a_call_that_is_told_before_its_lease_is_joined_when_that_comes() -> None:
    store = MemoryStore()
    assert run(store, told(a_call("c", 10))).results == {"c": "unmatched"}
    joins = run(store, told(a_lease("l", 0, 30)))
    assert joins.results == {"c": "joined"}
    (linked,) = joins.linked
    assert (linked.soft.caller, linked.soft.other) == (phone("a"), cookie("a"))
    assert linked.soft.time_ms == at_ms(10)
    assert linked.soft.confidence == 0.9


def test_a_better_lease_takes_the_link_of_a_worse_one_back() -> None:
    store = MemoryStore()
    run(store, told(a_lease("l0", 0, 5, "a"), a_call("c", 10)))
    assert links(store) == {f"c/{cookie('a')}"}
    joins = run(store, told(a_lease("l1", 8, 20, "b")))
    assert [
        (one.soft.other, one.soft.evidence.confidence, one.soft.withdrawn_ms)
        for one in joins.linked
    ] == [(cookie("a"), 50, LATER_MS), (cookie("b"), 70, None)]
    assert links(store) == {f"c/{cookie('b')}"}


def test_a_link_that_is_taken_back_once_more_was_wrong_since_the_first_time() -> None:
    store = MemoryStore()
    run(store, told(a_lease("l0", 0, 5, "a"), a_call("c", 10)))
    for wait_ms in (3, 9, 11):
        renewed = [a_lease("l1", 8, 20 + wait_ms, "b")]
        later = join_number(KEYS, NUMBER, renewed, now_ms=LATER_MS + wait_ms, apply=keep)
        assert [one.soft.withdrawn_ms for one in run(store, later).linked] == [LATER_MS + 3, None]


def test_two_sessions_with_one_number_make_a_call_nobodys() -> None:
    store = MemoryStore()
    run(store, told(a_lease("l0", 0, 30, "a"), a_call("c", 10)))
    assert run(store, told(a_lease("l1", 5, 30, "b"))).results == {"c": "ambiguous"}
    assert links(store) == set()


def test_telling_again_makes_the_same_link_and_no_other() -> None:
    store = MemoryStore()
    for _ in range(3):
        run(store, told(a_lease("l", 0, 30)))
        run(store, told(a_call("c", 10, tag="call_back", told_ms=at_ms(60))))
    assert links(store) == {f"c/{cookie('a')}"}


def test_a_lease_that_nobody_called_costs_one_round() -> None:
    store = MemoryStore()
    runner = Runner(store, told(a_lease("l", 0, 30)))
    for _ in range(3):
        runner.step()
    assert runner.done
    assert store.expiring == {BOOK: BOOK_SECONDS}


def test_the_grace_is_a_setting() -> None:
    store = MemoryStore()
    news: list[Told] = [a_lease("l", 0, 30), a_call("c", 31)]
    steps = join_number(KEYS, NUMBER, news, now_ms=LATER_MS, apply=keep, grace_ms=0)
    assert run(store, steps).results == {"c": "unmatched"}
    assert run(store, told(*news)).results == {"c": "joined"}


def test_what_comes_days_too_late_is_not_joined() -> None:
    store = MemoryStore()
    run(store, told(a_call("new", 5 * 24 * 60)))
    assert run(store, told(a_lease("l", 0, 30))).results == {}
    assert run(store, told(a_call("old", 10))).results == {"old": "late"}
    assert set(store.hash(BOOK)) == {b"c:new"}


def test_leases_that_were_renewed_leave_one_field() -> None:
    store = MemoryStore()
    for end in (30, 50, 40, 60):
        run(store, told(a_lease("l", 0, end)))
    assert set(store.hash(BOOK)) == {f"l:l@{at_ms(60)}".encode()}


# -- links ----------------------------------------------------------------------------------


def identity(store: MemoryStore, soft: SoftLink) -> Linked:
    tokens = (f"t{number}" for number in itertools.count())
    return run(store, apply_soft_link(KEYS, soft, lambda: next(tokens)))


def a_soft_link(caller: NodeId, other: NodeId, **more: object) -> SoftLink:
    fields = {"kind": "form_phone", "call_id": "c", "time_ms": START_MS, "confidence": 0.8} | more
    return SoftLink(caller, other, **fields)  # type: ignore[arg-type]  # the test's own fields


def test_a_soft_link_is_evidence_with_its_kind_and_time() -> None:
    store = MemoryStore()
    assert identity(store, a_soft_link(phone("a"), phone("b"))).result == "linked"
    assert store.hash(KEYS.evidence(phone("a")).encode()) == {
        f"e:{phone('b')}".encode(): encode_evidence(Evidence("call_session", START_MS, 80))
    }


def test_a_link_that_is_taken_back_leaves_the_evidence_of_others() -> None:
    store = MemoryStore()
    wrong = a_soft_link(phone("a"), phone("b"))
    identity(store, wrong)
    other = a_soft_link(phone("a"), phone("b"), time_ms=START_MS + 1, withdrawn_ms=1)
    assert identity(store, other).result == "withdrawn"
    assert run(store, settle(KEYS, phone("a"))).members == [phone("b"), phone("a")]
    done = identity(store, msgspec.structs.replace(wrong, withdrawn_ms=1))
    assert done.root == phone("a")
    assert run(store, settle(KEYS, phone("a"))).members == [phone("a")]
    assert not store.hash(KEYS.evidence(phone("b")).encode())


class Book:
    """Call tracking over identity itself, one record at a time."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._tokens = itertools.count()

    def apply(self, soft: SoftLink) -> Steps[Linked]:
        return apply_soft_link(KEYS, soft, lambda: f"t{next(self._tokens)}")

    def steps(self, news: Told) -> Steps[None]:
        """What streams does with a record; as there, what was refused is noted at the end."""
        done = yield from join_number(KEYS, NUMBER, [news], now_ms=LATER_MS, apply=self.apply)
        for one in done.linked:
            if one.made.resettled is not None:
                yield from publish_all(KEYS, one.made.resettled.to_publish)
                yield from note(KEYS, one.made.resettled)

    def tell(self, *news: Told) -> None:
        for one in news:
            run(self.store, self.steps(one))

    def link(self, one: NodeId, other: NodeId, evidence: Evidence) -> None:
        done = run(self.store, link(KEYS, one, other, evidence, lambda: f"l{next(self._tokens)}"))
        if done.resettled is not None:
            run(self.store, note(KEYS, done.resettled))

    def person(self, node: NodeId) -> set[NodeId]:
        return set(run(self.store, settle(KEYS, node)).members)


@pytest.mark.parametrize(
    "news", [*itertools.permutations(["before", "lease", "renewed", "call"])], ids=" ".join
)
def test_what_is_found_out_last_about_a_call_is_its_confidence(news: tuple[str, ...]) -> None:
    """A lease is renewed so that it covers the call, which without that would be a weak guess."""
    told: dict[str, Told] = {
        "before": a_lease("l0", -10, -5, "z"), "lease": a_lease("l1", 0, 10, "b"),
        "renewed": a_lease("l1", 0, 20, "b"), "call": a_call("c", 15, caller="a"),
    }  # fmt: skip
    book = Book()
    book.tell(*(told[name] for name in news))
    assert book.person(phone("a")) == {phone("a"), cookie("b")}
    (evidence,) = book.store.hash(KEYS.evidence(phone("a")).encode()).values()
    assert decode_evidence(evidence).confidence == 70


@pytest.mark.parametrize(
    "news", [*itertools.permutations(["lease", "first", "second", "late"])], ids=" ".join
)
def test_another_call_of_the_same_pair_speaks_on(news: tuple[str, ...]) -> None:
    """The late lease makes the first call nobody's; the second one is right all the same."""
    told: dict[str, Told] = {
        "lease": a_lease("l1", 0, 60, "b"), "first": a_call("c1", 5, caller="a"),
        "second": a_call("c2", 40, caller="a"), "late": a_lease("l2", 4, 6, "d"),
    }  # fmt: skip
    book = Book()
    book.tell(*(told[name] for name in news))
    assert book.person(phone("a")) == {phone("a"), cookie("b")}


CRM_1, CRM_2 = NodeId("c" + "1" * 22), NodeId("c" + "2" * 22)


def contested() -> Book:
    """A call has given b to the first customer, so that a weaker link to the second is refused."""
    book = Book()
    book.link(CRM_1, phone("a"), Evidence("crm_card", 1))
    book.tell(a_lease("l1", 0, 30, "b"), a_call("c", 5, caller="a"))
    book.link(CRM_2, phone("q"), Evidence("crm_card", 1))
    book.link(cookie("b"), phone("q"), Evidence("call_session", START_MS + 10**9, 90))
    assert CRM_1 in book.person(cookie("b"))
    return book


def check_given_back(book: Book) -> None:
    assert book.person(cookie("b")) == {cookie("b"), phone("q"), CRM_2}
    for node in (cookie("b"), phone("q")):
        noted = [n for n in book.store.hash(KEYS.evidence(node).encode()) if n[:2] == b"s:"]
        assert not noted
    assert b"!" not in book.store.hash(KEYS.person(CRM_2).encode())


def test_what_a_wrong_link_kept_apart_comes_together_wherever_a_worker_is_killed() -> None:
    late = a_lease("l2", 4, 6, "d")
    for count in itertools.count():
        book = contested()
        runner = Runner(book.store, book.steps(late))
        for _ in range(count):
            if not runner.done:
                runner.step()
        book.tell(late)
        check_given_back(book)
        if runner.done:
            break
    assert count > 50


def test_a_lease_that_is_heard_of_late_gives_the_caller_to_the_right_session() -> None:
    """The number went from b to a, and b's lease, which the caller saw, comes after the call."""
    store = MemoryStore()
    tokens = (f"t{number}" for number in itertools.count())

    def apply(soft: SoftLink) -> Steps[Linked]:
        return apply_soft_link(KEYS, soft, lambda: next(tokens))

    def tell(*news: Told) -> None:
        run(store, join_number(KEYS, NUMBER, news, now_ms=LATER_MS, apply=apply))

    tell(a_lease("l0", 0, 30, "a"), a_call("c", 40, caller="x"))
    together = run(store, settle(KEYS, phone("x"))).members
    assert set(together) == {phone("x"), cookie("a")}
    tell(a_lease("l1", 31, 60, "b"))
    together = run(store, settle(KEYS, phone("x"))).members
    assert set(together) == {phone("x"), cookie("b")}
    assert run(store, settle(KEYS, cookie("a"))).members == [cookie("a")]


def test_a_call_tells_of_the_form_and_of_the_call_that_it_repeats() -> None:
    call = a_call(form_phone=phone("f"), repeat_of=phone("r"), is_outbound=True)
    news = news_of([call])
    assert [(soft.kind, soft.other) for soft in news.told] == [
        ("form_phone", phone("f")), ("repeat_call", phone("r")),
    ]  # fmt: skip
    assert not news.by_number
    assert not news.by_advertiser
    assert run(MemoryStore(), link_told(news.told[0], keep)).results == {}


def test_ones_own_number_on_the_form_is_no_link() -> None:
    assert news_of([a_call(form_phone=phone("a"))]).told == ()


def test_news_stand_by_number_and_by_advertiser() -> None:
    lease, call, unknown = a_lease(), a_call("c"), a_call("d", called_number="")
    news = news_of([lease, call, unknown])
    assert news.by_number == {NUMBER: [lease, call]}
    assert news.by_advertiser == {AIR: [call, unknown]}


@pytest.mark.parametrize("session", [cookie("s"), NodeId("s" + "s" * 22)])
def test_a_call_that_names_its_session_is_joined_to_no_other(session: NodeId) -> None:
    call = msgspec.structs.replace(a_call(), ids=(phone("a"), session))
    news = news_of([call])
    assert not news.by_number
    assert news.by_advertiser == {AIR: [call]}


# -- lines ----------------------------------------------------------------------------------


def lost(call_id: str, minute: float) -> Call:
    return a_call(call_id, minute, missed=True, missed_reason="lines_full")


def test_lines_without_a_lost_call_are_not_told() -> None:
    calls = [a_call("a"), a_call("b", missed=True, missed_reason="no_answer")]
    assert run(MemoryStore(), measure_lines(KEYS, AIR, calls, now_ms=LATER_MS)) is None


def test_lines_are_counted_over_workers_and_a_call_once() -> None:
    store = MemoryStore()
    run(store, measure_lines(KEYS, AIR, [a_call("a", 0), lost("b", 1)], now_ms=LATER_MS))
    state = run(store, measure_lines(KEYS, AIR, [lost("b", 1), lost("c", 1)], now_ms=LATER_MS))
    assert state is not None
    first = START_MS // 60_000
    assert state.minutes == ((first, 1, 0), (first + 1, 2, 2))
    assert state.updated_ms == at_ms(1)
    assert store.expiring[KEYS.lines(AIR).encode()] == LINE_SECONDS


def test_calls_before_the_window_are_forgotten() -> None:
    store = MemoryStore()
    run(store, measure_lines(KEYS, AIR, [lost("a", 0)], now_ms=LATER_MS))
    assert run(store, measure_lines(KEYS, AIR, [a_call("b", 20)], now_ms=LATER_MS)) is None
    assert [name[:2] for name in store.hash(KEYS.lines(AIR).encode())] == [b"b@"]
