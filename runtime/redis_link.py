"""One Redis connection that drives generators: hiredis parses, one write leaves per loop tick.

Every generator in flight adds its commands to a buffer; the buffer is written once, when the
tick ends. Replies come in order, so a queue of waiters is all the bookkeeping: no task, no
future, no pool per operation. When hundreds run at once their steps travel as one pipeline.

A lost connection throws :class:`RedisDownError` into every waiting generator at once, and new
work meets it at once until the link is back. What failure means, open or closed, is written where
the generator catches it, or does not.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import hiredis
from hiredis import pack_command

from models.commands import Command, Steps
from models.errors import InvalidFieldError, KinbidError
from runtime.settings import masked

__all__ = ["RedisDownError", "RedisLink", "RedisReplyError"]

T = TypeVar("T")
logger = logging.getLogger(__name__)

NO_REPLY: Final = object()
FIRST_RETRY_SECONDS: Final = 0.05
LONGEST_RETRY_SECONDS: Final = 2.0
MOST_FAILURES: Final = 3
"""A generator that asks on although the link is down is ended after so many refusals."""
FUNCTIONS: Final = files("models").joinpath("functions.lua").read_text()


class RedisDownError(KinbidError):
    """Redis cannot be reached; nothing is known about what was asked."""


class RedisReplyError(KinbidError):
    """Redis refused a command."""


class _Waiter:
    """A generator that waits for the replies to one step."""

    __slots__ = ("done", "failed", "needed", "replies", "since", "steps")

    def __init__(
        self, steps: Steps[Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        self.steps = steps
        self.done = done
        self.failed = failed
        self.needed = 0
        self.since = 0.0
        self.replies: list[Any] = []


class _Gathered:
    """Results of generators that run together: one future for all, not one for each."""

    __slots__ = ("ended", "errors", "left", "results")

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self.left = 0
        self.results: list[Any] = []
        self.errors: dict[int, Exception] = {}

    def done(self, place: int, result: object) -> None:
        self.results[place] = result
        self.end_one()

    def failed(self, place: int, error: Exception) -> None:
        self.errors[place] = error
        self.end_one()

    def end_one(self) -> None:
        self.left -= 1
        # Not before all have ended: whoever tries again must not meet one that is still at work.
        if not self.left and not self.ended.done():
            self.ended.set_result(None)


class RedisLink(asyncio.Protocol):
    """A connection to one Redis node.

    Args:
        url: ``redis://[user:password@]host:port/db``, ``rediss://`` for TLS, ``unix:///path``.
        name: how the connection calls itself to the server (CLIENT SETNAME).
        stall_seconds: a server that leaves a command without a reply for so long is taken for
            lost, so nobody waits for one that hangs and what waits stays bounded.

    Raises:
        InvalidFieldError: the URL is of another form.
    """

    def __init__(self, url: str, *, name: str = "kinbid", stall_seconds: float = 5.0) -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in {"redis", "rediss", "unix"}:
            wanted = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
            raise InvalidFieldError("redis_url", masked("redis_url", url), wanted)
        self._name = name
        self._stall_seconds = stall_seconds
        self._watch: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=NO_REPLY)
        self._waiting: deque[_Waiter] = deque()
        self._outgoing: list[bytes] = []
        self._flush_is_due = False
        self._tick = 0.0
        self._closing = False
        self._is_greeting = False
        self._retry: asyncio.Task[None] | None = None
        self.is_up = False
        self.losses = 0
        """How often the connection was lost."""

    # -- life ------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connects, signs in and loads kinbid's functions.

        Raises:
            RedisDownError: the server cannot be reached or refuses us.
        """
        self._loop = asyncio.get_running_loop()
        self._is_greeting = True
        try:
            await self._open()
            await self._greet()
        except (OSError, KinbidError) as error:
            self._drop()
            raise RedisDownError(f"Redis at {self.address} cannot be used: {error}") from error
        finally:
            self._is_greeting = False
        self.is_up = True
        self._check_stall()

    async def close(self) -> None:
        """Ends the connection; waiters fail."""
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
        self._drop()

    @property
    def address(self) -> str:
        """The server, without credentials."""
        if self._url.scheme == "unix":
            return self._url.path
        return f"{self._url.hostname}:{self._url.port or 6379}"

    async def _open(self) -> None:
        if self._url.scheme == "unix":
            await self._loop.create_unix_connection(lambda: self, self._url.path)
            return
        context = ssl.create_default_context() if self._url.scheme == "rediss" else None
        host, port = self._url.hostname or "127.0.0.1", self._url.port or 6379
        await self._loop.create_connection(lambda: self, host, port, ssl=context)

    async def _greet(self) -> None:
        hello: list[Command] = []
        if self._url.password:
            user = (unquote(self._url.username),) if self._url.username else ()
            hello.append(("AUTH", *user, unquote(self._url.password)))
        database = self._url.path.strip("/") if self._url.scheme != "unix" else ""
        if database and database != "0":
            hello.append(("SELECT", database))
        hello.append(("CLIENT", "SETNAME", self._name))
        hello.append(("FUNCTION", "LOAD", "REPLACE", FUNCTIONS))
        # Nobody else's work is let in yet: it would meet the wrong database, or no functions.
        self._require_open()
        greeted: asyncio.Future[list[Any]] = self._loop.create_future()
        waiter = _Waiter(_just(hello), *_settle(greeted))
        self._enqueue(waiter, next(waiter.steps))
        await asyncio.wait_for(greeted, timeout=5)
        self._require_open()

    def _require_open(self) -> None:
        if self._transport is None:
            raise RedisDownError("the server hung up")

    def _check_stall(self) -> None:
        """Ends the connection to a server that hangs; comes again while it is up."""
        if not self.is_up or self._transport is None:
            return
        waited = self._loop.time() - self._waiting[0].since if self._waiting else 0.0
        if waited > self._stall_seconds:
            logger.warning("redis_hangs", extra={"address": self.address, "seconds": waited})
            self._transport.abort()
            return
        self._watch = self._loop.call_later(self._stall_seconds / 4, self._check_stall)

    def _drop(self) -> None:
        self.is_up = False
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers the transport and starts from a clean reader."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport by contract
        self._reader = hiredis.Reader(notEnoughData=NO_REPLY)
        self._outgoing.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails all waiters and begins to reconnect."""
        was_up, self.is_up, self._transport = self.is_up, False, None
        error = RedisDownError(f"the connection to Redis at {self.address} was lost")
        waiting, self._waiting = self._waiting, deque()
        for waiter in waiting:
            waiter.replies = []
            self._resume(waiter, None, error)
        if was_up and not self._closing:
            self.losses += 1
            logger.warning("redis_lost", extra={"address": self.address, "reason": str(exc)})
            self._retry = self._loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while not self._closing:
            await asyncio.sleep(delay)
            try:
                await self.connect()
            except (RedisDownError, TimeoutError):
                delay = min(delay * 2, LONGEST_RETRY_SECONDS)
            else:
                logger.info("redis_back", extra={"address": self.address})
                return

    def data_received(self, data: bytes) -> None:
        """Hands replies to their waiters, in order; each may add its next step."""
        reader = self._reader
        reader.feed(data)
        waiting = self._waiting
        while (reply := reader.gets()) is not NO_REPLY:
            waiter = waiting[0]
            waiter.replies.append(reply)
            waiter.needed -= 1
            if not waiter.needed:
                waiting.popleft()
                self._advance(waiter)

    # -- driving generators ----------------------------------------------------------------

    def start(
        self, steps: Steps[T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Drives a generator to its end.

        Args:
            steps: the algorithm.
            done: called with its result.
            failed: called instead, with a RedisDownError, a RedisReplyError or what steps raised.
        """
        self._resume(_Waiter(steps, done, failed), None, None)

    async def run(self, steps: Steps[T]) -> T:
        """Drives one generator and waits for its result.

        Raises:
            RedisDownError, RedisReplyError: as for :meth:`start`.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self.start(steps, *_settle(future))
        return await future

    async def run_all(self, algorithms: Iterable[Steps[T]]) -> list[T]:
        """Drives many generators in lock step: each round leaves as one pipelined write.

        Raises:
            RedisDownError, RedisReplyError: as for :meth:`start`, the first one's; when all ended.
        """
        gathered = _Gathered(self._loop.create_future())
        # Held back until all have begun: one that fails at once must not end the others' wait.
        gathered.left = 1
        for place, steps in enumerate(algorithms):
            gathered.results.append(None)
            gathered.left += 1
            self.start(steps, partial(gathered.done, place), partial(gathered.failed, place))
        gathered.end_one()
        await gathered.ended
        if gathered.errors:
            raise gathered.errors[min(gathered.errors)]
        return gathered.results

    def send(self, commands: list[Command]) -> None:
        """Sends commands whose replies nobody waits for; a refusal is logged."""
        self.start(_just(commands), _ignore, _log_failure)

    def _advance(self, waiter: _Waiter) -> None:
        replies, waiter.replies = waiter.replies, []
        for reply in replies:
            if isinstance(reply, hiredis.HiredisError):
                self._resume(waiter, None, RedisReplyError(str(reply)))
                return
        self._resume(waiter, replies, None)

    def _resume(self, waiter: _Waiter, replies: list[Any] | None, error: Exception | None) -> None:
        """Runs a generator to its next step; an error is thrown into it, so it can do without."""
        for _ in range(MOST_FAILURES):
            try:
                if error is None:
                    commands = waiter.steps.send(replies)  # type: ignore[arg-type]  # None starts it
                else:
                    commands = waiter.steps.throw(error)
            except StopIteration as stop:
                self._call(waiter.done, stop.value)
                return
            except Exception as raised:  # noqa: BLE001 - the algorithm's own; its caller decides
                self._call(waiter.failed, raised)
                return
            if self._transport is not None and not self._is_greeting:
                self._enqueue(waiter, commands)
                return
            error = RedisDownError(f"Redis at {self.address} is not connected")
        waiter.steps.close()
        self._call(waiter.failed, error)

    def _enqueue(self, waiter: _Waiter, commands: list[Command]) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._tick = self._loop.time()
            self._loop.call_soon(self._flush)
        waiter.needed = len(commands)
        waiter.since = self._tick
        self._waiting.append(waiter)
        for command in commands:
            # hiredis' stub says a tuple of one element; any length is right.
            self._outgoing.append(pack_command(command))  # type: ignore[arg-type]

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._transport is not None and self._outgoing:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _call(self, callback: Callable[[Any], None], value: object) -> None:
        """Calls back; an error there must not cost the connection of everybody else."""
        try:
            callback(value)
        except Exception:  # the callback's fault, reported and contained
            logger.exception("redis_callback_failed")


def _just(commands: list[Command]) -> Steps[list[Any]]:
    return (yield commands)


def _settle(
    future: asyncio.Future[T],
) -> tuple[Callable[[T], None], Callable[[Exception], None]]:
    def done(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def failed(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    return done, failed


def _ignore(_: object) -> None:
    return


def _log_failure(error: Exception) -> None:
    logger.warning("redis_command_failed", extra={"reason": str(error)})
