"""Ad slots: which page or screen sells what, to which exchanges, against which rivals."""

import random
from collections.abc import Iterator
from typing import Final

from benchmarks.world.actions import Opportunity
from benchmarks.world.devices import DeviceKind
from benchmarks.world.people import Person
from models.catalog_records import AdFormat
from models.units import MICROS, ExchangeId

__all__ = ["EXCHANGES", "REQUESTS_PER_PAGE", "slots_of_page"]

EXCHANGES: Final = (ExchangeId("north"), ExchangeId("south"), ExchangeId("east"))

SINGLE_SHARE: Final = 0.55
"""Pages with one slot at one exchange."""

HEADER_BIDDING_SHARE: Final = 0.25
"""Pages with one slot that all exchanges are offered at once; the others have 3 to 5 slots."""

REQUESTS_PER_PAGE: Final = SINGLE_SHARE + 3 * HEADER_BIDDING_SHARE + 4 * 0.2
"""Bid requests that a page makes on average."""

RIVAL_MEDIAN_CPM_MICROS: Final = 2 * MICROS
RIVAL_SIGMA: Final = 0.92
"""Winners' prices are log-normal(3.89, 0.92) in iPinYou (the README of its benchmark); the median
of e^3.89 = 49 of its units is scaled to two dollars."""

BILLED_SHARE: Final = 0.95
"""Won auctions whose ad is rendered and billed."""

NATIVE_SHARE: Final = 0.12
VIDEO_SHARE: Final = 0.06
"""Slots that take native ads, and players; the others take banners."""

FLOORS_CPM_MICROS: Final = (100_000, 250_000, 500_000)

SIZES: Final[dict[DeviceKind, tuple[tuple[tuple[int, int], ...], ...]]] = {
    "desktop": (((300, 250), (300, 600)), ((728, 90),), ((300, 250),)),
    "phone": (((320, 50),), ((320, 50), (300, 250)), ((300, 250),)),
    "tablet": (((728, 90), (300, 250)), ((300, 250),), ((300, 600), (300, 250))),
}


def slots_of_page(
    rng: random.Random, person: Person, at_ms: int, name: str
) -> Iterator[Opportunity]:
    """The slots of one page or screen that a person opens.

    Args:
        rng: of this page.
        person: who looks at it, on any of their devices.
        at_ms: offset from the start.
        name: prefix of the request ids, unique.
    """
    device_index = rng.randrange(len(person.devices))
    share = rng.random()
    slot_count = 1 if share < SINGLE_SHARE + HEADER_BIDDING_SHARE else rng.randint(3, 5)
    chosen = EXCHANGES if SINGLE_SHARE <= share < SINGLE_SHARE + HEADER_BIDDING_SHARE else None
    for slot in range(slot_count):
        exchanges = chosen or (rng.choice(EXCHANGES),)
        yield _slot(
            rng,
            person,
            device_index,
            exchanges=exchanges,
            at_ms=at_ms + slot,
            request_id=f"{name}-{slot}",
        )


def _slot(
    rng: random.Random,
    person: Person,
    device_index: int,
    *,
    exchanges: tuple[ExchangeId, ...],
    at_ms: int,
    request_id: str,
) -> Opportunity:
    device = person.devices[device_index]
    return Opportunity(
        offset_ms=at_ms,
        request_id=request_id,
        person=person.index,
        device=device_index,
        surface=rng.choice(device.surfaces),
        exchanges=exchanges,
        rival_cpm_micros=tuple(_rival_cpm_micros(rng) for _ in exchanges),
        floor_cpm_micros=rng.choice(FLOORS_CPM_MICROS),
        sizes=rng.choice(SIZES[device.kind]),
        is_billed=rng.random() < BILLED_SHARE,
        billing_delay_ms=rng.randint(50, 300),
        format=_format(rng.random()),
    )


def _format(share: float) -> AdFormat:
    if share < NATIVE_SHARE:
        return "native"
    return "video" if share < NATIVE_SHARE + VIDEO_SHARE else "banner"


def _rival_cpm_micros(rng: random.Random) -> int:
    return round(RIVAL_MEDIAN_CPM_MICROS * rng.lognormvariate(0.0, RIVAL_SIGMA))
