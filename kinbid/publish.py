"""Writing to the compacted topics: catalogue records by marketers, offers by their sources."""

import asyncio
from collections.abc import Sequence

from models.catalog_records import CatalogRecord, Offer, encode_record, record_key
from models.topics import Topics
from runtime import kafka
from runtime.settings import Settings

__all__ = ["publish_catalog", "publish_offers", "withdraw_records"]


async def publish_catalog(settings: Settings, records: Sequence[CatalogRecord]) -> None:
    """Publishes catalogue records; returns when every replica has them.

    Raises:
        KafkaDownError: no broker answers.
    """
    await _send(settings, Topics.CATALOG.name(settings.owner), records)


async def withdraw_records(settings: Settings, keys: Sequence[str]) -> None:
    """Takes catalogue records back, by ``kind/id``; returns when every replica knows.

    Raises:
        KafkaDownError: no broker answers.
    """
    topic = Topics.CATALOG.name(settings.owner)
    async with kafka.producing(settings, linger_ms=5) as producer:
        with kafka.failures_told(f"not all of it was taken by topic {topic}"):
            sent = [await producer.send(topic, key=key.encode(), value=None) for key in keys]
            await asyncio.gather(*sent)


async def publish_offers(settings: Settings, offers: Sequence[Offer]) -> None:
    """Sends flights and products to the inventory topic, from where streams lets them through.

    Raises:
        KafkaDownError: no broker answers.
    """
    await _send(settings, Topics.INVENTORY.name(settings.owner), offers)


async def _send(
    settings: Settings, topic: str, records: Sequence[CatalogRecord] | Sequence[Offer]
) -> None:
    async with kafka.producing(settings, linger_ms=5) as producer:
        with kafka.failures_told(f"not all of it was taken by topic {topic}"):
            async with kafka.patience() as moved:
                sent = []
                for one in records:
                    key = record_key(one).encode()
                    sent.append(await producer.send(topic, key=key, value=encode_record(one)))
                    moved()
                await asyncio.gather(*sent)
