"""``kinbid budgets``: what campaigns may cost a day, have cost, and how they are paced."""

import asyncio
from typing import Any

from kinbid.command import Config, running_settings

__all__ = ["budgets", "budgets_of"]


def budgets(config: Config = None) -> None:
    """List daily budgets: today's spend, what is left, and the pacing multiplier."""
    from bidder.catalog_feed import load_market
    from kinbid.show import show_budgets
    from models.budgets import day_at
    from runtime import clock

    settings = running_settings(config).settings
    catalog, allowances = asyncio.run(load_market(settings))
    day = day_at(clock.now_ms(), settings.time_zone).name
    rows = budgets_of(catalog, allowances, day)
    show_budgets(rows, day=day, is_current=allowances.is_current)


def budgets_of(catalog: Any, allowances: Any, day: str) -> list[dict[str, Any]]:  # noqa: ANN401
    """A row for each campaign with a budget; money in micros."""
    return [
        {
            "campaign": name,
            "budget_micros": campaign.daily_budget_micros,
            "spent_micros": allowances.spent_micros(name, day),
            "pacing": campaign.pacing,
            "control": allowances.of[name].control,
        }
        for name, campaign in sorted(catalog.campaigns.items())
        if campaign.daily_budget_micros is not None
    ]
