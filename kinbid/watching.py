"""Watches in Kafka: made, published and read."""

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from bidder.catalog_feed import load_catalog
from kinbid.nodes import node_named
from models.errors import EventError, KinbidError, UnknownNameError
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.topics import Topics
from models.watches import Watch, Watches, WatchTarget, decode_watch, encode_watch
from runtime import clock, kafka
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = [
    "end_of",
    "end_watches_of_nodes",
    "publish_watch",
    "read_watches",
    "watch_of",
    "watch_of_person",
]


async def watch_of(
    settings: Settings, target: Literal["campaign", "exchange"], name: str, until_ms: int
) -> Watch:
    """A watch of a campaign or an exchange.

    Args:
        settings: where the catalogue is.
        target: which kind of thing is watched.
        name: its id.
        until_ms: from then on it is over, Unix ms.

    Raises:
        UnknownNameError: nothing of that name exists.
        KafkaDownError: no broker answers.
    """
    catalog = await load_catalog(settings)
    known = [*catalog.exchanges] if target == "exchange" else [*catalog.campaigns]
    if name not in known:
        raise UnknownNameError(target, name, known)
    return Watch(target=target, names=(name,), until_ms=until_ms)


async def watch_of_person(settings: Settings, identifier: str, until_ms: int) -> Watch:
    """A watch of a person: the identifier's node first, then all others that are theirs now.

    Raises:
        KinbidError: the identifier cannot be read, or Redis cannot be used.
    """
    node = node_named(settings, identifier)
    link = link_to(settings.redis_url, name="kinbid-receipts")
    await link.connect()
    try:
        settled = await link.run(settle(Keys(settings.owner), node))
    finally:
        await link.close()
    names = dict.fromkeys((node, settled.root, *sorted(settled.members)))
    return Watch(target="person", names=tuple(names), until_ms=until_ms)


async def end_of(settings: Settings, target: WatchTarget, name: str) -> Watch:
    """What ends the watch of a campaign or an exchange, gone or not, or of a person.

    Args:
        settings: where Kafka is.
        target: which kind of thing is watched.
        name: its id; of a person any identifier that was theirs when the watch began.

    Raises:
        UnknownNameError: nothing of that name is watched.
        KinbidError: the identifier cannot be read.
        KafkaDownError: no broker answers.
    """
    sought = node_named(settings, name) if target == "person" else name
    watched = [one for one in await read_watches(settings) if one.target == target]
    for one in watched:
        if sought in one.names:
            return msgspec.structs.replace(one, until_ms=0)
    raise UnknownNameError(f"watched {target}", name, [one.names[0] for one in watched])


async def end_watches_of_nodes(settings: Settings, nodes: Collection[NodeId]) -> None:
    """Ends each watch of a person to whom any of some nodes belonged.

    Raises:
        KafkaDownError: no broker answers.
    """
    for one in await read_watches(settings):
        if one.target == "person" and not set(nodes).isdisjoint(one.names):
            await publish_watch(settings, msgspec.structs.replace(one, until_ms=0))


async def publish_watch(settings: Settings, watch: Watch) -> None:
    """Publishes a watch; returns when every replica has it.

    Raises:
        KafkaDownError: no broker answers.
    """
    await kafka.ensure_topics(settings)
    topic = Topics.WATCHES.name(settings.owner)
    async with kafka.producing(settings) as producer:
        with kafka.failures_told(f"{topic} did not take it"):
            async with kafka.patience():
                await producer.send_and_wait(
                    topic, key=watch.key.encode(), value=encode_watch(watch)
                )


async def read_watches(settings: Settings) -> list[Watch]:
    """What is watched now.

    Raises:
        KafkaDownError: no broker answers.
        KinbidError: a record of the topic is no watch.
    """
    watches = Watches()
    topic = Topics.WATCHES.name(settings.owner)

    def learn(record: Any) -> None:  # noqa: ANN401 - untyped library
        try:
            watches.learn(decode_watch(record.value or b""))
        except EventError as error:
            raise KinbidError(f"{topic}, record {record.offset}: {error}") from error

    await kafka.ensure_topics(settings)
    await kafka.read_topic(settings, topic, learn)
    return watches.at(clock.now_ms())
