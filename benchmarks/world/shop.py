"""The shop's past and its shelf: the real CDNOW purchase log and a seeded product feed.

Source: ``CDNOW_master.txt`` (Fader & Hardie), in the ``lifetimes`` package: every purchase until
June 1998 of the 23,570 people who first bought at CDNOW in the first quarter of 1997.
"""

import datetime as dt
import functools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from benchmarks.world.package_files import package_file
from models.catalog_records import Product
from models.units import AdvertiserId, parse_money

__all__ = ["LAST_DATE", "MARGIN_SHARE", "SHOP", "Purchase", "product_feed", "read_purchases"]

SHOP: Final = AdvertiserId("shop")

LAST_DATE: Final = dt.date(1998, 6, 30)
"""The log's last day; the world moves it to yesterday."""

MARGIN_SHARE: Final = 0.35
"""What is left of a past order's revenue: the log has no costs (assumption)."""

ALBUM_COUNT: Final = 270
ACCESSORY_COUNT: Final = 30

GENRES: Final = ("Jazz", "Rock", "Soul", "Folk", "Classical", "Electronic", "Blues", "Country")
FIRST_WORDS: Final = (
    "Blue", "Silver", "Quiet", "Northern", "Paper", "Velvet", "Golden", "Winter", "Electric",
    "Distant", "Copper", "Midnight", "Little", "Broken", "Saint", "Wild",
)  # fmt: skip
BAND_NOUNS: Final = (
    "Harbour", "Lanterns", "Sparrows", "Trio", "Avenue", "Orchard", "Engines", "Pilots",
    "Quartet", "Canyon", "Tigers", "Letters",
)  # fmt: skip
ALBUM_NOUNS: Final = (
    "Ferry", "Morning", "Signals", "Road", "Rain", "Horizon", "Rooms", "Tides", "Letters",
    "Weather", "Machines", "Gardens", "Miles", "Windows",
)  # fmt: skip
ACCESSORIES: Final = (
    "CD wallet, 24 sleeves", "CD wallet, 96 sleeves", "Lens cleaning disc",
    "Jewel cases, pack of 10", "Portable player", "Headphones, on-ear", "Headphones, in-ear",
    "Car adapter",
    "Storage tower, oak", "Storage tower, steel",
)  # fmt: skip
ACCESSORY_FINISHES: Final = ("black", "silver", "blue")


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """One line of the log; ``revenue_micros`` may be 0 (80 lines are)."""

    date: dt.date
    quantity: int
    revenue_micros: int


@functools.cache
def read_purchases() -> dict[str, tuple[Purchase, ...]]:
    """The log's purchases by customer id, each in the order of time.

    Raises:
        MissingDataError: the package is not installed.
    """
    text = package_file("lifetimes", "datasets/CDNOW_master.txt").read_text(encoding="ascii")
    found: defaultdict[str, list[Purchase]] = defaultdict(list)
    for line in text.splitlines()[1:]:
        customer, day, quantity, dollars = line.split()
        date = dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))
        purchase = Purchase(date, int(quantity), parse_money(dollars, "dollar_value"))
        found[customer].append(purchase)
    return {customer: tuple(purchases) for customer, purchases in found.items()}


def product_feed(seed: int, updated_ms: int) -> list[Product]:
    """The shop's shelf: albums with matching accessories, and the accessories themselves.

    Args:
        seed: of titles, prices and stock.
        updated_ms: the feed's time, Unix ms.
    """
    rng = random.Random(f"{seed}/products")
    accessory_ids = [f"AC-{number:04d}" for number in range(1, ACCESSORY_COUNT + 1)]
    feed = [
        _product(
            rng,
            f"CD-{number:04d}",
            title=title,
            group=rng.choice(GENRES),
            updated_ms=updated_ms,
            accessory_ids=accessory_ids,
        )
        for number, title in enumerate(_album_titles(rng), start=1)
    ]
    names = [f"{name}, {finish}" for name in ACCESSORIES for finish in ACCESSORY_FINISHES]
    for item, title in zip(accessory_ids, names, strict=True):
        feed.append(_product(rng, item, title=title, group="Accessories", updated_ms=updated_ms))
    return feed


def _album_titles(rng: random.Random) -> Iterator[str]:
    seen: set[str] = set()
    while len(seen) < ALBUM_COUNT:
        band = f"{rng.choice(FIRST_WORDS)} {rng.choice(BAND_NOUNS)}"
        title = f"{band}: {rng.choice(FIRST_WORDS)} {rng.choice(ALBUM_NOUNS)}"
        if title not in seen:
            seen.add(title)
            yield title


def _product(
    rng: random.Random,
    item: str,
    *,
    title: str,
    group: str,
    updated_ms: int,
    accessory_ids: Sequence[str] = (),
) -> Product:
    price_micros = rng.randrange(9_990_000, 25_000_000, 500_000)
    return Product(
        id=item,
        advertiser=SHOP,
        title=title,
        group=group,
        price_micros=price_micros,
        margin_micros=round(price_micros * rng.uniform(0.2, 0.4)),
        stock=rng.randint(1, 5) if rng.random() < 0.1 else rng.randint(20, 200),
        accessories=tuple(rng.sample(accessory_ids, rng.randint(1, 3))) if accessory_ids else (),
        updated_ms=updated_ms,
    )
