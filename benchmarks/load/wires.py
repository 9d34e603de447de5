"""Keep-alive connections as raw descriptors; a connection keeps its descriptor when opened anew."""

import os
import select
import socket
from typing import Final

__all__ = ["MOST_DESCRIPTORS", "Wires"]

MOST_DESCRIPTORS: Final = 4096
CONNECT_SECONDS: Final = 5.0


class Wires:
    """Connections to one server.

    Attributes:
        sockets: by descriptor.
        epoll: tells which of them can be read.
        partial: what came of an answer that is not whole.

    Args:
        address: host and port of the server.
        connections: how many.

    Raises:
        OSError: nobody listens there, or too many files are open.
    """

    def __init__(self, address: tuple[str, int], connections: int) -> None:
        self._address = address
        self.sockets: dict[int, socket.socket] = {}
        self.epoll = select.epoll()
        self.partial: dict[int, bytes] = {}
        self._unsent: dict[int, bytes] = {}
        for _ in range(connections):
            made = self._open()
            fd = made.fileno()
            if fd >= MOST_DESCRIPTORS:
                raise OSError(f"more than {MOST_DESCRIPTORS} descriptors are open")
            self.sockets[fd] = made
            self.epoll.register(fd, select.EPOLLIN)

    def _open(self) -> socket.socket:
        made = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(0)
        return made

    def reconnect(self, fd: int) -> bool:
        """Opens a connection anew, under the same descriptor.

        Where that fails the old one stays, at its end: polling finds it again.
        """
        self.partial.pop(fd, None)
        self._unsent.pop(fd, None)
        try:
            with self._open() as made:
                self.epoll.unregister(fd)
                os.dup2(made.fileno(), fd, inheritable=False)
        except OSError:
            return False
        self.epoll.register(fd, select.EPOLLIN)
        return True

    def keep_rest(self, fd: int, rest: bytes) -> None:
        """Keeps what the socket did not take, to be sent when it does."""
        self._unsent[fd] = rest
        self.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def send_rest(self, fd: int) -> None:
        """Sends what was kept; what fails is met by whoever reads."""
        rest = self._unsent.pop(fd, b"")
        try:
            sent = os.write(fd, rest) if rest else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(rest):
            self._unsent[fd] = rest[sent:]
        else:
            self.epoll.modify(fd, select.EPOLLIN)

    def close(self) -> None:
        """Ends all connections."""
        for one in self.sockets.values():
            one.close()
        self.sockets.clear()
        self.epoll.close()
