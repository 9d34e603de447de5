"""Streams tells bidders how far it is, whether anything is billed or not."""

import asyncio

import pytest

from models.fold_clock import USUAL_MS
from models.spend_records import FoldMark, decode_spend
from models.topics import Topics
from runtime import kafka
from tests.system.client import Client

pytestmark = pytest.mark.system


def marks(client: Client) -> dict[int, int]:
    """Of each partition, until when all is folded, as it was told last."""
    found: dict[int, int] = {}

    def note(record: object) -> None:
        told = decode_spend(record.value)  # type: ignore[attr-defined]  # untyped library
        if isinstance(told, FoldMark):
            found[told.partition] = told.folded_ms

    settings = client.settings
    asyncio.run(kafka.read_topic(settings, Topics.SPEND.name(settings.owner), note))
    return found


def test_every_partition_of_the_outcomes_is_told_of_about_once_a_second(client: Client) -> None:
    def are_fresh(found: dict[int, int]) -> bool:
        fresh = [at_ms for at_ms in found.values() if at_ms > client.now_ms() - USUAL_MS]
        return len(fresh) == Topics.OUTCOMES.partitions

    client.until(lambda: marks(client), are_fresh)
