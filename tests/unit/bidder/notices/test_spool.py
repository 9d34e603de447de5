"""The spool's files: who has which, what survives, when it is full."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from bidder.notices import spool as module
from bidder.notices.segments import MAGIC, KafkaRecord, frame
from bidder.notices.spool import Spool, SpoolError

MEGABYTE = 1 << 20
RECORDS = [KafkaRecord("t", b"value %d" % n, b"k") for n in range(6)]


def files(folder: Path) -> list[int]:
    """The sizes of what is in the folder."""
    return [path.stat().st_size for path in folder.iterdir()]


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(steps)


async def drained(spool: Spool) -> list[KafkaRecord]:
    """Everything that can be claimed, removed as it is read."""
    found: list[KafkaRecord] = []
    while (claim := await spool.claim()) is not None:
        found += claim.segment.records
        await spool.remove(claim)
    return found


def test_what_is_spooled_is_claimed_in_order_and_gone_once_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        assert await spool.claim() is None
        assert [await spool.append(one) for one in RECORDS] == [True] * 6
        assert spool.bytes_waiting > 0
        assert await drained(spool) == RECORDS
        assert spool.bytes_waiting == 0
        assert files(tmp_path) == []
        await spool.close()

    run(scenario())


def test_notices_that_come_together_share_a_write_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group commit: the second of two batches holds all that came while the first was written."""
    synced: list[int] = []
    real = os.fdatasync

    def counted(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)

    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        many = [KafkaRecord("t", b"%d" % n) for n in range(200)]
        assert all(await asyncio.gather(*map(spool.append, many)))
        assert len(synced) < 10
        assert await drained(spool) == many
        await spool.close()

    run(scenario())


def test_nobody_claims_what_another_worker_writes_to_until_it_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, other = Spool(tmp_path, MEGABYTE), Spool(tmp_path, MEGABYTE)
        await one.append(RECORDS[0])
        assert await other.claim() is None
        assert other.bytes_waiting > 0
        await one.close()  # its process has ended
        assert await drained(other) == RECORDS[:1]
        await other.close()

    run(scenario())


def test_a_segment_is_claimed_by_one_worker_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        one, other = Spool(tmp_path, MEGABYTE), Spool(tmp_path, MEGABYTE)
        await one.append(RECORDS[0])
        held = await one.claim()
        assert held is not None
        assert await other.claim() is None
        await one.release(held)
        again = await other.claim()
        assert again is not None
        assert again.segment.records == RECORDS[:1]
        await other.remove(again)
        assert await one.claim() is None
        await one.close()
        await other.close()

    run(scenario())


def test_a_full_spool_takes_no_more_until_it_is_drained(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path, 100)
        taken = [await spool.append(one) for one in RECORDS]
        assert taken[0] is True
        assert taken[-1] is False
        assert sum(files(tmp_path)) <= 100 + len(MAGIC)
        assert len(await drained(spool)) == sum(taken)
        assert await spool.append(RECORDS[0])
        await spool.close()

    run(scenario())


def test_a_spool_that_was_full_before_a_restart_is_full_after_it(tmp_path: Path) -> None:
    (tmp_path / "0-1-0.spool").write_bytes(MAGIC + frame(RECORDS[0]) * 9)

    async def scenario() -> None:
        spool = Spool(tmp_path, 200)
        assert not await spool.append(RECORDS[1])
        await spool.close()

    run(scenario())


def test_a_write_that_fails_is_not_acknowledged_and_the_next_file_begins_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: half a record stays in the old file, and none is lost behind it."""
    real, left = os.write, [len(MAGIC) + len(frame(RECORDS[0])) + 5]

    def short(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        written = real(descriptor, data[: left[0]])
        left[0] -= written
        return written

    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        monkeypatch.setattr(os, "write", short)
        assert await spool.append(RECORDS[0])
        assert not await spool.append(RECORDS[1])
        monkeypatch.setattr(os, "write", real)
        assert await spool.append(RECORDS[2])
        assert await drained(spool) == [RECORDS[0], RECORDS[2]]
        await spool.close()

    run(scenario())


def test_segments_are_of_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 64)

    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        for one in RECORDS:
            await spool.append(one)
        assert len(files(tmp_path)) > 1
        assert await drained(spool) == RECORDS
        await spool.close()

    run(scenario())


WRITER = """
import asyncio, sys
from pathlib import Path
from bidder.notices.segments import KafkaRecord
from bidder.notices.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]), 1 << 24)
    for number in range(1_000_000):
        three = [KafkaRecord("t", b"%d.%d" % (number, n)) for n in range(3)]
        await asyncio.gather(*map(spool.append, three))
        print(number, flush=True)

asyncio.run(main())
"""


def test_a_worker_killed_in_the_middle_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """N5: kill -9 while it writes; what it had said is there, and anybody may send it on."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        for _ in range(40):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        said = [line for line in child.stdout.read().split("\n") if line.strip()]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()

    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        found = {one.value for one in await drained(spool)}
        last = int(said[-1]) if said else 39
        assert {b"%d.%d" % (number, n) for number in range(last + 1) for n in range(3)} <= found
        assert files(tmp_path) == []
        await spool.close()

    run(scenario())


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="file/sub cannot be used"):
        Spool(tmp_path / "file" / "sub", MEGABYTE)


def test_a_full_disk_is_not_littered_with_segments_that_were_never_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names cost no room until there are no more of them: a notice a second would use them up."""

    def full(_: int, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        monkeypatch.setattr(module, "_write_all", full)
        assert [await spool.append(one) for one in RECORDS] == [False] * 6
        assert files(tmp_path) == []
        await spool.close()

    run(scenario())


def test_nothing_is_told_to_be_kept_before_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N5: a machine that loses its power loses nothing that was answered."""
    synced: list[int] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size)
    )

    async def scenario() -> None:
        spool = Spool(tmp_path, MEGABYTE)
        assert await spool.append(RECORDS[0])
        assert synced == files(tmp_path)
        await spool.close()

    run(scenario())
