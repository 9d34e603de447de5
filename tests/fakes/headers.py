"""Headers for tests, from plain intents."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from models.dealings import BuyerStats, Intent, Things, Trips, dealings_of
from models.header import Header
from models.units import SECOND_MS, epoch_day

__all__ = ["products_in", "searches_in", "showing"]

NOBODY: Final[Mapping[str, BuyerStats]] = {}


def showing(
    searches: Iterable[Intent] = (),
    products: Iterable[Intent] = (),
    buyers: Mapping[str, BuyerStats] = NOBODY,
    **more: Any,  # noqa: ANN401 - the header's other fields
) -> Header:
    """A header that shows all this."""
    trips: defaultdict[str, Trips] = defaultdict(lambda: ([], [], []))
    for one in sorted(searches, key=_newest_first):
        route, _, date = one.key.partition("/")
        _append(trips[one.advertiser], route, epoch_day(date), one.seen_ms // SECOND_MS)
    things: defaultdict[str, Things] = defaultdict(lambda: ([], [], []))
    for one in sorted(products, key=_newest_first):
        _append(things[one.advertiser], one.key, one.in_cart, one.seen_ms // SECOND_MS)
    names = sorted({*trips, *things, *buyers})
    dealings = {name: dealings_of(buyers.get(name), trips[name], things[name]) for name in names}
    return Header(dealings, **more)


def _newest_first(one: Intent) -> int:
    return -one.seen_ms


def _append(columns: Sequence[list[Any]], *values: object) -> None:
    for column, value in zip(columns, values, strict=True):
        column.append(value)


def searches_in(header: Header) -> list[Intent]:
    """Every flight search that shows."""
    return [one for name, dealings in header.dealings.items() for one in dealings.searches(name)]


def products_in(header: Header) -> list[Intent]:
    """Every product that shows."""
    return [one for name, dealings in header.dealings.items() for one in dealings.products(name)]
