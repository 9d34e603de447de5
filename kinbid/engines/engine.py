"""What every engine of ours has in common: one child process on loopback ports."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from kinbid.engines.errors import EngineStartError
from kinbid.engines.ports import free_ports, is_port_free
from kinbid.engines.process import ChildProcess

START_ATTEMPTS = 3

E = TypeVar("E")


class Engine:
    """A server that we started; as a context manager it is stopped on leaving the block.

    Args:
        child: its process, ready to serve.
        port: the loopback port that clients use.
        description: name, version and origin for people, such as ``Redis 7.0.15 (installed)``.
    """

    def __init__(self, child: ChildProcess, port: int, description: str) -> None:
        self.child = child
        self.port = port
        self.description = description

    @property
    def pid(self) -> int:
        """Process id."""
        return self.child.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of everything that `stop` ends."""
        return (self.pid,)

    @property
    def is_running(self) -> bool:
        """Whether the server has not ended."""
        return self.child.poll() is None

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the server wrote."""
        return self.child.log_tail(lines)

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Ends the server and waits until it is gone; see `ChildProcess.stop`."""
        self.child.stop(grace_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_on_ports(wanted: Sequence[int | None], attempt: Callable[[Sequence[int]], E]) -> E:
    """Starts a server, choosing the ports that were left open.

    A port that we chose may be taken by another program before the server binds it. If a start
    fails and one of our choices is busy afterwards, the start is tried again with others.

    Args:
        wanted: a port each, None for any.
        attempt: starts the server on exactly these ports, or leaves nothing behind.

    Raises:
        EngineStartError: the server does not start, and not for want of a port of our choice.
    """
    for _ in range(START_ATTEMPTS - 1):
        chosen = free_ports(wanted.count(None))
        try:
            return attempt(_fill(wanted, chosen))
        except EngineStartError:
            if all(is_port_free(port) for port in chosen):
                raise
    return attempt(_fill(wanted, free_ports(wanted.count(None))))


def _fill(wanted: Sequence[int | None], chosen: Sequence[int]) -> list[int]:
    """Puts the chosen ports, in order, where a port was left open."""
    spare = iter(chosen)
    return [next(spare) if port is None else port for port in wanted]
