"""What a verdict on a link would make of persons, before anybody gives it. Pure."""

import msgspec

from models.evidence import UNSEEN, Canonical, Edge, Limits, Pair, Verdict
from models.forest import Settled, rank
from models.identifiers import NodeId
from models.survey import Survey

__all__ = ["Foreseen", "foresee"]


class Foreseen(msgspec.Struct, frozen=True):
    """Persons as they would be.

    Attributes:
        edges: what would be known of each pair around.
        plan: the persons that this makes.
        persons: those of everybody who is one person with either of the pair now, those of the pair
            first, with everything that is known of them now.
    """

    edges: dict[Pair, Edge]
    plan: Canonical
    persons: tuple[Settled, ...]


def foresee(around: Survey, pair: Pair, verdict: Verdict, limits: Limits) -> Foreseen:
    """What :func:`models.links.judge` would come to.

    Args:
        around: all links around both identifiers (:func:`models.own_links.survey_pair`).
        pair: the link.
        verdict: what somebody thinks of deciding.
        limits: the blast radius.
    """
    known = around.edges.get(pair, Edge(UNSEEN))
    edges = {**around.edges, pair: Edge(known.evidence, verdict)}
    plan = around.canonical(edges, limits)
    here = [one.members for one in around.persons.values() if not set(pair).isdisjoint(one.members)]
    home = {node: part for part in plan.persons for node in part}
    parts = dict.fromkeys(home[node] for nodes in (pair, *here) for node in nodes)
    return Foreseen(edges, plan, tuple(_person(part, around, plan) for part in parts))


def _person(part: frozenset[NodeId], around: Survey, plan: Canonical) -> Settled:
    """A person of these identifiers, with what stands of each in its present person."""
    fields = {f"k:{node}".encode(): b"1" for node in part}
    fields |= {f"x:{node}".encode(): b"1" for node in plan.shared & part}
    for settled in around.persons.values():
        own = part.intersection(settled.members)
        fields |= {
            name: value
            for name, value in settled.fields.items()
            if name[:2] in {b"f:", b"c:"} and _node_in(name) in own
        }
    return Settled(max(part, key=rank), fields)


def _node_in(field: bytes) -> NodeId:
    return NodeId(field[2 : field.rindex(b"@")].decode())
