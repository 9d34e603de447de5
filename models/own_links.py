"""All links of a person's identifiers, those included that connect nobody any more."""

from models.commands import Steps, fields_of
from models.evidence import Limits, Pair, pair_of
from models.identifiers import NodeId
from models.keys import Keys
from models.survey import MORE_LINKS, Survey, survey

__all__ = ["survey_links", "survey_pair"]


def survey_links(keys: Keys, node: NodeId, limits: Limits) -> Steps[Survey]:
    """What :func:`models.splits.survey` finds, and every further link of the person of ``node``.

    A survey does not look beyond links that were rejected or are too many, unless it begins there:
    so it is begun again at each identifier of the person that has one.

    Args:
        keys: the owner's key names.
        node: any identifier of the person.
        limits: the blast radius.
    """
    found = yield from survey(keys, [node], limits)
    members = next((one.members for one in found.persons.values() if node in one.members), [node])
    replies = yield [("HGETALL", keys.evidence(one)) for one in members]
    for one, reply in zip(members, replies, strict=True):
        named = fields_of(reply).keys() - {MORE_LINKS}
        linked = {pair_of(one, NodeId(name[2:].decode())) for name in named}
        if not linked.issubset(found.edges):
            found = _together(found, (yield from survey(keys, [one], limits)))
    return found


def survey_pair(keys: Keys, pair: Pair, limits: Limits) -> Steps[Survey]:
    """The same for the persons of two identifiers, which need not be linked."""
    a, b = pair
    one = yield from survey_links(keys, a, limits)
    other = yield from survey_links(keys, b, limits)
    return _together(one, other)


def _together(one: Survey, other: Survey) -> Survey:
    return Survey(
        {**one.persons, **other.persons},
        {**one.edges, **other.edges},
        {**one.apart, **other.apart},
        {**one.noted, **other.noted},
        one.overloaded | other.overloaded,
        one.crowded | other.crowded,
        one.followed | other.followed,
    )
