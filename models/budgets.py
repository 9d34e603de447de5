"""What campaigns may still spend today, as a bidder knows it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from models.catalog_records import Campaign
from models.spend_records import CampaignSpend, FoldMark, Pacing, SpendMark, SpendRecord
from models.topics import Topics
from models.units import SECOND_MS
from models.value.pacing import control_of

__all__ = ["UNPACED", "Allowance", "Allowances", "Day", "day_at"]

STALE_MS: Final = 15 * SECOND_MS
"""Spend that is known no later than that is not known: a budget fails closed."""
AHEAD_MS: Final = 1_800 * SECOND_MS
"""So far a campaign that spreads its budget may be ahead of an even day."""
NEAR: Final = 0.02
"""Of the budget: with less left of the plan, the plan is looked at again twice a second."""
QUARTER_MS: Final = 900 * SECOND_MS


class Day(msgspec.Struct, frozen=True, gc=False):
    """A day of the owner's.

    Attributes:
        name: ``YYYY-MM-DD``.
        begins_ms, ends_ms: Unix ms.
    """

    name: str
    begins_ms: int
    ends_ms: int


def day_at(time_ms: int, time_zone: str) -> Day:
    """The owner's day at a time, Unix ms; days begin at a quarter of an hour, in every zone."""
    return _day(time_ms // QUARTER_MS, time_zone)


@lru_cache(maxsize=512)
def _day(quarter: int, time_zone: str) -> Day:
    zone = ZoneInfo(time_zone)
    date = dt.datetime.fromtimestamp(quarter * QUARTER_MS / 1000, tz=zone).date()
    begin, end = (
        dt.datetime.combine(one, dt.time(), tzinfo=zone).timestamp()
        for one in (date, date + dt.timedelta(days=1))
    )
    return Day(date.isoformat(), int(begin) * 1000, int(end) * 1000)


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What a campaign with a budget may spend now.

    Attributes:
        left_micros: what its next bids may cost, see :class:`Allowances`.
        control: the pacing multiplier, in (0, 1].
    """

    left_micros: int
    control: float = 1.0


UNPACED: Final[Mapping[str, Allowance]] = {}
"""Where no campaign has a budget."""


class _Held(msgspec.Struct):
    """A campaign's bids of unknown outcome, a heap: when each is given up, what it may cost."""

    bids: list[tuple[int, int]] = []
    micros: int = 0


class Allowances:
    """Budgets, spend and open bids of one worker, and what follows from them.

    Nobody knows the open bids of another worker. So each has a share of what is left of the day:
    its open bids cost no more than that together, or are one alone. Sixteen workers would bid
    sixteen times the end of a budget in the second before the first notice of it is counted.

    Args:
        time_zone: of the owner's days.
        sharers: workers among which a budget is shared.
    """

    def __init__(self, time_zone: str, sharers: int = 1) -> None:
        self._time_zone = time_zone
        self._sharers = sharers
        self._budgets: dict[str, tuple[int, bool]] = {}
        self._spends: defaultdict[str, dict[int, CampaignSpend]] = defaultdict(dict)
        self._pacings: dict[str, Pacing] = {}
        self._held: dict[str, _Held] = {}
        self._unspent: dict[str, int] = {}
        self._day = day_at(0, time_zone)
        self._now_ms = 0
        self._ahead: set[str] = set()
        """Campaigns that have nearly spent what an even day allows up to now."""
        self._counted_ms: dict[int, int] = {}
        self.is_current = False
        """Whether spend is known well enough; without, no campaign with a budget may bid."""
        self.of: dict[str, Allowance] = {}
        """By campaign, of those with a budget."""

    @property
    def are_closed(self) -> bool:
        """Whether campaigns with a budget stand still, since nobody tells what they have spent."""
        return bool(self._budgets) and not self.is_current

    def set_budget(self, campaign: Campaign) -> None:
        """Takes a campaign's budget as it is now."""
        if campaign.daily_budget_micros is None:
            self.forget(campaign.id)
        else:
            self._budgets[campaign.id] = campaign.daily_budget_micros, campaign.pacing == "even"
            self._work_out(campaign.id)

    def forget(self, campaign: str) -> None:
        """Takes a campaign out."""
        self._budgets.pop(campaign, None)
        self._unspent.pop(campaign, None)
        self._ahead.discard(campaign)
        self.of.pop(campaign, None)

    def learn(self, record: SpendRecord) -> None:
        """Takes what streams tells; what is older than what is known changes nothing."""
        match record:
            case CampaignSpend():
                known = self._spends[record.campaign].get(record.partition)
                if known is None or record.offset > known.offset:
                    self._spends[record.campaign][record.partition] = record
            case Pacing():
                self._pacings[record.campaign] = record
            case SpendMark():
                self._counted_ms[record.partition] = record.counted_ms
                return
            case FoldMark():
                return  # of caps, see models.fold_clock
        self._work_out(record.campaign)

    def hold(self, campaign: str, cost_micros: int, expires_ms: int) -> None:
        """Sets aside what a bid may cost; without a budget there is nothing to do."""
        allowed = self.of.get(campaign)
        if allowed is not None:
            held = self._held.get(campaign)
            if held is None:
                held = self._held[campaign] = _Held()
            heappush(held.bids, (expires_ms, cost_micros))
            held.micros += cost_micros
            share_micros = self._unspent[campaign] // self._sharers
            self.of[campaign] = Allowance(share_micros - held.micros, allowed.control)

    def move_to(self, now_ms: int) -> None:
        """Gives up bids of which nothing was heard in time; notices a new day, and silence."""
        for campaign, held in list(self._held.items()):
            before = len(held.bids)
            while held.bids and held.bids[0][0] <= now_ms:
                held.micros -= heappop(held.bids)[1]
            if not held.bids:
                del self._held[campaign]
            if len(held.bids) < before:
                self._work_out(campaign)
        self._now_ms = now_ms
        was_current, self.is_current = self.is_current, self._is_current(now_ms)
        is_new_day = not self._day.begins_ms <= now_ms < self._day.ends_ms
        if is_new_day:
            self._day = day_at(now_ms, self._time_zone)
        if is_new_day or self.is_current is not was_current:
            for campaign in self._budgets:
                self._work_out(campaign)
        else:
            for campaign in list(self._ahead):
                self._work_out(campaign)

    def _is_current(self, now_ms: int) -> bool:
        told = self._counted_ms
        partitions = Topics.OUTCOMES.partitions
        return len(told) == partitions and min(told.values()) > now_ms - STALE_MS

    def spent_micros(self, campaign: str, day: str) -> int:
        """What was billed on a day, as far as it is known."""
        return sum(
            one.spend_micros
            for spend in self._spends.get(campaign, {}).values()
            for one in spend.days
            if one.day == day
        )

    def _planned_micros(self, budget_micros: int) -> int:
        """What an even day may have cost by now, and a little ahead.

        The multiplier learns once a minute; until it has, a small budget would be gone.
        """
        day = self._day
        share = (self._now_ms - day.begins_ms + AHEAD_MS) / (day.ends_ms - day.begins_ms)
        return int(budget_micros * min(1.0, max(0.0, share)))

    def _work_out(self, campaign: str) -> None:
        budget = self._budgets.get(campaign)
        if budget is None:
            return
        budget_micros, is_even = budget
        held = self._held.get(campaign)
        pacing = self._pacings.get(campaign) if is_even else None
        control = 1.0 if pacing is None else control_of(pacing.log_control)
        unspent_micros = 0
        if self.is_current:
            open_micros = self._planned_micros(budget_micros) if is_even else budget_micros
            unspent_micros = open_micros - self.spent_micros(campaign, self._day.name)
            if open_micros < budget_micros and unspent_micros < budget_micros * NEAR:
                self._ahead.add(campaign)
            else:
                self._ahead.discard(campaign)
        self._unspent[campaign] = unspent_micros
        left_micros = unspent_micros
        if held is not None:
            left_micros = unspent_micros // self._sharers - held.micros
        self.of[campaign] = Allowance(left_micros, control)
