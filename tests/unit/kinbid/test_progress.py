"""How far streams has come, as its consumer group tells a bystander."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
)
from aiokafka.structs import OffsetAndMetadata

from kinbid.progress import _committed

PART = TopicPartition("o.verdicts.v1", 0)


class Admin:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def list_consumer_group_offsets(self, group: str, *, partitions: list[Any]) -> object:
        if isinstance(self.answer, KafkaError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "committed"),
    [
        ({PART: OffsetAndMetadata(7, "")}, 7),
        ({PART: OffsetAndMetadata(-1, "")}, 0),
        ({}, 0),  # as a broker that is no longer the group's coordinator is understood
        (GroupCoordinatorNotAvailableError(), 0),
        (GroupLoadInProgressError(), 0),
    ],
)
def test_a_group_that_has_no_coordinator_for_now_has_committed_nothing_yet(
    answer: object, committed: int
) -> None:
    assert asyncio.run(_committed(Admin(answer), "o.streams", [PART])) == {PART: committed}


def test_a_refusal_is_told() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        asyncio.run(_committed(Admin(GroupAuthorizationFailedError()), "o.streams", [PART]))
