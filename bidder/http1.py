"""HTTP/1.1 on one connection: requests in, answers out in their order. No routes, no meaning.

Callbacks are synchronous; an answer may come at once or from a later callback. Pipelined requests
are answered in the order in which they came, whatever the cut of the bytes. A client that asks
faster than it reads, or too much at once, is not read from until it has caught up.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from bidder.backlog import TcpSocket, borrowed
from bidder.connections import Connections
from bidder.http_answers import CONTINUE, refusal, response
from bidder.http_heads import Head, head_of
from bidder.http_reader import MAX_BODY_BYTES, MAX_HEAD_BYTES, RequestReader

__all__ = ["MAX_BODY_BYTES", "MAX_HEAD_BYTES", "Handler", "HttpCall", "HttpConnection", "response"]

MAX_OPEN_CALLS: Final = 64  # of one connection; what comes beyond waits unread
WRITE_BUFFER_BYTES: Final = 64 * 1024  # of answers that a client has not read yet


class HttpCall:
    """One request on a connection, and the place of its answer.

    Attributes:
        method, target: of the request line.
        body: as it came, in its content coding.
        answer: what was answered; None as long as nothing was.
    """

    __slots__ = ("_connection", "_head", "_index", "answer", "body", "method", "target")

    def __init__(  # noqa: PLR0917 - made for every request: keywords cost 0.1 us
        self,
        connection: "HttpConnection",
        method: bytes,
        target: bytes,
        body: bytes,
        head: bytes | Head,
        index: int,
    ) -> None:
        self._connection = connection
        self.method = method
        self.target = target
        self.body = body
        self._head = head
        self._index = index
        self.answer: bytes | None = None

    def header(self, name: bytes) -> bytes:
        """The value of a header field, empty where there is none.

        To ask for the first costs some microseconds: what every request needs must be elsewhere.

        Args:
            name: in lower case.
        """
        if isinstance(self._head, bytes):
            self._head = head_of(self._head, self._index)
            self._connection.want_heads()
        return self._head.headers.get(name, b"")

    def may_mention(self, word: bytes) -> bool:
        """Whether a field's value might have this word: quick, and no only where it is sure."""
        head = self._head
        # Whatever else the piece holds, this request's head ends before its body begins.
        return not isinstance(head, bytes) or head.find(word, 0, len(head) - len(self.body)) >= 0

    def respond(self, answer: bytes) -> bool:
        """Answers; returns False where it has been answered already or nobody is there."""
        if self.answer is not None:
            return False
        self.answer = answer
        return self._connection.flush()

    def settle(self, answer: bytes) -> bool:
        """Answers, but leaves it to :meth:`send` to write that; returns as :meth:`respond`."""
        if self.answer is not None:
            return False
        self.answer = answer
        return self._connection.is_open

    def send(self) -> None:
        """Writes the answer, as soon as it is its turn."""
        self._connection.flush()

    @property
    def socket(self) -> TcpSocket | None:
        """The connection's socket, for what the kernel knows of it."""
        return self._connection.socket

    @property
    def peer(self) -> str:
        """The address that the connection came from; empty where nobody knows."""
        return self._connection.peer


Handler = Callable[[HttpCall], None]

_LINE: Final = b"\r\n"
_LAST: Final = b"\r\nConnection: close\r\n"


class HttpConnection(asyncio.Protocol):
    """One client's connection.

    Args:
        handler: is given each whole request and answers it, now or later.
        connections: where this one is counted, timed and cut.
    """

    def __init__(self, handler: Handler, connections: Connections) -> None:
        self.spoke = 0
        self.socket: TcpSocket | None = None
        self._handler = handler
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(self._take, self._refused)
        self._open: deque[HttpCall] = deque()
        # While holding: requests that were read, and bytes that were not.
        self._is_holding = False
        self._backlog: deque[HttpCall] = deque()
        self._unread: deque[bytes] = deque()
        # Since when, by the wheel's clock; None where it is not so.
        self._quiet_ms = connections.now_ms
        self._began_ms: int | None = None
        self._unwritable_ms: int | None = None
        self._ended_ms: int | None = None
        self._is_refused = False
        self._is_retiring = False

    @property
    def peer(self) -> str:
        """The client's address."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def is_open(self) -> bool:
        """Whether a client is there."""
        return self._transport is not None and not self._transport.is_closing()

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection in, unless there are too many."""
        stream = cast(asyncio.Transport, transport)  # by asyncio's contract; uvloop's is its own
        if not self._connections.admit(self):
            stream.abort()
            return
        stream.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._transport = stream
        self.socket = borrowed(stream.get_extra_info("socket"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forgets what nobody waits for any more."""
        self._transport = self.socket = None
        self._connections.forget(self)
        self._reader.let_go()
        for waiting in (self._open, self._backlog, self._unread):
            waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Reads on; what cannot be read ends the connection with a 400."""
        self._quiet_ms = self._connections.now_ms
        if self._is_holding or len(data) > MAX_HEAD_BYTES:
            self._receive_in_pieces(data)
            return
        self._reader.feed(data)
        if self._reader.in_message:
            self._wait_for_the_rest()

    def _receive_in_pieces(self, data: bytes) -> None:
        pieces = (data[at : at + MAX_HEAD_BYTES] for at in range(0, len(data), MAX_HEAD_BYTES))
        self._unread.extend(pieces)
        if not self._is_holding:
            self._read_on()

    def _read_on(self) -> None:
        while self._unread and not self._is_holding:
            self._reader.feed(self._unread.popleft())
        if self._reader.in_message:
            self._wait_for_the_rest()

    def _wait_for_the_rest(self) -> None:
        if self._reader.is_over or self._ended_ms is not None:
            return
        if self._began_ms is None:
            self._began_ms = self._quiet_ms
        # A 100 must not overtake the answers to earlier requests; without it a client sends on
        # after a while (RFC 9110 section 10.1.1).
        if self._transport is not None and not self._open and self._reader.wants_continue():
            self._transport.write(CONTINUE)

    def eof_received(self) -> bool:
        """The client will send no more; what is in flight is still answered."""
        self._reader.end()
        return bool(self._open or self._backlog)

    def pause_writing(self) -> None:
        """The client does not read: neither do we."""
        self._unwritable_ms = self._connections.now_ms
        self._hold()

    def resume_writing(self) -> None:
        """The client has read."""
        self._unwritable_ms = None
        self._go_on()

    def want_heads(self) -> None:
        """Has the requests to come keep their header fields."""
        self._reader.want_heads()

    # -- requests --------------------------------------------------------------------------

    def _take(
        self, method: bytes, target: bytes, body: bytes, head: bytes | Head, index: int
    ) -> None:
        self._began_ms = None
        call = HttpCall(self, method, target, body, head, index)
        if self._is_holding:
            self._backlog.append(call)
        else:
            self._start(call)

    def _start(self, call: HttpCall) -> None:
        self._open.append(call)
        if call.answer is not None:  # a refusal
            self.flush()
            return
        self._handler(call)
        if len(self._open) >= MAX_OPEN_CALLS:
            self._hold()

    def _refused(self, status: int, reason: str) -> None:
        """Answers what cannot be read, after all that could."""
        self._connections.refused(reason)
        self._end_with(status)

    def _end_with(self, status: int) -> None:
        self._is_refused = True
        last = HttpCall(self, b"", b"", b"", b"", 0)
        last.answer = refusal(status)
        if self._is_holding:
            self._backlog.append(last)
        else:
            self._start(last)

    def _hold(self) -> None:
        transport = self._transport
        if not self._is_holding and transport is not None and not transport.is_closing():
            self._is_holding = True
            transport.pause_reading()

    def _go_on(self) -> None:
        """Ends the holding, unless what waited brings it about again."""
        if self._unwritable_ms is not None or len(self._open) > MAX_OPEN_CALLS // 2:
            return
        self._is_holding = False
        if self._began_ms is not None:
            self._began_ms = self._connections.now_ms  # the time was ours
        while self._backlog and not self._is_holding:
            self._start(self._backlog.popleft())
        self._read_on()
        transport = self._transport
        if not self._is_holding and transport is not None and not transport.is_closing():
            transport.resume_reading()

    # -- answers ---------------------------------------------------------------------------

    def flush(self) -> bool:
        """Writes the answers that are next in order; returns whether a client is there."""
        transport, waiting = self._transport, self._open
        if transport is None or transport.is_closing():
            return False
        if waiting and (answer := waiting[0].answer) is not None:
            waiting.popleft()
            is_alone = not waiting and not self._is_retiring
            transport.write(answer if is_alone else self._with_those_behind(answer))
        if self._is_holding:
            self._go_on()
        if self._reader.is_over and not waiting and not self._backlog:
            self._close(transport)
        return True

    def _with_those_behind(self, answer: bytes) -> bytes:
        """This answer and those that had to wait for it."""
        ready, waiting = [answer], self._open
        while waiting and (later := waiting[0].answer) is not None:
            waiting.popleft()
            ready.append(later)
        if self._is_retiring and not waiting and not self._backlog and not self._is_refused:
            ready[-1] = ready[-1].replace(_LINE, _LAST, 1)
            self._reader.end()
        return b"".join(ready)

    def retire(self) -> None:
        """Lets the client know with the next answer that the connection ends with it.

        Not at once: a request may be on its way, and a client must not find its connection closed
        in place of an answer (RFC 9112, section 9.6).
        """
        self._is_retiring = True

    def close(self) -> None:
        """Ends a connection on which nothing is to be answered; one that waits ends after that."""
        self._reader.end()
        self.flush()

    def _close(self, transport: asyncio.Transport) -> None:
        if self._ended_ms is not None:
            return
        self._ended_ms = self._connections.now_ms
        if self._is_refused or self._is_retiring:
            # RFC 9112 section 9.6: closed at once, what the client still sends would be answered
            # with a reset, which can overtake the answer. The client closes, or the wheel does.
            transport.write_eof()
        else:
            transport.close()

    # -- the wheel -------------------------------------------------------------------------

    def check(self, now_ms: int) -> str | None:
        """Cuts the connection if it is too slow or too long idle, and returns why."""
        limits = self._connections.limits
        began_ms, unwritable_ms, ended_ms = self._began_ms, self._unwritable_ms, self._ended_ms
        if began_ms is None and unwritable_ms is None and ended_ms is None:  # as most are
            if now_ms - self._quiet_ms <= limits.idle_ms or self._open or self._transport is None:
                return None
            self._close(self._transport)
            return "idle"
        return self._check_slow(now_ms - limits.receive_ms)

    def _check_slow(self, late_ms: int) -> str | None:
        """Cuts what has lasted since before ``late_ms``."""
        transport = self._transport
        if transport is None:
            return None
        if self._unwritable_ms is not None and self._unwritable_ms < late_ms:
            self._unwritable_ms, self._ended_ms = None, self._connections.now_ms
            transport.abort()
            return "slow_reader"
        if self._ended_ms is not None:
            if self._ended_ms < late_ms:
                transport.abort()
        elif (
            not (self._is_holding or self._reader.is_over)
            and self._began_ms is not None
            and self._began_ms < late_ms
        ):
            self._reader.end()
            self._end_with(408)
            return "slow_request"
        return None
