"""The control loops of all campaigns with a budget that is spread over the day."""

from collections.abc import Iterable
from typing import Final

import msgspec

from models.budgets import Day
from models.catalog_records import Campaign
from models.spend_records import Pacing
from models.value.pacing import next_log_control, tick_target_micros

__all__ = ["TICK_MS", "next_pacing", "paced"]

TICK_MS: Final = 60_000


def paced(campaigns: Iterable[Campaign]) -> list[Campaign]:
    """Those with a budget to spread."""
    return [
        one
        for one in campaigns
        if one.is_active and one.daily_budget_micros is not None and one.pacing == "even"
    ]


def next_pacing(
    campaign: Campaign, before: Pacing | None, *, spent_micros: int, day: Day, now_ms: int
) -> Pacing | None:
    """Where a campaign's control loop stands after a tick.

    Args:
        campaign: with a budget.
        before: where it stood; None for a campaign that is new. What it learnt on another day
            holds for the beginning of this one.
        spent_micros: so far on this day.
        day: the owner's.
        now_ms: the present, Unix ms.

    Returns:
        None while the tick is not over.
    """
    budget_micros = campaign.daily_budget_micros or 0
    if before is None:
        return Pacing(
            campaign=campaign.id, day=day.name, log_control=0.0,
            spent_micros=spent_micros, tick_ms=now_ms,
        )  # fmt: skip
    if before.day != day.name:
        return msgspec.structs.replace(
            before, day=day.name, spent_micros=spent_micros, tick_ms=now_ms
        )
    ticks = (now_ms - before.tick_ms) / TICK_MS
    if ticks < 1:
        return None
    ticks_left = (day.ends_ms - before.tick_ms) / TICK_MS
    target_micros = tick_target_micros(budget_micros, before.spent_micros, ticks_left)
    actual_micros = (spent_micros - before.spent_micros) / ticks
    return msgspec.structs.replace(
        before,
        log_control=next_log_control(before.log_control, target_micros, actual_micros),
        spent_micros=spent_micros,
        tick_ms=now_ms,
    )
