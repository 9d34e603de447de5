"""Spend, where Kafka fails."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

import streams.spend
from models.spend_book import SpendBook
from runtime.settings import Settings
from streams.metrics import Metrics
from streams.spend import SpendKeeper


class DeadProducer:
    """Refuses, or takes for ever."""

    def __init__(self, *, hangs: bool) -> None:
        self._hangs = hangs

    async def send(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - never returns
        if self._hangs:
            await asyncio.sleep(3_600)
        raise KafkaConnectionError("gone")


@pytest.mark.parametrize("hangs", [False, True])
def test_a_worker_ends_though_kafka_does_not_take_what_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, hangs: bool
) -> None:
    monkeypatch.setattr(streams.spend, "LAST_SECONDS", 0.05)
    consumer: Any = object()
    producer: Any = DeadProducer(hangs=hangs)
    keeper = SpendKeeper(Settings(), consumer, producer, Metrics())
    part = TopicPartition(keeper.topic, 0)
    keeper._books[part] = SpendBook(0)
    keeper._counted_ms[part] = 10**12
    asyncio.run(keeper.stop())
    assert [one.getMessage() for one in caplog.records] == ["spend_not_told"]
