"""A link as commands tell of it: what is known of it, and whether it is made."""

import datetime as dt

import msgspec

from models.evidence import Edge, Kind, Pair, Reason, Verdict, is_unseen
from models.identifiers import NodeId, namespace_of

__all__ = ["ToldLink", "named", "seen_at", "told_link", "utc"]


class ToldLink(msgspec.Struct, frozen=True, kw_only=True):
    """One link.

    Attributes:
        a, b: the pair, the smaller first.
        kind, confidence, seen: its strongest evidence, with percent and time; None where nothing
            was seen and somebody's verdict is all.
        reason: why it is not made; None where it is.
        verdict: what somebody decided.
    """

    a: NodeId
    b: NodeId
    kind: Kind | None
    confidence: int | None
    seen: str | None
    reason: Reason | None
    verdict: Verdict | None


def told_link(pair: Pair, edge: Edge, reason: Reason | None) -> ToldLink:
    """A link from what is known of its pair."""
    seen = seen_at(edge.evidence.time_ms)
    return ToldLink(
        a=pair[0],
        b=pair[1],
        kind=None if seen is None else edge.evidence.kind,
        confidence=None if seen is None else edge.evidence.confidence,
        seen=seen,
        reason=reason,
        verdict=edge.verdict,
    )


def seen_at(time_ms: int) -> str | None:
    """The time of evidence as people read it; None where nothing was seen."""
    return None if is_unseen(time_ms) else utc(time_ms)


def utc(time_ms: int) -> str:
    """A time as people read it, in UTC to the second."""
    return dt.datetime.fromtimestamp(time_ms / 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def named(node: NodeId) -> str:
    """A node with its kind: ``cookie kAbC...``."""
    return f"{namespace_of(node).name.lower()} {node}"
