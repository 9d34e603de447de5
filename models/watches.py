"""Requests for full receipts: of a campaign, an exchange or a person, for some minutes."""

from typing import Final, Literal

import msgspec

from models.errors import EventError

__all__ = ["Watch", "WatchTarget", "Watched", "Watches", "decode_watch", "encode_watch"]

WatchTarget = Literal["campaign", "exchange", "person"]


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        target: what is watched.
        names: the campaign's or exchange's id, or the nodes of the person.
        until_ms: from then on it is over, Unix ms.
    """

    target: WatchTarget
    names: tuple[str, ...]
    until_ms: int

    @property
    def key(self) -> str:
        """Of its record: a later request for the same replaces it."""
        return f"{self.target}/{self.names[0]}"


encode_watch: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Watch).decode


def decode_watch(payload: bytes) -> Watch:
    """Reads a request.

    Raises:
        EventError: it is none, or names nothing.
    """
    try:
        watch = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(str(error)) from error
    if not watch.names:
        raise EventError("names: empty")
    return watch


class Watched(msgspec.Struct, frozen=True):
    """What is watched at one moment."""

    campaigns: frozenset[str] = frozenset()
    exchanges: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.campaigns or self.exchanges or self.nodes)


NOTHING: Final = Watched()


class Watches:
    """The requests that a bidder knows."""

    def __init__(self) -> None:
        self._open: dict[str, Watch] = {}

    def learn(self, watch: Watch) -> None:
        """Takes one in; the newest of its key stands."""
        self._open[watch.key] = watch

    def at(self, now_ms: int) -> list[Watch]:
        """Those that are not over; the others are forgotten."""
        self._open = {key: one for key, one in self._open.items() if one.until_ms > now_ms}
        return list(self._open.values())

    def watched(self, now_ms: int) -> Watched:
        """What is watched now."""
        if not self._open:
            return NOTHING
        found: dict[WatchTarget, set[str]] = {"campaign": set(), "exchange": set(), "person": set()}
        for one in self.at(now_ms):
            found[one.target].update(one.names)
        return Watched(*(frozenset(names) for names in found.values()))
