"""Merges and splits of cards: the newest word stands, and what was taken back leaves no trace."""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.caps import CapLedger
from models.card_words import (
    KEPT_WORDS,
    CardStory,
    CardWord,
    decode_word,
    encode_word,
    fetch_stories,
    fetch_survivors,
    word_of,
)
from models.commands import Steps
from models.errors import EventError
from models.events import (
    Billing,
    CrmCard,
    CrmMerge,
    CrmSplit,
    Event,
    Order,
    PageView,
    SignIn,
    decode_event,
    encode,
)
from models.evidence import Evidence, Pair, pair_of
from models.export import canonical_person, export_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.links import judge
from models.profile import decode_header, publish, publish_all
from models.splits import note
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId
from streams.stages.persons import (
    KnownLinks,
    Touched,
    digest_events,
    digest_outcomes,
    look_around,
)
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run

KEYS = Keys("o")
SHOP = AdvertiserId("shop")
X, Y, Z = (NodeId("c" + letter * 22) for letter in "xyz")
EMAIL, OTHER_EMAIL = NodeId("e" + "e" * 22), NodeId("e" + "f" * 22)
PHONE, TABLET = NodeId("k" + "p" * 22), NodeId("i" + "t" * 22)
NODES = (X, Y, Z, EMAIL, OTHER_EMAIL, PHONE, TABLET)
CARDS = (X, Y, Z)


# -- words ----------------------------------------------------------------------------------

words = st.builds(CardWord, st.integers(1, 3), st.sampled_from([None, X, Y]))


@given(words, words)
def test_of_two_words_the_newer_stands_and_at_one_instant_the_split(
    one: CardWord, other: CardWord
) -> None:
    standing = decode_word(max(encode_word(one), encode_word(other)))
    assert standing.time_ms == max(one.time_ms, other.time_ms)
    if one.time_ms == other.time_ms and None in {one.survivor, other.survivor}:
        assert standing.survivor is None
    assert standing in (one, other)


def test_what_events_say_of_their_cards() -> None:
    assert word_of(merged(X, Y, at=5)) == CardWord(5, X)
    assert word_of(split(X, Y, at=6)) == CardWord(6)
    assert word_of(CrmCard(event_id="1", ids=(X, EMAIL), event_time_ms=1)) is None


@pytest.mark.parametrize("kind", [CrmMerge, CrmSplit])
@pytest.mark.parametrize(
    ("ids", "text"),
    [((X,), "once"), ((X, X), "once"), ((X, Y, X), "once"), ((X, EMAIL), "not a CRM id")],
)
def test_only_different_cards_are_merged_and_split(
    kind: type[CrmMerge | CrmSplit], ids: tuple[NodeId, ...], text: str
) -> None:
    event = kind(event_id="1", ids=ids, event_time_ms=1)
    with pytest.raises(EventError, match=f"ids: .*{text}"):
        decode_event(encode(event))


# -- what becomes of them -------------------------------------------------------------------


def merged(survivor: NodeId, *others: NodeId, at: int) -> CrmMerge:
    return CrmMerge(event_id=f"m{at}", ids=(survivor, *others), event_time_ms=at)


def split(card: NodeId, *others: NodeId, at: int) -> CrmSplit:
    return CrmSplit(event_id=f"s{at}", ids=(card, *others), event_time_ms=at)


def card(crm: NodeId, *contacts: NodeId, at: int) -> CrmCard:
    return CrmCard(event_id=f"c{at}", ids=(crm, *contacts), event_time_ms=at, city=crm[1:4])


def signed_in(device: NodeId, account: NodeId, at: int) -> SignIn:
    return SignIn(event_id=f"i{at}", ids=(device, account), event_time_ms=at, advertiser=SHOP)


Choose = Callable[[int], int]


class World:
    """Owners of identifiers that digest their logs at once, over one store."""

    def __init__(self, choose: Choose = lambda _: 0) -> None:
        self.store = MemoryStore()
        self.epoch = 0
        self._tokens = (f"t{number}" for number in itertools.count())
        self._choose = choose
        self._logs: defaultdict[NodeId, list[Event]] = defaultdict(list)

    def hear(self, *events: Event) -> None:
        """Appends to the logs and works them off, each from its begin."""
        for event in events:
            self._logs[event.ids[0]].append(event)
        self.epoch += 1
        work = [self._work(node, list(enumerate(log))) for node, log in self._logs.items()]
        interleave([Runner(self.store, steps) for steps in work], self._choose)

    def bill(self, node: NodeId, count: int) -> None:
        notices = [(offset, billing(node, offset)) for offset in range(count)]
        touched = run(self.store, digest_outcomes(KEYS, node, 1, notices))
        run(self.store, publish_all(KEYS, [node], touched.root))

    def judge(self, a: NodeId, b: NodeId, verdict: Any) -> None:  # noqa: ANN401 - a literal
        done = run(self.store, judge(KEYS, a, b, verdict, lambda: next(self._tokens)))
        run(self.store, publish_all(KEYS, done.to_publish))
        run(self.store, note(KEYS, done))

    def _work(self, node: NodeId, log: Sequence[tuple[int, Event]]) -> Steps[None]:
        known = KnownLinks()
        for entry in log:
            touched = yield from digest_events(
                KEYS, node, self.epoch, [entry], known=known, next_token=lambda: next(self._tokens)
            )
            (touched,) = yield from look_around(KEYS, [touched], lambda: next(self._tokens))
            yield from after(touched)

    def persons(self) -> set[frozenset[NodeId]]:
        return {frozenset(run(self.store, settle(KEYS, node)).members) for node in NODES}

    def export(self) -> bytes:
        """Profiles and counts, as ``kinbid export`` writes them."""
        roots = {settled.root: settled for settled in self._settled()}
        persons = map(canonical_person, roots.values())
        return export_of([person for person in persons if person is not None]).body

    def _settled(self) -> list[Any]:
        return [run(self.store, settle(KEYS, node)) for node in NODES]

    def views(self) -> dict[NodeId, object]:
        """What bidders read, by which segments are told and caps are asked."""
        seen: dict[NodeId, object] = {}
        for node in NODES:
            settled = run(self.store, publish(KEYS, node))
            view = self.store.hash(KEYS.bid_view(settled.root).encode())
            counts = msgspec.msgpack.decode(view[b"c"], type=CapLedger)
            seen[node] = decode_header(view[b"h"]), counts.campaigns, counts.billed_count
        return seen

    def notes(self) -> dict[Pair, bytes]:
        return {
            pair_of(node, NodeId(name[2:].decode())): reason
            for node in NODES
            for name, reason in self.store.hash(KEYS.evidence(node).encode()).items()
            if name.startswith(b"s:")
        }


def after(touched: Touched) -> Steps[None]:
    """What streams does once a batch has been digested."""
    yield from publish_all(KEYS, [touched.node], touched.root)
    for other in sorted(touched.others):
        yield from publish_all(KEYS, [other], other)
    for done in touched.links:
        if done.resettled is not None:
            yield from note(KEYS, done.resettled)


def billing(node: NodeId, offset: int) -> Billing:
    return Billing(
        node=node, nonce=f"{node}{offset}", campaign=CampaignId("C"), creative=CreativeId("R"),
        exchange=ExchangeId("E"), clearing_cpm_micros=1000, notice_time_ms=offset + 1,
        personal=True,
    )  # fmt: skip


def together(*persons: tuple[NodeId, ...]) -> set[frozenset[NodeId]]:
    alone = set(NODES) - {node for person in persons for node in person}
    return {*map(frozenset, persons), *(frozenset({node}) for node in alone)}


HOUSE = (card(X, EMAIL, at=1), card(Y, OTHER_EMAIL, at=2), signed_in(PHONE, EMAIL, at=3))


def test_merged_cards_are_one_person_and_a_split_gives_each_its_own_back() -> None:
    world = World()
    world.hear(*HOUSE)
    before = world.export(), world.views()
    world.hear(merged(X, Y, at=10))
    assert world.persons() == together((X, Y, EMAIL, OTHER_EMAIL, PHONE))
    world.hear(split(Y, X, at=11))
    assert world.persons() == together((X, EMAIL, PHONE), (Y, OTHER_EMAIL))
    assert (world.export(), world.views()) == before
    world.hear(merged(X, Y, at=12))
    assert world.persons() == together((X, Y, EMAIL, OTHER_EMAIL, PHONE))


def test_a_late_old_merge_undoes_no_newer_split_and_the_other_way_round() -> None:
    world = World()
    world.hear(split(X, Y, at=11), merged(X, Y, at=10))
    assert world.persons() == together()
    world.hear(merged(Y, X, at=13), split(X, Y, at=12))
    assert world.persons() == together((X, Y))


def test_a_device_is_shared_only_as_long_as_its_two_users_are_two() -> None:
    world = World()
    world.hear(signed_in(PHONE, X, 1), signed_in(PHONE, Y, 2))
    assert set(world.notes().values()) == {b"shared_device"}
    world.hear(merged(X, Y, at=3))
    assert world.persons() == together((PHONE, X, Y))
    assert not world.notes()
    world.hear(split(X, Y, at=4))
    assert world.persons() == together()
    assert set(world.notes().values()) == {b"shared_device"}


def test_evidence_under_a_merge_is_what_it_was_when_the_cards_are_split() -> None:
    world = World()
    world.hear(signed_in(X, Y, 1), merged(X, Y, at=2), split(X, Y, at=3))
    assert world.notes() == {(X, Y): b"two_crm_persons"}


def test_a_verdict_stands_above_the_crms_word() -> None:
    world = World()
    world.hear(merged(X, Y, at=1))
    world.judge(X, Y, "rejected")
    assert world.persons() == together()
    world.hear(merged(X, Y, at=2))
    assert (world.persons(), world.notes()) == (together(), {(X, Y): b"rejected"})
    world.judge(X, Y, "approved")
    assert world.persons() == together((X, Y))
    world.hear(split(X, Y, at=3))
    assert world.persons() == together()


def test_cards_that_were_merged_in_one_go_are_split_one_by_one() -> None:
    world = World()
    world.hear(merged(X, Y, Z, at=1))
    assert world.persons() == together((X, Y, Z))
    assert run(world.store, fetch_survivors(KEYS, NODES)) == {Y: X, Z: X}
    world.hear(split(X, Z, at=2))
    assert world.persons() == together((X, Y))
    assert run(world.store, fetch_survivors(KEYS, (X, Y))) == {Y: X}


def test_a_split_parts_cards_that_a_chain_of_merges_has_joined() -> None:
    told: list[Event] = [
        merged(Y, X, at=1), merged(Z, Y, at=2), split(Z, X, at=3), signed_in(TABLET, X, at=4)
    ]  # fmt: skip
    for order in itertools.permutations(told):
        world = World()
        world.hear(*order)
        assert world.persons() == together((X, Y, TABLET), (Z,))
        world.hear(merged(Z, X, at=5))
        assert world.persons() == together((X, Y, Z, TABLET))


def test_what_was_said_before_is_kept_for_who_looks_back() -> None:
    world = World()
    world.hear(signed_in(X, Y, 1), split(Y, X, at=3), merged(X, Y, at=2))
    world.hear(merged(Z, Y, at=4))
    stories = run(world.store, fetch_stories(KEYS, NODES))
    assert stories == {
        (X, Y): CardStory((CardWord(2, X), CardWord(3)), Evidence("sign_in", 1)),
        (Y, Z): CardStory((CardWord(4, Z),)),
    }
    world.judge(X, Y, "rejected")
    assert run(world.store, fetch_stories(KEYS, [X]))[X, Y] == stories[X, Y]
    assert run(world.store, fetch_stories(KEYS, [EMAIL])) == {}


def test_of_very_many_words_the_newest_are_kept() -> None:
    world = World()
    world.hear(*(merged(X, Y, at=at) for at in range(KEPT_WORDS + 5)))
    (story,) = run(world.store, fetch_stories(KEYS, NODES)).values()
    assert [word.time_ms for word in story.words] == [*range(5, KEPT_WORDS + 5)]


def test_who_has_one_card_survives_nobody() -> None:
    assert run(MemoryStore(), fetch_survivors(KEYS, (X, EMAIL))) == {}


# -- as if it had never been seen -----------------------------------------------------------

times = st.integers(1, 6)
pairs_of_cards = st.permutations(CARDS).map(lambda cards: tuple(cards[:2]))
told: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        CrmCard, event_id=st.just("c"), event_time_ms=times, city=st.sampled_from(["", "Rome"]),
        ids=st.tuples(st.sampled_from(CARDS), st.sampled_from([EMAIL, OTHER_EMAIL])),
    ),
    st.builds(
        SignIn, event_id=st.just("i"), event_time_ms=times, advertiser=st.just(SHOP),
        ids=st.tuples(
            st.sampled_from([PHONE, TABLET]), st.sampled_from([EMAIL, OTHER_EMAIL, *CARDS])
        ),
    ),
    st.builds(
        Order, event_id=st.just("o"), event_time_ms=times, advertiser=st.just(SHOP),
        ids=st.sampled_from(NODES).map(lambda node: (node,)),
        order_id=st.sampled_from("123"), revenue_micros=st.just(5), margin_micros=st.just(1),
    ),
    st.builds(
        PageView, event_id=st.just("v"), event_time_ms=times, advertiser=st.just(SHOP),
        ids=st.permutations(NODES).map(lambda nodes: tuple(nodes[:2])), page=st.just("/"),
    ),
)  # fmt: skip
card_events: st.SearchStrategy[Any] = st.one_of(
    st.builds(CrmMerge, event_id=st.just("m"), event_time_ms=times, ids=pairs_of_cards),
    st.builds(CrmSplit, event_id=st.just("s"), event_time_ms=times, ids=pairs_of_cards),
)


def standing(events: Sequence[CrmMerge | CrmSplit]) -> list[Event]:
    """The words that no newer one takes back."""
    newest: dict[Pair, tuple[bytes, Event]] = {}
    for event in events:
        word = word_of(event)
        assert word is not None
        pair = pair_of(*event.ids)
        newest[pair] = max(newest.get(pair, (b"", event)), (encode_word(word), event), key=first)
    return [event for _, event in newest.values()]


def first(pair: tuple[bytes, Event]) -> bytes:
    return pair[0]


@given(st.lists(told, max_size=8), st.lists(card_events, max_size=5), st.integers(0, 2**32))
def test_merges_that_were_taken_back_are_as_if_they_had_never_been_seen(
    events: list[Event], cards: list[Any], seed: int
) -> None:
    """In any order, with all owners at work at once, and everything delivered twice."""
    rng = random.Random(seed)
    everything = rng.sample([*events, *cards], len(events) + len(cards))
    disturbed, plain = World(rng.randrange), World()
    disturbed.hear(*everything)
    plain.hear(*events, *standing(cards))
    for world in (disturbed, plain):
        for count, node in enumerate((X, EMAIL, PHONE), 1):
            world.bill(node, count)
        world.hear()
    assert disturbed.persons() == plain.persons()
    assert disturbed.export() == plain.export()
    assert disturbed.views() == plain.views()
    assert disturbed.notes() == plain.notes()
