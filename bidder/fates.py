"""Why each campaign won or lost a slot: every one is asked, for people who want to know.

It is also the plain twin of the index: the best of all that it finds is the winner.
"""

from bidder.bids import Bid, Fate, Loss, Lost
from bidder.contest import contextual_bid, personal_bid
from bidder.offers import intents
from bidder.plans import plan_for
from bidder.slot import Slot
from models.campaign_facts import facts_of
from models.catalog_records import Campaign
from models.units import MICROS

__all__ = ["fates_of", "judge"]

OWN_REASONS = frozenset({"audience", "goal", "offer", "format", "deal"})
"""Dimensions whose mismatch has a reason of its own."""


def fates_of(slot: Slot, best: Bid | None) -> list[Fate]:
    """What became of every campaign but the winner."""
    winner = None if best is None else best.campaign.id
    return [
        Fate(slot.imp.id, name, _lost(judge(slot, campaign)), slot.opening.deal_id)
        for name, campaign in slot.desk.catalog.campaigns.items()
        if name != winner
    ]


def _lost(result: Bid | Lost) -> Lost:
    if isinstance(result, Lost):
        return result
    return Lost(Loss.OUTBID, f"worth {result.value_cpm_micros / MICROS:.4f} CPM")


def judge(slot: Slot, campaign: Campaign) -> Bid | Lost:
    """The bid of one campaign, or why it makes none."""
    if not campaign.is_active:
        return Lost(Loss.PAUSED)
    desk = slot.desk
    standing = desk.standing_with(campaign.advertiser)
    if standing.lost is not None:
        return standing.lost
    elsewhere = _mismatch(slot, campaign)
    if elsewhere is not None:
        return elsewhere
    if campaign.goal == "contextual":
        return contextual_bid(slot, campaign)
    if desk.person.root is None:
        return Lost(Loss.NO_PERSON)
    if standing.first_of(campaign.segments) is None:
        return Lost(Loss.NO_SEGMENT)
    plan = plan_for(desk, campaign)
    if plan is None:
        newest = next(intents(standing.dealings, campaign.advertiser, campaign.goal), None)
        return Lost(Loss.NOTHING_TO_SELL, newest.key) if newest else Lost(Loss.NO_INTENT)
    return personal_bid(slot, campaign, plan)


def _mismatch(slot: Slot, campaign: Campaign) -> Lost | None:
    """In which dimension the opening is not one of the campaign's."""
    if not slot.opening.admits(campaign):
        return Lost(Loss.NO_DEAL)
    facts = facts_of(campaign, slot.desk.catalog.creatives.get(campaign.id, ()))
    for dimension, values in slot.query.items():
        wanted = facts[dimension]
        if dimension not in OWN_REASONS and wanted and not set(wanted) & set(values):
            return Lost(Loss.TARGETING, dimension)
    return None
