"""Where connections come in: one listening socket, of which a worker takes many at a time.

The loop (libuv's) takes one connection from a socket each time it comes round, and looks after all
requests before the next. Under load that is seldom, and just then exchanges open more connections:
hundreds that come at once would wait for seconds. So it is given several copies of the socket.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

__all__ = ["ACCEPT_QUEUE", "Entrance"]

ACCEPT_QUEUE: Final = 1024
"""Connections that may wait for one worker to take them; the kernel leaves more without an answer.

Whoever listens on a socket that listens already sets this anew, and a loop's own choice is 100.
"""

TAKEN_AT_ONCE: Final = 32
"""A new connection has the loop look at every copy, for 50 us in all; one serves many requests."""


class Entrance:
    """A listening socket that lets connections in until it is closed.

    Args:
        listener: is ours from now on.
        protocol: makes what looks after one connection.
    """

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Lets connections in."""
        loop = asyncio.get_running_loop()
        with self._listener as listener:
            self._servers = [
                await loop.create_server(self._protocol, sock=listener.dup(), backlog=ACCEPT_QUEUE)
                for _ in range(TAKEN_AT_ONCE)
            ]

    def close(self) -> None:
        """Lets nobody in any more; who is in stays."""
        for server in self._servers:
            server.close()
