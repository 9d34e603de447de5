"""The order of a replay: what streams had folded before comes first, and what is new after it."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

__all__ = ["Replay"]


class Replay:
    """Reads for a firehose in two parts: in each partition up to its border, then all the rest.

    Which session made an old call stands in the evidence topic; a new one is joined when it is
    folded, and then finds the books of numbers as streams would have left them.

    Args:
        consumer: it stands at the beginning of its partitions when reading begins.

    Attributes:
        is_over: all that is old has been handed on, and whatever was read last is done with.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._borders: Mapping[TopicPartition, int] = {}
        self.is_over = False

    def begin(self, borders: Mapping[TopicPartition, int]) -> None:
        """Says where the borders are, before anything is read.

        Args:
            borders: each partition's first offset that had not been folded; at most its end.
        """
        self._borders = borders

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Any]]:
        """The next records; to ask for them says that those before have been folded."""
        if not self.is_over and await self._are_borders_reached():
            self.is_over = True
            self._consumer.resume(*self._consumer.paused())
        fetched: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
            timeout_ms=timeout_ms, max_records=max_records
        )
        if self.is_over:
            return fetched
        old = {part: self._old(part, records) for part, records in fetched.items()}
        return {part: records for part, records in old.items() if records}

    async def _are_borders_reached(self) -> bool:
        if not self._borders.keys() <= self._consumer.assignment():
            return False
        for part, border in self._borders.items():
            if await self._consumer.position(part) < border:
                return False
        return True

    def _old(self, part: TopicPartition, records: list[Any]) -> list[Any]:
        border = self._borders[part]
        if records[-1].offset >= border:
            self._consumer.pause(part)
            self._consumer.seek(part, border)
        return [record for record in records if record.offset < border]
