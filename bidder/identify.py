"""Which identifiers a request carries, most trusted first (OpenRTB 2.6 section 3.2.20, App. C)."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from bidder.openrtb import BidRequest, Eid, User
from models.errors import InvalidFieldError
from models.identifiers import Namespace, NodeId, Pepper, eid, scoped

__all__ = ["MAX_NODES", "MOST_READ", "nodes_of"]

COOKIE: Final = Namespace.COOKIE
IFA: Final = Namespace.IFA
PERSON_EID: Final = Namespace.PERSON_EID

MAX_NODES: Final = 16
"""Of identifiers in one request. Each costs a look-up: one that was left out might have withdrawn
its consent. Of 249 published requests none has more than 4."""
MOST_READ: Final = 3 * MAX_NODES
"""Of extended ids, placeholders and repetitions included; each costs a hash."""
INFERRED: Final = 5
"""The match method (2.6-202409) of an id that was guessed, from an IP address for instance."""


def nodes_of(request: BidRequest, exchange: str, pepper: Pepper) -> list[NodeId] | None:
    """The request's identifiers as nodes, most trusted first, without placeholders.

    None where there are more than are looked up: such a request is nobody's.

    ``buyeruid`` is our own cookie, given back by the exchange; then extended ids, those of a person
    before those of a device; then the device's advertising id. The exchange's own user id only
    where there is nothing else, and scoped to that exchange: it is joined with nobody else's.
    """
    user, device = request.user, request.device
    found: list[NodeId | None] = []
    if user is not None:
        if user.buyeruid:
            found.append(_node(pepper, COOKIE, user.buyeruid))
        if user.eids or user.ext is not None:
            eids = list(islice(_eids(user), MOST_READ + 1))
            if len(eids) > MOST_READ:
                return None
            found += _eid_nodes(eids, pepper)
    if device is not None and device.ifa:
        found.append(_node(pepper, IFA, device.ifa))
    nodes = list(dict.fromkeys(node for node in found if node is not None))
    if len(nodes) > MAX_NODES:
        return None
    if not nodes and user is not None and user.id:
        own = _node(pepper, Namespace.EXCHANGE_USER, scoped(exchange, user.id))
        nodes = [own] if own is not None else []
    return nodes


def _eid_nodes(eids: list[tuple[Namespace, str]], pepper: Pepper) -> list[NodeId | None]:
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
