"""The canonical export says what is known, not how it came to be known."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from models.caps import CapLedger, encode_ledger, fold_outcome
from models.events import Event, Outcome
from models.evidence import Evidence
from models.export import CanonicalPerson, canonical_person, export_of
from models.facets import Facet, encode_facet, fold_event
from models.forest import Settled, settle
from models.identifiers import NodeId
from models.keys import Keys
from models.links import link
from models.profile import publish
from models.touches import kind_of
from tests.fakes.memory_store import MemoryStore, run
from tests.fakes.records import NODES, billings, events

KEYS = Keys("o")


def facet_of(told: list[Event], first_offset: int) -> bytes:
    facet = Facet()
    for offset, event in enumerate(told, first_offset):
        facet = fold_event(facet, event, offset)
    return encode_facet(facet)


def ledger_of(told: list[Outcome], first_offset: int) -> bytes:
    ledger = CapLedger()
    for offset, outcome in enumerate(told, first_offset):
        ledger = fold_outcome(ledger, outcome, offset)
    return encode_ledger(ledger)


def settled_as(
    parts: list[tuple[NodeId, bytes, bytes]], *, root: NodeId, epoch: int
) -> CanonicalPerson:
    fields: dict[bytes, bytes] = {}
    for node, facet, ledger in parts:
        fields |= {
            f"f:{node}@{epoch}".encode(): facet,
            f"c:{node}@{epoch}".encode(): ledger,
            f"k:{node}".encode(): b"1",
        }
    person = canonical_person(Settled(root, fields))
    assert person is not None
    return person


@given(
    told=st.lists(events, min_size=1, max_size=12),
    billed=st.lists(billings, max_size=6),
    order=st.permutations(NODES[:3]),
    data=st.data(),
)
def test_offsets_epochs_roots_and_the_order_of_members_leave_no_trace(
    told: list[Event], billed: list[Outcome], order: list[NodeId], data: st.DataObject
) -> None:
    def parts(nodes: list[NodeId], first_offset: int) -> list[tuple[NodeId, bytes, bytes]]:
        return [
            (
                node,
                facet_of(told[NODES.index(node) :: 3], first_offset),
                ledger_of(billed[NODES.index(node) :: 3], first_offset),
            )
            for node in nodes
        ]

    one = settled_as(parts(list(NODES[:3]), 0), root=NODES[0], epoch=1)
    moved = parts(order, data.draw(st.integers(1, 1000)))
    other = settled_as(moved, root=order[0], epoch=9)
    assert export_of([one]).body == export_of([other]).body


def test_the_order_of_persons_makes_no_difference() -> None:
    persons = [
        CanonicalPerson(members=(node,), shared=(node,), profile={}, ledger={"billed_count": 1})
        for node in NODES
    ]
    exports = [export_of(some) for some in itertools.permutations(persons)]
    assert len({export.digest for export in exports}) == 1
    assert exports[0].identifier_count == exports[0].impression_count == len(NODES)


@given(told=st.lists(events, min_size=1, max_size=4))
def test_one_more_of_what_is_counted_is_another_export_and_the_same_word_again_is_none(
    told: list[Event],
) -> None:
    def digest(history: list[Event]) -> str:
        parts = [(NODES[0], facet_of(history, 0), ledger_of([], 0))]
        return export_of([settled_as(parts, root=NODES[0], epoch=1)]).digest

    is_counted = any((kind := kind_of(type(one))) is not None and kind.is_counted for one in told)
    assert (digest(told * 2) != digest(told)) is is_counted


def test_an_identifier_of_which_nothing_was_seen_is_nobody_unless_linked() -> None:
    a, b = NODES[:2]
    assert canonical_person(Settled(a, {b"g": b"1"})) is None
    linked = canonical_person(Settled(a, {f"k:{b}".encode(): b"1"}))
    assert linked is not None
    assert linked.members == tuple(sorted((a, b)))


def test_a_shared_device_is_told() -> None:
    a = NODES[0]
    person = canonical_person(Settled(a, {f"x:{a}".encode(): b"1"}))
    assert person is not None
    assert person.shared == (a,)


def test_a_line_is_json_with_names_and_without_watermarks() -> None:
    store, (a, b) = MemoryStore(), NODES[:2]
    run(store, link(KEYS, a, b, Evidence("sign_in", 1), lambda: "t"))
    run(store, publish(KEYS, a))
    person = canonical_person(run(store, settle(KEYS, a)))
    assert person is not None
    (line,) = export_of([person]).lines
    told = json.loads(line)
    assert set(told) == {"members", "shared", "profile", "ledger"}
    assert "purchases" in told["profile"]
    assert "watermark" not in told["profile"]
    assert "watermark" not in told["ledger"]
