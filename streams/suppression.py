"""Who was erased, read from Kafka: Redis must know it before any record is folded."""

from collections.abc import Iterable
from typing import Any

from models.commands import Steps
from models.erasure_records import ErasureRecord, decode_erasure
from models.errors import EventError, KinbidError
from models.identifiers import NodeId
from models.keys import Keys
from models.topics import Topics
from runtime import kafka
from runtime.link import Link
from runtime.settings import Settings

__all__ = ["read_erasures", "suppress"]

AT_ONCE = 1000


async def read_erasures(settings: Settings) -> dict[NodeId, ErasureRecord]:
    """Every identifier that was erased.

    Raises:
        KafkaDownError: no broker answers.
        KinbidError: a record cannot be read: better to stop than to bring somebody back.
    """
    found: dict[NodeId, ErasureRecord] = {}
    topic = Topics.ERASURES.name(settings.owner)

    def remember(record: Any) -> None:  # noqa: ANN401 - untyped library
        try:
            erasure = decode_erasure(record.key, record.value or b"")
        except EventError as error:
            raise KinbidError(
                f"{topic}, offset {record.offset}: {error}. Without it somebody erased may come "
                "back: put the record right under the same key"
            ) from error
        found[erasure.node] = erasure

    await kafka.read_topic(settings, topic, remember)
    return found


async def suppress(settings: Settings, redis: Link) -> int:
    """Has Redis know who was erased, also when it is new or has lost its last writes.

    Returns how many identifiers were erased.

    Raises:
        KafkaDownError, KinbidError: as :func:`read_erasures`.
        RedisDownError: Redis cannot be used.
    """
    erasures = list((await read_erasures(settings)).values())
    keys = Keys(settings.owner)
    for start in range(0, len(erasures), AT_ONCE):
        await redis.run(_erase(keys, erasures[start : start + AT_ONCE]))
    return len(erasures)


def _erase(keys: Keys, erasures: Iterable[ErasureRecord]) -> Steps[None]:
    yield [
        ("FCALL", "kinbid_v1_erase", 1, keys.parent(one.node), one.erased_ms) for one in erasures
    ]
