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
import os
import select
import time
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.load.replies import Reply, ReplyError, ReplyReader
from benchmarks.load.times import Times
from benchmarks.load.wires import MOST_DESCRIPTORS, Wires

__all__ = ["Loop"]

NS: Final = 1_000_000_000
CHUNK_BYTES: Final = 16_384
IDLE: Final = -1
NOBODY: Final = -1
MOST_EVENTS: Final = 256
MOST_PER_SECOND: Final = 400_000
"""Room for the closed loop's latencies: twice what one core can send."""
NAP_NS: Final = 20_000_000
SPIN_NS: Final = 2_000_000
"""So long before a request is due the loop looks at the clock instead of sleeping: ``epoll`` wakes
by the millisecond."""
GRACE_NS: Final = 5 * NS
"""After the last request was due the loop waits so long for answers."""
GOOD: Final = frozenset({200, 204})


class Loop:
    """Connections to one server, and the loops that use them.

    Args:
        address: host and port of the server.
        messages: whole HTTP messages, sent in turn.
        ids: of the requests in them.
        connections: how many.
        first: the message to begin with.
        spins: looks at the clock until a request is due, for which it must have a core of its own.

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
        spins: bool = True,
    ) -> None:
        self._wires = Wires(address, connections)
        self._messages = messages
        self._ids = ids
        self._first = first
        self._spin_ns = SPIN_NS if spins else 0
        self._reader = ReplyReader()
        self._no_bid = b""
        """The server's answer without a body, once it has been read: others like it are known."""
        self._places = [IDLE] * MOST_DESCRIPTORS
        """By descriptor: the outstanding request's place in the schedule."""
        self._down: set[int] = set()
        """Connections that could not be opened anew: not free, though nothing is outstanding."""
        # Per run.
        self._times = Times(0)
        self._due = array("q")
        self._done = 0

    def close(self) -> None:
        """Ends all connections."""
        self._wires.close()

    # -- the loops -------------------------------------------------------------------------

    def closed(self, seconds: float) -> Times:
        """Keeps every connection busy for so long, then waits for what is outstanding."""
        capacity = int(seconds * MOST_PER_SECOND) + len(self._wires.sockets)
        times = self._begin(array("q", [0]) * capacity)
        due, clock, send, collect = self._due, time.monotonic_ns, self._send, self._collect
        count, free = 0, list(self._wires.sockets)
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
        lateness, clock = times.lateness, time.monotonic_ns
        send, collect = self._send, self._collect
        idle = deque((fd, 0) for fd in self._wires.sockets)
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
                if free := collect(due[place] - now_ns - self._spin_ns if is_timed else NAP_NS):
                    last_ns = clock()
                    idle.extend((fd, last_ns) for fd in free)
        times.elapsed_ns = last_ns - start_ns
        if place < count:
            times.faults["unsent"] = count - place
        return self._end(place)

    def _begin(self, due: "array[int]") -> Times:
        self._times, self._due, self._done = Times(len(due)), due, 0
        self._collect(0)  # connections that the server has closed since the last run
        return self._times

    def _end(self, count: int) -> Times:
        """What is outstanding gets no answer any more; the next run goes on in the messages."""
        for fd in [fd for fd in self._wires.sockets if self._places[fd] != IDLE]:
            self._lost(fd, "timeout")
        self._first += count
        return self._times

    # -- what happens for every request -------------------------------------------------------

    def _send(self, fd: int, place: int) -> None:
        messages = self._messages
        message = messages[(self._first + place) % len(messages)]
        self._places[fd] = place
        try:
            sent = os.write(fd, message)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # reading meets the same, and counts it
        if sent != len(message):
            self._wires.keep_rest(fd, message[sent:])

    def _collect(self, nap_ns: int) -> list[int]:
        """Reads all answers that are there, or waits for one; returns what is free then."""
        wires, places, due, clock = self._wires, self._places, self._due, time.monotonic_ns
        latencies, free, quick = self._times.latencies, [], 0
        for fd, mask in wires.epoll.poll(nap_ns / NS if nap_ns > 0 else 0, MOST_EVENTS):
            try:
                data: bytes | None = os.read(fd, CHUNK_BYTES)
            except BlockingIOError:
                data = None
            except OSError:
                data = b""
            place = places[fd]
            if data == self._no_bid and place >= 0 and not wires.partial:
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
        if mask & select.EPOLLOUT:
            self._wires.send_rest(fd)
        if data is None:
            return NOBODY
        if not data:
            return self._lost(fd, "closed")
        place, data = self._places[fd], self._wires.partial.pop(fd, b"") + data
        if place == IDLE:
            return self._lost(fd, "unasked")
        try:
            reply = self._reader.read(data, self._ids[(self._first + place) % len(self._ids)])
        except ReplyError:
            return self._lost(fd, "malformed")
        if reply is None:
            self._wires.partial[fd] = data
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

    def _lost(self, fd: int, kind: str) -> int:
        """Opens the connection anew; a request on it gets no answer, which is a fault."""
        is_asked = self._places[fd] != IDLE
        self._places[fd] = IDLE
        self._done += is_asked
        if is_asked or kind == "unasked":
            self._times.faults[kind] += 1
        # An idle one is known to be free already, unless it could not be opened anew before.
        is_known = not is_asked and fd not in self._down
        return self._reconnect(fd, is_known=is_known)

    def _reconnect(self, fd: int, *, is_known: bool = False) -> int:
        """Opens a connection under the same descriptor; returns it if it is news that it is free.

        Where that fails the old one stays, at its end: polling finds it again, and so does sending.
        """
        if not self._wires.reconnect(fd):
            self._times.faults["connect"] += 1
            if not is_known:
                self._down.add(fd)
            return NOBODY
        self._down.discard(fd)
        return NOBODY if is_known else fd


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
