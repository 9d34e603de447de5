"""All links of a person's identifiers, those included that connect nobody any more."""

from collections.abc import Collection

from models.commands import Steps, fields_of
from models.evidence import Limits, Pair, pair_of
from models.identifiers import NodeId
from models.keys import Keys
from models.survey import MORE_LINKS, Survey, survey

__all__ = ["survey_links", "survey_pair", "survey_past"]


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


def survey_past(
    keys: Keys, node: NodeId, limits: Limits, parted: Collection[Pair] = ()
) -> Steps[Survey]:
    """What :func:`survey_links` finds, and what lies beyond links that were made once.

    That is beyond an identifier with too many links, to which it had fewer before, and beyond
    evidence that was taken back.

    Args:
        keys: the owner's key names.
        node: any identifier of the person.
        limits: the blast radius.
        parted: pairs of which evidence was taken back, whoever's.
    """
    found = yield from survey_links(keys, node, limits)
    members = next((one.members for one in found.persons.values() if node in one.members), [node])
    own, lost = frozenset(members), frozenset(parted)
    beyond = {
        other
        for pair in {*found.edges, *lost}
        for one, other in (pair, pair[::-1])
        if one in own and other not in own and (pair in lost or other in found.overloaded)
    }
    if not beyond:
        return found
    return _together(found, (yield from survey(keys, sorted(beyond), limits)))


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
