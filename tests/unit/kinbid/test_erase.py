"""An erasure without its engines: a sentence that says what is missing, never a traceback."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from kinbid import erase
from kinbid.erase import erase_person, held_of
from runtime import kafka
from runtime.kafka import KafkaDownError
from runtime.redis_link import RedisDownError
from runtime.settings import Settings

NOBODY_LISTENS = Settings(
    kafka_bootstrap="127.0.0.1:1", redis_url="redis://127.0.0.1:1", identity_pepper="p" * 32
)


def test_without_kafka_nothing_is_begun() -> None:
    with pytest.raises(KafkaDownError, match=r"127\.0\.0\.1:1"):
        asyncio.run(erase_person(NOBODY_LISTENS, "cookie:abc", wait_seconds=0))
    with pytest.raises(KafkaDownError, match=r"127\.0\.0\.1:1"):
        asyncio.run(held_of(NOBODY_LISTENS, "cookie:abc"))


async def nothing_to_create(_: Settings) -> None:
    """Topics are there."""


async def nothing_left(_: Settings, __: float) -> int:
    return 0


def test_without_redis_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "ensure_topics", nothing_to_create)
    monkeypatch.setattr(erase, "records_behind", nothing_left)
    with pytest.raises(RedisDownError, match=r"127\.0\.0\.1:1"):
        asyncio.run(erase_person(NOBODY_LISTENS, "cookie:abc", wait_seconds=0))


@pytest.mark.parametrize("error", [KafkaConnectionError("no broker"), KafkaTimeoutError()])
def test_what_the_client_library_raises_is_told_as_a_sentence(error: Exception) -> None:
    with (
        pytest.raises(KafkaDownError, match=r"^it broke off: .+"),
        kafka.failures_told("it broke off"),
    ):
        raise error
