"""Consent at the firehose: a word that names several identifiers reaches each of them.

An event is folded under its first identifier alone, in whose partition it stands. To the others
their person mostly leads, but not always: a shared device is no one of its users.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from models.consents import carried_to_others
from models.event_base import stamp_of
from models.events import Consent, Event, encode
from models.topics import Topics
from runtime import clock
from runtime.settings import Settings

__all__ = ["ConsentCarrier"]


class ConsentCarrier:
    """Tells the words of a batch again, under each further identifier.

    Args:
        settings: whose events.
        producer: of events.
        is_replay: whether old records come again: what was carried of them stands in Kafka, too.
    """

    def __init__(
        self,
        settings: Settings,
        producer: Any,  # noqa: ANN401 - untyped library
        *,
        is_replay: Callable[[], bool],
    ) -> None:
        self._topic = Topics.EVENTS.name(settings.owner)
        self._producer = producer
        self._is_replay = is_replay

    async def carry(self, events: Iterable[Event]) -> None:
        """Returns when all words of a batch are durable, before it may be committed.

        Doing a batch again tells them again: of each purpose the newest word stands, so that
        changes nothing. A carried word names one identifier, and is carried no further.

        Raises:
            KafkaError: Kafka does not take them; to be tried again.
        """
        if self._is_replay():
            return
        told = [event for event in events if isinstance(event, Consent)]
        now_ms = clock.now_ms()
        sent = [
            await self._producer.send(
                self._topic, key=word.ids[0].encode(), value=encode(word),
                timestamp_ms=stamp_of(word.event_time_ms, now_ms),
            )
            for event in told
            for word in carried_to_others(event)
        ]  # fmt: skip
        await asyncio.gather(*sent)
