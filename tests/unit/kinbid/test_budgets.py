"""What ``kinbid budgets`` shows."""

import msgspec
import pytest

from kinbid.budgets import budgets_of
from kinbid.show import console, show_budgets
from models.budgets import Allowances
from models.spend_records import CampaignSpend, DaySpend, SpendMark
from models.topics import Topics
from models.units import MICROS
from tests.unit.bidder.support import BRAND, NOW_MS, SEATS, catalog

DAY = "2026-11-20"


def test_campaigns_with_a_budget_show_what_they_cost_today_and_what_is_left() -> None:
    what = catalog()
    seats = msgspec.structs.replace(what.campaigns[SEATS], daily_budget_micros=50 * MICROS)
    brand = msgspec.structs.replace(
        what.campaigns[BRAND], daily_budget_micros=MICROS, pacing="fast"
    )
    allowances = Allowances("UTC")
    for campaign in (seats, brand):
        what.apply(campaign)
        allowances.set_budget(campaign)
    for partition in range(Topics.OUTCOMES.partitions):
        allowances.learn(SpendMark(partition=partition, offset=1, counted_ms=NOW_MS))
    spend = (DaySpend(DAY, 12_500_000, 9),)
    allowances.learn(CampaignSpend(campaign=SEATS, partition=0, offset=1, days=spend))
    allowances.move_to(NOW_MS)
    rows = budgets_of(what, allowances, DAY)
    assert [(row["campaign"], row["spent_micros"]) for row in rows] == [
        (BRAND, 0), (SEATS, 12_500_000)
    ]  # fmt: skip
    with console.capture() as shown:
        show_budgets(rows, day=DAY, is_current=allowances.is_current)
    line = next(one for one in shown.get().splitlines() if one.startswith(SEATS))
    assert line.split() == [SEATS, "50.00", "12.50", "37.50", "even", "1.00"]


@pytest.mark.parametrize(
    ("rows", "text"), [([], "no campaign has a daily_budget"), ([{}], "spend is not known")]
)
def test_what_is_missing_is_said(rows: list[dict[str, object]], text: str) -> None:
    row = {"campaign": "a", "budget_micros": 1, "spent_micros": 0, "pacing": "even", "control": 1.0}
    with console.capture() as shown:
        show_budgets([row | one for one in rows], day=DAY, is_current=False)
    assert text in shown.get()
