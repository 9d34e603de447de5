"""``kinbid person ID --history``: which links made a person, in the order of time."""

from typing import Any

import msgspec

from kinbid.link_topics import read_quarantine, read_told, read_verdicts
from kinbid.nodes import node_named
from kinbid.told_link import ToldLink, told_link, utc
from models.card_words import fetch_stories
from models.evidence import Kind, Pair, Reason
from models.forest import settle
from models.history import MOST_REPLAYED, Moment, What, history
from models.identifiers import NodeId
from models.keys import Keys
from models.link_records import ToldRecord
from models.own_links import survey_past
from models.profile import shared_devices
from models.survey import Survey
from runtime.link import Link
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["LinkHistory", "ToldMoment", "history_report", "told_moment"]


class ToldMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A :class:`models.history.Moment` with its times as people read them."""

    time: str
    a: NodeId
    b: NodeId
    what: What
    kind: Kind | None
    confidence: int | None
    seen: str | None
    survivor: NodeId | None
    reason: Reason | None
    by: str
    why: str
    is_pending: bool
    joined: tuple[NodeId, ...]
    left: tuple[NodeId, ...]
    size: int


class LinkHistory(msgspec.Struct, frozen=True, kw_only=True):
    """How a person came to be.

    Attributes:
        person: the root.
        identifier: whose person it is; what joined and left is seen from it.
        identifiers: the person's, sorted.
        shared: those that are devices of several CRM persons.
        history: in the order of time.
        links: all of the person's identifiers, as they stand.
        is_whole: False where there are too many links around to replay those of others.
    """

    person: NodeId
    identifier: NodeId
    identifiers: tuple[NodeId, ...]
    shared: tuple[NodeId, ...]
    history: tuple[ToldMoment, ...]
    links: tuple[ToldLink, ...]
    is_whole: bool


async def history_report(settings: Settings, identifier: str) -> LinkHistory:
    """The history of the person of an identifier.

    Args:
        settings: where Redis and Kafka are.
        identifier: as ``kinbid person`` takes it.

    Raises:
        KinbidError: the identifier cannot be read, or Redis or Kafka cannot be used.
    """
    node = node_named(settings, identifier)
    keys = Keys(settings.owner)

    # Kafka first: a verdict that is given in between is not taken for one that waits.
    verdicts, noted = await read_verdicts(settings), await read_quarantine(settings)
    link = link_to(settings.redis_url, name="kinbid-history")
    await link.connect()
    try:
        around, told = await _look_around(settings, link, node)
        settled = await link.run(settle(keys, node))
        cards = await link.run(fetch_stories(keys, around.nodes))
    finally:
        await link.close()
    members = set(settled.members)

    def is_around(pair: Pair) -> bool:
        return pair in around.edges or not members.isdisjoint(pair)

    moments = history(
        node,
        members,
        around.edges,
        verdicts=[one for one in verdicts if is_around((one.a, one.b))],
        notes=[one for one in noted.notes if is_around(one.pair)],
        told=told,
        cards=cards,
        overloaded=around.overloaded,
        limits=settings.limits,
    )
    return LinkHistory(
        person=settled.root,
        identifier=node,
        identifiers=tuple(sorted(members)),
        shared=shared_devices(settled),
        history=tuple(map(told_moment, moments)),
        links=tuple(
            told_link(pair, edge, around.noted.get(pair))
            for pair, edge in sorted(around.edges.items())
            if not members.isdisjoint(pair)
        ),
        is_whole=len(around.edges) <= MOST_REPLAYED,
    )


async def _look_around(
    settings: Settings, link: Link, node: NodeId
) -> tuple[Survey, list[ToldRecord]]:
    """All links around, and what was ever told of them.

    Links that were taken back lead to further identifiers: Redis does not know of them any more.
    """
    seen, parted, told = frozenset[NodeId](), frozenset[Pair](), list[ToldRecord]()
    while True:
        steps = survey_past(Keys(settings.owner), node, settings.limits, parted)
        around = await link.run(steps)
        if seen.issuperset(around.nodes):
            return around, told
        seen = frozenset(around.nodes)
        told = await read_told(settings, seen)
        parted = frozenset((one.a, one.b) for one in told if one.withdrawn_ms is not None)


def told_moment(moment: Moment) -> ToldMoment:
    """A moment as commands tell of it."""
    fields: dict[str, Any] = msgspec.structs.asdict(moment)
    a, b = fields.pop("pair")
    time, seen_ms = utc(fields.pop("time_ms")), fields.pop("seen_ms")
    seen = None if seen_ms is None else utc(seen_ms)
    return ToldMoment(time=time, a=a, b=b, seen=seen, **fields)
