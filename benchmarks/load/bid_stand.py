"""A stand of the bid benchmarks: persons in Redis, a catalogue in Kafka, a bidder."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import msgspec

from benchmarks.bench.seeding import seed_copies
from benchmarks.bench.site import Bidder, Site, owned
from benchmarks.load.audience import TYPES, Audience
from benchmarks.load.cores import Cores, pin
from benchmarks.load.corpus import Corpus
from benchmarks.load.requests import requests_of
from benchmarks.load.wares import EXCHANGE, catalog_of, offers_of
from models.catalog_records import encode_record, record_key
from models.keys import KEY_PATTERNS, Keys
from models.topics import Topic, Topics
from runtime import kafka
from runtime.pepper import pepper_of
from runtime.redis_url import link_to
from runtime.settings import SECRETS, Settings

__all__ = ["BidStand", "corpus_facts", "settings_facts", "standing"]

READ_BY_BIDDERS: Final = [
    one for one in KEY_PATTERNS if one.startswith(("{owner}:n:", "{owner}:b:"))
]
PLACES: Final = frozenset({"owner", "kafka_bootstrap", "redis_url"})
"""Settings that say where this run took place."""
BATCH_BYTES: Final = 262_144


class BidStand(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured together.

    Attributes:
        campaigns, persons: how many.
        settings: of the owner.
        corpus: requests for persons drawn at random.
        bidder: its process.
        url: where the requests go.
    """

    campaigns: int
    persons: int
    settings: Settings
    corpus: Corpus
    bidder: Bidder
    url: str


@contextlib.asynccontextmanager
async def standing(
    site: Site, cores: Cores, *, campaigns: int, persons: int, requests: int, seed: int, now_ms: int
) -> AsyncIterator[BidStand]:
    """Makes a stand whose topics and keys are its own; its bidder ends with the block.

    Args:
        site: the engines.
        cores: the bidder's worker gets those of the servers.
        campaigns: in the catalogue.
        persons: in Redis.
        requests: in the corpus.
        seed: of all of them.
        now_ms: the present, Unix ms: histories end and offers begin there.
    """
    settings = owned(site, f"c{campaigns}-p{persons}")
    site.say(f"{campaigns:,} campaigns, {persons:,} persons")
    audience = Audience(seed, pepper_of(settings), now_ms)
    await kafka.ensure_topics(settings)
    await _publish(settings, Topics.CATALOG, catalog_of(campaigns, seed))
    await _publish(settings, Topics.OFFERS, offers_of(campaigns, seed, now_ms))
    await _seed(settings, audience, persons)
    corpus = Corpus.of(requests_of(audience, persons, requests, seed))
    bidder = site.start_bidder(settings)
    try:
        pin(bidder.pids, cores.server)
        yield BidStand(
            campaigns=campaigns, persons=persons, settings=settings, corpus=corpus, bidder=bidder,
            url=f"{bidder.url}/openrtb2/{EXCHANGE}/bid",
        )  # fmt: skip
    finally:
        bidder.stop()


async def _publish(settings: Settings, topic: Topic, records: Iterable[Any]) -> None:
    """Sends records to a compacted topic; returns when all of them are durable."""
    name = topic.name(settings.owner)
    async with kafka.producing(settings, linger_ms=20, batch_bytes=BATCH_BYTES) as producer:
        for one in records:
            await producer.send(name, key=record_key(one).encode(), value=encode_record(one))
        await producer.flush()


async def _seed(settings: Settings, audience: Audience, persons: int) -> None:
    """Puts persons into Redis: a history of each type is folded, the others are its copies."""
    keys, link = Keys(settings.owner), link_to(settings.redis_url, name="kinbid-bench")
    await link.connect()
    try:
        for kind in range(TYPES):
            first = audience.nodes(-1 - kind)
            copies = (audience.nodes(index) for index in range(kind, persons, TYPES))
            history = audience.history(kind, first)
            await seed_copies(link, keys, first, history, copies, patterns=READ_BY_BIDDERS)
    finally:
        await link.close()


def corpus_facts(corpus: Corpus) -> dict[str, Any]:
    """What a report says of its requests."""
    return {
        "requests": len(corpus.bodies), "mean_bytes": corpus.mean_bytes, "sha256": corpus.sha256,
    }  # fmt: skip


def settings_facts(settings: Settings) -> dict[str, Any]:
    """What a report says of its settings: those that are not the defaults, without secrets."""
    default = Settings()
    return {
        name: getattr(settings, name)
        for name in Settings.__struct_fields__
        if name not in {*SECRETS, *PLACES} and getattr(settings, name) != getattr(default, name)
    }
