"""The loops that send and time: raw descriptors, one ``epoll``, nothing that can wait.

Each connection has one request outstanding. In the closed loop an answer is followed by the next
request on its connection. In the open loop requests leave when they are due, on the connection that
has been idle for longest; one that finds all of them busy waits, and its latency counts from when
it was due all the same.

What happens for every request stands in two functions, ``_send`` and ``_collect``, with no call in
them that can be saved: the generator must be faster than what it measures.
"""

import contextlib
import gc
import select
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from os import read, write
from typing import Final

from benchmarks.load.replies import Reply, ReplyError, ReplyReader

__all__ = ["Loop", "Times"]

NS: Final = 1_000_000_000
CHUNK_BYTES: Final = 16_384
UNANSWERED: Final = -1
IDLE: Final = -1
NOBODY: Final = -1
MOST_EVENTS: Final = 256
MOST_DESCRIPTORS: Final = 4096
MOST_PER_SECOND: Final = 400_000
"""Room for the closed loop's latencies: twice what one core can send."""
NAP_NS: Final = 20_000_000
SPIN_NS: Final = 2_000_000
"""So long before a request is due the loop looks at the clock instead of sleeping: ``epoll`` wakes
by the millisecond."""
GRACE_NS: Final = 5 * NS
"""After the last request was due the loop waits so long for answers."""
CONNECT_SECONDS: Final = 5.0
GOOD: Final = frozenset({200, 204})


class Times:
    """What one run has seen, in ns; one entry for each request, in the order of the schedule.

    Attributes:
        latencies: from when a request was due to the last byte of its answer; -1 without a right
            answer. In the closed loop it was due when it was sent.
        lateness: how much later than it could have been a request was sent: later than it was due
            and a connection was free. That is the generator's own fault.
        statuses: answers by status.
        faults: what went wrong, by kind.
        bids: answers with a bid.
        elapsed_ns: from the start to the last answer.
    """

    def __init__(self, capacity: int) -> None:
        self.latencies = array("q", [UNANSWERED]) * capacity
        self.lateness = array("q", [0]) * capacity
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.bids = 0
        self.elapsed_ns = 0


class Loop:
    """Connections to one server, and the loops that use them.

    Args:
        address: host and port of the server.
        messages: whole HTTP messages, sent in turn.
        ids: of the requests in them.
        connections: how many.
        first: the message to begin with.

    Raises:
        OSError: nobody listens there.
    """

    def __init__(
        self,
        address: tuple[str, int],
        messages: Sequence[bytes],
        ids: Sequence[str],
        *,
        connections: int,
        first: int = 0,
    ) -> None:
        self._address = address
        self._messages = messages
        self._ids = ids
        self._first = first
        self._sockets: dict[int, socket.socket] = {}
        self._epoll = select.epoll()
        self._reader = ReplyReader()
        self._no_bid = b""
        """The server's answer without a body, once it has been read: others like it are known."""
        self._places = [IDLE] * MOST_DESCRIPTORS
        """By descriptor: the outstanding request's place in the schedule."""
        self._partial: dict[int, bytes] = {}
        self._unsent: dict[int, bytes] = {}
        # Per run.
        self._times = Times(0)
        self._due = array("q")
        self._done = 0
        for _ in range(connections):
            self._connect()

    def close(self) -> None:
        """Ends all connections."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()
        self._epoll.close()

    # -- the loops -------------------------------------------------------------------------

    def closed(self, seconds: float) -> Times:
        """Keeps every connection busy for so long, then waits for what is outstanding."""
        capacity = int(seconds * MOST_PER_SECOND) + len(self._sockets)
        times = self._begin(array("q", [0]) * capacity)
        due, clock, send, collect = self._due, time.monotonic_ns, self._send, self._collect
        count, free = 0, list(self._sockets)
        started_ns = now_ns = clock()
        end_ns = started_ns + int(seconds * NS)
        with _no_collections():
            while (free and now_ns < end_ns) or count > self._done:
                if now_ns < end_ns:
                    for fd in free:
                        due[count] = clock()
                        send(fd, count)
                        count += 1
                elif now_ns > end_ns + GRACE_NS:
                    break
                free = collect(NAP_NS)
                now_ns = clock()
        times.elapsed_ns = now_ns - started_ns
        del times.latencies[count:], times.lateness[count:]
        return self._end(count)

    def open(self, offsets_ns: "array[int]", start_ns: int) -> Times:
        """Sends what is due at ``start_ns`` and the offsets; then waits for what is outstanding.

        Args:
            offsets_ns: the schedule.
            start_ns: by the monotonic clock, in the future.
        """
        due = array("q", [start_ns + offset for offset in offsets_ns])
        times = self._begin(due)
        lateness, clock, send, collect = (
            times.lateness,
            time.monotonic_ns,
            self._send,
            self._collect,
        )
        idle = deque((fd, 0) for fd in self._sockets)
        place, count, last_ns = 0, len(due), start_ns
        give_up_ns = due[-1] + GRACE_NS
        with _no_collections():
            while count > self._done and (now_ns := clock()) < give_up_ns:
                while place < count and idle and due[place] <= now_ns:
                    fd, free_ns = idle.popleft()
                    lateness[place] = now_ns - max(due[place], free_ns)
                    send(fd, place)
                    place += 1
                    now_ns = clock()
                is_timed = place < count and bool(idle)
                if free := collect(due[place] - now_ns - SPIN_NS if is_timed else NAP_NS):
                    last_ns = clock()
                    idle.extend((fd, last_ns) for fd in free)
        times.elapsed_ns = last_ns - start_ns
        if place < count:
            times.faults["unsent"] = count - place
        return self._end(place)

    def _begin(self, due: "array[int]") -> Times:
        self._times, self._due, self._done = Times(len(due)), due, 0
        return self._times

    def _end(self, count: int) -> Times:
        """What is outstanding gets no answer any more; the next run goes on in the messages."""
        for fd in [fd for fd in self._sockets if self._places[fd] != IDLE]:
            self._lost(fd, "timeout")
        self._first += count
        return self._times

    # -- what happens for every request -------------------------------------------------------

    def _send(self, fd: int, place: int) -> None:
        messages = self._messages
        message = messages[(self._first + place) % len(messages)]
        self._places[fd] = place
        try:
            sent = write(fd, message)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # reading meets the same, and counts it
        if sent != len(message):
            self._unsent[fd] = message[sent:]
            self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def _collect(self, nap_ns: int) -> list[int]:
        """Reads all answers that are there, or waits for one; returns what is free then."""
        places, due, partial, clock = self._places, self._due, self._partial, time.monotonic_ns
        latencies, free, quick = self._times.latencies, [], 0
        for fd, mask in self._epoll.poll(nap_ns / NS if nap_ns > 0 else 0, MOST_EVENTS):
            try:
                data: bytes | None = read(fd, CHUNK_BYTES)
            except BlockingIOError:
                data = None
            except OSError:
                data = b""
            place = places[fd]
            if data == self._no_bid and place >= 0 and not partial:
                latencies[place] = clock() - due[place]
                places[fd] = IDLE
                quick += 1
                free.append(fd)
            elif (freed := self._take(fd, mask, data)) != NOBODY:
                free.append(freed)
        self._times.statuses[204] += quick
        self._done += quick
        return free

    # -- what is not as usual ------------------------------------------------------------------

    def _take(self, fd: int, mask: int, data: bytes | None) -> int:
        """Takes in what was read; returns the connection that is free now, if one is."""
        if mask & select.EPOLLOUT and fd in self._unsent:
            self._send_rest(fd)
        if data is None:
            return NOBODY
        if not data:
            return self._lost(fd, "closed")
        place, data = self._places[fd], self._partial.pop(fd, b"") + data
        if place == IDLE:
            return self._lost(fd, "unasked")
        try:
            reply = self._reader.read(data, self._ids[(self._first + place) % len(self._ids)])
        except ReplyError:
            return self._lost(fd, "malformed")
        if reply is None:
            self._partial[fd] = data
            return NOBODY
        return self._answered(fd, reply, data)

    def _answered(self, fd: int, reply: Reply, data: bytes) -> int:
        times, place = self._times, self._places[fd]
        self._places[fd] = IDLE
        self._done += 1
        times.statuses[reply.status] += 1
        times.bids += reply.is_bid
        if reply.status in GOOD:
            times.latencies[place] = time.monotonic_ns() - self._due[place]
        else:
            times.faults[f"status {reply.status}"] += 1
        if not reply.keeps:
            return self._reconnect(fd)
        if reply.status == 204:
            self._no_bid = data
        return fd

    def _send_rest(self, fd: int) -> None:
        rest = self._unsent.pop(fd)
        try:
            sent = write(fd, rest)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # as in ``_send``
        if sent < len(rest):
            self._unsent[fd] = rest[sent:]
        else:
            self._epoll.modify(fd, select.EPOLLIN)

    # -- connections ---------------------------------------------------------------------------

    def _connect(self) -> int:
        made = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(0)
        fd = made.fileno()
        if fd >= MOST_DESCRIPTORS:
            made.close()
            raise OSError(f"more than {MOST_DESCRIPTORS} descriptors are open")
        self._sockets[fd] = made
        self._epoll.register(fd, select.EPOLLIN)
        return fd

    def _lost(self, fd: int, kind: str) -> int:
        """Opens another connection; a request on the old one gets no answer, which is a fault."""
        is_asked = self._places[fd] != IDLE
        self._places[fd] = IDLE
        self._done += is_asked
        if is_asked or kind == "unasked":
            self._times.faults[kind] += 1
        return self._reconnect(fd)

    def _reconnect(self, fd: int) -> int:
        self._epoll.unregister(fd)
        self._sockets.pop(fd).close()
        self._partial.pop(fd, None)
        self._unsent.pop(fd, None)
        try:
            return self._connect()
        except OSError:
            self._times.faults["connect"] += 1
            return NOBODY


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
