"""The decision: which ad, for this person, in this slot, at which price. Pure.

``decide`` reads a request, a person, the catalogue and the time; no I/O, no clock, no chance.
The live bidder, ``kinbid explain`` and the tests call the same function.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from bidder.auction import Terms, slot_refused, terms_of
from bidder.bids import Bid, Decision, Fate, Policy
from bidder.contest import contextual_bid, personal_bid, rivalry_of
from bidder.desk import Desk
from bidder.errors import NoBidReason
from bidder.fates import fates_of
from bidder.formats import Break, bids_wanted, break_of
from bidder.openings import Opening, openings
from bidder.openrtb import BidRequest, Imp
from bidder.plans import Plan, heads_of, plans_from
from bidder.slot import ANY_OFFER, Slot, slot_of
from models.budgets import UNPACED, Allowance
from models.catalog import Catalog
from models.catalog_records import Exchange
from models.profile import Person
from models.reservations import Reservation

__all__ = ["best_bids", "decide", "prospects_of"]

MOST_TRIED: Final = 256
"""Campaigns that a slot tries before it takes the best that it has: a bound on its time."""
CONTEXTUAL_TRIED: Final = 16
"""So many of those that know no person are tried in any case."""


def decide(
    request: BidRequest,
    person: Person,
    exchange: Exchange,
    catalog: Catalog,
    *,
    policy: Policy,
    now_ms: int,
    pending: tuple[Reservation, ...] = (),
    excluded: frozenset[str] = frozenset(),
    allowances: Mapping[str, Allowance] = UNPACED,
    fates: list[Fate] | None = None,
    terms: Terms | None = None,
) -> Decision:
    """Chooses at most one bid for each opening of each slot of a request.

    Args:
        request: the bid request.
        person: who it is for; ``Person()`` where nobody is known or may be known.
        exchange: who asks.
        catalog: what may be advertised.
        policy: our seat and currency.
        now_ms: the present, Unix ms.
        pending: reservations of this worker that ``person`` does not show yet.
        excluded: campaigns whose cap has just turned out to be used up.
        allowances: what campaigns with a budget may still spend.
        fates: if given, every campaign that lost an opening is appended, with its reason.
        terms: of the request, where they are known already.

    Returns:
        The bids; without any, the reason.
    """
    found = terms or terms_of(request, exchange, policy, catalog, now_ms)
    if isinstance(found, NoBidReason):
        return Decision((), found)
    desk = Desk(request, found, person, exchange, catalog, policy, now_ms, excluded, allowances)
    return best_bids(prospects_of(desk), pending, fates)


class Prospects(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The first half of a decision: what does not depend on the bids that others just made.

    Attributes:
        desk: the request.
        slots: that are open, each with the ways to bid on it.
        heads: plans for the person, see :func:`bidder.plans.heads_of`.
        reason: why the last slot that is not open is not.
    """

    desk: Desk
    slots: list[tuple[Imp, tuple[Opening, ...]]]
    heads: list[Plan]
    reason: NoBidReason


def prospects_of(desk: Desk) -> Prospects:
    """Which slots are open, and what the person is worth to whom."""
    slots: list[tuple[Imp, tuple[Opening, ...]]] = []
    reason = NoBidReason.NO_FORMAT
    for imp in desk.request.imp:
        ways = slot_refused(imp, desk.policy) or openings(imp, desk.terms, desk.catalog.deals)
        if isinstance(ways, NoBidReason):
            reason = ways
        else:
            slots.append((imp, ways))
    return Prospects(desk, slots, heads_of(desk) if slots else [], reason)


def best_bids(
    prospects: Prospects, pending: tuple[Reservation, ...] = (), fates: list[Fate] | None = None
) -> Decision:
    """The second half of a decision: the best bids, within the person's caps.

    Args:
        prospects: the first half.
        pending: see :func:`decide`.
        fates: see there.
    """
    desk, slots = prospects.desk, prospects.slots
    desk.reserved = desk.person.reservations + pending
    search = _Search(desk, fates, prospects.reason, plans_from(prospects.heads))
    if len(slots) > 1 or any(len(ways) > 1 or _ads_wanted(imp) > 1 for imp, ways in slots):
        search.plans = tuple(search.plans)  # each begins from the best one
    for imp, ways in slots:
        search.add_bids_on(imp, ways)
    picked = search.picked
    return Decision(tuple(picked), None if picked else search.reason, search.was_cut)


class _Search(msgspec.Struct, eq=False):
    """The bids on all slots of one request."""

    desk: Desk
    fates: list[Fate] | None
    reason: NoBidReason
    plans: Iterable[Plan]
    picked: list[Bid] = []
    breaks: Break | None = None
    was_cut: bool = False

    def add_bids_on(self, imp: Imp, ways: tuple[Opening, ...]) -> None:
        """Bids on each opening of a slot, as many as the exchange takes."""
        wanted = _ads_wanted(imp)
        if self.breaks is None and break_of(imp):
            self.breaks = Break()
        left = self.desk.exchange.max_bids_per_slot or len(ways) * wanted
        for opening in ways:
            for _ in range(wanted):
                if not left or not self._add_bid_in(opening, imp):
                    break
                left -= 1

    def _add_bid_in(self, opening: Opening, imp: Imp) -> bool:
        """Bids once on an opening, if anybody wants it."""
        slot = slot_of(self.desk, imp, opening, self.picked, self.breaks)
        contest = _Contest(slot, MOST_TRIED)
        contest.run(self.plans)
        best = contest.best
        if contest.was_cut:
            self.was_cut = True
        if self.fates is not None:
            self.fates += fates_of(slot, best)
        if best is None:
            self.reason = NoBidReason.NO_CAMPAIGN
            return False
        self.picked.append(best)
        if self.breaks is not None:
            self.breaks.add(imp, *rivalry_of(best, self.desk.catalog))
        return True


def _ads_wanted(imp: Imp) -> int:
    """How many ads a slot may be sold to."""
    return 1 if imp.video is None and imp.audio is None else bids_wanted(imp)


class _Contest(msgspec.Struct, eq=False):
    """The search for the best bid on one opening of a slot."""

    slot: Slot
    left: int
    best: Bid | None = None
    best_cpm_micros: int = -1
    was_cut: bool = False

    def run(self, plans: Iterable[Plan]) -> None:
        """Tries plans from the best downwards, then campaigns that know no person.

        Somebody worth as much as the best so far could still win: ties go by campaign.
        """
        slot = self.slot
        least_cpm_micros = slot.least_value_cpm_micros
        for plan in plans:
            most_cpm_micros = int(plan.most_cpm_micros)
            if most_cpm_micros < least_cpm_micros or most_cpm_micros < self.best_cpm_micros:
                break
            self._try_plan(plan, most_cpm_micros)
            if self.was_cut:
                break
        self.left = max(self.left, CONTEXTUAL_TRIED)
        self._try_contextual()

    def _try_plan(self, plan: Plan, most_cpm_micros: int) -> None:
        slot = self.slot
        offers = plan.offers if slot.desk.catalog.offers_are_limited else ANY_OFFER
        for campaign in slot.candidates(plan.segment.id, plan.choice.goal, offers):
            if not self._may_try():
                return
            if not plan.is_for(campaign):
                continue
            best, least_cpm_micros = self.best, 0
            if best is not None:
                least_cpm_micros = self.best_cpm_micros + (best.campaign.id < campaign.id)
            bid = personal_bid(slot, campaign, plan, least_cpm_micros)
            if isinstance(bid, Bid):
                self._enter(bid)
                if bid.value_cpm_micros == most_cpm_micros:
                    return  # those that follow are worth no more, and lose a tie

    def _try_contextual(self) -> None:
        desk = self.slot.desk
        for campaign in self.slot.contextual():
            if campaign.contextual_cpm_micros < self.best_cpm_micros:
                return
            if not self._may_try():
                return
            if desk.standing_with(campaign.advertiser).lost is None:
                bid = contextual_bid(self.slot, campaign)
                if isinstance(bid, Bid):
                    self._enter(bid)

    def _may_try(self) -> bool:
        """Whether there is time for one more."""
        self.left -= 1
        if self.left < 0:
            self.was_cut = True
            return False
        return True

    def _enter(self, bid: Bid) -> None:
        best = self.best
        if best is None or (-bid.value_cpm_micros, bid.campaign.id) < (
            -best.value_cpm_micros,
            best.campaign.id,
        ):
            self.best, self.best_cpm_micros = bid, bid.value_cpm_micros
