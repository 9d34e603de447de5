"""What a gentle world never does: everything at once, and records that no producer should send."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from kinbid.monitor import read_metrics
from models.identifiers import Namespace
from models.topics import Topics
from tests.system.client import Client, flight

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CAP = 5
AT_ONCE = 60


def test_simultaneous_requests_on_three_devices_stay_within_the_cap(client: Client) -> None:
    client.offer(flight(201, route="JFK-AUS"))
    email = client.node(Namespace.EMAIL, f"{uuid.uuid4()}@a.example")
    cookies = [f"burst-{uuid.uuid4()}" for _ in range(3)]
    nodes = [client.node(Namespace.COOKIE, cookie) for cookie in cookies]
    client.produce(*(client.sign_in(node, email) for node in nodes))
    client.produce(client.search(nodes[0], "JFK-AUS"))
    for cookie in cookies:
        client.until(
            lambda cookie=cookie: client.campaigns(20, cookie=cookie),  # type: ignore[misc]
            lambda seen: seen == {"air-seats"},
        )
    exchanges = ("north", "south", "east")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(
            pool.map(
                lambda turn: client.campaign(
                    exchanges[turn % 3], live=True, cookie=cookies[turn % 3]
                ),
                range(AT_ONCE),
            )
        )
    assert seen.count("air-seats") == CAP


def test_records_that_no_producer_should_send_stop_nobody(client: Client) -> None:
    topic = Topics.EVENTS.name(client.settings.owner)
    cookie = f"c-{uuid.uuid4()}"
    node = client.node(Namespace.COOKIE, cookie)
    before = dead_letters(client)
    too_large = b"x" * 1_048_000  # with a reason added it is more than the topic takes
    misplaced = client.search(node, "JFK-BNA")
    client.produce_raw(topic, [(node.encode(), too_large), (b"k", b""), (b"other", b"{}")])
    client.produce_raw(topic, [(b"not its key", b'{"type":"sign_in"}')])
    client.offer(flight(202, route="JFK-BNA"))
    client.produce(misplaced)
    client.until(lambda: client.campaign(cookie=cookie), lambda cid: cid == "air-seats")
    client.until(lambda: dead_letters(client) - before, lambda buried: buried == 4)


def test_an_update_that_cannot_be_read_takes_the_offer_off_sale(client: Client) -> None:
    cookie = f"c-{uuid.uuid4()}"
    offer = flight(203, route="JFK-RDU")
    client.offer(offer)
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "JFK-RDU"))
    client.until(lambda: client.campaign(cookie=cookie), lambda cid: cid == "air-seats")
    client.offer(flight(203, route="JFK-RDU", seats_left=-1))  # overbooked: nobody checked it
    client.until(lambda: client.campaigns(20, cookie=cookie), lambda seen: "air-seats" not in seen)
    client.offer(flight(203, route="JFK-RDU"))
    client.until(lambda: client.campaign(cookie=cookie), lambda cid: cid == "air-seats")


def test_a_restarted_worker_still_knows_which_offers_are_older(client: Client) -> None:
    cookie = f"c-{uuid.uuid4()}"
    old, new = flight(204, route="JFK-PIT"), flight(204, route="JFK-PIT", seats_left=0)
    client.offer(msgspec.structs.replace(new, updated_ms=old.updated_ms + 60_000))
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "JFK-PIT"))
    client.until(lambda: held_back(client), lambda count: count is not None)
    client.stack.restart_part("streams")
    client.offer(old)
    client.until(lambda: held_back(client), lambda count: count == 1)
    assert "air-seats" not in client.campaigns(10, cookie=cookie)


def held_back(client: Client) -> float | None:
    metrics = read_metrics(client.stack.addresses["metrics"]["streams"])
    return metrics.get("streams_stale_offers_total")


def dead_letters(client: Client) -> float:
    metrics = read_metrics(client.stack.addresses["metrics"]["streams"])
    return metrics["streams_dead_letters_total{topic=events}"]
