"""A constant responder that parses nothing: how fast the generator itself can be.

Raw descriptors and one ``epoll``, as in the generator; it takes every read for a whole request and
answers 204. Run as ``python -m benchmarks.load.constant``; it writes its address when it listens.
"""

import gc
import select
import socket
import sys
from os import read, write
from typing import Final

__all__ = ["main"]

NO_BID: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNK_BYTES: Final = 65_536


def main() -> int:
    """Serves until it is killed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print("http://{}:{}".format(*listener.getsockname()), flush=True)
    epoll, waiting = select.epoll(), listener.fileno()
    epoll.register(waiting, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    gc.disable()
    while True:
        for fd, _ in epoll.poll():
            if fd == waiting:
                client = listener.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = client
                epoll.register(client.fileno(), select.EPOLLIN)
                continue
            try:
                is_there = bool(read(fd, CHUNK_BYTES) and write(fd, NO_BID))
            except OSError:
                is_there = False
            if not is_there:
                epoll.unregister(fd)
                clients.pop(fd).close()


if __name__ == "__main__":
    sys.exit(main())
