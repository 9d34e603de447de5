"""One blocking connection to a Redis of ours, for what an administrator types."""

import socket
from types import TracebackType
from typing import Any, Final, Self

import hiredis

from kinbid.engines.errors import EngineError
from kinbid.engines.ports import LOOPBACK

__all__ = ["RedisConsole"]

PATIENCE_SECONDS: Final = 10.0
CHUNK_BYTES: Final = 65_536


class RedisConsole:
    """A console on a loopback port; as a context manager it is closed on leaving the block.

    Raises:
        OSError: nobody listens there, or the server went away.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket = socket.create_connection((LOOPBACK, port), timeout=PATIENCE_SECONDS)
        self._reader = hiredis.Reader(notEnoughData=...)

    def ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - whatever Redis replies
        """Sends one command and waits for its reply.

        Raises:
            EngineError: the server refused it.
            OSError: the server went away or did not answer in time.
        """
        # hiredis' stub says a tuple of one element; any length is right.
        self._socket.sendall(hiredis.pack_command(command))  # type: ignore[arg-type]
        while (reply := self._reader.gets()) is ...:
            received = self._socket.recv(CHUNK_BYTES)
            if not received:
                raise ConnectionResetError(f"Redis on port {self.port} hung up")
            self._reader.feed(received)
        if isinstance(reply, hiredis.HiredisError):
            raise EngineError(f"Redis on port {self.port} refused {command[0]!s}: {reply}")
        return reply

    def info(self, *command: str) -> dict[str, str]:
        """The ``name:value`` lines of a reply such as that of CLUSTER INFO."""
        lines = self.ask(*command).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
