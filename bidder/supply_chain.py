"""Through whose hands a slot came: the supply chain, and what the owner's policy says of it."""

from bidder.errors import NoBidReason
from bidder.inventory import publisher_of
from bidder.openrtb import BidRequest
from bidder.openrtb_context import SupplyChain, SupplyNode
from models.catalog_records import Exchange

__all__ = ["chain_of", "supply_refused"]


def chain_of(request: BidRequest) -> SupplyChain | None:
    """The supply chain, where OpenRTB 2.6 has it, or 2.5, or what came before."""
    source = request.source
    if source is not None:
        if source.schain is not None:
            return source.schain
        if source.ext is not None and source.ext.schain is not None:
            return source.ext.schain
    return request.ext.schain if request.ext is not None else None


def supply_refused(request: BidRequest, exchange: Exchange) -> NoBidReason | None:
    """Why nothing is bought through those who sell; an exchange without such rules costs nothing.

    A chain is complete if it says so and each node names the system and the seller in it (IAB
    SupplyChain object, ``asi`` and ``sid``).
    """
    if exchange.blocked_publishers:
        publisher = publisher_of(request)
        if publisher is not None and publisher.id in exchange.blocked_publishers:
            return NoBidReason.PUBLISHER_BLOCKED
    if not exchange.complete_chain_only and not exchange.blocked_sellers:
        return None
    chain = chain_of(request)
    nodes = chain.nodes if chain is not None else None
    if nodes and any(_is_blocked(node, exchange.blocked_sellers) for node in nodes):
        return NoBidReason.SELLER_BLOCKED
    if exchange.complete_chain_only and not _is_complete(chain):
        return NoBidReason.CHAIN_INCOMPLETE
    return None


def _is_blocked(node: SupplyNode, blocked: tuple[str, ...]) -> bool:
    system = (node.asi or "").lower()
    return system in blocked or f"{system}/{node.sid}" in blocked


def _is_complete(chain: SupplyChain | None) -> bool:
    if chain is None or not chain.complete or not chain.nodes:
        return False
    return all(node.asi and node.sid for node in chain.nodes)
