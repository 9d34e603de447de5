"""The decision: which ad, for this person, in this slot, at which price. Pure.

``decide`` reads a request, a person, the catalogue and the time; no I/O, no clock, no chance.
The live bidder, ``kinbid explain`` and the tests call the same function.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bidder.auction import imp_refused, request_refused
from bidder.bids import Bid, Decision, Fate, Policy
from bidder.contest import contextual_bid, personal_bid
from bidder.desk import Desk
from bidder.errors import NoBidReason
from bidder.fates import fates_of
from bidder.openrtb import BidRequest
from bidder.plans import Plan, plans_of
from bidder.slot import Slot, slot_of
from models.budgets import UNPACED, Allowance
from models.catalog import Catalog
from models.catalog_records import Exchange
from models.profile import Person
from models.reservations import Reservation

__all__ = ["decide"]

MOST_TRIED: Final = 256
"""Campaigns that a slot tries before it takes the best that it has: a bound on its time."""


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
) -> Decision:
    """Chooses at most one bid for each slot of a request.

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
        fates: if given, every campaign that lost a slot is appended, with its reason.

    Returns:
        The bids; without any, the reason.
    """
    refused = request_refused(request, policy)
    if refused is not None:
        return Decision((), refused)
    reserved = (*person.reservations, *pending)
    desk = Desk(request, person, exchange, catalog, policy, now_ms, reserved, excluded, allowances)
    picked: list[Bid] = []
    reason, was_cut = NoBidReason.NO_BANNER, False
    plans: Sequence[Plan] | Iterator[Plan] | None = None
    for imp in request.imp:
        unfit = imp_refused(imp, policy)
        if unfit is not None:
            reason = unfit
            continue
        if plans is None:
            plans = plans_of(desk)
            if len(request.imp) > 1:  # each slot begins from the best one
                plans = tuple(plans)
        slot = slot_of(desk, imp, picked)
        contest = _Contest(slot)
        contest.run(plans)
        was_cut |= contest.left < 0
        if fates is not None:
            fates += fates_of(slot, contest.best)
        if contest.best is None:
            reason = NoBidReason.NO_CAMPAIGN
        else:
            picked.append(contest.best)
    return Decision(tuple(picked), None if picked else reason, was_cut)


class _Contest:
    """The search for the best bid on one slot."""

    __slots__ = ("best", "left", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.best: Bid | None = None
        self.left = MOST_TRIED

    def run(self, plans: Iterable[Plan]) -> None:
        """Tries plans from the best downwards, then campaigns that know no person."""
        for plan in plans:
            if plan.most_cpm_micros < self.slot.floor_cpm_micros or not self._can_win(
                int(plan.most_cpm_micros)
            ):
                break
            self._try_plan(plan)
        self._try_contextual()

    def _can_win(self, most_cpm_micros: int) -> bool:
        """Whether somebody worth so much could still win; ties go by campaign."""
        return self.best is None or most_cpm_micros >= self.best.value_cpm_micros

    def _try_plan(self, plan: Plan) -> None:
        most_cpm_micros = int(plan.most_cpm_micros)
        for campaign in self.slot.candidates(plan.segment.id, plan.choice.goal, plan.offers):
            self.left -= 1
            if self.left < 0:
                return
            if not plan.is_for(campaign):
                continue
            bid = personal_bid(self.slot, campaign, plan)
            if isinstance(bid, Bid):
                self._enter(bid)
                if bid.value_cpm_micros == most_cpm_micros:
                    return  # those that follow are worth no more, and lose a tie

    def _try_contextual(self) -> None:
        desk = self.slot.desk
        for campaign in self.slot.contextual():
            if not self._can_win(campaign.contextual_cpm_micros):
                return
            self.left -= 1
            if self.left < 0:
                return
            if desk.standing_with(campaign.advertiser).lost is None:
                bid = contextual_bid(self.slot, campaign)
                if isinstance(bid, Bid):
                    self._enter(bid)

    def _enter(self, bid: Bid) -> None:
        best = self.best
        if best is None or (-bid.value_cpm_micros, bid.campaign.id) < (
            -best.value_cpm_micros,
            best.campaign.id,
        ):
            self.best = bid
