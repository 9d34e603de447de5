"""A verdict on a link, from the word of a person to the persons that it makes."""

from collections.abc import Iterable, Mapping

import msgspec

from bidder.catalog_feed import load_catalog
from kinbid.link_topics import give_verdict
from kinbid.person_summary import PersonSummary, settle_all, summary_of
from kinbid.told_link import ToldLink, named, told_link, utc
from models.catalog import Catalog
from models.commands import Steps
from models.errors import KinbidError
from models.evidence import Edge, Pair, Reason, Verdict
from models.foresight import foresee
from models.forest import Settled
from models.identifiers import NodeId
from models.keys import Keys
from models.link_path import path_between
from models.link_records import VerdictRecord
from models.own_links import survey_pair
from models.survey import Survey
from runtime import clock
from runtime.link import Link
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["Decided", "Decision", "NotCarriedOutError", "UnseenLinkError", "decide_link"]


class UnseenLinkError(KinbidError):
    """A verdict on two identifiers that no event named together."""


class NotCarriedOutError(KinbidError):
    """A verdict that is kept, but that no streams worker has carried out yet."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody decides.

    Attributes:
        verdict: approved or rejected.
        by, why: who, and their reason.
        wait_seconds: how long streams may take to carry it out.
        may_be_unseen: decide about the pair even if nothing was seen of it.
        is_dry_run: only foresee what would follow.
    """

    verdict: Verdict
    by: str
    why: str
    wait_seconds: float
    may_be_unseen: bool = False
    is_dry_run: bool = False


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a verdict.

    Attributes:
        a, b: the pair.
        verdict, by, why, at: what was decided, by whom, why and when.
        verdict_before: what was decided before.
        carried_out: whether streams has done it. If not, what follows is as it was before, or as it
            was foreseen.
        is_one: whether the two are one person.
        through: the links that make them one, where their own does not.
        reason: why their own link is not made.
        before: their persons.
        after: the persons of all who were in these.
    """

    a: NodeId
    b: NodeId
    verdict: Verdict
    by: str
    why: str
    at: str
    verdict_before: Verdict | None
    carried_out: bool
    is_one: bool
    through: tuple[ToldLink, ...]
    reason: Reason | None
    before: tuple[PersonSummary, ...]
    after: tuple[PersonSummary, ...]


class _Look(msgspec.Struct, frozen=True):
    """The two identifiers of a pair at one instant, real or foreseen.

    Attributes:
        pair: the two.
        edges: what is known of each pair around.
        refused: which links are not made, and why.
        persons: those of the two, and afterwards of all who were one person with either.
    """

    pair: Pair
    edges: Mapping[Pair, Edge]
    refused: Mapping[Pair, Reason | None]
    persons: tuple[Settled, ...]

    @property
    def is_one(self) -> bool:
        return any(set(self.pair).issubset(one.members) for one in self.persons)

    @property
    def reason(self) -> Reason | None:
        return self.refused.get(self.pair)

    @property
    def through(self) -> tuple[ToldLink, ...]:
        """The fewest other links that make the two one person."""
        made = self.edges.keys() - self.refused.keys() - {self.pair}
        path = path_between(*self.pair, made) if self.is_one else ()
        return tuple(told_link(pair, self.edges[pair], None) for pair in path)


async def decide_link(settings: Settings, pair: Pair, decision: Decision) -> Decided:
    """Gives a verdict and waits until persons are what follows from it; or foresees it.

    Args:
        settings: where Redis and Kafka are.
        pair: the link.
        decision: what somebody decides about it.

    Raises:
        UnseenLinkError: nothing was seen of the pair.
        KinbidError: Redis or Kafka cannot be used.
    """
    catalog = await load_catalog(settings)
    link = link_to(settings.redis_url, name="kinbid-verdict")
    await link.connect()
    record = VerdictRecord(
        a=pair[0], b=pair[1], verdict=decision.verdict, at_ms=clock.now_ms(), by=decision.by,
        reason=decision.why,
    )  # fmt: skip
    is_done = False
    try:
        around, before = await _look(link, settings, pair)
        _check_seen(before, decision)
        if decision.is_dry_run:
            after = _foreseen(around, pair, decision, settings)
        else:
            is_done = await give_verdict(settings, record, decision.wait_seconds)
            members = [node for one in before.persons for node in one.members]
            after = (await _look(link, settings, pair, members))[1] if is_done else before
    finally:
        await link.close()
    return _decided(record, is_done, (before, after), catalog)


def _decided(
    record: VerdictRecord,
    is_done: bool,  # noqa: FBT001 - what give_verdict said
    looks: tuple[_Look, _Look],
    catalog: Catalog,
) -> Decided:
    before, after = looks
    edge = before.edges.get(before.pair)
    return Decided(
        a=record.a,
        b=record.b,
        verdict=record.verdict,
        by=record.by,
        why=record.reason,
        at=utc(record.at_ms),
        verdict_before=edge.verdict if edge else None,
        carried_out=is_done,
        is_one=after.is_one,
        through=after.through if after.reason else (),
        reason=after.reason,
        before=tuple(summary_of(one, catalog) for one in before.persons),
        after=tuple(summary_of(one, catalog) for one in after.persons),
    )


async def _look(
    link: Link, settings: Settings, pair: Pair, others: Iterable[NodeId] = ()
) -> tuple[Survey, _Look]:
    keys = Keys(settings.owner)

    def look() -> Steps[tuple[Survey, _Look]]:
        around = yield from survey_pair(keys, pair, settings.limits)
        persons = yield from settle_all(keys, [*pair, *others])
        return around, _Look(pair, around.edges, around.noted, tuple(persons.values()))

    return await link.run(look())


def _foreseen(around: Survey, pair: Pair, decision: Decision, settings: Settings) -> _Look:
    found = foresee(around, pair, decision.verdict, settings.limits)
    return _Look(pair, found.edges, found.plan.refused, found.persons)


def _check_seen(look: _Look, decision: Decision) -> None:
    if look.pair in look.edges or decision.may_be_unseen:
        return
    a, b = look.pair
    if look.is_one:
        links = [f"`kinbid unlink {one.a} {one.b}` ({one.kind})" for one in look.through]
        raise UnseenLinkError(
            f"no event named both {named(a)} and {named(b)}: they are one person through other "
            f"links. Withdraw the one that is wrong: {', '.join(links)}"
        )
    word = "approve" if decision.verdict == "approved" else "reject"
    raise UnseenLinkError(
        f"nothing was seen of {named(a)} and {named(b)} together, and they are two persons: is "
        f"there a slip in one of them? To decide about them all the same: "
        f"`kinbid links {word} {a} {b} --unseen`"
    )
