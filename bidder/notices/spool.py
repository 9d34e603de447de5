"""Where notices wait on disk while Kafka does not take them: files of one folder, and who has them.

A segment belongs to whoever holds its lock: a worker holds that of the one it writes to, and lets
go of it when it dies, however it dies. Any worker may take a segment that nobody holds, send it on
and remove it. So a worker needs no name, and none has to come back. The folder has to be on a disk
of this machine: locks are ``flock``'s.

Several notices share one write and one ``fdatasync``: what comes while the disk is busy goes
together with the next.
"""

import asyncio
import contextlib
import fcntl
import itertools
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from bidder.notices.segments import MAGIC, KafkaRecord, Segment, frame, read_segment
from models.errors import KinbidError
from runtime import clock

__all__ = ["Claim", "Spool", "SpoolError"]

logger = logging.getLogger(__name__)

SEGMENT_BYTES: Final = 8 << 20
SUFFIX: Final = ".spool"
UNBORN: Final = ".new"


class SpoolError(KinbidError):
    """The folder cannot be used."""


class Claim(msgspec.Struct, frozen=True):
    """A segment that is ours to send on: its lock is held until it is removed or released."""

    path: Path
    descriptor: int
    segment: Segment


class Spool:
    """One worker's way into the folder. All file work is done by one thread, in order.

    Args:
        folder: of all workers on this machine that share an owner; made if it is not there.
        most_bytes: what may wait in it; then it takes no more.

    Raises:
        SpoolError: it cannot be made or written to.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._waiting: list[tuple[bytes, asyncio.Future[bool]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._descriptor: int | None = None
        self._written_bytes = 0
        self.bytes_waiting = 0
        """In all segments of the folder, as of the last look; not less than our own since."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(0, "no permission to write there")
            self._count()
        except OSError as error:
            raise SpoolError(
                f"spool_directory: {folder} cannot be used ({error.strerror}): name a folder that "
                "the bidder may write to"
            ) from error

    # -- in ------------------------------------------------------------------------------------

    async def append(self, record: KafkaRecord) -> bool:
        """Writes a record; True once the disk has it, False where it is full or fails."""
        written = frame(record)
        if self.bytes_waiting + len(written) > self._most_bytes:
            return False
        self.bytes_waiting += len(written)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((written, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = loop.create_task(self._flush())
        return await done

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            frames = b"".join(written for written, _ in batch)
            is_kept = await loop.run_in_executor(self._thread, self._write, frames)
            for _, done in batch:
                if not done.done():
                    done.set_result(is_kept)

    def _write(self, frames: bytes) -> bool:
        try:
            descriptor = self._begun()
            _write_all(descriptor, frames)
            os.fdatasync(descriptor)
        except OSError as error:
            logger.error("spool_write_failed", extra={"reason": error.strerror})  # noqa: TRY400
            # Half of it may be there: nobody was told that it is, and a new file begins clean.
            self._end_segment()
            return False
        self._written_bytes += len(frames)
        if self._written_bytes >= SEGMENT_BYTES:
            self._end_segment()
        return True

    def _begun(self) -> int:
        """The segment that is written to."""
        if self._descriptor is not None:
            return self._descriptor
        name = f"{clock.now_ms():013d}-{os.getpid()}-{next(self._numbers)}"
        unborn = self._folder / (name + UNBORN)
        descriptor = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(descriptor, MAGIC)
            os.rename(unborn, unborn.with_suffix(SUFFIX))
            self._sync_folder()
        except OSError:
            # A full disk often has room for names still: one for each notice, and soon for none.
            unborn.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._descriptor, self._written_bytes = descriptor, 0
        return descriptor

    def _end_segment(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    # -- out -----------------------------------------------------------------------------------

    async def claim(self) -> Claim | None:
        """The oldest segment that nobody writes to, our own included; None where there is none.

        Looks into the folder anew, so ``bytes_waiting`` is right again afterwards.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._claim)

    def _claim(self) -> Claim | None:
        if self._written_bytes:
            self._end_segment()
            self._written_bytes = 0
        for path in self._count():
            claim = self._try(path)
            if claim is not None:
                return claim
        return None

    def _count(self) -> list[Path]:
        """The segments, oldest first."""
        found = sorted(self._folder.glob(f"*{SUFFIX}"))
        total = 0
        for path in found:
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        self.bytes_waiting = total
        return found

    def _try(self, path: Path) -> Claim | None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None  # another worker was quicker
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Without a name it was sent on and removed between our look and our lock.
            is_there = os.fstat(descriptor).st_nlink > 0
            claim = Claim(path, descriptor, read_segment(path.read_bytes())) if is_there else None
        except BlockingIOError:
            claim = None  # somebody writes to it, or sends it on
        except OSError:
            os.close(descriptor)
            raise
        if claim is None:
            os.close(descriptor)
        return claim

    async def remove(self, claim: Claim) -> None:
        """Removes a segment whose records are all in Kafka."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._remove, claim)

    def _remove(self, claim: Claim) -> None:
        size = os.fstat(claim.descriptor).st_size
        claim.path.unlink(missing_ok=True)
        self._sync_folder()
        os.close(claim.descriptor)
        self.bytes_waiting = max(0, self.bytes_waiting - size)

    async def release(self, claim: Claim) -> None:
        """Gives a segment back as it is."""
        await asyncio.get_running_loop().run_in_executor(self._thread, os.close, claim.descriptor)

    async def close(self) -> None:
        """Waits for what is being written; what is in the folder stays there."""
        if self._flushing is not None:
            await self._flushing
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end_segment)
        self._thread.shutdown()

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
