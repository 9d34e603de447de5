import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.caps import decode_ledger
from models.consents import is_withdrawn
from models.events import (
    Billing,
    Call,
    Consent,
    CrmMerge,
    Event,
    Order,
    Outcome,
    PageView,
    Refund,
    SignIn,
    Win,
    encode,
)
from models.evidence import Evidence, decode_evidence, encode_evidence, pair_of
from models.facets import Facet, decode_facet, fold_event, merge
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from models.link_records import told_record
from models.links import Linked
from models.profile import header_of, is_seen_alike
from models.units import DAY_MS, AdvertiserId
from streams.stages.persons import (
    KNOWN_LINKS,
    LAST_ROOTS,
    Batch,
    KnownLinks,
    LastRoots,
    Touched,
    digest_events,
    digest_outcomes,
    look_around,
    read_batch,
)
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run
from tests.fakes.records import NODES, billings, events, folded

KEYS = Keys("o")
A, B, C = NODES[:3]
X, Y = NodeId("c" + "x" * 22), NodeId("c" + "y" * 22)
NOW_MS = 1_790_000_000_000
SEEN = encode_evidence(Evidence("seen_with", 1))
TOLD = told_record(A, B, Evidence("seen_with", 1))


def seen(*ids: NodeId, at: int = 1) -> PageView:
    return PageView(
        event_id="1", ids=ids, event_time_ms=at, advertiser=AdvertiserId("air"), page="/"
    )


def signed_in(*ids: NodeId) -> SignIn:
    return SignIn(event_id="1", ids=ids, event_time_ms=9, advertiser=AdvertiserId("air"))


class Worker:
    """What one streams worker keeps between batches."""

    def __init__(self, store: MemoryStore, epoch: int = 1) -> None:
        self.store = store
        self.epoch = epoch
        self.known = KnownLinks()
        self.tokens = itertools.count()

    def digest(self, node: NodeId, *entries: tuple[int, Event]) -> Touched:
        touched = run(
            self.store,
            digest_events(KEYS, node, self.epoch, entries, known=self.known, next_token=self.token),
        )
        (touched,) = run(self.store, look_around(KEYS, [touched], self.token))
        return touched

    def token(self) -> str:
        return f"{self.epoch}.{next(self.tokens)}"

    def facet(self, node: NodeId) -> Facet:
        root = run(self.store, find(KEYS, node))
        (held,) = [
            value
            for name, value in self.store.hash(KEYS.person(root).encode()).items()
            if name.startswith(f"f:{node}@".encode())
        ]
        return decode_facet(held)


@pytest.fixture
def worker() -> Worker:
    return Worker(MemoryStore())


# -- batches --------------------------------------------------------------------------------


def record(offset: int, event: Event) -> tuple[int, int, bytes | None, bytes | None]:
    return offset, event.event_time_ms, event.ids[0].encode(), encode(event)


def test_records_are_grouped_by_their_first_identifier_in_order() -> None:
    batch = read_batch(
        [record(3, seen(A, at=1)), record(4, seen(B)), record(5, seen(A, at=2))], "events"
    )
    assert {node: [offset for offset, _ in entries] for node, entries in batch.events.items()} == {
        A: [3, 5], B: [4],
    }  # fmt: skip
    assert not batch.refused
    assert not batch.outcomes


def test_what_cannot_be_read_is_refused_and_stops_nobody() -> None:
    good, late = record(1, seen(A)), record(5, seen(A))
    poison = encode(seen(A)).replace(b'"event_time_ms":1', b'"event_time_ms":1' + b"0" * 30)
    batch = read_batch(
        [good, (2, 1, b"key", b"noise"), (3, 1, None, None), (4, 1, A.encode(), poison), late],
        "events",
    )
    assert [(one.offset, one.key, one.value) for one in batch.refused] == [
        (2, b"key", b"noise"), (3, None, None), (4, A.encode(), poison),
    ]  # fmt: skip
    assert "event_time_ms" in batch.refused[2].reason
    assert [offset for offset, _ in batch.events[A]] == [1, 5]


def test_outcomes_are_grouped_by_who_was_shown_the_ad() -> None:
    def win(node: str) -> bytes:
        return encode(
            Win(
                node=NodeId(node), nonce="n", campaign="C", creative="R", exchange="E",  # type: ignore[arg-type]
                clearing_cpm_micros=1, notice_time_ms=1, personal=True,
            )
        )  # fmt: skip

    batch = read_batch(
        [(1, 1, A.encode(), win(A)), (2, 1, None, win("")), (3, 1, None, encode(seen(A)))],
        "outcomes",
    )
    assert {node: len(entries) for node, entries in batch.outcomes.items()} == {A: 1, "": 1}
    assert [one.offset for one in batch.refused] == [3]
    assert isinstance(batch, Batch)


def test_a_record_under_another_key_than_its_identifiers_is_refused() -> None:
    """It would lie in a partition whose offsets mean nothing to the identifier's watermark."""
    batch = read_batch(
        [(1, 1, B.encode(), encode(seen(A))), (2, 1, A.encode(), encode(seen(A)))], "events"
    )
    assert [offset for offset, _ in batch.events[A]] == [2]
    (refused,) = batch.refused
    assert refused.offset == 1
    assert "key" in refused.reason


TOLD_AHEAD: dict[str, Any] = {
    "event_id": "1", "ids": (NodeId("p" * 23),), "event_time_ms": NOW_MS,
    "told_ms": NOW_MS + 2 * DAY_MS, "advertiser": AdvertiserId("air"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (seen(A, at=NOW_MS + DAY_MS + 1), "event_time_ms"),
        (CrmMerge(event_id="1", ids=(X, Y), event_time_ms=9 * 10**12), "event_time_ms"),
        (Call(**TOLD_AHEAD, call_id="c", duration_seconds=1), "told_ms"),
        (Refund(**TOLD_AHEAD, order_id="1", refunded_micros=1), "told_ms"),
    ],
)
def test_an_event_of_tomorrow_is_refused_whenever_its_record_is_read(
    event: Event, field: str
) -> None:
    """The newest word stands, so a word of next year would stand until then."""
    entry = (1, NOW_MS, event.ids[0].encode(), encode(event))
    (refused,) = read_batch([entry], "events").refused
    assert refused.reason.startswith(field)
    assert "producer's clock" in refused.reason


def test_an_error_of_a_date_ahead_says_by_how_much() -> None:
    late = seen(A, at=NOW_MS + 365 * DAY_MS)
    (refused,) = read_batch([(1, NOW_MS, A.encode(), encode(late))], "events").refused
    assert "365.0 days ahead" in refused.reason


def test_a_clock_that_is_fast_by_hours_tells_of_the_time_of_its_record() -> None:
    told = [seen(A, at=at) for at in (NOW_MS + DAY_MS, NOW_MS + 60_000, 1)]
    records = [(n, NOW_MS, A.encode(), encode(one)) for n, one in enumerate(told)]
    events = read_batch(records, "events").events[A]
    assert [event.event_time_ms for _, event in events] == [NOW_MS, NOW_MS + 60_000, 1]


def test_a_fast_clock_has_no_consent_outlast_its_withdrawal() -> None:
    granted = Consent(
        event_id="1", ids=(A,), event_time_ms=NOW_MS + DAY_MS // 2, source="crm",
        granted=("personal_ads",),
    )  # fmt: skip
    withdrawn = Consent(
        event_id="2", ids=(A,), event_time_ms=NOW_MS + 5000, source="crm",
        withdrawn=("personal_ads",),
    )  # fmt: skip
    records = [
        (offset, NOW_MS + 5000 * offset, A.encode(), encode(one))
        for offset, one in enumerate((granted, withdrawn))
    ]
    told = folded([event for _, event in read_batch(records, "events").events[A]])
    assert is_withdrawn(told.consents, "personal_ads")


def test_an_outcome_of_tomorrow_is_refused() -> None:
    win = Win(
        node=A, nonce="n", campaign="C", creative="R", exchange="E",  # type: ignore[arg-type]
        clearing_cpm_micros=1, notice_time_ms=NOW_MS + DAY_MS + 1, personal=True,
    )  # fmt: skip
    (refused,) = read_batch([(1, NOW_MS, A.encode(), encode(win))], "outcomes").refused
    assert refused.reason.startswith("notice_time_ms")
    assert not read_batch([(1, NOW_MS + 1, A.encode(), encode(win))], "outcomes").refused


# -- events ---------------------------------------------------------------------------------


def test_a_new_link_is_counted_and_a_known_one_skipped(worker: Worker) -> None:
    first = worker.digest(A, (0, seen(A, B)), (1, seen(A, B)))
    assert first == Touched(A, B, (Linked("linked"),), ((A, B),), (TOLD,))
    assert worker.digest(A, (2, seen(A, B))) == Touched(A, B, is_view_new=False)
    known = Touched(A, B, (Linked("known"),), ((A, B),), (TOLD,))
    assert Worker(worker.store).digest(A, (3, seen(A, B))) == known
    worker.known.clear()
    assert worker.digest(A, (4, seen(A, B, A))) == known


def test_every_further_identifier_is_evidence(worker: Worker) -> None:
    touched = worker.digest(A, (0, signed_in(A, B, X)), (1, signed_in(A, Y)))
    assert [link.result for link in touched.links] == ["linked", "linked", "refused"]
    assert touched.root == X, "where it was folded; the look comes after that"
    assert touched.others == {A, B, X, Y}
    evidence = worker.store.hash(KEYS.evidence(X).encode())
    assert evidence == {f"e:{A}".encode(): encode_evidence(Evidence("sign_in", 9))}


def test_a_link_that_failed_is_not_known(worker: Worker) -> None:
    work = digest_events(KEYS, A, 1, [(0, seen(A, B))], known=worker.known, next_token=worker.token)
    runner = Runner(worker.store, work)
    for _ in range(6):
        runner.step()
    assert not worker.known.holds((A, B), SEEN)
    assert worker.digest(A, (0, seen(A, B))).root == B
    assert worker.known.holds((A, B), SEEN)
    assert not worker.known.holds((B, A), SEEN)


def test_stronger_and_earlier_evidence_is_followed_though_the_link_is_known(worker: Worker) -> None:
    worker.digest(A, (0, seen(A, B)))
    stronger = worker.digest(A, (1, signed_in(A, B)))
    assert stronger.links == (Linked("known"),)
    held = worker.store.hash(KEYS.evidence(A).encode())[f"e:{B}".encode()]
    assert decode_evidence(held) == Evidence("sign_in", 9)
    assert not worker.digest(A, (2, seen(A, B)), (3, signed_in(A, B))).links


def called(caller: NodeId, session: NodeId) -> Call:
    return Call(
        event_id="1", ids=(caller, session), event_time_ms=9, advertiser=AdvertiserId("air"),
        call_id="c", duration_seconds=60,
    )  # fmt: skip


@pytest.mark.parametrize("is_call_first", [True, False])
def test_a_call_from_another_phone_than_the_forms_is_held_back_whatever_comes_first(
    worker: Worker, *, is_call_first: bool
) -> None:
    own, office = NodeId("p" + "1" * 22), NodeId("p" + "2" * 22)
    told: list[tuple[NodeId, Event]] = [(office, called(office, A)), (A, seen(A, own))]
    done = [worker.digest(node, (0, e)) for node, e in (told if is_call_first else told[::-1])]
    root = [run(worker.store, find(KEYS, node)) for node in (A, own, office)]
    assert root[0] == root[1] != root[2]
    changed = [one.resettled.changed for last in done for one in last.links if one.resettled]
    assert changed == [{pair_of(A, office): "other_phone"}]


def test_links_are_remembered_within_bounds() -> None:
    known = KnownLinks()
    for number in range(KNOWN_LINKS):
        known.add((A, NodeId(str(number))), SEEN)
    assert known.holds((A, NodeId("0")), SEEN)
    known.add((B, A), SEEN)
    assert not known.holds((A, NodeId("0")), SEEN)
    assert known.holds((B, A), SEEN)


def test_weaker_evidence_is_followed_where_it_is_earlier() -> None:
    known = KnownLinks()
    early, late = (encode_evidence(Evidence("seen_with", at)) for at in (3, 60))
    signed = encode_evidence(Evidence("sign_in", 50))
    known.add((A, B), signed)
    assert [known.holds((A, B), one) for one in (early, signed, late)] == [False, True, True]
    known.add((A, B), early)
    assert all(known.holds((A, B), one) for one in (early, signed, late))
    first = encode_evidence(Evidence("sign_in", 2))
    assert not known.holds((A, B), first)
    known.add((A, B), first)
    assert all(known.holds((A, B), one) for one in (early, signed, first))


def test_an_erased_identifier_knows_no_link_that_is_not_newer() -> None:
    known, newer = KnownLinks(), encode_evidence(Evidence("seen_with", 8))
    for pair in ((A, B), (B, A), (C, A)):
        known.add(pair, SEEN)
    known.forget(A, A, 7)
    known.forget(C, A, 7)
    assert [known.holds(pair, newer) for pair in ((A, B), (B, A), (C, A))] == [False, True, False]
    known.add((A, B), newer)
    assert known.holds((A, B), newer)
    known.clear()
    known.add((A, B), SEEN)
    assert known.holds((A, B), newer)


@given(st.lists(events, min_size=1, max_size=10), st.data())
def test_any_batches_and_redeliveries_fold_each_event_once(
    history: list[Event], data: st.DataObject
) -> None:
    """Random cuts, repeats from any committed offset, a new owner now and then."""
    worker, entries, done = Worker(MemoryStore()), list(enumerate(history)), 0
    while done < len(entries):
        begin = data.draw(st.integers(0, done), "begin")
        end = data.draw(st.integers(done + 1, len(entries)), "end")
        if data.draw(st.booleans(), "taken over"):
            worker = Worker(worker.store, worker.epoch + 1)
        worker.digest(A, *entries[begin:end])
        done = end
    assert worker.facet(A) == folded(history)


@given(st.lists(billings, min_size=1, max_size=10), st.integers(0, 2**32))
def test_two_identifiers_that_are_linked_meanwhile_keep_all_impressions(
    history: list[Billing], seed: int
) -> None:
    store = MemoryStore()
    worker = Worker(store)
    entries: list[tuple[int, Outcome]] = list(enumerate(history))
    linking = digest_events(
        KEYS, A, 1, [(0, seen(A, B))], known=worker.known, next_token=worker.token
    )
    interleave(
        [
            Runner(store, digest_outcomes(KEYS, A, 1, entries)),
            Runner(store, digest_outcomes(KEYS, B, 1, entries)),
            Runner(store, linking),
        ],
        random.Random(seed).randrange,
    )
    fields = store.hash(KEYS.person(B).encode())
    for node in (A, B):
        ledger = decode_ledger(fields[f"c:{node}@1".encode()])
        assert ledger.watermark == len(entries) - 1
        assert ledger.billed_count == len({(one.campaign, one.nonce) for one in history})


def test_a_batch_without_news_touches_its_person_all_the_same(worker: Worker) -> None:
    """A crash may have come before the publication: redelivery must lead to it."""
    worker.digest(A, (0, seen(A)))
    assert worker.digest(A, (0, seen(A))) == Touched(A, A)


# -- what bidders see -----------------------------------------------------------------------


def bought(*ids: NodeId) -> Order:
    return Order(
        event_id="1", ids=ids, event_time_ms=1, advertiser=AdvertiserId("air"), order_id="o",
        revenue_micros=1, margin_micros=1,
    )  # fmt: skip


def test_a_view_is_written_anew_only_for_what_it_shows(worker: Worker) -> None:
    assert worker.digest(A, (0, seen(A))).is_view_new, "nobody knew the identifier"
    assert not worker.digest(A, (1, seen(A)), (2, seen(A))).is_view_new
    assert worker.digest(A, (3, seen(A)), (4, bought(A))).is_view_new
    assert not worker.digest(A, (5, seen(A))).is_view_new
    assert worker.digest(A, (6, seen(A, B))).is_view_new, "the person is another"


def test_a_record_that_was_folded_before_leads_to_its_publication(worker: Worker) -> None:
    worker.digest(A, (0, seen(A)))
    worker.digest(A, (1, bought(A)))  # and then the worker was killed
    again = Worker(worker.store, epoch=2)
    assert again.digest(A, (1, bought(A)), (2, seen(A))).is_view_new


def test_only_billing_shows_in_a_view(worker: Worker) -> None:
    def notice(kind: type[Win] | type[Billing]) -> Outcome:
        return kind(
            node=A, nonce="n", campaign="C", creative="R", exchange="E",  # type: ignore[arg-type]
            clearing_cpm_micros=1, notice_time_ms=1, personal=True,
        )  # fmt: skip

    def digest(*entries: tuple[int, Outcome]) -> bool:
        return run(worker.store, digest_outcomes(KEYS, A, 1, entries)).is_view_new

    assert not digest((0, notice(Win)))
    assert digest((1, notice(Win)), (2, notice(Billing)))
    assert digest((2, notice(Billing)), (3, notice(Win))), "it may not have been published"


# -- where an identifier stood last ------------------------------------------------------------


def commands_of(worker: Worker, offset: int, last_root: NodeId | None) -> list[str]:
    """Folds one view of A; the commands that took."""
    steps = digest_events(
        KEYS, A, 1, [(offset, seen(A))],
        known=worker.known, next_token=worker.token, last_root=last_root,
    )  # fmt: skip
    names: list[str] = []
    wanted = next(steps)
    while True:
        names += [str(command[0]) for command in wanted]
        try:
            wanted = steps.send([worker.store.execute(command) for command in wanted])
        except StopIteration:
            return names


def test_a_fold_at_the_root_of_the_last_one_needs_no_search(worker: Worker) -> None:
    root = worker.digest(A, (0, signed_in(A, X))).root
    assert root == X
    assert commands_of(worker, 1, root) == ["HGET", "HSET"]
    assert commands_of(worker, 2, None) == ["GET", "HGET", "HSET"]
    assert worker.facet(A).watermark == 2


def test_a_root_that_is_none_any_more_costs_one_command(worker: Worker) -> None:
    worker.digest(A, (0, signed_in(A, X)))
    assert commands_of(worker, 1, A) == ["HGET", "GET", "HGET", "HSET"]
    assert worker.facet(A).watermark == 1


def test_last_roots_are_the_newest_and_bounded() -> None:
    roots = LastRoots()
    assert roots.of(A) is None
    roots.learn([Touched(A, A), Touched(B, X)])
    roots.learn([Touched(A, X)])
    assert (roots.of(A), roots.of(B)) == (X, X)
    roots.learn(Touched(NodeId(f"k{number:022}"), A) for number in range(LAST_ROOTS))
    roots.learn([Touched(C, C)])
    assert (roots.of(A), roots.of(C)) == (None, C)


@given(st.lists(events, min_size=1, max_size=12), st.lists(events, max_size=5))
def test_facets_that_are_seen_alike_make_the_same_header(
    history: list[Event], others: list[Event]
) -> None:
    other, before = folded(others), Facet()
    for offset, event in enumerate(history):
        after = fold_event(before, event, offset)
        if is_seen_alike(before, after):
            assert header_of(merge([before, other]), ()) == header_of(merge([after, other]), ())
        before = after
