"""Following evidence: from one more reason to believe in a link to the persons it makes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from models.card_words import KEPT_WORDS, CardWord, encode_word
from models.commands import Steps, together
from models.event_base import MAX_TIME_MS
from models.evidence import (
    DEFAULT_LIMITS,
    Evidence,
    Limits,
    Verdict,
    encode_evidence,
)
from models.forest import Settled, erased_in
from models.identifiers import NodeId
from models.identity import join
from models.keys import Keys
from models.sign_ins import count_verdict
from models.splits import Resettled, resettle
from models.verdicts import encode_verdict

__all__ = [
    "Contested",
    "LinkResult",
    "Linked",
    "declare",
    "follow",
    "judge",
    "link",
    "look",
    "withdraw",
]

LinkResult = Literal["linked", "known", "refused", "rejected", "split", "erased", "withdrawn"]

REJECTED: Final = -1
DOUBTFUL: Final = -2
ERASED_MEANWHILE: Final = -3
"""What ``witness`` replies instead of the number of links."""


class Linked(msgspec.Struct, frozen=True):
    """What became of a link.

    Attributes:
        result: ``linked`` when two persons became one, ``known`` when they were one already,
            ``refused`` when all evidence around speaks against it or it is quarantined,
            ``rejected`` when somebody has decided that it is wrong, ``split`` when the CRM says
            of two cards that they are two customers', ``erased`` when what was told is not newer
            than the erasure of one of the two, ``withdrawn`` when its evidence was taken back.
        resettled: what changed around it, where it was contested.
    """

    result: LinkResult
    resettled: Resettled | None = None


class Contested(msgspec.Struct, frozen=True, gc=False):
    """Evidence that stands and cannot simply be followed: see :func:`look`.

    Attributes:
        a: the node whose event told of the link.
        b: the other node.
        evidence: why.
        crowded: those of the two that have too many links.
    """

    a: NodeId
    b: NodeId
    evidence: Evidence
    crowded: tuple[NodeId, ...] = ()

    @property
    def starts(self) -> tuple[NodeId, ...]:
        """Where to look: nobody looks beyond a crowded identifier but from there."""
        return self.crowded or (self.a,)


def link(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    evidence: Evidence,
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Linked]:
    """Keeps evidence, follows it, and looks at all that is around where it is contested.

    Arguments are those of :func:`follow`.
    """
    followed = yield from follow(keys, a, b, evidence, next_token, limits=limits)
    if isinstance(followed, Linked):
        return followed
    (linked,) = yield from look(keys, [followed], next_token, limits=limits)
    return linked


def follow(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    evidence: Evidence,
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Linked | Contested]:
    """Keeps evidence that ``a`` and ``b`` are one person's, and follows it where that is simple.

    Args:
        keys: the owner's key names.
        a: the node whose event told of the link.
        b: the other node.
        evidence: why; kept under both nodes, the strongest and earliest of a pair.
        next_token: gives a token that was never used before.
        limits: the blast radius.
    """
    is_soft = evidence.confidence < limits.min_confidence
    while True:
        witnessed = yield from _witness(keys, a, b, evidence, limits)
        if isinstance(witnessed, str):
            return Linked(witnessed)
        crowded, is_doubtful = witnessed
        if crowded or is_doubtful or is_soft:
            return Contested(a, b, evidence, crowded)
        result, settled = yield from join(keys, a, b, next_token, told_ms=evidence.time_ms)
        if result == "withdrawn":
            continue
        if settled is None or _needs_a_look(settled, limits):
            return Contested(a, b, evidence)
        return Linked("linked" if result == "joined" else "known")


def look(
    keys: Keys,
    contested: Sequence[Contested],
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[list[Linked]]:
    """Makes the persons that follow from all evidence around contested links.

    What one look has seen needs no other, so it costs about the same for one link of a contested
    crowd as for hundreds. Who is connected shows only then: one link is looked at first, then two
    of those that are left, then four.

    Args:
        keys: the owner's key names.
        contested: what :func:`follow` found; all of it stands.
        next_token: gives a token that was never used before.
        limits: the blast radius.

    Returns:
        What became of each, in order; what has changed stands with the first of those that one
        look was for.
    """
    if not contested:
        return []
    made: dict[Contested, Linked] = {}
    todo, width = list(dict.fromkeys(contested)), 1
    while todo:
        wave, todo = todo[:width], todo[width:]
        looks = yield from together(resettle(keys, one.starts, limits, next_token) for one in wave)
        for first, looked in zip(wave, looks, strict=True):
            home = _home(looked)
            made[first] = Linked(_result(first, home), looked)
            made |= {
                one: Linked(_result(one, home)) for one in todo if _has_seen(looked, first, one)
            }
        todo = [one for one in todo if one not in made]
        width *= 2
    entries = yield [("GET", keys.parent(node)) for one in made for node in (one.a, one.b)]
    for place, one in enumerate(list(made)):
        erased_ms = max(map(erased_in, entries[2 * place : 2 * place + 2]))
        if made[one].result != "linked" and one.evidence.time_ms <= erased_ms:
            # Erased meanwhile: what was just kept has to go again.
            again = yield from link(keys, one.a, one.b, one.evidence, next_token, limits=limits)
            made[one] = Linked(again.result, again.resettled or made[one].resettled)
    return [made[one] for one in contested]


def _witness(
    keys: Keys, a: NodeId, b: NodeId, evidence: Evidence, limits: Limits
) -> Steps[Literal["rejected", "erased"] | tuple[tuple[NodeId, ...], bool]]:
    """Keeps evidence under both nodes, unless it does not count.

    Returns:
        Why it does not; else which of the two have too many links, and whether the link was
        refused before or other phones speak against it.
    """
    encoded = encode_evidence(evidence)
    while True:
        erased_ms = yield from _erased_ms(keys, a, b)
        if evidence.time_ms <= erased_ms:
            # Somebody may have kept it at one of the two, an instant before the other was erased.
            yield from _disown(keys, a, b, erased_ms)
            return "erased"
        links = yield [
            ("FCALL", "kinbid_v1_witness", 2, keys.evidence(one), keys.parent(one),
             other, encoded, limits.links(one), erased_ms)
            for one, other in ((a, b), (b, a))
        ]  # fmt: skip
        if ERASED_MEANWHILE in links:
            continue
        counted = zip((a, b), links, strict=True)
        crowded = tuple(node for node, count in counted if count > limits.links(node))
        # A rejected link counts, too: it may be the one too many, so others are to be parted.
        if REJECTED in links and not crowded:
            return "rejected"
        return crowded, DOUBTFUL in links


def _erased_ms(keys: Keys, a: NodeId, b: NodeId) -> Steps[int]:
    """Until when nothing counts that was told of the pair, Unix ms; 0 if neither was erased."""
    entries = yield [("GET", keys.parent(node)) for node in (a, b)]
    return max(map(erased_in, entries))


def _disown(keys: Keys, a: NodeId, b: NodeId, erased_ms: int) -> Steps[None]:
    yield [
        ("FCALL", "kinbid_v1_disown", 1, keys.evidence(one), other, erased_ms)
        for one, other in ((a, b), (b, a))
    ]


def declare(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    word: CardWord,
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Linked]:
    """Has the CRM's word on two of its cards stand, unless a newer one does, and follows it.

    Args:
        keys: the owner's key names.
        a: the card whose event told of it.
        b: the other card.
        word: what the CRM says.
        next_token: gives a token that was never used before.
        limits: the blast radius.
    """
    encoded = encode_word(word)
    erased_ms = yield from _erased_ms(keys, a, b)
    if word.time_ms <= erased_ms:
        yield from _disown(keys, a, b, erased_ms)
        return Linked("erased")
    yield [
        ("FCALL", "kinbid_v1_declare", 1, keys.evidence(one), other, encoded, KEPT_WORDS)
        for one, other in ((a, b), (b, a))
    ]
    done = yield from resettle(keys, [a], limits, next_token)
    is_one = b in _home(done)[a]
    if word.survivor is not None:
        return Linked("linked" if is_one else "refused", done)
    return Linked("known" if is_one else "split", done)


def withdraw(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    evidence: Evidence,
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Linked]:
    """Takes evidence back that turned out wrong, whatever its confidence was.

    Unlike a rejected link, it may be found right again. Of a pair only the strongest and earliest
    evidence is kept, so weaker evidence for it has to be told again by whoever knows it.

    Args:
        keys: the owner's key names.
        a: a node.
        b: the other node.
        evidence: its kind and time say which.
        next_token: gives a token that was never used before.
        limits: the blast radius.
    """
    encoded = encode_evidence(evidence)
    yield [
        ("FCALL", "kinbid_v1_withdraw", 1, keys.evidence(one), other, encoded)
        for one, other in ((a, b), (b, a))
    ]
    # No evidence leads from one to the other any more, and each may have kept others apart.
    return Linked("withdrawn", (yield from resettle(keys, [a, b], limits, next_token)))


def judge(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    verdict: Verdict,
    next_token: Callable[[], str],
    *,
    at_ms: int = MAX_TIME_MS - 1,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Resettled]:
    """Has somebody's verdict on a link stand, and makes the persons that follow from it.

    A rejected link is withdrawn as if its evidence had never been seen, and stays so whatever
    evidence comes. An approved one is exempt from the limits, not from the rule of one CRM id.
    What was decided before one of the two was erased has gone with the rest.

    Args:
        keys: the owner's key names.
        a: a node.
        b: the other node.
        verdict: what was decided.
        next_token: gives a token that was never used before.
        at_ms: when, Unix ms.
        limits: the blast radius.
    """
    erased_ms = yield from _erased_ms(keys, a, b)
    if at_ms > erased_ms:
        encoded = encode_verdict(verdict, at_ms)
        yield [
            ("HSET", keys.evidence(one), f"x:{other}", encoded) for one, other in ((a, b), (b, a))
        ]
        erased_ms = yield from _erased_ms(keys, a, b)  # perhaps meanwhile
    if at_ms <= erased_ms:
        yield from _disown(keys, a, b, erased_ms)
    done = yield from resettle(keys, [a], limits, next_token)
    yield from count_verdict(keys, done.plan.shared.intersection((a, b)))
    return done


def _needs_a_look(settled: Settled, limits: Limits) -> bool:
    return settled.is_contested or len(settled.members) > limits.person_ids


def _has_seen(looked: Resettled, first: Contested, one: Contested) -> bool:
    """Whether a look for the first has seen all that evidence of another can change."""
    if one.crowded and set(one.crowded).issubset(first.starts):
        return True
    return looked.followed.issuperset((one.a, one.b))


def _home(looked: Resettled) -> dict[NodeId, frozenset[NodeId]]:
    return {node: person for person in looked.plan.persons for node in person}


def _result(one: Contested, home: Mapping[NodeId, frozenset[NodeId]]) -> LinkResult:
    person = home.get(one.a)
    return "linked" if person is not None and one.b in person else "refused"
