"""Headers for tests, from plain intents."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from models.dealings import BuyerStats, Intent, Known, dealings_of
from models.header import Header
from models.units import DAY_MS, SECOND_MS, epoch_day

__all__ = ["products_in", "searches_in", "showing"]

NOBODY: Final[Mapping[str, BuyerStats]] = {}


def showing(
    searches: Iterable[Intent] = (),
    products: Iterable[Intent] = (),
    buyers: Mapping[str, BuyerStats] = NOBODY,
    **more: Any,  # noqa: ANN401 - the header's other fields
) -> Header:
    """A header that shows all this."""
    found = defaultdict(Known, {name: Known(buyer=buyer) for name, buyer in buyers.items()})
    for one in sorted(searches, key=_newest_first):
        route, _, date = one.key.partition("/")
        known = found[one.advertiser]
        known.routes.append(route)
        known.days_ahead.append(epoch_day(date) - one.seen_ms // DAY_MS)
        known.searched_s.append(one.seen_ms // SECOND_MS)
    for one in sorted(products, key=_newest_first):
        known = found[one.advertiser]
        known.carts |= one.in_cart << len(known.items)
        known.items.append(one.key)
        known.seen_s.append(one.seen_ms // SECOND_MS)
    return Header({name: dealings_of(known) for name, known in sorted(found.items())}, **more)


def _newest_first(one: Intent) -> int:
    return -one.seen_ms


def searches_in(header: Header) -> list[Intent]:
    """Every flight search that shows."""
    return [one for name, dealings in header.dealings.items() for one in dealings.searches(name)]


def products_in(header: Header) -> list[Intent]:
    """Every product that shows."""
    return [one for name, dealings in header.dealings.items() for one in dealings.products(name)]
