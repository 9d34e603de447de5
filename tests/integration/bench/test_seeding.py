"""A copied person is what the protocol would have made of their events."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
import redis

from benchmarks.bench.memory import Memory, drop_frozen, memory_of, used_memory
from benchmarks.bench.people import EPOCH_MS, ORDERS, People
from benchmarks.bench.seeding import EPOCH, TEMPLATE_EVENTS, seed_persons, seed_strangers
from kinbid.engines import RedisEngine
from models.forest import settle
from models.keys import Keys
from models.profile import person_of, publish
from runtime.redis_link import RedisLink
from streams.stages.persons import KnownLinks, digest_events

pytestmark = pytest.mark.integration

T = TypeVar("T")
PEOPLE = People(seed=7)
NOT_BROWSING = ORDERS + 2
"""Of a history: a card, a sign-in and orders."""
SEEDED, LIVED = Keys("seeded"), Keys("lived")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisEngine.start(tmp_path_factory.mktemp("redis")) as engine:
        asyncio.run(both(engine.url))
        yield engine.url


async def browsed(link: RedisLink, keys: Keys) -> int:
    """Records of browsing that are known of person 5."""
    settled = await link.run(settle(keys, PEOPLE.trio(5).cookie))
    return sum(person_of(settled)[0].counts.values())


async def both(url: str) -> None:
    """Person 5 twice: copied from the template, and made from the template's events."""
    link = RedisLink(url)
    await link.connect()
    await seed_persons(link, SEEDED, PEOPLE, range(10))
    await seed_strangers(link, SEEDED, PEOPLE, range(3))
    tokens, known = itertools.count(), KnownLinks()
    history = PEOPLE.history(PEOPLE.trio(5), random.Random(0), TEMPLATE_EVENTS)
    for offset, event in enumerate(history):
        touched = await link.run(
            digest_events(
                LIVED, event.ids[0], EPOCH, [(offset, event)], known=known,
                next_token=lambda: f"t{next(tokens)}",
            )
        )  # fmt: skip
        await link.run(publish(LIVED, touched.root))
    assert (await link.run(settle(SEEDED, PEOPLE.trio(5).cookie))).root == PEOPLE.trio(5).crm
    # Person 5 goes on living, and is put back.
    event = PEOPLE.plain(random.Random(1), PEOPLE.trio(5), EPOCH_MS)
    touched = await link.run(
        digest_events(
            SEEDED, event.ids[0], EPOCH, [(10**6, event)], known=known,
            next_token=lambda: f"t{next(tokens)}",
        )
    )  # fmt: skip
    await link.run(publish(SEEDED, touched.root))
    assert await browsed(link, SEEDED) == TEMPLATE_EVENTS - NOT_BROWSING + 1
    await seed_persons(link, SEEDED, PEOPLE, [5])
    await link.close()


def held(url: str, keys: Keys, node: str) -> dict[str, object]:
    """Everything that stands under a node and will stay."""
    found: dict[str, object] = {}
    with redis.Redis.from_url(url) as client:
        for name in client.scan_iter(f"{keys.owner}:*{{{node}}}"):
            if client.ttl(name) == -1:
                kind = name.decode().removeprefix(f"{keys.owner}:")
                is_hash = client.type(name) == b"hash"
                found[kind] = client.hgetall(name) if is_hash else client.get(name)
    return found


@pytest.mark.parametrize("place", ["cookie", "email", "crm"])
def test_a_copy_equals_a_person_made_from_the_same_events(url: str, place: str) -> None:
    node = getattr(PEOPLE.trio(5), place)
    assert held(url, SEEDED, node) == held(url, LIVED, node)
    assert held(url, SEEDED, node)


def test_strangers_are_persons_of_their_own(url: str) -> None:
    assert {name[0] for name in held(url, SEEDED, PEOPLE.stranger(2))} == {"p", "b"}


def on_a_link(url: str, work: Callable[[RedisLink], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        link = RedisLink(url)
        await link.connect()
        try:
            return await work(link)
        finally:
            await link.close()

    return asyncio.run(main())


async def memory_of_ten(link: RedisLink) -> Memory:
    await drop_frozen(link, "seeded")
    return await memory_of(link, "seeded", [(0, 0), (10, await used_memory(link))])


def test_memory_is_told_by_kind_and_adds_up_to_less_than_the_whole(url: str) -> None:
    memory = on_a_link(url, memory_of_ten)
    assert {"b", "n", "p", "w"} <= set(memory.by_kind)
    assert memory.by_kind.keys() == memory.keys_by_kind.keys()
    (whole,) = memory.growth
    assert 0 < sum(memory.by_kind.values()) < whole.bytes_per_person
    assert memory.hundred_million_bytes == round(whole.bytes_per_person * 100_000_000)


def test_frozen_copies_are_dropped_and_nothing_else(url: str) -> None:
    on_a_link(url, lambda link: drop_frozen(link, "lived"))
    assert on_a_link(url, lambda link: drop_frozen(link, "lived")) == 0
    assert len(held(url, LIVED, PEOPLE.trio(5).crm)) >= 3


def test_a_history_can_be_longer(url: str) -> None:
    async def longer(link: RedisLink) -> int:
        keys = Keys("longer")
        await seed_persons(link, keys, PEOPLE, [5], events=120)
        return await browsed(link, keys)

    assert on_a_link(url, longer) == 120 - NOT_BROWSING
