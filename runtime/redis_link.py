"""One connection to one Redis server: hiredis parses, one write leaves per loop tick.

Everybody's commands of a tick go to a buffer; the buffer is written once, when the tick ends.
Replies come in order, so a queue of waiters is all the bookkeeping: no task, no future, no pool
per operation. When hundreds of generators run at once their steps travel as one pipeline.

A lost connection fails everybody who waits at once, and new work meets that at once until the
link is back. A server that is there but slow is left alone until it has answered what it was asked:
new work is refused meanwhile where the owner of the link wants that, and nothing queues behind it.
An idle connection is tried now and then, since a peer that vanished says nothing.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

import hiredis
from hiredis import pack_command

from models.commands import Command
from models.errors import InvalidFieldError, KinbidError
from runtime.link import Asker, Link, RedisDownError, RedisReplyError
from runtime.settings import masked

__all__ = ["FUNCTIONS", "SCHEMES", "RedisDownError", "RedisLink", "RedisReplyError"]

logger = logging.getLogger(__name__)

SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
NO_REPLY: Final = object()
FIRST_RETRY_SECONDS: Final = 0.05
LONGEST_RETRY_SECONDS: Final = 2.0
GREETING_SECONDS: Final = 5.0
DEMOTED: Final = ("READONLY", "LOADING", "MASTERDOWN")
"""How a server begins its refusals that is not, or not yet, the one to ask."""
FUNCTIONS: Final = files("models").joinpath("functions.lua").read_text()


_Waiter: TypeAlias = tuple[Asker, int, float]
"""Somebody who waits for so many replies, and since when: a tuple, as there is one for every step
(made in 0.02 us; 0.2 as an object)."""


class _Sign:
    """The asker of a sign of life."""

    def answered(self, replies: list[Any]) -> None:
        """That it came is all."""

    def lost(self, error: RedisDownError) -> None:
        """The loss is known."""


class _Greeting:
    """The asker of a connection's first commands."""

    def __init__(self) -> None:
        self.replies: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def answered(self, replies: list[Any]) -> None:
        """Hands the replies on to whoever connects, unless that has given up."""
        if not self.replies.done():
            self.replies.set_result(replies)

    def lost(self, error: RedisDownError) -> None:
        """Hands the loss on to whoever connects, unless that has given up."""
        if not self.replies.done():
            self.replies.set_exception(error)


class RedisLink(Link, asyncio.Protocol):
    """A connection to one Redis server.

    Args:
        url: ``redis://[user:password@]host:port/db``, ``rediss://`` for TLS, ``unix:///path``.
        name: how the connection calls itself to the server (CLIENT SETNAME).
        stall_seconds: a server that leaves a command without a reply for so long is taken for
            lost, so nobody waits for one that hangs and what waits stays bounded.
        patience_seconds: while a command has waited for longer than that, no other is sent; None
            sends them all.

    Raises:
        InvalidFieldError: the URL is of another form.
    """

    is_up: bool = False
    losses: int = 0
    """How often the connection was lost."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "kinbid",
        stall_seconds: float = 5.0,
        patience_seconds: float | None = None,
    ) -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in SCHEMES:
            wanted = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
            raise InvalidFieldError("redis_url", masked("redis_url", url), wanted)
        self._name = name
        self._stall_seconds = stall_seconds
        self._patience_seconds = patience_seconds
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(notEnoughData=NO_REPLY)
        self._waiting: deque[_Waiter] = deque()
        self._replies: list[Any] = []
        """Of whoever waits first, as far as they are here."""
        self._outgoing: list[bytes] = []
        self._at_end: list[Callable[[], None]] = []
        self._flush_is_due = False
        self._takes_more = False
        """What is asked for in this tick goes out with what has been taken."""
        self._tick = 0.0
        self._closing = False
        self._is_answering = False
        self._is_greeting = False
        self._retry: asyncio.Task[None] | None = None

    # -- life ------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connects, signs in and loads kinbid's functions.

        Raises:
            RedisDownError: the server cannot be reached or refuses us.
        """
        self._loop = asyncio.get_running_loop()
        self._is_greeting = True
        try:
            # A host that is gone leaves the kernel knocking for minutes.
            async with asyncio.timeout(GREETING_SECONDS):
                await self._open()
            await self._greet()
        except (OSError, KinbidError) as error:
            self._drop()
            raise RedisDownError(f"Redis at {self.address} cannot be used: {error}") from error
        finally:
            self._is_greeting = False
        self.is_up = True
        self._check_stall()

    async def open(self) -> RedisDownError | None:
        """Connects, now or as soon as the server is there; see :meth:`Link.open`."""
        try:
            await self.connect()
        except RedisDownError as error:
            self._retry = self._loop.create_task(self._reconnect())
            return error
        return None

    async def close(self) -> None:
        """Ends the connection; waiters fail."""
        self.end()

    def end(self) -> None:
        """Ends the connection at once; waiters fail."""
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

    @property
    def servers(self) -> Sequence[Link]:
        """This one."""
        return (self,)

    async def _open(self) -> None:
        if self._url.scheme == "unix":
            await self._loop.create_unix_connection(lambda: self, self._url.path)
            return
        context = ssl.create_default_context() if self._url.scheme == "rediss" else None
        host, port = self._url.hostname or "127.0.0.1", self._url.port or 6379
        await self._loop.create_connection(lambda: self, host, port, ssl=context)

    def _hello(self) -> list[Command]:
        """What is said first on a new connection."""
        hello: list[Command] = []
        if self._url.password:
            user = (unquote(self._url.username),) if self._url.username else ()
            hello.append(("AUTH", *user, unquote(self._url.password)))
        database = self._url.path.strip("/") if self._url.scheme != "unix" else ""
        if database and database != "0":
            hello.append(("SELECT", database))
        hello.append(("CLIENT", "SETNAME", self._name))
        hello.append(("FUNCTION", "LOAD", "REPLACE", FUNCTIONS))
        return hello

    async def _greet(self) -> None:
        # Nobody else's work is let in yet: it would meet the wrong database, or no functions.
        self._require_open()
        greeting = _Greeting()
        self._enqueue(greeting, self._hello())
        async with asyncio.timeout(GREETING_SECONDS):
            replies = await greeting.replies
        for reply in replies:
            if isinstance(reply, hiredis.HiredisError):
                raise RedisReplyError(str(reply))
        self._require_open()

    def _require_open(self) -> None:
        if self._transport is None:
            raise RedisDownError("the server hung up")

    def _check_stall(self) -> None:
        """Ends the connection to a server that hangs; comes again while it is up."""
        if not self.is_up or self._transport is None:
            return
        waited = self._waited_seconds()
        if waited > self._stall_seconds:
            logger.warning("redis_hangs", extra={"address": self.address, "seconds": waited})
            self._transport.abort()
            return
        if not self._waiting:
            self._enqueue(_Sign(), [("PING",)])
        self._watch = self._loop.call_later(self._stall_seconds / 4, self._check_stall)

    def _waited_seconds(self) -> float:
        """For how long the first of those who wait has waited."""
        if not self._waiting:
            return 0.0
        _, _, since = self._waiting[0]
        return self._loop.time() - since

    def _drop(self) -> None:
        self.is_up = self._takes_more = False
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
        self._is_answering = False  # also where the last connection's replies could not be read
        self._outgoing.clear()
        self._replies = []

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails all waiters and begins to reconnect."""
        was_up, self.is_up, self._transport = self.is_up, False, None
        self._takes_more = False
        error = RedisDownError(f"the connection to Redis at {self.address} was lost")
        waiting, self._waiting = self._waiting, deque()
        for asker, _, _ in waiting:
            asker.lost(error)
        if was_up and not self._closing:
            self.losses += 1
            logger.warning("redis_lost", extra={"address": self.address, "reason": str(exc)})
            self._retry = self._loop.create_task(self._reconnect())

    async def _reconnect(self, delay: float = FIRST_RETRY_SECONDS) -> None:
        while not self._closing:
            await asyncio.sleep(delay)
            try:
                await self.connect()
            except (RedisDownError, TimeoutError):
                delay = min(max(delay * 2, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)
            else:
                logger.info("redis_back", extra={"address": self.address})
                return

    def data_received(self, data: bytes) -> None:
        """Hands replies to their askers, in order; each may ask on."""
        self._reader.feed(data)
        next_reply, waiting, replies = self._reader.gets, self._waiting, self._replies
        self._is_answering = True
        self.turns.open()
        try:
            while (reply := next_reply()) is not NO_REPLY:
                replies.append(reply)
                asker, needed, _ = waiting[0]
                if len(replies) == needed:
                    waiting.popleft()
                    told, replies = replies, []
                    self._replies = replies
                    asker.answered(told)
        finally:  # also where what the server sends cannot be read
            self.turns.close()
        self._is_answering = False

    # -- asking ----------------------------------------------------------------------------

    def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
        """Adds commands to what leaves at the end of this tick; see :meth:`Link.ask`."""
        if not self._takes_more:
            error = self._refusal()
            if error is not None:
                return error
        self._enqueue(asker, commands)
        self._takes_more = True
        return None

    def _refusal(self) -> RedisDownError | None:
        """Why nothing can be asked for now, or None."""
        if self._transport is None or self._is_greeting:
            return RedisDownError(f"Redis at {self.address} is not connected")
        if not self._flush_is_due and self._is_slow():
            return RedisDownError(f"Redis at {self.address} has not answered for a while")
        return None

    def _is_slow(self) -> bool:
        if self._patience_seconds is None or self._is_answering:
            return False  # of what waits, the replies may be here already, not read yet
        return self._waited_seconds() > self._patience_seconds

    def note_refusal(self, error: RedisReplyError) -> None:
        """Leaves a server that is not the one to ask; who is, the name in the URL leads to."""
        if str(error).startswith(DEMOTED) and self._transport is not None:
            logger.warning("redis_demoted", extra={"address": self.address, "reason": str(error)})
            self._transport.abort()

    def at_end_of_tick(self, callback: Callable[[], None]) -> None:
        """Calls back just before what was asked for in this tick leaves."""
        self._at_end.append(callback)
        if not self._flush_is_due:
            self._begin_tick()

    def _begin_tick(self) -> None:
        self._flush_is_due = True
        self._tick = self._loop.time()
        self._loop.call_soon(self._flush)

    def _enqueue(self, asker: Asker, commands: list[Command]) -> None:
        if not self._flush_is_due:
            self._begin_tick()
        self._waiting.append((asker, len(commands), self._tick))
        for command in commands:
            # hiredis' stub says a tuple of one element; any length is right.
            self._outgoing.append(pack_command(command))  # type: ignore[arg-type]

    def _flush(self) -> None:
        at_end, self._at_end = self._at_end, []
        for callback in at_end:
            self._call_at_end(callback)
        self._flush_is_due = self._takes_more = False
        if self._transport is not None and self._outgoing:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        if self._at_end:  # what was just called may want to be called again
            self._begin_tick()

    @staticmethod
    def _call_at_end(callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:  # the callback's fault must not cost everybody else their commands
            logger.exception("redis_callback_failed")
