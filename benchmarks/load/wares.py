"""The catalogue of the bid benchmarks: advertisers, campaigns for some of whose segments, offers.

Whatever the number of campaigns, a person has to do with three advertisers, and about three in a
hundred campaigns may be shown to them: the advertiser is one of theirs, a segment contains them,
and a creative fits the slot.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from benchmarks.load.audience import (
    AIRLINES,
    ITEMS,
    ROUTES,
    SEARCH_DAYS,
    airline,
    item,
    route,
    shop,
)
from models.catalog_records import (
    Advertiser,
    Campaign,
    CatalogRecord,
    Creative,
    Exchange,
    Flight,
    Offer,
    Product,
    Segment,
)
from models.limits import Cap
from models.units import (
    DAY_MS,
    HOUR_MS,
    MICROS,
    AdvertiserId,
    CampaignId,
    CreativeId,
    ExchangeId,
    SegmentId,
    date_of,
)

if TYPE_CHECKING:
    from models.templates import Goal

__all__ = ["EXCHANGE", "catalog_of", "offers_of"]

EXCHANGE: Final = ExchangeId("bench")
CAMPAIGNS_PER_ADVERTISER: Final = 50
MOST_ADVERTISERS: Final = 200
BANDS: Final = ((0, 0), (1, 1), (2, 3), (4, None))
"""Segments of an advertiser by orders."""
CONTEXTUAL_OF: Final = 100
FIRST_CONTEXTUAL: Final = 2
"""One campaign in so many, and one of the first three, is there for nobody in particular and fits
every slot: so every request has a bid."""
SIZES: Final = ((300, 250), (320, 50), (728, 90), (160, 600), (970, 250), (300, 600))
DEPARTURES: Final = 2
"""Of each route and day."""
MARKUP: Final = {
    "flight": '<a href="{{click_url}}"><b>{{route}}</b> {{depart_date}} from {{fare}}</a>',
    "product": '<a href="{{click_url}}"><b>{{title}}</b> {{price}}</a>',
    "contextual": '<a href="{{click_url}}"><b>{{advertiser}}</b></a>',
}
STYLE: Final = (
    '<div style="width:{width}px;height:{height}px;overflow:hidden;font:14px sans-serif">'
)
FILLER: Final = '<img src="https://cdn.example/{}/hero.jpg" alt="" width="100%" loading="eager">'


def catalog_of(campaigns: int, seed: int) -> Iterator[CatalogRecord]:
    """All records of a catalogue with so many campaigns."""
    rng = random.Random(seed)
    advertisers = _advertisers(campaigns)
    yield Exchange(id=EXCHANGE, default_tmax_ms=500)
    for one in advertisers:
        yield Advertiser(
            id=one, name=one.title(), domain=f"{one}.example", iab_categories=("IAB20",)
        )
        yield from _segments(one, rng)
    for number in range(campaigns):
        yield from _campaign(number, advertisers[number % len(advertisers)], rng)


def _advertisers(campaigns: int) -> list[AdvertiserId]:
    """Airlines and shops in turn: two at least, then one for every fifty campaigns."""
    count = min(MOST_ADVERTISERS, max(2, campaigns // CAMPAIGNS_PER_ADVERTISER))
    return [(airline, shop)[number % 2](number // 2) for number in range(count)]


def _segments(advertiser: AdvertiserId, rng: random.Random) -> Iterator[Segment]:
    for place, (least, most) in enumerate(BANDS):
        yield Segment(
            id=SegmentId(f"{advertiser}/{place}"), advertiser=advertiser, min_orders=least,
            max_orders=most, target_cpa_micros=rng.randint(5, 60) * MICROS,
            caps=(Cap(20, 86_400),), creative_set=f"set-{place}",
        )  # fmt: skip


def _campaign(
    number: int, advertiser: AdvertiserId, rng: random.Random
) -> Iterator[CatalogRecord]:  # fmt: skip
    campaign = CampaignId(f"c-{number}")
    if number % CONTEXTUAL_OF == FIRST_CONTEXTUAL:
        goal: Goal = "contextual"
        segments: tuple[SegmentId, ...] = ()
    else:
        goal = "flight" if advertiser.startswith("air-") else "product"
        many = rng.randint(1, 2)
        segments = tuple(
            SegmentId(f"{advertiser}/{place}") for place in rng.sample(range(len(BANDS)), many)
        )
    yield Campaign(
        id=campaign, advertiser=advertiser, goal=goal,
        segments=segments,
        contextual_cpm_micros=400_000 if goal == "contextual" else 0,
        uncapped_contextual=goal == "contextual",
    )  # fmt: skip
    sizes = SIZES if goal == "contextual" else tuple(rng.sample(SIZES, 2))
    yield Creative(
        id=CreativeId(f"{campaign}-a"), campaign=campaign, sizes=sizes,
        html=f"{STYLE}{FILLER.format(campaign)}{MARKUP[goal].format()}</div>",
        click_url=f"https://{advertiser}.example/l/{campaign}?to={{{_SLOT[goal]}}}",
    )  # fmt: skip


_SLOT: Final = {"flight": "trip", "product": "item", "contextual": "width"}


def offers_of(campaigns: int, seed: int, now_ms: int) -> Iterator[Offer]:
    """What can be sold: every trip and product that the audience may have looked at."""
    rng = random.Random(seed)
    for advertiser in _advertisers(min(campaigns, 2 * AIRLINES * CAMPAIGNS_PER_ADVERTISER)):
        if advertiser.startswith("air-"):
            yield from _flights(advertiser, rng, now_ms)
        else:
            yield from _products(advertiser, rng, now_ms)


def _flights(advertiser: AdvertiserId, rng: random.Random, now_ms: int) -> Iterator[Flight]:
    first = now_ms // DAY_MS + 2
    for number in range(ROUTES):
        origin, destination = route(number)
        for day in range(first, first + SEARCH_DAYS + 8):
            for departure in range(DEPARTURES):
                yield Flight(
                    id=f"{advertiser}{number * 10 + departure}/{date_of(day)}",
                    advertiser=advertiser, origin=origin, destination=destination,
                    depart_date=date_of(day),
                    depart_ms=day * DAY_MS + (7 + departure * 9) * HOUR_MS,
                    seats_total=180, seats_left=rng.randint(1, 150),
                    fare_micros=rng.randint(40, 600) * MICROS, updated_ms=now_ms,
                )  # fmt: skip


def _products(advertiser: AdvertiserId, rng: random.Random, now_ms: int) -> Iterator[Product]:
    for number in range(ITEMS):
        price_micros = rng.randint(5, 300) * MICROS
        yield Product(
            id=item(number), advertiser=advertiser, title=f"Item no. {number} of {advertiser}",
            group=f"group-{number % 10}", price_micros=price_micros,
            margin_micros=price_micros // 4, stock=rng.randint(1, 500), updated_ms=now_ms,
        )  # fmt: skip
