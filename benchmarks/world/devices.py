"""The devices of the world and the identifiers under which each is seen."""

import random
import uuid
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from models.identifiers import Namespace, NodeId, Pepper
from models.identifiers import eid as eid_of

__all__ = ["BROWSER", "EID_SOURCE", "Device", "DeviceKind", "Surface", "make_devices", "node_of"]

EID_SOURCE: Final = "id.example"
"""The ``source`` of the extended ids that our own pages see beside the cookie."""
BROWSER: Final = 1
"""Their agent type: tied to a browser."""

DeviceKind = Literal["desktop", "phone", "tablet"]
Surface = Literal["site", "app"]

SECOND_DEVICE_KINDS: Final[tuple[DeviceKind, ...]] = ("tablet", "desktop")
APP_PHONE_SHARE: Final = 0.5
EID_SHARE: Final = 0.4

WEBKIT: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
CHROMIUM: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"

USER_AGENTS: Final[dict[DeviceKind, tuple[str, ...]]] = {
    "desktop": (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36",
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Safari/605.1.15",
    ),
    "phone": (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} Mobile/15E148",
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROMIUM} Mobile Safari/537.36",
    ),
    "tablet": (f"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) {WEBKIT} Mobile/15E148",),
}


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A browser, phone or tablet of one owner.

    Attributes:
        cookie, ifa, eid: raw identifiers as an exchange sends them; None where there is none.
        cookie_node, ifa_node, eid_node: the same, hashed, as events carry them.
        signs_in: False for a device on which the owner never signs in.
        ip: from 198.18.0.0/15, the range set aside for benchmarks (RFC 2544).
    """

    kind: DeviceKind
    cookie: str | None
    ifa: str | None
    eid: str | None
    cookie_node: NodeId | None
    ifa_node: NodeId | None
    eid_node: NodeId | None
    signs_in: bool
    user_agent: str
    ip: str

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Where ads reach it: sites know the cookie, apps the advertising id."""
        web: tuple[Surface, ...] = ("site",) if self.cookie else ()
        return (*web, "app") if self.ifa else web

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """Every node of the device."""
        return tuple(n for n in (self.cookie_node, self.ifa_node, self.eid_node) if n is not None)

    def node_on(self, surface: Surface) -> NodeId:
        """The node that decides who is there: the cookie on a site, the ifa in an app.

        Raises:
            ValueError: the device has no such surface.
        """
        node = self.cookie_node if surface == "site" else self.ifa_node
        if node is None:
            raise ValueError(f"a {self.kind} without an identifier for surface {surface!r}")
        return node

    def ids_on(self, surface: Surface) -> tuple[NodeId, ...]:
        """What an event there carries: a page sees the eid beside the cookie."""
        first = self.node_on(surface)
        return (first, self.eid_node) if surface == "site" and self.eid_node else (first,)


def node_of(pepper: Pepper, namespace: Namespace, value: str) -> NodeId:
    """Hashes an identifier of the world.

    Raises:
        ValueError: a placeholder; the world makes none.
    """
    node = pepper.node(namespace, value)
    if node is None:
        raise ValueError(f"the {namespace.name.lower()} {value!r} is a placeholder and never links")
    return node


def make_devices(rng: random.Random, pepper: Pepper, count: int) -> tuple[Device, ...]:
    """One to four devices of one owner: desktop, phone, then a tablet and a second desktop.

    Args:
        rng: the world's generator.
        pepper: under which nodes are hashed.
        count: how many, 1 to 4.
    """
    kinds: list[DeviceKind] = ["desktop", "phone", *rng.sample(SECOND_DEVICE_KINDS, 2)]
    return tuple(_make_device(rng, pepper, kind) for kind in kinds[:count])


def _make_device(rng: random.Random, pepper: Pepper, kind: DeviceKind) -> Device:
    in_app = kind == "tablet" or (kind == "phone" and rng.random() < APP_PHONE_SHARE)
    on_web = kind != "phone" or not in_app
    cookie = rng.randbytes(16).hex() if on_web else None
    ifa = _make_ifa(rng) if in_app else None
    eid = f"eid-{rng.randbytes(12).hex()}" if on_web and rng.random() < EID_SHARE else None
    return Device(
        kind=kind,
        cookie=cookie,
        ifa=ifa,
        eid=eid,
        cookie_node=node_of(pepper, Namespace.COOKIE, cookie) if cookie else None,
        ifa_node=node_of(pepper, Namespace.IFA, ifa) if ifa else None,
        eid_node=node_of(pepper, *eid_of(EID_SOURCE, eid, BROWSER)) if eid else None,
        signs_in=True,
        user_agent=_pick(rng, USER_AGENTS[kind]),
        ip=f"198.{rng.randint(18, 19)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}",
    )


def _make_ifa(rng: random.Random) -> str:
    """An advertising id; Apple writes it in capitals, Android in small letters."""
    text = str(uuid.UUID(bytes=rng.randbytes(16), version=4))
    return text.upper() if rng.random() < 0.5 else text


def _pick(rng: random.Random, texts: Sequence[str]) -> str:
    return texts[rng.randrange(len(texts))]
