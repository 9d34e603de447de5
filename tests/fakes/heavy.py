"""A history as large as the limits of the events allow, to press a facet against its bound.

Limits count letters, and a facet is counted in bytes; so the letters are of the longest in UTF-8.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from models.event_base import CHANNELS, MAX_TIME_MS
from models.events import (
    AccountErased,
    BookingStep,
    Call,
    CardContact,
    CarriedConsent,
    CartAdd,
    CartRemove,
    Consent,
    Contact,
    CouponUsed,
    CrmCard,
    CrmMerge,
    CrmSplit,
    Event,
    FlightSearch,
    FormAnswers,
    LoyaltyStatus,
    NumberLease,
    Order,
    OrderStatus,
    PageView,
    PriceWatch,
    ProductSearch,
    ProductView,
    Refund,
    Refusal,
    Registration,
    SignIn,
    TraitTold,
    decode_event,
    encode,
)
from models.identifiers import NodeId
from models.person_events import ACTIONS, CONTACT_CHANNELS, PURPOSES
from models.shop_events import STAGES
from models.units import DAY_MS, AdvertiserId

__all__ = ["LETTER", "heavy_events"]

MANY: Final = 10_000
LAST_MS: Final = MAX_TIME_MS - 2_000
"""Its seconds need more than 32 bits, hence nine bytes instead of five."""
EARLY_MS: Final = 1_000
START_MS: Final = LAST_MS - 1_000 * DAY_MS
LETTER: Final = "\U00010437"
"""Four bytes in UTF-8, and a letter to ``\\w``: names may have it."""
MICROS: Final = 10**15


def heavy_events(rng: random.Random, count: int) -> list[Event]:
    """Random events with texts of the greatest length, each as a producer could have sent it.

    Nearly each is of another advertiser, since names of advertisers are the longest texts of all.
    """
    made = [rng.choice(_MAKERS)(rng) for _ in range(count)]
    # Not every one: decoding shows that the limits allow such events, and takes its time.
    for event in made[:500]:
        assert decode_event(encode(event)) == event
    return made


def _text(rng: random.Random, length: int = 64, many: int = MANY) -> str:
    return f"{rng.randrange(many):x}".rjust(length, LETTER)


def _ascii(rng: random.Random, length: int = 64) -> str:
    return f"{rng.randrange(MANY):x}".rjust(length, "x")


def _node(rng: random.Random, letter: str) -> NodeId:
    return NodeId(letter + _ascii(rng, 22))


def _common(rng: random.Random) -> dict[str, Any]:
    # Most in one second, so that everything that may be kept has the longest times.
    time_ms = LAST_MS if rng.random() < 0.8 else START_MS + rng.randrange(1_000 * DAY_MS)
    return {
        "event_id": _text(rng, 256), "ids": (NodeId("k" + "a" * 22), _node(rng, "e")),
        "event_time_ms": time_ms,
    }  # fmt: skip


def _cards(rng: random.Random) -> dict[str, Any]:
    return {**_common(rng), "ids": (NodeId("c" + "a" * 22), NodeId("c" + "b" * 22))}


def _at(rng: random.Random) -> dict[str, Any]:
    advertiser = AdvertiserId(_text(rng))
    return {**_common(rng), "channel": rng.choice(CHANNELS), "advertiser": advertiser}


def _order(rng: random.Random) -> dict[str, Any]:
    # Tellings are kept by the time of telling, items by that of the order: others of each.
    time_ms, told_ms = rng.choice(((EARLY_MS, LAST_MS), (LAST_MS, EARLY_MS)))
    items = tuple(_text(rng) for _ in range(rng.choice((*[1] * 300, 30))))
    times = {"event_time_ms": time_ms, "told_ms": told_ms}
    return {**_at(rng), **times, "order_id": _text(rng), "items": items}


def _criteria(rng: random.Random) -> dict[str, Any]:
    return {"sort": _text(rng, 32), "filters": tuple(_text(rng, 32) for _ in range(8))}


def _answers(rng: random.Random) -> dict[str, str]:
    return {_text(rng, 32): _text(rng) for _ in range(16)}


def _contact(rng: random.Random) -> Event:
    at = {**_at(rng), "channel": rng.choice(sorted(CONTACT_CHANNELS))}
    return Contact(**at, action=rng.choice(ACTIONS), topic=_text(rng, 32))


_MAKERS: Final[tuple[Callable[[random.Random], Event], ...]] = (
    lambda rng: PageView(**_at(rng), page="/" + _text(rng, 2047)),
    lambda rng: ProductView(**_at(rng), item=_text(rng)),
    lambda rng: FlightSearch(
        **_at(rng), origin=_text(rng, 8), destination=_text(rng, 8), depart_date="2026-12-31",
        **_criteria(rng),
    ),
    lambda rng: ProductSearch(
        **_at(rng), query=_text(rng), group=_text(rng, 32), **_criteria(rng)
    ),
    lambda rng: CartAdd(**_at(rng), item=_text(rng)),
    lambda rng: CartRemove(**_at(rng), item=_text(rng)),
    lambda rng: BookingStep(**_at(rng), item=_text(rng), step=rng.randint(1, 20)),
    lambda rng: PriceWatch(**_at(rng), item=_text(rng)),
    lambda rng: CouponUsed(**_at(rng), coupon=_text(rng, 32)),
    lambda rng: SignIn(**_at(rng)),
    lambda rng: Order(
        **_order(rng), revenue_micros=MICROS, margin_micros=MICROS, cabin="business",
        seat="window", groups=tuple(_text(rng, 32) for _ in range(rng.choice((*[1] * 300, 32)))),
    ),
    lambda rng: Refund(
        **_order(rng), refunded_micros=MICROS, refunded_margin_micros=MICROS
    ),
    lambda rng: Refusal(
        **_order(rng), reason=_text(rng, 32), refused_micros=MICROS
    ),
    lambda rng: OrderStatus(**_at(rng), order_id=_text(rng), stage=rng.choice(STAGES)),
    _contact,
    lambda rng: CardContact(**_at(rng), place=_text(rng, 32)),
    lambda rng: CrmCard(
        **_common(rng), city=_text(rng), tier=_text(rng, 32), birthday="1980-02-29",
        gender="female", sizes={_text(rng, 32): _text(rng, 32) for _ in range(8)}, miles=10**12,
        deal_stage=_text(rng, 32),
    ),
    lambda rng: LoyaltyStatus(**_at(rng), tier=_text(rng, 32), miles=10**12),
    lambda rng: FormAnswers(
        **_at(rng), kind="quiz", form=_text(rng, 32), answers=_answers(rng)
    ),
    lambda rng: Consent(**_common(rng), withdrawn=PURPOSES, source=_text(rng, 32)),
    lambda rng: TraitTold(
        **_common(rng), source=_text(rng, 32), third_party=rng.random() < 0.5,
        name=rng.choice((_text(rng, 32), "size." + _text(rng, 27), "deal_stage")),
        value=_text(rng), trust=rng.randint(0, 100),
    ),
    lambda rng: Registration(
        **_at(rng), city=_text(rng), gender="female", birthday="1980-02-29"
    ),
    lambda rng: Call(
        **_at(rng), call_id=_ascii(rng), called_number="+123456789012345", told_ms=LAST_MS,
        duration_seconds=86_400, missed=True, missed_reason="lines_full", is_outbound=True,
        tag=_ascii(rng), score=100, department=_ascii(rng), form_phone=_node(rng, "p"),
        repeat_of=_node(rng, "p"),
    ),
    lambda rng: NumberLease(
        **(at := _at(rng)), expires_ms=at["event_time_ms"] + 1, lease_id=_ascii(rng),
        number="+123456789012345", campaign=_text(rng, 128), keyword=_text(rng, 128),
        device_type="desktop",
    ),
    lambda rng: CrmMerge(**_cards(rng)),
    lambda rng: CrmSplit(**_cards(rng)),
    lambda rng: CarriedConsent(**_common(rng), withdrawn=PURPOSES, source=_text(rng, 32)),
    lambda rng: AccountErased(**_common(rng), account=_node(rng, "e")),
)  # fmt: skip
