"""How a worker leaves: whoever is connected has been answered, and told that this was the last.

A client that keeps its connection may be sending a request at any moment, so none is closed under
its hands: the next answer says ``Connection: close``. What stays silent is closed in the end.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

__all__ = ["GRACE_SECONDS", "Leaving", "drain"]

GRACE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.02


class Leaving(Protocol):
    """A connection, as whoever leaves sees it."""

    def retire(self) -> None:
        """Ends with the next answer."""

    def close(self) -> None:
        """Ends now, or as soon as what is in flight has its answer."""


async def drain(connections: Iterable[Leaving], grace_seconds: float = GRACE_SECONDS) -> int:
    """Waits until every client has left, at most for the grace, then ends the rest.

    Args:
        connections: those that are open, as they come and go.
        grace_seconds: so long a silent client is waited for.

    Returns:
        How many were silent to the end.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace_seconds
    while left := list(connections):
        if loop.time() >= deadline:
            break
        for connection in left:
            connection.retire()  # also whoever was accepted in the last moment
        await asyncio.sleep(LOOK_SECONDS)
    for connection in left:
        connection.close()
    return len(left)
