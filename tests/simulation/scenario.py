"""What the workers do in the simulations, and what must be true at every moment.

Every identifier starts with one billed impression that has been published; its nonce says whose
it is and at which offset it was billed, so exactness can be read off a set of nonces.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence

from bidder.lookup import fetch_person
from models.caps import CapLedger, decode_ledger
from models.card_words import CardWord
from models.commands import Command, Steps
from models.events import Billing, Event, Outcome, SignIn
from models.evidence import Evidence, Verdict
from models.facets import decode_facet
from models.forest import find, parent_in, settle
from models.identifiers import NodeId, is_crm
from models.keys import Keys
from models.links import Contested, declare, follow, judge, link, look
from models.presence import PresenceRule
from models.profile import newest_fields, person_of, publish, publish_all
from models.splits import Resettled, note
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId
from streams.stages.persons import (
    KnownLinks,
    Touched,
    digest_events,
    digest_outcomes,
    look_around,
)
from tests.fakes.memory_store import MemoryStore, run
from tests.simulation.explore import Program

__all__ = [
    "CAMPAIGN", "FORGET", "KEYS", "NOW_MS", "Pair", "X", "Y", "a", "b", "billing", "c",
    "check_prefixes", "check_settled", "check_store", "clusters",
    "counts_enough", "d", "declaring", "events_batch", "forget", "forgetting", "impressions_of",
    "is_expiry", "is_unread", "judging", "linking", "linking_together", "named", "nonces",
    "outcomes_batch", "reading", "seeded", "signed_in",
]  # fmt: skip

Pair = tuple[NodeId, NodeId]

KEYS = Keys("sim")
CAMPAIGN = CampaignId("C")
NOW_MS = 1_000_000
SHARED = "shared device"
NOBODY_KNOWS = PresenceRule(min_ratio=2.0)
"""Who is at a shared device: it is left out of the counts here."""

FORGET = "sim_forget"
SIGN_IN = Evidence("sign_in", 1)


def named(letter: str, digest: str) -> NodeId:
    """A node whose rank among its kind is the alphabet's."""
    return NodeId(letter + digest * 22)


a, b, c, d = (named("k", digest) for digest in "abcd")
X, Y = named("c", "x"), named("c", "y")


def is_expiry(command: Command) -> bool:
    """Times to live: no schedule here takes so long."""
    return command[0] == "EXPIRE"


def is_unread(command: Command) -> bool:
    """Whether nobody reads what the command writes: evidence and times to live."""
    return is_expiry(command) or any(str(part).startswith("sim:w:") for part in command[1:4])


# -- records --------------------------------------------------------------------------------


def nonces(node: NodeId, count: int) -> set[str]:
    """The nonces of the first impressions of an identifier."""
    return {f"{node[:2]}{offset}" for offset in range(count)}


def billed(node: NodeId, offset: int) -> tuple[int, Outcome]:
    """The impression at an offset, with its time in the order of offsets."""
    notice = Billing(
        node=node, nonce=f"{node[:2]}{offset}", campaign=CAMPAIGN, creative=CreativeId("R"),
        exchange=ExchangeId("E"), clearing_cpm_micros=1000, notice_time_ms=offset + 1,
        personal=True,
    )  # fmt: skip
    return offset, notice


def signed_in(node: NodeId, offset: int, *others: NodeId) -> tuple[int, Event]:
    """An event that is evidence for links of ``node``."""
    event = SignIn(
        event_id=f"{node[:2]}-{offset}", ids=(node, *others), event_time_ms=offset + 1,
        advertiser=AdvertiserId("A"),
    )  # fmt: skip
    return offset, event


# -- workers --------------------------------------------------------------------------------


def linking(
    name: str, *pairs: Pair, evidence: Evidence = SIGN_IN, published: bool = True
) -> Program:
    """A worker that makes links, one after another, and publishes after each."""

    def program() -> Steps[None]:
        tokens = itertools.count()
        for one, other in pairs:
            done = yield from link(KEYS, one, other, evidence, lambda: f"{name}{next(tokens)}")
            if published:
                yield from publish(KEYS, one)
            if done.resettled is not None:
                yield from _told(done.resettled, published=published)

    return program


def linking_together(name: str, *pairs: Pair) -> Program:
    """A worker that makes links in one batch: what is contested is looked at once for all."""

    def program() -> Steps[None]:
        tokens = itertools.count()

        def next_token() -> str:
            return f"{name}{next(tokens)}"

        contested: list[Contested] = []
        for one, other in pairs:
            done = yield from follow(KEYS, one, other, SIGN_IN, next_token)
            contested += [done] if isinstance(done, Contested) else []
        for linked in (yield from look(KEYS, contested, next_token)):
            if linked.resettled is not None:
                yield from _told(linked.resettled, published=False)

    return program


def judging(name: str, pair: Pair, verdict: Verdict = "rejected") -> Program:
    """Somebody decides about a link, early, and all persons around it are published."""

    def program() -> Steps[None]:
        tokens = itertools.count()
        done = yield from judge(KEYS, *pair, verdict, lambda: f"{name}{next(tokens)}", at_ms=1)
        yield from _told(done)

    return program


def declaring(name: str, *words: tuple[Pair, CardWord], published: bool = True) -> Program:
    """A worker that hears the CRM's words on its cards, one after another."""

    def program() -> Steps[None]:
        tokens = itertools.count()
        for pair, word in words:
            done = yield from declare(KEYS, *pair, word, lambda: f"{name}{next(tokens)}")
            assert done.resettled is not None
            yield from _told(done.resettled, published=published)

    return program


def _told(looked: Resettled, *, published: bool = True) -> Steps[None]:
    """What streams does after a look: bid views, then Kafka, then the notes."""
    if published:
        yield from publish_all(KEYS, looked.to_publish)
    yield from note(KEYS, looked)


def billing(node: NodeId, epoch: int, *batches: range, remembered: NodeId | None = None) -> Program:
    """An owner that folds batches of impressions, given by their offsets, and publishes each.

    ``remembered``: where the node stood when the owner folded it last.
    """

    def program() -> Steps[set[str]]:
        last_root = remembered
        for batch in batches:
            last_root = yield from outcomes_batch(node, epoch, batch, last_root)
        seen: set[str] = yield from reading(node)()
        return seen

    return program


def outcomes_batch(
    node: NodeId, epoch: int, offsets: Iterable[int], last_root: NodeId | None = None
) -> Steps[NodeId]:
    """One batch of an identifier's notices, as the firehose runs it; returns its root then."""
    entries = [billed(node, offset) for offset in offsets]
    touched = yield from digest_outcomes(KEYS, node, epoch, entries, last_root=last_root)
    yield from _published(touched)
    return touched.root


def events_batch(
    node: NodeId,
    epoch: int,
    entries: Sequence[tuple[int, Event]],
    known: KnownLinks,
    next_token: Callable[[], str],
    last_root: NodeId | None = None,
) -> Steps[NodeId]:
    """One batch of an identifier's events, as the firehose runs it; returns its root then."""
    touched = yield from digest_events(
        KEYS, node, epoch, entries, known=known, next_token=next_token, last_root=last_root
    )
    (touched,) = yield from look_around(KEYS, [touched], next_token)
    yield from _published(touched)
    return touched.root


def _published(touched: Touched) -> Steps[None]:
    if touched.is_view_new:
        yield from publish_all(KEYS, [touched.node], touched.root)
        for other in sorted(touched.others):
            yield from publish_all(KEYS, [other], other)
    for done in touched.links:
        if done.resettled is not None:
            yield from note(KEYS, done.resettled)


def forgetting() -> Program:
    """Time that passes for all but the workers: no bid view of before a merge leads on any more.

    No schedule has a reader who is on the way then: readers are cut by the deadline of a bid.
    """

    def program() -> Steps[None]:
        yield [("FCALL", FORGET, 0)]

    return program


def forget(store: MemoryStore, _keys: list[bytes], _arguments: list[bytes]) -> int:
    """What :func:`forgetting` calls."""
    gone = [key for key in store.expiring if b">" in store.hash(key) and b":b:" in key]
    for key in gone:
        del store.data[key], store.expiring[key]
    return len(gone)


def reading(node: NodeId) -> Program:
    """A bidder that reads a person; returns the nonces that it would count.

    A shared device is nobody's, so no cap of a person is asked: as good as a full one.
    """

    def program() -> Steps[set[str]]:
        found = yield from fetch_person(KEYS, [node], NOW_MS, b"r:reader", NOBODY_KNOWS)
        if found.is_shared:
            return {SHARED}
        return set(impressions_of(found.person.ledger))

    return program


def counts_enough(seen: set[str], billed: set[str]) -> bool:
    """Whether a reader that saw ``seen`` exceeds no cap on ``billed``."""
    return SHARED in seen or seen >= billed


def seeded(*nodes: NodeId, linked: Iterable[Pair] = ()) -> MemoryStore:
    """A store in which each node has its impression 0 published, and some links are made."""
    store = MemoryStore()
    for node in nodes:
        run(store, outcomes_batch(node, 1, [0]))
    for number, pair in enumerate(linked):
        run(store, linking(f"seed{number}.", pair)())
    store.expire_now()
    return store


# -- claims ---------------------------------------------------------------------------------


def parents(store: MemoryStore) -> dict[NodeId, NodeId]:
    """Every link, child to parent."""
    found: dict[NodeId, NodeId] = {}
    for key, value in store.data.items():
        if key.startswith(b"sim:n:"):
            assert isinstance(value, bytes)
            parent = parent_in(value)
            if parent is not None:
                found[NodeId(key[7:-1].decode())] = parent
    return found


def clusters(store: MemoryStore, nodes: Iterable[NodeId]) -> set[frozenset[NodeId]]:
    """The persons, as sets of identifiers; fails on a cycle."""
    links, trees = parents(store), dict[NodeId, set[NodeId]]()
    for node in {*nodes, *links}:
        root, steps = node, 0
        while root in links:
            root, steps = links[root], steps + 1
            assert steps <= len(links), f"a cycle above {node}"
        trees.setdefault(root, set()).add(node)
    return {frozenset(members) for members in trees.values()}


def check_store(store: MemoryStore) -> None:
    """No cycle, every ledger written is an exact prefix, and at most one CRM id a person, but for
    those whose cards the CRM has ever merged.
    """
    for members in clusters(store, ()):
        cards = sorted(filter(is_crm, members))
        for card in cards if len(cards) > 1 else ():
            told = store.hash(KEYS.evidence(card).encode())
            assert any(f"w:{other}".encode() in told for other in cards), f"two CRM ids: {members}"
    check_prefixes(store)


def check_prefixes(store: MemoryStore) -> None:
    """Every ledger anywhere holds exactly the impressions up to its watermark."""
    for value in store.data.values():
        if not isinstance(value, dict):
            continue
        for field, encoded in value.items():
            if field.startswith(b"c:"):
                node = NodeId(field[2:].partition(b"@")[0].decode())
                ledger = decode_ledger(encoded)
                assert set(impressions_of(ledger)) == nonces(node, ledger.watermark + 1)
                assert ledger.billed_count == ledger.watermark + 1


def impressions_of(ledger: CapLedger) -> dict[str, int]:
    """The campaign's impressions of a ledger."""
    return ledger.campaigns.get(CAMPAIGN, {})


def check_settled(
    store: MemoryStore,
    counts: dict[NodeId, int],
    *,
    partition: set[frozenset[NodeId]] | None = None,
    crashed: bool = False,
) -> None:
    """After all work is done: the partition, each record counted once, views fresh and clean.

    Args:
        store: where it was done.
        counts: per identifier, how many impressions were billed.
        partition: the persons that must have come out; None where refusals leave it open.
        crashed: somebody stopped half way or sleeps: what they left may lie there until the
            person is published next, even if that is after every time to live.
    """
    store = store.copy()
    if crashed:
        store.expire_now()
        for node in counts:
            run(store, publish(KEYS, node))
    assert b"!" not in [v[:1] for v in store.data.values() if isinstance(v, bytes)], "half split"
    persons = clusters(store, counts)
    assert partition is None or persons == partition
    for members in persons:
        expected = set[str]().union(*(nonces(node, counts.get(node, 0)) for node in members))
        root = run(store, find(KEYS, next(iter(members))))
        for node in members:
            settled = run(store, settle(KEYS, node))
            facet, ledger = person_of(settled)
            assert settled.root == root
            assert set(impressions_of(ledger)) == expected
            assert ledger.billed_count == len(expected)
            assert sorted(newest_fields(settled, b"c")) == sorted(
                node for node in members if counts.get(node, 0)
            )
            assert (
                facet.watermark
                == sum(
                    decode_facet(held).watermark + 1
                    for held in newest_fields(settled, b"f").values()
                )
                - 1
            )
            seen = run(store, reading(node)())
            assert seen in (expected, {SHARED}), f"the view of {node} is not fresh"
        check_view(store, root)
    check_long_after(store, persons, counts)


def check_long_after(
    store: MemoryStore, persons: set[frozenset[NodeId]], counts: dict[NodeId, int]
) -> None:
    """Each identifier is read as before when all times to live have run out."""
    store.expire_now()
    for members in persons:
        expected = set[str]().union(*(nonces(node, counts.get(node, 0)) for node in members))
        for node in members:
            assert run(store, reading(node)()) in (expected, {SHARED}), f"{node} is lost"


def check_view(store: MemoryStore, root: NodeId) -> None:
    """The published view equals a fresh computation, and no finished merge is marked in it."""
    standing = store.hash(KEYS.bid_view(root).encode())
    fresh = store.copy()
    fresh.delete_fields(KEYS.bid_view(root).encode(), [b"v"])
    run(fresh, publish(KEYS, root))
    assert standing == fresh.hash(KEYS.bid_view(root).encode())
    person = store.hash(KEYS.person(root).encode())
    left = [name for fields in (standing, person) for name in fields if name.startswith(b"m:")]
    assert not left, f"markers of finished merges are left at {root}: {left}"
