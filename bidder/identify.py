"""Which identifiers a request carries, most trusted first (OpenRTB 2.6 section 3.2.20, App. C)."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from bidder.openrtb import BidRequest, Eid, User
from models.errors import InvalidFieldError
from models.identifiers import Namespace, NodeId, Pepper, eid, scoped

__all__ = ["MAX_NODES", "nodes_of"]

COOKIE: Final = Namespace.COOKIE
IFA: Final = Namespace.IFA
PERSON_EID: Final = Namespace.PERSON_EID

MAX_NODES: Final = 6
"""More identifiers than this in one request are noise; each costs a look-up."""
MOST_READ: Final = 4 * MAX_NODES
"""Extended ids, placeholders and repetitions included; each costs a hash."""
INFERRED: Final = 5
"""The match method (2.6-202409) of an id that was guessed, from an IP address for instance."""


def nodes_of(request: BidRequest, exchange: str, pepper: Pepper) -> list[NodeId]:
    """The request's identifiers as nodes, most trusted first, without placeholders.

    ``buyeruid`` is our own cookie, given back by the exchange; then extended ids, those of a person
    before those of a device; then the device's advertising id, which keeps its place however many
    others there are. The exchange's own user id only where there is nothing else, and scoped to
    that exchange: it is joined with nobody else's.
    """
    user, device = request.user, request.device
    found: list[NodeId | None] = []
    if user is not None:
        if user.buyeruid:
            found.append(_node(pepper, COOKIE, user.buyeruid))
        if user.eids or user.ext is not None:
            found += _eid_nodes(user, pepper)
    ifa = _node(pepper, IFA, device.ifa) if device is not None and device.ifa else None
    nodes = list(dict.fromkeys(node for node in found if node is not None))
    nodes = [*nodes[: MAX_NODES - 1], ifa] if ifa is not None else nodes[:MAX_NODES]
    if not nodes and user is not None and user.id:
        own = _node(pepper, Namespace.EXCHANGE_USER, scoped(exchange, user.id))
        nodes = [own] if own is not None else []
    return nodes


def _eid_nodes(user: User, pepper: Pepper) -> list[NodeId | None]:
    eids = islice(_eids(user), MOST_READ)
    return [
        _node(pepper, namespace, value)
        for namespace, value in sorted(eids, key=lambda one: one[0] is not PERSON_EID)
    ]


def _eids(user: User) -> Iterator[tuple[Namespace, str]]:
    lists: Iterator[Eid] = chain(user.eids or (), (user.ext.eids or ()) if user.ext else ())
    return (
        eid(one.source, uid.id, uid.atype)
        for one in lists
        if one.source and one.mm != INFERRED
        for uid in one.uids or ()
        if uid.id
    )


def _node(pepper: Pepper, namespace: Namespace, value: str) -> NodeId | None:
    try:
        return pepper.node(namespace, value)
    except InvalidFieldError:
        return None  # no identifier of its kind: nobody we know
