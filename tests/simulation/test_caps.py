"""Frequency caps under random schedules, against a list of every impression.

Three bidder workers, five identifiers, two campaigns of one advertiser and one of another. Each bid
is the production path: read the person, ask for the room, reserve in one step. Bids, folds of
billing notices, links and splits move one Redis command at a time, in any order; notices come late,
twice, and in batches that are begun again. Time goes on between commands.

The oracle is a list: it knows who was shown what, and when, and which identifiers were one person's
from the beginning of a bid to its end. Of these no bid may ever exceed a limit, and when all is
quiet every impression counts once, for whoever is whose person then.
"""

import itertools
import os
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from bidder.caps import cap_room
from bidder.lookup import fetch_person, reserve_exactly
from bidder.reservations import OwnReservations
from models.catalog_records import Advertiser, Campaign, Segment
from models.commands import Steps
from models.forest import settle
from models.identifiers import NodeId
from models.limits import Cap, Limit
from models.outcomes import Billing, Outcome
from models.profile import person_of, publish_all
from models.reservations import Reservation
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId, SegmentId
from streams.stages.cap_leaks import Billed, LeakCause, leaks_of
from streams.stages.persons import digest_outcomes
from tests.fakes.memory_store import FUNCTIONS, Function, MemoryStore, Runner, run
from tests.simulation.scenario import (
    KEYS,
    NOBODY_KNOWS,
    Pair,
    X,
    a,
    b,
    c,
    d,
    judging,
    linking,
)

WORLDS = {"ci": 300, "nightly": 10_000}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 120)
NODES = (a, b, c, d, X)
PAIRS = ((a, b), (b, X), (c, X), (a, d))

BEGIN_MS = 1_700_000_000_000
DEADLINE_MS = 100
"""A bid that is answered later is not sent."""
RESERVED_MS = 10_000
BILLED_WITHIN_MS = 6_000
FOLDED_WITHIN_MS = 3_000
STEPS = 1_500

AIR, SHOP = (
    Advertiser(
        id=AdvertiserId(name), name=name, domain=f"{name}.example", caps=(Cap(4, 60), Cap(7, 300))
    )
    for name in ("air", "shop")
)
CAMPAIGNS = tuple(
    Campaign(
        id=CampaignId(name), advertiser=owner.id, goal="flight", caps=caps,
        segments=(SegmentId(f"{owner.id}/all"),),
    )
    for name, owner, caps in (
        ("seats", AIR, ()), ("miles", AIR, (Cap(1, 30),)), ("items", SHOP, ()),
    )
)  # fmt: skip
SEGMENTS = {
    owner.id: Segment(
        id=SegmentId(f"{owner.id}/all"), advertiser=owner.id, target_cpa_micros=1,
        creative_set="any", caps=(Cap(2, 20), Cap(5, 120)),
        spacing_seconds=3 if owner is AIR else 0,
    )
    for owner in (AIR, SHOP)
}  # fmt: skip
ADVERTISERS = {AIR.id: AIR, SHOP.id: SHOP}


class Shown(msgspec.Struct):
    """A bid that was sent, as the oracle knows it.

    Attributes:
        billed_ms: when its notice comes; None for a bid that loses.
        is_folded: streams has counted it.
    """

    nonce: str
    node: NodeId
    campaign: Campaign
    bid_ms: int
    limits: tuple[Limit, ...]
    billed_ms: int | None
    is_folded: bool = False

    def counts(self, limit: Limit, campaign: Campaign, since_ms: int) -> bool:
        """Whether it uses up a place of a bid's limit: billed in the window, or still to be."""
        if self.billed_ms is None or self.billed_ms <= since_ms:
            return False
        if limit.of_advertiser:
            return self.campaign.advertiser == campaign.advertiser
        return self.campaign.id == campaign.id


class _Bidding(msgspec.Struct):
    """A bid in flight."""

    runner: Runner[tuple[Limit, ...] | None]
    worker: OwnReservations
    node: NodeId
    campaign: Campaign
    reservation: Reservation
    begun_ms: int
    together: frozenset[NodeId]


class World:
    """Everything that happens, under one seeded schedule.

    Args:
        seed: of the schedule.
        does_change: whether persons are joined and split meanwhile.
    """

    def __init__(self, seed: int, *, does_change: bool) -> None:
        self.random = random.Random(seed)
        self.does_change = does_change
        self.store = MemoryStore()
        self.now_ms = BEGIN_MS
        self.shown: list[Shown] = []
        self.leaks: list[LeakCause] = []
        self.tokens = itertools.count()
        self.workers = [OwnReservations(f"w{n}") for n in range(3)]
        self.bids: dict[OwnReservations, deque[_Bidding]] = {one: deque() for one in self.workers}
        """Of each worker in the order in which its commands left: it has one connection."""
        self.logs: dict[NodeId, list[Outcome]] = defaultdict(list)
        self.folds: dict[NodeId, tuple[Runner[int], int]] = {}
        self.done: dict[NodeId, int] = defaultdict(int)
        self.links: dict[Pair, str] = {}
        self.changing: tuple[Pair, Runner[Any]] | None = None
        for pair in PAIRS[:2]:
            run(self.store, linking(f"seed{next(self.tokens)}", pair)())
            self.links[pair] = "joined"

    # -- what the oracle knows ---------------------------------------------------------------

    def together(self, node: NodeId) -> frozenset[NodeId]:
        """The identifiers that are surely the person's now; during a split nobody else is sure."""
        if self.changing is not None and self.links[self.changing[0]] == "splitting":
            return frozenset({node})
        found = {node}
        for _ in NODES:
            for pair, state in self.links.items():
                if state == "joined" and not found.isdisjoint(pair):
                    found.update(pair)
        return frozenset(found)

    def check_limits(self, bid: _Bidding, limits: Sequence[Limit]) -> None:
        """The list's own count, of the identifiers that were one person's all the time."""
        sure = bid.together & self.together(bid.node)
        for limit in limits:
            since_ms = bid.begun_ms - limit.window_seconds * 1000
            used = [
                one.nonce
                for one in self.shown
                if one.node in sure and one.counts(limit, bid.campaign, since_ms)
            ]
            assert len(used) < limit.impressions, (bid.reservation.nonce, limit, used)

    # -- what happens ------------------------------------------------------------------------

    def bid(self) -> None:
        """A worker is asked for an ad."""
        worker, node = self.random.choice(self.workers), self.random.choice(NODES)
        campaign = self.random.choice(CAMPAIGNS)
        reservation = Reservation(
            campaign.id, f"n{next(self.tokens)}", self.now_ms + RESERVED_MS, self.now_ms,
            campaign.advertiser,
        )  # fmt: skip
        steps = _bid(worker, node, campaign, reservation, self.now_ms)
        runner = Runner(self.store, steps)
        together = self.together(node)
        self.bids[worker].append(
            _Bidding(runner, worker, node, campaign, reservation, self.now_ms, together)
        )

    def _reply(self, worker: OwnReservations) -> None:
        """Redis does what a worker asked for first."""
        bids = self.bids[worker]
        bid = bids[0]
        if not bid.runner.done:
            bid.runner.step()
        if bid.runner.done:
            bids.popleft()
            self._answer(bid)
        elif bid.runner.is_between_steps:
            bids.rotate(-1)

    def _answer(self, bid: _Bidding) -> None:
        """A bid is done: sent, and shown or lost, unless it is late."""
        limits = bid.runner.result
        if limits is None:
            return
        if self.now_ms - bid.begun_ms > DEADLINE_MS:
            for root in list(bid.worker._open):
                bid.worker.remove(root, bid.reservation)
            return
        self.check_limits(bid, limits)
        wins = self.random.random() < 0.7
        billed_ms = self.now_ms + self.random.randrange(1, BILLED_WITHIN_MS) if wins else None
        nonce = bid.reservation.nonce
        self.shown.append(Shown(nonce, bid.node, bid.campaign, bid.begun_ms, limits, billed_ms))

    def _notices(self, before_ms: int) -> None:
        """Notices that came since, each once or twice, are in Kafka."""
        due = [
            one for one in self.shown
            if one.billed_ms is not None and before_ms < one.billed_ms <= self.now_ms
        ]  # fmt: skip
        for one in sorted(due, key=lambda one: (one.billed_ms, one.nonce)):
            log = self.logs[one.node]
            log += [_billing(one)] * self.random.choice([1, 1, 2])
            if self.random.random() < 0.2 and one.node in self.folds:
                del self.folds[one.node]  # the worker is killed, and begins again

    def _fold(self, node: NodeId) -> None:
        """Streams folds what stands in an identifier's log, and publishes the person."""
        if node not in self.folds:
            begin, end = self.done[node], len(self.logs[node])
            if begin == end:
                return
            begin = self.random.choice([0, begin])  # offsets that were not committed
            batch = list(enumerate(self.logs[node]))[begin:end]
            self.folds[node] = Runner(self.store, _fold(node, batch, self.leaks)), end
        runner, end = self.folds[node]
        if not runner.done:
            runner.step()
        if runner.done:
            del self.folds[node]
            self.done[node] = end
            folded = {one.nonce for one in self.logs[node][:end] if isinstance(one, Billing)}
            for one in self.shown:
                one.is_folded |= one.nonce in folded

    def _change(self) -> None:
        """Persons are joined or split, one after another."""
        if self.changing is None:
            token = f"c{next(self.tokens)}"
            pair = self.random.choice(PAIRS)
            if pair not in self.links:
                self.links[pair] = "joining"
                self.changing = pair, Runner(self.store, linking(token, pair)())
            elif self.links[pair] == "joined" and self.random.random() < 0.3:
                self.links[pair] = "splitting"
                self.changing = pair, Runner(self.store, judging(token, pair)())
            return
        pair, runner = self.changing
        if not runner.done:
            runner.step()
        if runner.done:
            self.links[pair] = "joined" if self.links[pair] == "joining" else "parted"
            self.changing = None

    def _wait(self) -> None:
        """Time goes on; but not so far that a reservation ends whose billing is not folded yet."""
        before_ms = self.now_ms
        self.now_ms += self.random.choice([1, 5, 20, 20, 400, 2_000, 2_000, 9_000])
        if self.now_ms - before_ms > DEADLINE_MS:
            self._finish_bids()  # nobody is on their way for so long
        self._notices(before_ms)
        for one in self.shown:
            while one.billed_ms is not None and not one.is_folded:
                if one.billed_ms + FOLDED_WITHIN_MS > self.now_ms:
                    break
                self._fold(one.node)
        for key, left in list(self.store.expiring.items()):
            self.store.expiring[key] = left - (self.now_ms // 1000 - before_ms // 1000)
        self.store.expire_now(0)

    def play(self) -> None:
        """Moves for a while, then lets everything come to an end."""
        for _ in range(STEPS):
            chance = self.random.random()
            if chance < 0.1:
                self._wait()
            elif chance < 0.7:
                self._bids()
            elif chance < 0.85 or not self.does_change:
                self._fold(self.random.choice(NODES))
            else:
                self._change()
        while self.changing is not None:
            self._change()
        self._finish_bids()
        self.now_ms += RESERVED_MS
        self._notices(self.now_ms - RESERVED_MS)
        for node in NODES:
            while self.folds.get(node) or self.done[node] < len(self.logs[node]):
                self._fold(node)

    def _finish_bids(self) -> None:
        for worker, bids in self.bids.items():
            while bids:
                self._reply(worker)

    def _bids(self) -> None:
        if self.random.random() < 0.2:
            self.bid()
        worker = self.random.choice(self.workers)
        if self.bids[worker]:
            self._reply(worker)


def _bid(
    worker: OwnReservations,
    node: NodeId,
    campaign: Campaign,
    reservation: Reservation,
    now_ms: int,
) -> Steps[tuple[Limit, ...] | None]:
    """The bid path as far as caps go: the limits that hold, or None for no bid."""
    found = yield from fetch_person(KEYS, [node], now_ms, worker.field, NOBODY_KNOWS)
    root = found.person.root
    if root is None:
        return None
    own = worker.of(root, now_ms)
    room = cap_room(
        found.person, campaign, ADVERTISERS[campaign.advertiser], SEGMENTS[campaign.advertiser],
        reserved=(*found.person.reservations, *own), picked=(), now_ms=now_ms,
    )  # fmt: skip
    if room.lost is not None:
        return None
    worker.add(root, reservation)
    if (
        yield from reserve_exactly(
            KEYS,
            root,
            worker,
            reservation,
            splits=found.person.splits,
            limits=room.limits,
            now_ms=now_ms,
        )
    ):
        return room.limits
    worker.remove(root, reservation)
    return None


def _billing(one: Shown) -> Billing:
    assert one.billed_ms is not None
    return Billing(
        node=one.node, nonce=one.nonce, campaign=one.campaign.id, creative=CreativeId("R"),
        exchange=ExchangeId("E"), clearing_cpm_micros=1000, notice_time_ms=one.billed_ms,
        personal=True, bid_time_ms=one.bid_ms, advertiser=one.campaign.advertiser,
        reserved_seconds=RESERVED_MS // 1000, limits=one.limits,
    )  # fmt: skip


def _fold(node: NodeId, entries: list[tuple[int, Outcome]], leaks: list[LeakCause]) -> Steps[int]:
    touched = yield from digest_outcomes(KEYS, node, 1, entries)
    yield from publish_all(KEYS, [node], touched.root)
    if touched.billed:
        leaks += yield from leaks_of(KEYS, [Billed(node, touched.root, touched.billed)])
    return len(entries)


def over_cap(impressions: Iterable[Shown]) -> list[tuple[str, Limit]]:
    """Every impression and limit of it in whose window there are too many, by the list alone."""
    billed = [one for one in impressions if one.billed_ms is not None]
    found = []
    for one, limit in ((shown, limit) for shown in billed for limit in shown.limits):
        assert one.billed_ms is not None
        since_ms = one.billed_ms - limit.window_seconds * 1000
        window = [
            other
            for other in billed
            if other.counts(limit, one.campaign, since_ms) and other.billed_ms <= one.billed_ms  # type: ignore[operator]
        ]
        if len(window) > limit.impressions:
            found.append((one.nonce, limit))
    return found


def persons_of(world: World) -> list[frozenset[NodeId]]:
    return [frozenset(one) for one in {world.together(node) for node in NODES}]


@pytest.mark.parametrize("start", range(0, WORLDS, 40))
@pytest.mark.parametrize("does_change", [False, True], ids=["fixed", "joined and split"])
def test_no_bid_exceeds_a_limit_and_every_impression_counts_once(
    start: int, *, does_change: bool
) -> None:
    for seed in range(start, start + 40):
        world = World(seed, does_change=does_change)
        try:
            world.play()
            check_quiet(world)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def check_quiet(world: World) -> None:
    """Counts are those of the list; where persons stayed who they are, no window is too full."""
    for members in persons_of(world):
        mine = [one for one in world.shown if one.node in members]
        expected = {one.nonce: one.billed_ms for one in mine if one.billed_ms is not None}
        for node in members:
            _, ledger = person_of(run(world.store, settle(KEYS, node)))
            counted = {n: ms for one in ledger.campaigns.values() for n, ms in one.items()}
            assert counted == expected
            assert ledger.billed_count == len(expected)
            seen = run(world.store, fetch_person(KEYS, [node], world.now_ms, b"", NOBODY_KNOWS))
            assert seen.person.ledger.campaigns == ledger.campaigns
        if not world.does_change:
            assert over_cap(mine) == []
    if not world.does_change:
        assert world.leaks == []


def test_the_schedules_meet_what_they_are_made_for() -> None:
    """Limits of every kind are reached, and impressions are many."""
    worlds = [World(seed, does_change=True) for seed in range(20)]
    for world in worlds:
        world.play()
    shown = [one for world in worlds for one in world.shown]
    assert len(shown) > 400
    full = {
        (limit.of_advertiser, limit.window_seconds)
        for one in shown
        for limit in one.limits
        if limit.room == 1
    }
    assert full >= {(False, 20), (False, 30), (True, 3), (True, 60)}
    states = [state for world in worlds for state in world.links.values()]
    assert states.count("parted") > 10
    assert states.count("joined") > 20


def grant_all(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int | bytes:
    """Redis reserves without a look at the limits."""
    return FUNCTIONS["kinbid_v1_reserve"](store, keys, args[:7])


def forget_advertisers(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int | bytes:
    """Redis knows of no advertiser's limits."""
    limits = zip(*[iter(args[7:])] * 3, strict=True)
    bounds = [word for limit in limits if limit[0] == b"0" for word in limit]
    return FUNCTIONS["kinbid_v1_reserve"](store, keys, [*args[:7], *bounds])


def forget_splits(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int | bytes:
    """Redis reserves for whoever has this root now."""
    splits = store.hash(keys[1]).get(b"g", b"0")
    return FUNCTIONS["kinbid_v1_reserve"](store, keys, [*args[:4], splits, *args[5:]])


@pytest.mark.parametrize("wrong", [grant_all, forget_advertisers, forget_splits])
def test_the_oracle_finds(wrong: Function) -> None:
    found = 0
    for seed in range(60):
        world = World(seed, does_change=wrong is forget_splits)
        world.store.functions = {**FUNCTIONS, "kinbid_v1_reserve": wrong}
        try:
            world.play()
            check_quiet(world)
        except AssertionError:
            found += 1
    assert found, "no schedule shows it"
