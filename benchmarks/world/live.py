"""The live part of a world: visits, ad slots, inventory changes and probes, in order of time."""

import heapq
import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from benchmarks.world.actions import Action, Canary, Emit
from benchmarks.world.browsing import Shelf, search_of, visit
from benchmarks.world.devices import node_of
from benchmarks.world.people import Person, activity_steps
from benchmarks.world.shop import SHOP
from benchmarks.world.slots import EXCHANGES, REQUESTS_PER_PAGE, slots_of_page
from benchmarks.world.stock import Stock
from models.events import ProductView
from models.identifiers import Namespace, Pepper
from models.units import SECOND_MS

__all__ = ["LiveStory"]

VISITS_PER_PERSON_SECOND: Final = 0.0189
"""A visit has 4 events on average, so 2,000 customers make about 150 events a second."""

WARM_UP_MS: Final = 20 * SECOND_MS
"""Visits that began before the start go on after it; what they had done by then is left out."""

REQUESTS_PER_PERSON_SECOND: Final = 0.2
"""Bid requests: 400 a second for 2,000 customers."""

CANARY_PERIOD_MS: Final = 500


class LiveStory:
    """Draws the live part second by second, so that a long run needs no more memory.

    Args:
        seed: of all draws; each second has a generator of its own.
        customers: what the rates are proportional to.
        people: customers and visitors.
        shelf: what is on sale.
        stock: the inventory, moved along.
        canary_things: trips and items that only probes look at.
        pepper: for the nodes of the probes' devices.
        start_ms: Unix ms of offset 0.
    """

    def __init__(
        self,
        *,
        seed: int,
        customers: int,
        people: Sequence[Person],
        shelf: Shelf,
        stock: Stock,
        canary_things: Sequence[str],
        pepper: Pepper,
        start_ms: int,
    ) -> None:
        self._seed = seed
        self._customers = customers
        self._people = people
        self._steps = activity_steps(people)
        self._shelf = shelf
        self._stock = stock
        self._canary_things = canary_things
        self._pepper = pepper
        self._start_ms = start_ms

    def actions(self, seconds: float) -> Iterator[Action]:
        """Every action before ``seconds``, by rising offset."""
        end_ms = round(seconds * SECOND_MS)
        waiting: list[tuple[int, int, Action]] = []
        order = count()
        for begin_ms in range(-WARM_UP_MS, end_ms, SECOND_MS):
            for action in self._second(begin_ms):
                if action.offset_ms < 0:
                    continue
                heapq.heappush(waiting, (action.offset_ms, next(order), action))
            until_ms = min(end_ms, begin_ms + SECOND_MS)
            while waiting and waiting[0][0] < until_ms:
                yield heapq.heappop(waiting)[2]

    def _second(self, begin_ms: int) -> Iterator[Action]:
        rng = random.Random(f"{self._seed}/live/{begin_ms}")
        yield from self._visits(rng, begin_ms)
        if begin_ms < 0:
            return
        yield from self._stock.second(rng, begin_ms, self._start_ms)
        yield from self._pages(rng, begin_ms)
        for offset_ms in range(begin_ms, begin_ms + SECOND_MS, CANARY_PERIOD_MS):
            if self._canary_things:
                yield self._canary(rng, offset_ms + CANARY_PERIOD_MS // 2)

    def _visits(self, rng: random.Random, begin_ms: int) -> Iterator[Action]:
        rate = VISITS_PER_PERSON_SECOND * self._customers
        for number, at_ms in enumerate(_arrivals(rng, rate, begin_ms)):
            name = f"v{self._seed}-{begin_ms}-{number}"
            begun_ms = self._start_ms + at_ms
            for event in visit(rng, self._somebody(rng), begun_ms, name, self._shelf):
                yield Emit(offset_ms=event.event_time_ms - self._start_ms, event=event)

    def _pages(self, rng: random.Random, begin_ms: int) -> Iterator[Action]:
        rate = REQUESTS_PER_PERSON_SECOND * self._customers / REQUESTS_PER_PAGE
        for number, at_ms in enumerate(_arrivals(rng, rate, begin_ms)):
            name = f"r{self._seed}-{begin_ms}-{number}"
            yield from slots_of_page(rng, self._somebody(rng), at_ms, name)

    def _somebody(self, rng: random.Random) -> Person:
        return rng.choices(self._people, cum_weights=self._steps)[0]

    def _canary(self, rng: random.Random, offset_ms: int) -> Canary:
        """A device never seen before looks at the next of the probes' things."""
        number = offset_ms // CANARY_PERIOD_MS
        thing = self._canary_things[number % len(self._canary_things)]
        cookie = rng.randbytes(16).hex()
        node = node_of(self._pepper, Namespace.COOKIE, cookie)
        exchange = EXCHANGES[number % len(EXCHANGES)]
        name, time_ms = f"c{self._seed}-{number}", self._start_ms + offset_ms
        if thing in self._shelf.products:
            view = ProductView(
                event_id=name, ids=(node,), event_time_ms=time_ms, advertiser=SHOP, item=thing
            )
            return Canary(
                offset_ms=offset_ms, event=view, cookie=cookie, node=node, exchange=exchange,
                item=thing,
            )  # fmt: skip
        search = search_of(thing, (node,), name, time_ms)
        return Canary(
            offset_ms=offset_ms, event=search, cookie=cookie, node=node, exchange=exchange,
            trip=thing,
        )  # fmt: skip


def _arrivals(rng: random.Random, rate_per_second: float, begin_ms: int) -> Iterator[int]:
    """Offsets of a Poisson process within one second."""
    at_ms = begin_ms + rng.expovariate(rate_per_second) * SECOND_MS
    while at_ms < begin_ms + SECOND_MS:
        yield int(at_ms)
        at_ms += rng.expovariate(rate_per_second) * SECOND_MS
