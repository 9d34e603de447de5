"""What a Redis Cluster says instead of an answer, and what follows from it."""

from enum import Enum
from typing import Any, Final

import hiredis
import msgspec

from runtime.slots import Address

__all__ = ["Ask", "Moved", "Redirect", "Refusal", "redirect_of"]


class Moved(msgspec.Struct, frozen=True):
    """The slot has another owner, for good."""

    owner: Address


class Ask(msgspec.Struct, frozen=True):
    """The slot is on its way: this once, the key is to be asked for elsewhere."""

    holder: Address


class Refusal(Enum):
    """The command did not run.

    ``AGAIN``: some of its keys have moved already, others not yet. ``DOWN``: the server cannot
    serve the slot now, and somebody else perhaps will.
    """

    AGAIN = "AGAIN"
    DOWN = "DOWN"


Redirect = Moved | Ask | Refusal

REFUSALS: Final = {
    "TRYAGAIN": Refusal.AGAIN,
    "CLUSTERDOWN": Refusal.DOWN,  # slots without an owner, or a node that sees no majority
    "LOADING": Refusal.DOWN,
    "MASTERDOWN": Refusal.DOWN,
    "READONLY": Refusal.DOWN,  # a master that has just become a replica
}


def redirect_of(reply: Any, asked: Address) -> Redirect | None:  # noqa: ANN401 - any reply
    """Reads a reply; None for one that is an answer, or an error of the command itself.

    Args:
        reply: as hiredis gives it.
        asked: whose reply it is: an address without a host means the same host.
    """
    if not isinstance(reply, hiredis.HiredisError):
        return None
    word, *rest = str(reply).split(" ")
    if word == "MOVED":
        return Moved(_address(rest[1], asked))
    if word == "ASK":
        return Ask(_address(rest[1], asked))
    return REFUSALS.get(word)


def _address(text: str, asked: Address) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]") or asked.host, int(port))
