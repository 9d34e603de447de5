"""Verdicts on random worlds: what they make of persons, and what they leave behind.

A withdrawn link leaves nothing behind: the same random events are folded twice, once with the
link, which somebody rejects at some time, and once by producers that never named the two together.
That somebody signed in at a device is a fact of its own and stays; to a bid it is as if it were
not.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bidder.lookup import fetch_person
from models.events import Billing, Event, Order, PageView, SignIn
from models.evidence import DEFAULT_LIMITS, Pair, Verdict, pair_of
from models.export import CanonicalPerson, canonical_person, export_of
from models.foresight import foresee
from models.forest import Settled, settle
from models.identifiers import NodeId
from models.link_records import pair_key
from models.own_links import survey_pair
from models.presence import PresenceRule
from models.profile import Header, decode_header, publish_all
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId
from streams.stages.persons import KnownLinks, digest_events, digest_outcomes, look_around
from tests.fakes.memory_store import run
from tests.unit.streams.test_link_ledger import KEYS, World, verdict

NODES = tuple(
    NodeId(letter + digest * 22)
    for letter, digest in (("k", "a"), ("k", "b"), ("e", "e"), ("p", "p"), ("c", "x"), ("c", "y"))
)
SHOP = AdvertiserId("shop")
NOBODY_KNOWS, SOMEBODY = PresenceRule(min_ratio=2.0), PresenceRule(min_ratio=0.0)
NOW_MS = 10**6

Done = Event | Billing


def event(kind: type[Event], ids: Sequence[NodeId], at: int) -> Event:
    """An event of that kind; its id is its time, so a redelivered one is the same."""
    common: dict[str, Any] = {
        "event_id": str(at), "ids": tuple(ids), "event_time_ms": at, "advertiser": SHOP
    }  # fmt: skip
    if kind is Order:
        return Order(**common, order_id=str(at), revenue_micros=at, margin_micros=1)
    if kind is PageView:
        return PageView(**common, page="/")
    return SignIn(**common)


def billing(node: NodeId, at: int) -> Billing:
    return Billing(
        node=node, nonce=str(at), campaign=CampaignId("C"), creative=CreativeId("R"),
        exchange=ExchangeId("E"), clearing_cpm_micros=1000, notice_time_ms=at, personal=True,
    )  # fmt: skip


nodes = st.sampled_from(NODES)
times = st.integers(1, 40)
groups = st.lists(nodes, min_size=1, max_size=3, unique=True)
done = st.one_of(
    st.builds(event, st.sampled_from([SignIn, PageView, Order]), groups, times),
    st.builds(billing, nodes, times),
)
pairs = st.lists(nodes, min_size=2, max_size=2, unique=True).map(lambda two: pair_of(*two))


class Run(World):
    """A streams worker that folds one record after another."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets: defaultdict[tuple[NodeId, str], itertools.count[int]] = defaultdict(
            itertools.count
        )
        self.known = KnownLinks()

    def fold(self, one: Done) -> None:
        node = one.node if isinstance(one, Billing) else one.ids[0]
        offset = next(self.offsets[node, "c" if isinstance(one, Billing) else "f"])
        touched = run(
            self.redis.store,
            digest_outcomes(KEYS, node, 1, [(offset, one)])
            if isinstance(one, Billing)
            else digest_events(
                KEYS, node, 1, [(offset, one)], known=self.known,
                next_token=lambda: next(self.tokens),
            ),
        )  # fmt: skip
        (touched,) = run(self.redis.store, look_around(KEYS, [touched], lambda: next(self.tokens)))
        for root in {touched.root, *touched.others}:
            run(self.redis.store, publish_all(KEYS, [root], root))
        self.keep([touched])

    def export(self) -> bytes:
        """All persons without what was told of sign-ins."""
        persons = [
            msgspec.structs.replace(one, profile={**one.profile, "sign_ins": None})
            for one in self.persons(*NODES)
        ]
        return export_of(persons).body

    def persons(self, *nodes: NodeId) -> list[CanonicalPerson]:
        """The persons of these nodes, each once; a node of which nothing is known has none."""
        return distinct(run(self.redis.store, settle(KEYS, node)) for node in nodes)

    def bids(self) -> list[object]:
        """What a bidder reads of each identifier, and for whom it takes it by sign-ins."""
        return [self.bid(node, rule) for node in NODES for rule in (NOBODY_KNOWS, SOMEBODY)]

    def present(self) -> set[NodeId]:
        """The accounts of which one may be at the shared device now."""
        view = self.redis.store.hash(KEYS.bid_view(DEVICE).encode())
        header = decode_header(view[b"h"]) if b"h" in view else Header()
        return {account for account, _ in header.sign_ins}

    def bid(self, node: NodeId, rule: PresenceRule) -> object:
        found = run(self.redis.store, fetch_person(KEYS, [node], NOW_MS, b"r:reader", rule))
        person = found.person
        ledger = msgspec.structs.replace(person.ledger, watermark=-1)
        return found.is_shared, person.node, person.presence_ratio, person.header, ledger


def distinct(persons: Iterable[Settled]) -> list[CanonicalPerson]:
    found = [one for one in map(canonical_person, persons) if one is not None]
    return [one for place, one in enumerate(found) if one not in found[:place]]


def by_members(persons: list[CanonicalPerson]) -> list[CanonicalPerson]:
    return sorted(persons, key=lambda one: one.members)


def by_itself(one: Done, pair: Pair) -> Done:
    """The same record with nobody else where it names both of the pair.

    A third would tie the two together: the accounts of one sign-in are linked to each other, too.
    """
    if isinstance(one, Billing) or not set(pair) <= set(one.ids):
        return one
    ids = tuple(node for node in one.ids if node in pair)
    return msgspec.structs.replace(one, ids=ids)


def untold(one: Done, pair: Pair) -> Done:
    """The same record of a producer that does not know that the two belong together."""
    if isinstance(one, Billing) or one.ids[0] not in pair:
        return one
    ids = (one.ids[0], *(node for node in one.ids[1:] if node not in pair))
    return msgspec.structs.replace(one, ids=ids)


DEVICE, _, EMAIL, _, ANNA, BORIS = NODES


@given(told=st.lists(done, max_size=14), pair=pairs, at=st.integers(0, 14))
@example(
    told=[
        event(SignIn, [EMAIL, ANNA], 1), event(SignIn, [DEVICE, EMAIL], 2),
        event(SignIn, [DEVICE, BORIS], 3), event(Order, [DEVICE], 4), billing(DEVICE, 5),
    ],
    pair=pair_of(DEVICE, EMAIL), at=5,
)  # fmt: skip
@example(
    told=[
        event(SignIn, [DEVICE, ANNA], 1), event(SignIn, [DEVICE, BORIS], 2),
        event(SignIn, [EMAIL, ANNA], 3), event(SignIn, [DEVICE, EMAIL], 4),
    ],
    pair=pair_of(DEVICE, EMAIL), at=4,
)  # fmt: skip
def test_a_run_with_a_link_that_is_rejected_ends_like_one_that_never_heard_of_it(
    told: list[Done], pair: Pair, at: int
) -> None:
    with_link, without = Run(), Run()
    told = [by_itself(one, pair) for one in told]
    for number, one in enumerate([*told, None]):
        if number == min(at, len(told)):
            with_link.judge(verdict(*pair, "rejected"))
        if one is not None:
            with_link.fold(one)
            without.fold(untold(one, pair))
    assert with_link.export() == without.export()
    assert with_link.bids() == without.bids()


@pytest.mark.parametrize("verdict_first", [True, False])
def test_a_rejected_sign_in_at_a_shared_device_is_nobodys_presence_until_it_is_approved(
    verdict_first: bool,
) -> None:
    world = Run()
    for account in (ANNA, BORIS):
        world.fold(event(SignIn, [DEVICE, account], 1))
    if verdict_first:
        world.judge(verdict(*pair_of(DEVICE, EMAIL), "rejected"))
    world.fold(event(SignIn, [DEVICE, EMAIL], 3))
    if not verdict_first:
        assert EMAIL in world.present()
        world.judge(verdict(*pair_of(DEVICE, EMAIL), "rejected"))
    assert world.present() == {ANNA, BORIS}
    world.judge(verdict(*pair_of(DEVICE, ANNA), "rejected"))
    world.judge(verdict(*pair_of(DEVICE, EMAIL), "approved"))
    assert world.present() == set()  # one customer is left, so the device is not shared


def test_at_a_shared_device_is_who_signed_in_last_whatever_else_the_device_is_called() -> None:
    world = Run()
    ifa = NodeId("i" + "q" * 22)
    for at, account in enumerate((ANNA, BORIS)):
        world.fold(event(SignIn, [DEVICE, ifa, account], at + 1))
    assert world.present() == {ANNA, BORIS}
    found = run(world.redis.store, fetch_person(KEYS, [DEVICE], 3, b"r:reader", SOMEBODY))
    assert found.person.node == BORIS


verdicts = st.sampled_from(["approved", "rejected"])


@given(
    told=st.lists(done, max_size=14), given=st.lists(st.tuples(pairs, verdicts), max_size=2),
    pair=pairs, what=verdicts,
)  # fmt: skip
def test_a_verdict_makes_the_persons_that_were_foreseen_and_looking_ahead_changes_nobody(
    told: list[Done], given: list[tuple[Pair, Verdict]], pair: Pair, what: Verdict
) -> None:
    world = Run()
    for one in told:
        world.fold(one)
    for before, word in given:
        world.judge(verdict(*before, word))
    persons = world.persons(*NODES)
    around = run(world.redis.store, survey_pair(KEYS, pair, DEFAULT_LIMITS))
    foreseen = foresee(around, pair, what, DEFAULT_LIMITS)
    assert world.persons(*NODES) == persons
    together = world.person(pair[0]) | world.person(pair[1])
    world.judge(verdict(*pair, what))
    after = world.persons(*pair, *sorted(together))
    assert by_members(distinct(foreseen.persons)) == by_members(after)
    is_one = any(set(pair).issubset(one.members) for one in foreseen.persons)
    assert is_one == (world.person(pair[0]) == world.person(pair[1]))
    assert foreseen.plan.refused.get(pair) == world.quarantine.get(pair_key(*pair))
