"""A small HTTP server for tests of the load generator: slow, broken, or stalled once."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

NO_BID = b"HTTP/1.1 204 No Content\r\n\r\n"
CLOSE = b"<close>"
"""After an answer: the connection is closed once it is sent, without a word in its head."""

Answer = Callable[[int, bytes], bytes]
"""From the number of the request, counted over all connections, and its body to what is sent."""


class Served(NamedTuple):
    """Where it listens, and the bodies that came, connection by connection."""

    address: tuple[str, int]
    bodies: list[list[bytes]]
    stop: Callable[[], None]
    """Ends it before the block does."""

    @property
    def url(self) -> str:
        return "http://{}:{}/bid".format(*self.address)


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[Served]:
    """Serves until the block ends; an empty answer closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    lock, open_ones = threading.Lock(), list[socket.socket]()
    count = [0]

    def stop() -> None:
        for one in (listener, *open_ones):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        listener.close()

    served = Served(listener.getsockname(), [], stop)

    def talk(client: socket.socket, seen: list[bytes]) -> None:
        with client, client.makefile("rb") as stream:
            while head := _head(stream):
                seen.append(stream.read(int(head[b"content-length"])))
                with lock:  # one at a time, as in a worker with one loop
                    number, count[0] = count[0], count[0] + 1
                    told = answer(number, seen[-1])
                if not told:
                    return
                with contextlib.suppress(OSError):
                    client.sendall(told.removesuffix(CLOSE))
                if told.endswith(CLOSE):
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_ones.append(client)
                served.bodies.append([])
                threading.Thread(target=talk, args=(client, served.bodies[-1]), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        stop()
        thread.join(5)


def _head(stream: IO[bytes]) -> dict[bytes, bytes]:
    try:
        lines = []
        while (line := stream.readline().strip()) != b"":
            lines.append(line)
    except OSError:
        return {}
    pairs = (line.partition(b":") for line in lines[1:])
    return {name.lower(): value.strip() for name, _, value in pairs}


def bid(body: bytes) -> bytes:
    """A bid response as a bidder writes it."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def stalling(at: int, seconds: float) -> Answer:
    """No bid at once, but for one request during which everything stands still."""

    def answer(number: int, _: bytes) -> bytes:
        if number == at:
            time.sleep(seconds)
        return NO_BID

    return answer
