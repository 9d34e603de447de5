"""Which identifiers a request carries, strongest first (OpenRTB 2.6 section 3.2.20, App. C)."""

from collections.abc import Iterator
from itertools import islice

from bidder.openrtb import BidRequest, Eid, User
from models.errors import InvalidFieldError
from models.identifiers import Namespace, NodeId, Pepper, scoped

__all__ = ["MAX_NODES", "nodes_of"]

MAX_NODES = 6
"""More identifiers than this in one request are noise; each costs a look-up."""
MOST_READ = 4 * MAX_NODES
"""Placeholders and repetitions included; each costs a hash."""


def nodes_of(request: BidRequest, exchange: str, pepper: Pepper) -> list[NodeId]:
    """The request's identifiers as nodes, in order of trust, without placeholders.

    ``buyeruid`` is our own cookie, given back by the exchange; then extended ids, then the
    device's advertising id; the exchange's own user id only where there is nothing else, and
    scoped to that exchange.
    """
    found = islice(_candidates(request, pepper), MOST_READ)
    nodes = list(dict.fromkeys(node for node in found if node is not None))
    user = request.user
    if not nodes and user is not None and user.id:
        own = _scoped_node(pepper, Namespace.EXCHANGE_USER, exchange, user.id)
        nodes = [own] if own is not None else []
    return nodes[:MAX_NODES]


def _candidates(request: BidRequest, pepper: Pepper) -> Iterator[NodeId | None]:
    user, device = request.user, request.device
    if user is not None:
        if user.buyeruid:
            yield _node(pepper, Namespace.COOKIE, user.buyeruid)
        yield from _eid_nodes(user, pepper)
    if device is not None and device.ifa:
        yield _node(pepper, Namespace.IFA, device.ifa)


def _eid_nodes(user: User, pepper: Pepper) -> Iterator[NodeId | None]:
    lists: list[Eid] = [*(user.eids or ()), *((user.ext.eids or ()) if user.ext else ())]
    return (
        _scoped_node(pepper, Namespace.EID, eid.source, uid.id)
        for eid in lists
        if eid.source
        for uid in eid.uids or ()
        if uid.id
    )


def _scoped_node(pepper: Pepper, namespace: Namespace, scope: str, value: str) -> NodeId | None:
    """An id that means something within its scope only; a placeholder means nothing in any."""
    if _node(pepper, namespace, value) is None:
        return None
    return _node(pepper, namespace, scoped(scope, value))


def _node(pepper: Pepper, namespace: Namespace, value: str) -> NodeId | None:
    try:
        return pepper.node(namespace, value)
    except InvalidFieldError:
        return None  # longer than any identifier: nobody we know
