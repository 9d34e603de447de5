"""A worker under more load than it can bear, as a queue: who is bid for, and who in time."""

from collections import deque
from typing import NamedTuple

import pytest

from bidder.backlog import Backlog
from bidder.deadlines import Deadlines
from models.catalog_records import Exchange
from models.units import ExchangeId

MS = 1_000_000
NORTH = Exchange(id=ExchangeId("north"), default_tmax_ms=120, network_margin_ms=20)
READ_NS = 1 * MS
UNREAD_NS = MS // 5
"""An answer that needs no reading takes a fifth of the time of a bid, and more in truth."""


class Outcome(NamedTuple):
    """Shares of all requests."""

    bids: float
    unread: float
    timeouts: float
    """Answers that the exchange did not wait for."""


def served(requests_per_ms: float, *, seconds: int = 20, burst: int = 0) -> Outcome:
    """What becomes of requests that come evenly, after so many at once."""
    backlog, terms = Backlog(), Deadlines(lambda _: 0).terms(NORTH)
    gap_ns = int(MS / requests_per_ms)
    arrivals = deque([0] * burst + [n * gap_ns for n in range(seconds * 1000 * MS // gap_ns)])
    total, now_ns = len(arrivals), 0
    bids = unread = timeouts = 0
    while arrivals:
        arrived_ns = arrivals.popleft()
        now_ns = max(now_ns, arrived_ns)
        waited_ms = (now_ns - arrived_ns) // MS
        if not backlog.is_calm(now_ns):
            backlog.observe(waited_ms, now_ns)
        if backlog.gives_up(waited_ms, terms.budget_ms(None)):
            unread += 1
            now_ns += UNREAD_NS
        else:
            bids += waited_ms < terms.budget_ms(None)
            now_ns += READ_NS
        timeouts += now_ns - arrived_ns > NORTH.default_tmax_ms * MS
    return Outcome(bids / total, unread / total, timeouts / total)


def test_below_its_capacity_everybody_is_bid_for() -> None:
    assert served(0.9) == Outcome(bids=1, unread=0, timeouts=0)


@pytest.mark.parametrize("load", [1.2, 2, 3, 4])
def test_above_its_capacity_few_time_out_and_it_goes_on_bidding(load: float) -> None:
    """T4, H15: exchanges send less to who times out in 15 of 100."""
    outcome = served(load)
    assert outcome.timeouts < 0.05
    # What is left of the time after 204s for all others, of which each costs a fifth of a bid.
    possible = (1 / load - UNREAD_NS / READ_NS) / (1 - UNREAD_NS / READ_NS)
    assert outcome.bids > 0.8 * possible
    assert outcome.bids + outcome.unread > 0.95


def test_a_burst_that_can_be_answered_in_time_costs_nobody_a_bid() -> None:
    """H15: a queue that does not stand is no overload."""
    assert served(0.5, burst=60) == Outcome(bids=1, unread=0, timeouts=0)


def test_without_giving_anything_up_nearly_all_would_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the others would show if nothing were given up."""
    monkeypatch.setattr(Backlog, "gives_up", lambda *_: False)
    assert served(2).timeouts > 0.9
