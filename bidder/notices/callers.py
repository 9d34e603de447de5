"""Who calls: the viewer whose browser it is, or a server that calls for one."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

__all__ = ["Caller", "caller_of"]

ADDRESS_HEADERS: Final = ("x-device-ip", "x-forwarded-for")
AGENT_HEADERS: Final = ("x-device-user-agent", "user-agent")
READ_HEADERS: Final = (*ADDRESS_HEADERS, *AGENT_HEADERS, "cookie", "sec-gpc", "dnt")


class Caller(msgspec.Struct, frozen=True):
    """A request's head as far as it matters.

    Attributes:
        headers: those that matter, by their names in small letters.
        peer: the address that the connection came from.
    """

    headers: Mapping[str, str] = {}
    peer: str = ""

    def viewer(self) -> tuple[str, str]:
        """The viewer's address and user agent.

        Players and proxies that call for a viewer say whose (OpenRTB 2.6, implementation guide,
        7.8); of a chain of proxies the first address is the viewer's. Anybody may claim anything
        here, so it decides nothing: it only tells calls apart.
        """
        return self._first(ADDRESS_HEADERS) or self.peer, self._first(AGENT_HEADERS)

    def _first(self, names: tuple[str, ...]) -> str:
        found = next((self.headers[name] for name in names if self.headers.get(name)), "")
        return found.partition(",")[0].strip() if names is ADDRESS_HEADERS else found


def caller_of(header: Callable[[bytes], bytes], peer: str) -> Caller:
    """Who sent a request.

    Args:
        header: the value of a header field by its name in small letters, empty where there is none.
        peer: the address that the connection came from.
    """
    found = {name: header(name.encode()).decode("latin-1") for name in READ_HEADERS}
    return Caller(found, peer)
