"""A person in a few words: enough to see what a merge or a split gave to whom."""

from collections.abc import Iterable

import msgspec

from models.catalog import Catalog
from models.commands import Steps
from models.forest import Settled, settle
from models.identifiers import NodeId
from models.keys import Keys
from models.profile import Header, header_of, person_of, shared_devices
from runtime import clock

__all__ = ["PersonSummary", "segments_of", "settle_all", "summary_of"]


class PersonSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has.

    Attributes:
        person: the root.
        identifiers: nodes, sorted.
        shared: those that are devices of several CRM persons.
        segments: of the catalogue.
        orders: how many with each advertiser.
        impressions: billed ones, of all campaigns.
    """

    person: NodeId
    identifiers: tuple[NodeId, ...]
    shared: tuple[NodeId, ...]
    segments: tuple[str, ...]
    orders: dict[str, int]
    impressions: int


def settle_all(keys: Keys, nodes: Iterable[NodeId]) -> Steps[dict[NodeId, Settled]]:
    """The persons of some nodes, by their roots, in the order of the nodes."""
    found: dict[NodeId, Settled] = {}
    for node in nodes:
        if not any(node in settled.members for settled in found.values()):
            settled = yield from settle(keys, node)
            found[settled.root] = settled
    return found


def summary_of(settled: Settled, catalog: Catalog) -> PersonSummary:
    """A person as they stand in Redis."""
    facet, ledger = person_of(settled)
    header = header_of(facet, shared_devices(settled))
    return PersonSummary(
        person=settled.root,
        identifiers=tuple(sorted(settled.members)),
        shared=header.shared,
        segments=tuple(segments_of(catalog, header, clock.now_ms())),
        orders={name: one.buyer.order_count for name, one in header.dealings.items() if one.buyer},
        impressions=ledger.billed_count,
    )


def segments_of(catalog: Catalog, header: Header, now_ms: int) -> list[str]:
    """The segments that a person is in, by their ids."""
    return sorted(
        segment.id
        for advertiser in catalog.advertisers
        for index in (catalog.segments_of(advertiser),)
        for segment in index.those(index.mask_of(header.dealings_with(advertiser), now_ms))
    )
