"""A streams worker killed in the middle changes no profile and no count."""

import asyncio
import random
import uuid
from collections import defaultdict

import pytest
import redis

from kinbid.monitor import read_metrics, roots_of
from models.caps import CapLedger, decode_ledger, fold_outcome
from models.commands import Steps
from models.events import Billing, Event, Order, Outcome, PageView, ProductView, SignIn, encode
from models.facets import Facet, decode_facet, fold_event
from models.forest import Settled, settle
from models.identifiers import Namespace, NodeId
from models.keys import Keys
from models.profile import newest_fields
from models.topics import Topics
from models.units import CampaignId, CreativeId, ExchangeId
from runtime.redis_link import RedisLink
from tests.system.client import AIRLINE, SHOP, Client

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PEOPLE = 40
EVENTS = 3_000
IMPRESSIONS = 600
CUTS = 15


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


def make_story(client: Client, rng: random.Random) -> tuple[list[Event], list[Outcome]]:
    """People with three devices each, who browse, order and sign in; and billed impressions."""
    run = uuid.uuid4().hex
    people = [
        [client.node(Namespace.COOKIE, f"{run}-{person}-{device}") for device in range(3)]
        for person in range(PEOPLE)
    ]
    emails = [client.node(Namespace.EMAIL, f"{run}-{n}@a.example") for n in range(PEOPLE)]
    events: list[Event] = []
    for number in range(EVENTS):
        person = rng.randrange(PEOPLE)
        device = rng.choice(people[person])
        events.append(make_event(rng, f"{run}-{number}", device, emails[person], client.now_ms()))
    outcomes: list[Outcome] = [
        Billing(
            node=rng.choice(rng.choice(people)), nonce=f"{run}-{n - rng.randrange(2)}",
            campaign=CampaignId("air-seats"), creative=CreativeId("c"),
            exchange=ExchangeId("north"), clearing_cpm_micros=1_000_000,
            notice_time_ms=client.now_ms(), personal=True,
        )
        for n in range(IMPRESSIONS)
    ]  # fmt: skip
    return events, outcomes


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
    keys, link = Keys(client.settings.owner), RedisLink(client.settings.redis_url)
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


def test_killing_the_streams_worker_changes_no_profile_and_no_count(client: Client) -> None:
    events, outcomes = make_story(client, random.Random(7))
    owner = client.settings.owner
    seen = [(e.ids[0].encode(), encode(e)) for e in events]
    billed = [(o.node.encode(), encode(o)) for o in outcomes]
    client.produce_raw(Topics.EVENTS.name(owner), seen[: EVENTS // 2])
    client.produce_raw(Topics.OUTCOMES.name(owner), billed[: IMPRESSIONS // 2])
    client.stack.restart_part("streams")
    client.produce_raw(Topics.EVENTS.name(owner), seen[EVENTS // 2 :])
    client.stack.restart_part("streams")
    client.produce_raw(Topics.OUTCOMES.name(owner), billed[IMPRESSIONS // 2 :])
    check(client, events, outcomes)


def test_losing_redis_again_and_again_changes_no_profile_and_no_count(client: Client) -> None:
    """Each cut is in the middle of a batch: what was sent arrives or does not, nobody knows."""
    events, outcomes = make_story(client, random.Random(8))
    owner = client.settings.owner
    retries_before = retries(client)
    with redis.Redis.from_url(client.settings.redis_url) as store:
        for start in range(0, EVENTS, EVENTS // CUTS):
            part = events[start : start + EVENTS // CUTS]
            records = [(e.ids[0].encode(), encode(e)) for e in part]
            client.produce_raw(Topics.EVENTS.name(owner), records)
            for one in store.client_list():
                if one["name"] == "kinbid-streams":
                    store.client_kill_filter(_id=one["id"])
    billed = [(o.node.encode(), encode(o)) for o in outcomes]
    client.produce_raw(Topics.OUTCOMES.name(owner), billed)
    check(client, events, outcomes)
    assert retries(client) > retries_before, "no cut came in the middle of a batch"


def retries(client: Client) -> float:
    metrics = read_metrics(client.stack.addresses["metrics"]["streams"])
    return metrics["streams_batch_retries_total{dependency=redis}"]


def check(client: Client, events: list[Event], outcomes: list[Outcome]) -> None:
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

    assert client.until(look, lambda wrong: not wrong) == []


def bare(facet: Facet | None) -> tuple[object, ...] | None:
    """A facet without its watermark."""
    if facet is None:
        return None
    return tuple(getattr(facet, name) for name in facet.__struct_fields__ if name != "watermark")
