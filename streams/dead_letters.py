"""The dead-letter topic: records that nobody can process, kept with the reason for people."""

import logging
from typing import Any, Final

from models.topics import Topics
from runtime.settings import Settings
from streams.metrics import Metrics

__all__ = ["DeadLetters"]

logger = logging.getLogger(__name__)

KEPT_VALUE_BYTES: Final = 512 * 1024  # with key and headers well below a broker's usual 1 MiB
KEPT_KEY_BYTES: Final = 1024


class DeadLetters:
    """Buries records; one that is too large for the topic is cut, never a reason to stop."""

    def __init__(self, settings: Settings, producer: Any, metrics: Metrics) -> None:  # noqa: ANN401
        self._topic = Topics.DEAD_LETTERS.name(settings.owner)
        self._producer = producer
        self._metrics = metrics

    async def bury(
        self, kind: str, source: tuple[str, int, int], record: tuple[bytes | None, bytes | None],
        reason: str,
    ) -> None:  # fmt: skip
        """Writes one record and returns when it is durable.

        Args:
            kind: ``events``, ``outcomes`` or ``inventory``.
            source: topic, partition and offset.
            record: key and value.
            reason: why nobody can process it.

        Raises:
            KafkaError: Kafka does not take it; to be tried again.
        """
        topic, partition, offset = source
        key, value = record
        headers = [
            ("reason", reason[:KEPT_KEY_BYTES].encode()),
            ("topic", topic.encode()),
            ("partition", str(partition).encode()),
            ("offset", str(offset).encode()),
        ]
        kept = (value or b"")[:KEPT_VALUE_BYTES]
        if value is not None and len(kept) < len(value):
            headers.append(("cut_from_bytes", str(len(value)).encode()))
        kept_key = key[:KEPT_KEY_BYTES] if key is not None else None
        await self._producer.send_and_wait(self._topic, value=kept, key=kept_key, headers=headers)
        self._metrics.dead_letters.labels(kind).inc()
        logger.warning(
            "dead_letter",
            extra={
                "topic": topic, "partition": partition, "offset": offset,
                "reason": reason[:KEPT_KEY_BYTES],
            },
        )  # fmt: skip
