"""Seeded events with merges, what they come to, and what stands in Redis instead."""

import asyncio
import random
import uuid
from collections import defaultdict
from urllib.parse import urlsplit

import redis

from kinbid.monitor import roots_of
from models.caps import CapLedger, decode_ledger, fold_outcome
from models.commands import Steps
from models.events import Billing, Event, Order, Outcome, PageView, ProductView, SignIn
from models.facets import Facet, decode_facet, fold_event
from models.forest import Settled, settle
from models.identifiers import Namespace, NodeId
from models.keys import Keys
from models.profile import newest_fields
from models.units import CampaignId, CreativeId, ExchangeId
from runtime.redis_url import link_to
from tests.system.client import AIRLINE, PATIENCE_SECONDS, SHOP, Client

__all__ = [
    "EVENTS",
    "IMPRESSIONS",
    "People",
    "check",
    "cut_streams_off",
    "make_outcomes",
    "make_story",
]

PEOPLE = 40
EVENTS = 3_000
IMPRESSIONS = 600


def make_event(
    rng: random.Random, event_id: str, device: NodeId, email: NodeId, now_ms: int
) -> Event:
    draw = rng.random()
    if draw < 0.1:
        ids = (device, email)
        return SignIn(event_id=event_id, ids=ids, event_time_ms=now_ms, advertiser=SHOP)
    if draw < 0.2:
        return Order(
            event_id=event_id, ids=(device,), event_time_ms=now_ms, advertiser=SHOP,
            order_id=event_id, revenue_micros=rng.randrange(10**8), margin_micros=1,
        )  # fmt: skip
    if draw < 0.6:
        item = f"item-{rng.randrange(30)}"
        return ProductView(
            event_id=event_id, ids=(device,), event_time_ms=now_ms, advertiser=SHOP, item=item
        )
    return PageView(
        event_id=event_id, ids=(device,), event_time_ms=now_ms, advertiser=AIRLINE, page="/"
    )


class People:
    """People with three devices and an e-mail address each, who browse, order and sign in."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self._client, self._rng = client, rng
        self.run = uuid.uuid4().hex
        self.devices = [
            [client.node(Namespace.COOKIE, f"{self.run}-{person}-{device}") for device in range(3)]
            for person in range(PEOPLE)
        ]
        self._emails = [
            client.node(Namespace.EMAIL, f"{self.run}-{n}@a.example") for n in range(PEOPLE)
        ]
        self._count = 0

    @property
    def nodes(self) -> list[NodeId]:
        return [*self._emails, *(device for devices in self.devices for device in devices)]

    def event(self) -> Event:
        """The next thing that one of them does."""
        person = self._rng.randrange(PEOPLE)
        device = self._rng.choice(self.devices[person])
        self._count += 1
        name, now_ms = f"{self.run}-{self._count}", self._client.now_ms()
        return make_event(self._rng, name, device, self._emails[person], now_ms)


def make_story(client: Client, rng: random.Random) -> tuple[list[Event], list[Outcome]]:
    """What people do; and billed impressions, some of them twice."""
    people = People(client, rng)
    events = [people.event() for _ in range(EVENTS)]
    return events, make_outcomes(client, rng, people)


def make_outcomes(client: Client, rng: random.Random, people: People) -> list[Outcome]:
    return [
        Billing(
            node=rng.choice(rng.choice(people.devices)),
            nonce=f"{people.run}-{n - rng.randrange(2)}",
            campaign=CampaignId("air-seats"), creative=CreativeId("c"),
            exchange=ExchangeId("north"), clearing_cpm_micros=1_000_000,
            notice_time_ms=client.now_ms(), personal=True,
        )
        for n in range(IMPRESSIONS)
    ]  # fmt: skip


def expected(
    events: list[Event], outcomes: list[Outcome]
) -> tuple[dict[NodeId, Facet], dict[NodeId, CapLedger], dict[NodeId, set[NodeId]]]:
    """What the records come to when each is folded once, in order, without any machinery."""
    facets: dict[NodeId, Facet] = defaultdict(Facet)
    ledgers: dict[NodeId, CapLedger] = defaultdict(CapLedger)
    persons: dict[NodeId, set[NodeId]] = {}
    for event in events:
        facets[event.ids[0]] = fold_event(facets[event.ids[0]], event, 0)
        joined = set().union(*(persons.get(node, {node}) for node in event.ids))
        persons.update(dict.fromkeys(joined, joined))
    for outcome in outcomes:
        ledgers[outcome.node] = fold_outcome(ledgers[outcome.node], outcome, 0)
    return facets, ledgers, persons


async def found(
    client: Client, nodes: list[NodeId]
) -> tuple[dict[NodeId, Facet], dict[NodeId, CapLedger], dict[NodeId, NodeId]]:
    """What stands in Redis, watermarks set aside: they depend on the partition."""
    keys, link = Keys(client.settings.owner), link_to(client.settings.redis_url)
    await link.connect()

    def read(node: NodeId) -> Steps[Settled]:
        return (yield from settle(keys, node))

    facets: dict[NodeId, Facet] = {}
    ledgers: dict[NodeId, CapLedger] = {}
    for settled in await link.run_all(read(node) for node in nodes):
        facets |= {n: decode_facet(v) for n, v in newest_fields(settled, b"f").items()}
        ledgers |= {n: decode_ledger(v) for n, v in newest_fields(settled, b"c").items()}
    roots = await roots_of(link, keys, nodes)
    await link.close()
    return facets, ledgers, roots


def check(
    client: Client,
    events: list[Event],
    outcomes: list[Outcome],
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """What stands in Redis, in the end, is what the records come to."""
    facets, ledgers, persons = expected(events, outcomes)
    nodes = sorted({*persons, *ledgers})

    def look() -> list[str]:
        now_facets, now_ledgers, roots = asyncio.run(found(client, nodes))
        wrong = [f"facet of {n}" for n, f in facets.items() if bare(now_facets.get(n)) != bare(f)]
        wrong += [
            f"ledger of {n}"
            for n, ledger in ledgers.items()
            if n not in now_ledgers or now_ledgers[n].campaigns != ledger.campaigns
        ]
        wrong += [
            f"person of {n}" for n in persons if any(roots[n] != roots[m] for m in persons[n])
        ]
        strangers = {roots[n] for n in persons}
        if len(strangers) != len({frozenset(p) for p in persons.values()}):
            wrong.append("two persons are one")
        return wrong

    assert client.until(look, lambda wrong: not wrong, patience_seconds) == []


def bare(facet: Facet | None) -> tuple[object, ...] | None:
    """A facet without its watermark."""
    if facet is None:
        return None
    return tuple(getattr(facet, name) for name in facet.__struct_fields__ if name != "watermark")


def cut_streams_off(client: Client) -> None:
    """Ends the connections of streams to every Redis server."""
    for place in client.settings.redis_url.partition("://")[2].split(","):
        server = urlsplit(f"redis://{place}")
        assert server.hostname is not None
        with redis.Redis(server.hostname, server.port or 6379) as store:
            for one in store.client_list():
                if one["name"] == "kinbid-streams":
                    store.client_kill_filter(_id=one["id"])
