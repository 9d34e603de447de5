"""Which partitions a worker has taken over, and whether Redis still knows that it has.

A key for each partition counts its owners; nobody ever removes one but a rebuild, which begins all
anew. So where records were folded and the key is absent, Redis has lost what was folded, too: to go
on would make persons who lack all their past, consent withdrawn included.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from models.commands import Steps
from models.errors import KinbidError
from models.keys import Keys
from runtime.link import Link, RedisDownError, RedisReplyError
from streams.metrics import Metrics

__all__ = ["Ownership", "RedisForgotError"]

logger = logging.getLogger(__name__)


class RedisForgotError(KinbidError):
    """Redis has lost what was folded into it: persons would lack their past."""

    def __init__(self, partition: TopicPartition, folded: int) -> None:
        super().__init__(
            f"Redis knows nothing of partition {partition.partition} of {partition.topic}, "
            f"although streams has folded it up to offset {folded:,}: Redis has lost its data, or "
            "is another one. Stop every `kinbid streams`, run `kinbid rebuild --yes`, and start "
            "them again"
        )


class Ownership:
    """The partitions of one worker, each under an epoch above that of every owner before.

    Args:
        keys: the owner's key names.
        redis: where epochs are counted.
        consumer: of the group of streams.
        metrics: counts takeovers.
        kinds: topics, and what metrics call them.
    """

    def __init__(
        self,
        keys: Keys,
        redis: Link,
        consumer: Any,  # noqa: ANN401 - untyped library
        metrics: Metrics,
        kinds: Mapping[str, str],
    ) -> None:
        self._keys = keys
        self._redis = redis
        self._consumer = consumer
        self._metrics = metrics
        self._kinds = kinds
        self._epochs: dict[TopicPartition, int] = {}
        self._begun: set[TopicPartition] = set()
        """What this worker ever took over: of these Redis had the key."""
        self._unused: set[TopicPartition] = set()
        """Partitions of which nothing was folded when they were last looked at."""

    async def epoch_of(self, partition: TopicPartition, first_offset: int) -> int:
        """The epoch of this ownership, which begins with that offset: fenced by Kafka.

        The commit after the increment is refused for a worker that has lost the partition, so
        an epoch is used only by an owner, and a later owner's is higher.

        Raises:
            RedisForgotError: Redis has lost what was folded.
            RedisDownError, RedisReplyError, KafkaError: to be tried again.
        """
        epoch = self._epochs.get(partition)
        if epoch is None:
            key = self._key(partition)
            epoch = await self._redis.run(_next(key, may_begin=False))
            if not epoch:
                await self._require_unused(partition)
                epoch = await self._redis.run(_next(key, may_begin=True))
            await self._consumer.commit({partition: first_offset})
            self._epochs[partition] = epoch
            self._begun.add(partition)
            self._unused.discard(partition)
            self._metrics.takeovers.labels(self._kinds[partition.topic]).inc()
        return epoch

    async def begin(self, partitions: Iterable[TopicPartition]) -> None:
        """Takes partitions over for a Redis without any keys: all of them begin anew.

        Raises:
            RedisDownError, RedisReplyError: Redis cannot be used.
        """
        for partition in partitions:
            key = self._key(partition)
            self._epochs[partition] = await self._redis.run(_next(key, may_begin=True))
            self._begun.add(partition)

    def give_up(self) -> None:
        """Has every partition be taken over anew, under another epoch."""
        self._epochs.clear()
        self._unused.clear()

    async def check(self) -> None:
        """Looks whether Redis still knows of every partition that this worker is to read.

        Raises:
            RedisForgotError: it does not.
        """
        held = sorted(self._consumer.assignment() - self._unused)
        if not held:
            return
        try:
            found = await self._redis.run(_values([self._key(one) for one in held]))
            for partition, value in zip(held, found, strict=True):
                if value is None:
                    await self._require_unused(partition)
        except (RedisDownError, RedisReplyError, KafkaError) as error:
            # Away is not forgetful: batches wait for it and are counted, and it is asked again.
            logger.debug("epochs_unknown", extra={"reason": str(error)})

    async def _require_unused(self, partition: TopicPartition) -> None:
        folded = await self._consumer.committed(partition) or 0
        if folded or partition in self._begun:
            raise RedisForgotError(partition, folded)
        self._unused.add(partition)

    def _key(self, partition: TopicPartition) -> str:
        return self._keys.epoch(partition.topic, partition.partition)


def _values(names: list[str]) -> Steps[list[bytes | None]]:
    return (yield [("GET", name) for name in names])


def _next(key: str, *, may_begin: bool) -> Steps[int]:
    """One more owner's epoch; 0 where there was none before and none may begin."""
    (epoch,) = yield [("FCALL", "kinbid_v1_own", 1, key, int(may_begin))]
    return int(epoch)
