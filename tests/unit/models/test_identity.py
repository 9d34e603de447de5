"""Single steps of the protocol; all of their interleavings are in ``tests/simulation``."""

import pytest

from models.caps import CapLedger, decode_ledger, encode_ledger
from models.evidence import Evidence, decode_evidence
from models.forest import find, settle
from models.identifiers import NodeId
from models.identity import Apply, fold
from models.keys import Keys
from models.links import Linked, LinkResult, link
from tests.fakes.memory_store import MemoryStore, Runner, run

KEYS = Keys("o")
A, B, C, D = (NodeId("k" + letter * 22) for letter in "abcd")
EMAIL = NodeId("e" + "e" * 22)
X, Y = NodeId("c" + "x" * 22), NodeId("c" + "y" * 22)


SIGN_IN = Evidence("sign_in", 1)


class World:
    """A store, and tokens that are never used twice."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.tokens = iter(range(1000))

    def link(self, a: NodeId, b: NodeId) -> LinkResult:
        return self.linked(a, b).result

    def linked(self, a: NodeId, b: NodeId, evidence: Evidence = SIGN_IN) -> Linked:
        return run(self.store, link(KEYS, a, b, evidence, lambda: f"t{next(self.tokens)}"))

    def find(self, node: NodeId) -> NodeId:
        return run(self.store, find(KEYS, node))

    def fold(self, node: NodeId, epoch: int, *offsets: int) -> NodeId:
        return run(self.store, fold(KEYS, node, "c", epoch, adding(*offsets)))

    def ledger(self, node: NodeId) -> list[str]:
        fields = run(self.store, settle(KEYS, node)).fields
        held = [
            decode_ledger(v) for name, v in fields.items() if name.startswith(f"c:{node}".encode())
        ]
        return sorted(max(held, key=lambda one: one.watermark).campaigns["C"])

    def person(self, node: NodeId) -> dict[bytes, bytes]:
        return self.store.hash(KEYS.person(node).encode())


def adding(*offsets: int) -> Apply:
    def apply(encoded: bytes | None, _: int) -> bytes | None:
        ledger = CapLedger() if encoded is None else decode_ledger(encoded)
        more = {f"n{offset}": 1 for offset in offsets if offset > ledger.watermark}
        if not more:
            return None
        return encode_ledger(
            CapLedger(max(offsets), {"C": {**ledger.campaigns.get("C", {}), **more}})
        )

    return apply


@pytest.fixture
def world() -> World:
    return World()


def test_the_higher_node_is_the_root_and_a_crm_id_outranks_all(world: World) -> None:
    assert world.link(B, A) == "linked"
    assert world.find(A) == B
    assert world.link(A, X) == "linked"
    assert {world.find(node) for node in (A, B, X)} == {X}


def test_a_link_that_is_known_changes_nothing_but_evidence(world: World) -> None:
    world.link(A, B)
    world.link(B, C)
    world.find(A)
    before = world.store.canonical()
    assert world.link(A, B) == "known"
    assert world.store.canonical() == before
    assert world.link(A, C) == "known"
    assert world.store.hash(KEYS.evidence(C).encode()).keys() == {
        f"e:{A}".encode(), f"e:{B}".encode()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (Evidence("sign_in", 5), Evidence("sign_in", 9), Evidence("sign_in", 5)),
        (Evidence("sign_in", 9), Evidence("sign_in", 5), Evidence("sign_in", 5)),
        (Evidence("seen_with", 1), Evidence("crm_card", 7), Evidence("crm_card", 7)),
    ],
)
def test_evidence_stands_under_both_and_the_strongest_and_earliest_is_kept(
    world: World, first: Evidence, second: Evidence, kept: Evidence
) -> None:
    world.linked(A, B, first)
    world.linked(B, A, second)
    for one, other in ((A, B), (B, A)):
        held = world.store.hash(KEYS.evidence(one).encode())
        assert {name: decode_evidence(v) for name, v in held.items()} == {
            f"e:{other}".encode(): kept
        }


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ((A, X), (A, Y), A),
        ((A, X), (Y, A), A),
        ((X, EMAIL), (EMAIL, Y), None),
        ((A, X), (A, EMAIL), None),
        ((X, A), (Y, EMAIL), None),
    ],
)
def test_a_device_of_two_crm_persons_is_refused_to_both_and_marked(
    world: World, first: tuple[NodeId, NodeId], second: tuple[NodeId, NodeId], shared: NodeId | None
) -> None:
    world.link(*first)
    world.link(*second)
    marks = [name for node in (A, EMAIL, X, Y) for name in world.person(node) if name[:2] == b"x:"]
    assert marks == ([f"x:{shared}".encode()] if shared else [])
    if shared:
        assert world.find(shared) == shared
    assert world.find(X) == X
    assert world.find(Y) == Y


def test_a_device_that_joins_two_persons_through_an_email_is_marked(world: World) -> None:
    world.link(A, X)
    world.link(EMAIL, Y)
    assert world.link(EMAIL, A) == "refused"
    assert f"x:{A}".encode() in world.person(A)
    assert world.find(EMAIL) == Y


def test_a_long_path_is_shortened_by_whoever_walks_it(world: World) -> None:
    for node, parent in ((A, B), (B, C), (C, D)):
        world.store.execute(("SET", KEYS.parent(node), f">{parent}"))
    assert world.find(A) == D
    assert world.store.string(KEYS.parent(A).encode()) == f">{D}".encode()
    assert world.store.string(KEYS.parent(B).encode()) == f">{D}".encode()


def test_a_path_that_a_split_changes_on_the_way_is_not_shortened(world: World) -> None:
    """A leads to B already, and B not yet away from C: that path never stood as a whole."""
    world.store.execute(("SET", KEYS.parent(A), f">{B},1"))
    world.store.execute(("SET", KEYS.parent(B), f">{C}"))
    walk = Runner(world.store, find(KEYS, A))
    for _ in range(2):
        walk.step()
    for node in (B, C):
        world.store.execute(("SET", KEYS.parent(node), ",1"))
    while not walk.done:
        walk.step()
    assert world.find(A) == B


def test_a_known_identifier_costs_three_commands(world: World) -> None:
    world.fold(A, 1, 0)
    count = 0
    steps = fold(KEYS, A, "c", 1, adding(1))
    try:
        commands = next(steps)
        while True:
            count += len(commands)
            commands = steps.send([world.store.execute(command) for command in commands])
    except StopIteration:
        assert count == 3


def test_redelivery_folds_nothing_twice(world: World) -> None:
    world.fold(A, 1, 0, 1)
    before = world.store.canonical()
    world.fold(A, 1, 0, 1)
    assert world.store.canonical() == before
    world.fold(A, 1, 1, 2)
    assert world.ledger(A) == ["n0", "n1", "n2"]


def test_a_new_owner_goes_on_where_the_last_one_stood(world: World) -> None:
    world.fold(A, 1, 0, 1)
    world.fold(A, 2, 1, 2)
    assert world.ledger(A) == ["n0", "n1", "n2"]
    assert [name for name in world.person(A) if name.startswith(b"c:")] == [f"c:{A}@2".encode()]


def test_a_new_owner_with_nothing_new_takes_the_field_over_all_the_same(world: World) -> None:
    """Else a third owner may rely on a field that the second one's late clean-up removes."""
    world.fold(A, 1, 0)
    world.fold(A, 2, 0)
    assert f"c:{A}@2".encode() in world.person(A)


def test_an_owner_of_the_past_writes_nothing(world: World) -> None:
    world.fold(A, 2, 0, 1)
    before = world.store.canonical()
    world.fold(A, 1, 0, 1, 2, 3)
    assert world.store.canonical() == before


def test_a_stale_field_of_a_past_owner_is_its_own_to_remove(world: World) -> None:
    """Linked in between, the owner of the past comes by the slow way and sees the newer field."""
    world.fold(A, 1, 0)
    stale = world.person(A)[f"c:{A}@1".encode()]
    world.fold(A, 2, 0, 1)
    world.store.execute(("HSET", KEYS.person(A), f"c:{A}@1", stale))
    world.link(A, B)
    world.store.execute(("SET", KEYS.parent(A), f">{C}"))
    world.store.execute(("SET", KEYS.parent(C), f">{B}"))
    world.fold(A, 1, 2)
    assert [name for name in world.person(B) if name.startswith(b"c:")] == [f"c:{A}@2".encode()]


def test_identifiers_with_nothing_to_fold_leave_no_trace(world: World) -> None:
    assert run(world.store, fold(KEYS, A, "f", 1, lambda *_: None)) == A
    assert not world.store.data


def test_a_merge_keeps_what_both_were(world: World) -> None:
    world.fold(A, 1, 0)
    world.fold(B, 1, 0, 1)
    world.link(A, B)
    assert world.fold(A, 1, 1) == B
    assert world.ledger(A) == world.ledger(B) == ["n0", "n1"]
    assert world.person(A) == {}


def test_the_frozen_copy_expires_after_it_has_been_taken_in(world: World) -> None:
    world.link(A, B)
    assert world.store.expiring[KEYS.frozen_person(A, "t0").encode()] == 60


def test_a_marker_of_a_merge_that_is_over_is_removed_even_when_the_copy_is_gone(
    world: World,
) -> None:
    world.link(A, B)
    world.store.expire_now()
    for key in (KEYS.person(C), KEYS.bid_view(C)):
        world.store.execute(("HSET", key, "m:other", A))
    run(world.store, settle(KEYS, C))
    assert not world.person(C)
    assert not world.store.hash(KEYS.bid_view(C).encode())


def test_a_bid_views_marker_stays_while_readers_need_it(world: World) -> None:
    """A helper that slept since before the absorption must not hide the frozen bid view."""
    world.link(A, B)
    world.store.expire_now()
    world.store.execute(("HSET", KEYS.person(B), "m:t0", A))
    run(world.store, settle(KEYS, B))
    assert world.store.hash(KEYS.bid_view(B).encode()) == {b"m:t0": A.encode()}
    assert b"m:t0" not in world.person(B)


def test_an_announcement_that_has_not_come_true_is_left_alone(world: World) -> None:
    world.store.execute(("HSET", KEYS.person(B), "m:t", A))
    before = world.store.canonical()
    settled = run(world.store, settle(KEYS, B))
    assert settled.fields == {b"m:t": A.encode()}
    assert world.store.canonical() == before
