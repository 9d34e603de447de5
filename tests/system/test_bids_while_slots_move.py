"""Bids while the slots of a Redis Cluster move: no answer is an error, and caps hold."""

import asyncio
import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from kinbid.engines import KafkaCluster, RedisCluster
from models.events import Event
from models.identifiers import Namespace, NodeId
from models.keys import Keys
from tests.system.client import Client, flight
from tests.system.conftest import move_slots
from tests.system.story import found

pytestmark = [
    pytest.mark.system,
    pytest.mark.apache,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("client", ["clusters"], indirect=True, scope="module"),
]

ROUTE = "SEA-PDX"
PERSONAL = "air-seats"
PEOPLE = 60
CAP = 5
"""Of the demo's segment of people who never bought."""
PAUSE_SECONDS = 0.02
MOST_MOVES = 20


class Traveller(msgspec.Struct, frozen=True):
    """Somebody who looks for a flight, with a desktop and a phone."""

    cookie: str
    ifa: str
    nodes: tuple[NodeId, NodeId, NodeId]

    def events(self, client: Client) -> list[Event]:
        desktop, phone, email = self.nodes
        return [
            client.sign_in(desktop, email),
            client.sign_in(phone, email),
            client.search(desktop, ROUTE),
        ]


def a_traveller(client: Client) -> Traveller:
    cookie, ifa = f"c-{uuid.uuid4()}", str(uuid.uuid4())
    nodes = (
        client.node(Namespace.COOKIE, cookie),
        client.node(Namespace.IFA, ifa),
        client.node(Namespace.EMAIL, f"{cookie}@a.example"),
    )
    return Traveller(cookie, ifa, nodes)


class Exchange:
    """Asks for travellers again and again, on either device, and bills each personal ad."""

    def __init__(self, client: Client, travellers: list[Traveller]) -> None:
        self._client, self._travellers = client, travellers
        self._closed = threading.Event()
        self.is_moving = False
        self.billed: Counter[str] = Counter()
        self.while_moving: Counter[str | None] = Counter()

    def close(self) -> None:
        self._closed.set()

    def run(self) -> None:
        rng = random.Random(7)
        while not self._closed.wait(PAUSE_SECONDS):
            who = rng.choice(self._travellers)
            device = rng.choice([{"cookie": who.cookie}, {"ifa": who.ifa}])
            was_moving = self.is_moving
            bid = self._client.bid(rng.choice(["north", "south"]), live=True, **device)
            campaign = bid["cid"] if bid is not None else None
            if was_moving and self.is_moving:
                self.while_moving[campaign] += 1
            if bid is not None and campaign == PERSONAL:
                self._client.bill(bid)
                self.billed[who.cookie] += 1


def test_a_move_of_slots_costs_no_error_and_no_cap(
    client: Client, clusters: tuple[KafkaCluster, RedisCluster]
) -> None:
    _, redis = clusters
    travellers = [a_traveller(client) for _ in range(PEOPLE)]
    nodes = [node for who in travellers for node in who.nodes]
    keys = Keys(client.settings.owner)
    client.offer(flight(120, route=ROUTE))
    client.produce(*(event for who in travellers for event in who.events(client)))
    for who in travellers:
        client.until(lambda who=who: client.campaign(ifa=who.ifa), lambda seen: seen == PERSONAL)  # type: ignore[misc]
    exchange = Exchange(client, travellers)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(exchange.run)
        try:
            for move in range(MOST_MOVES):
                exchange.is_moving = True
                assert move_slots(redis, keys, nodes, step=1 + move % 2) > 0
                exchange.is_moving = False
                time.sleep(PAUSE_SECONDS)
                if sum(exchange.billed.values()) > CAP * PEOPLE * 3 // 4:
                    break
        finally:
            exchange.close()
        asking.result()  # raises where an answer was an error
    assert exchange.while_moving[PERSONAL] > 0, exchange.while_moving
    assert max(exchange.billed.values()) == CAP

    def folded() -> Counter[str]:
        _, ledgers, _ = asyncio.run(found(client, nodes))
        count = Counter[str]()
        for who in travellers:
            count[who.cookie] = sum(ledgers[n].billed_count for n in who.nodes if n in ledgers)
        return +count

    client.until(folded, lambda count: count == exchange.billed)
