"""Following evidence: from one more reason to believe in a link to the persons it makes."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from models.card_words import KEPT_WORDS, CardWord, encode_word
from models.commands import Steps
from models.event_base import MAX_TIME_MS
from models.evidence import (
    DEFAULT_LIMITS,
    UNSEEN,
    Evidence,
    Limits,
    Pair,
    Verdict,
    encode_evidence,
)
from models.forest import Settled, erased_in
from models.identifiers import NodeId
from models.identity import join
from models.keys import Keys
from models.sign_ins import count_verdict
from models.splits import Resettled, resettle

__all__ = ["LinkResult", "Linked", "declare", "judge", "link", "withdraw"]

LinkResult = Literal["linked", "known", "refused", "rejected", "split", "erased", "withdrawn"]

REJECTED: Final = -1
REFUSED_BEFORE: Final = -2
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


def link(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    evidence: Evidence,
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Linked]:
    """Keeps evidence that ``a`` and ``b`` are one person's, and follows it.

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
        if not witnessed and not is_soft:
            result, settled = yield from join(keys, a, b, next_token, told_ms=evidence.time_ms)
            if result == "withdrawn":
                continue
            if settled is not None and not _needs_a_look(settled, limits):
                return Linked("linked" if result == "joined" else "known")
        linked = yield from _resettled(keys, (a, b), limits, next_token)
        # Erased meanwhile, what was just kept has to go again.
        erased_ms = yield from _erased_ms(keys, a, b)
        if linked.result == "linked" or evidence.time_ms > erased_ms:
            return linked


def _witness(
    keys: Keys, a: NodeId, b: NodeId, evidence: Evidence, limits: Limits
) -> Steps[Literal["rejected", "erased"] | bool]:
    """Keeps evidence under both nodes; whether somebody has to look, or why it is not kept."""
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
        if REJECTED in links:
            return "rejected"
        is_heavy = links[0] > limits.links(a) or links[1] > limits.links(b)
        return is_heavy or REFUSED_BEFORE in links


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
    linked = yield from _resettled(keys, (a, b), limits, next_token)
    if word.survivor is not None:
        return linked
    return Linked("known" if linked.result == "linked" else "split", linked.resettled)


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
    begins = encode_evidence(evidence).rpartition(b"@")[0] + b"@"
    yield [
        ("FCALL", "kinbid_v1_withdraw", 1, keys.evidence(one), other, begins)
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
    at_ms: int = MAX_TIME_MS,
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
        yield [
            ("FCALL", "kinbid_v1_judge", 1, keys.evidence(one), other, verdict, _UNSEEN)
            for one, other in ((a, b), (b, a))
        ]
        erased_ms = yield from _erased_ms(keys, a, b)  # perhaps meanwhile
    if at_ms <= erased_ms:
        yield from _disown(keys, a, b, erased_ms)
    done = yield from resettle(keys, [a], limits, next_token)
    yield from count_verdict(keys, done.plan.shared.intersection((a, b)))
    return done


_UNSEEN: Final = encode_evidence(UNSEEN)


def _needs_a_look(settled: Settled, limits: Limits) -> bool:
    return settled.is_contested or len(settled.members) > limits.person_ids


def _resettled(
    keys: Keys, pair: Pair, limits: Limits, next_token: Callable[[], str]
) -> Steps[Linked]:
    done = yield from resettle(keys, pair[:1], limits, next_token)
    is_one = any(person.issuperset(pair) for person in done.plan.persons)
    return Linked("linked" if is_one else "refused", done)
