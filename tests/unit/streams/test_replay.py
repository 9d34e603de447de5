"""A replay hands on what is old first, and what is new only when all of that has been folded."""

import asyncio

import msgspec
from aiokafka import TopicPartition

from streams.replay import Replay

A, B, EMPTY = (TopicPartition("t", number) for number in range(3))


class Record(msgspec.Struct, frozen=True):
    offset: int


class Consumer:
    """As much of a consumer as a replay uses; a poll takes from every partition what it may."""

    def __init__(self, ends: dict[TopicPartition, int]) -> None:
        self._ends = ends
        self._positions = dict.fromkeys(ends, 0)
        self._paused: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return set(self._ends)

    def paused(self) -> set[TopicPartition]:
        return self._paused.copy()

    def pause(self, part: TopicPartition) -> None:
        self._paused.add(part)

    def resume(self, *parts: TopicPartition) -> None:
        self._paused -= set(parts)

    def seek(self, part: TopicPartition, offset: int) -> None:
        self._positions[part] = offset

    async def position(self, part: TopicPartition) -> int:
        return self._positions[part]

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        assert timeout_ms
        fetched = {}
        for part in self._ends.keys() - self._paused:
            begin = self._positions[part]
            self._positions[part] = min(begin + max_records, self._ends[part])
            fetched[part] = [Record(offset) for offset in range(begin, self._positions[part])]
        return {part: records for part, records in fetched.items() if records}


def replayed(
    borders: dict[TopicPartition, int], most: int
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Partition and offset of each record that is handed on as an old one, and as a new one."""

    async def read_all() -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        replay = Replay(Consumer({A: 7, B: 3, EMPTY: 0}))
        replay.begin(borders)
        told: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        for _ in range(20):
            fetched = await replay.getmany(timeout_ms=1, max_records=most)
            told[replay.is_over] += [
                (part.partition, record.offset)
                for part, records in fetched.items()
                for record in records
            ]
        assert len(told[False]) + len(told[True]) == 10, "a record comes twice"
        return set(told[False]), set(told[True])

    return asyncio.run(read_all())


def records(*ranges: range) -> set[tuple[int, int]]:
    return {(part, offset) for part, offsets in enumerate(ranges) for offset in offsets}


def test_what_is_new_comes_after_all_that_is_old() -> None:
    for most in (1, 2, 5, 100):
        old, new = replayed({A: 5, B: 0, EMPTY: 0}, most)
        assert old == records(range(5))
        assert new == records(range(5, 7), range(3))


def test_everything_may_be_old_or_new() -> None:
    assert replayed({A: 7, B: 3, EMPTY: 0}, 2)[1] == set()
    assert replayed({A: 0, B: 0, EMPTY: 0}, 2)[0] == set()
