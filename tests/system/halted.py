"""kinbid that stands still: ``python -m tests.system.halted PLACE COMMAND ...``.

A place is ``events.v1:2``, before the second record or batch for that topic is sent, all before it
being durable; or ``erasures.v1:read``, before the topic is read. There the command says so on
standard output and goes on when its standard input ends: whatever is broken meanwhile is broken
in the middle, however quick the machine is.
"""

import asyncio
import itertools
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from kinbid.cli import main
from runtime import kafka

HALTED = "halted here"
LEFT_SECONDS = 2.0


def stand_still() -> None:
    """Blocks all that the command does; two seconds of its patience are left afterwards.

    So it is told soon what is wrong, and gives up nothing before only because a machine is slow.
    """
    loop = asyncio.get_running_loop()
    since, now = loop.time(), loop.time
    print(HALTED, flush=True)
    sys.stdin.read()
    ahead = kafka.PATIENCE_SECONDS - LEFT_SECONDS - (now() - since)
    loop.time = lambda: now() + ahead  # type: ignore[method-assign]
    kafka.PATIENCE_SECONDS = LEFT_SECONDS  # type: ignore[misc]


def halt_before_sending(suffix: str, number: int) -> None:
    """Stands still before what a command sends to a topic for the ``number``-th time, from 1."""
    send, send_batch, numbers = (
        AIOKafkaProducer.send, AIOKafkaProducer.send_batch, itertools.count(1)
    )  # fmt: skip

    async def halt(producer: AIOKafkaProducer, topic: str) -> None:
        if topic.endswith(f".{suffix}") and next(numbers) == number:
            await producer.flush()
            stand_still()

    async def halting(self: AIOKafkaProducer, topic: str, **record: Any) -> Any:  # noqa: ANN401
        await halt(self, topic)
        return await send(self, topic, **record)

    async def halting_batch(self: AIOKafkaProducer, batch: Any, topic: str, **part: Any) -> Any:  # noqa: ANN401
        await halt(self, topic)
        return await send_batch(self, batch, topic, **part)

    AIOKafkaProducer.send, AIOKafkaProducer.send_batch = halting, halting_batch


def halt_before_reading(suffix: str) -> None:
    """Stands still each time before a topic is read from its beginning."""
    seek = AIOKafkaConsumer.seek_to_beginning

    async def halting(self: AIOKafkaConsumer, *parts: Any) -> Any:  # noqa: ANN401
        if parts[0].topic.endswith(f".{suffix}"):
            stand_still()
        return await seek(self, *parts)

    AIOKafkaConsumer.seek_to_beginning = halting


if __name__ == "__main__":
    topic, _, place = sys.argv.pop(1).partition(":")
    if place == "read":
        halt_before_reading(topic)
    else:
        halt_before_sending(topic, int(place))
    main()
