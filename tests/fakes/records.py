"""Random records of the firehose, and the plain truth about them to compare with."""

from collections.abc import Sequence
from typing import Final

import msgspec
from hypothesis import strategies as st

from models.event_base import CHANNELS
from models.events import (
    Billing,
    BookingStep,
    Call,
    CardContact,
    CartAdd,
    CartRemove,
    Consent,
    Contact,
    CouponUsed,
    CrmCard,
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
    Win,
)
from models.facets import Facet, fold_event
from models.identifiers import NodeId
from models.outcomes import AuctionLoss, Click, Impression, UncountedBilling
from models.person_events import ACTIONS, CONTACT_CHANNELS, PURPOSES
from models.shop_events import STAGES
from models.units import DAY_MS, AdvertiserId, CampaignId, CreativeId, ExchangeId

__all__ = [
    "ACCOUNTS", "NODES", "billings", "calls", "deals", "events", "folded", "leases", "orders",
    "outcomes",
]  # fmt: skip

NODES: Final = tuple(NodeId("k" + letter * 22) for letter in "abcdef")
ACCOUNTS: Final = tuple(NodeId("e" + letter * 22) for letter in "abcdef")

START_MS: Final = 1_700_000_000_000
times = st.one_of(
    st.integers(START_MS, START_MS + 20 * DAY_MS),
    # Few moments, so that many things happen in one second.
    st.integers(0, 3).map(lambda step: START_MS + step * 700),
)
advertisers = st.sampled_from([AdvertiserId("air"), AdvertiserId("shop")])
items = st.sampled_from([f"item-{number}" for number in range(24)])
few_items = st.lists(items, max_size=3).map(tuple)
words = st.sampled_from(["", "price", "newest"])
ids = st.sampled_from([(node,) for node in NODES])
channels = st.sampled_from(["web", "app", "shop"])
dates = st.sampled_from(["2026-01-31", "2026-02-28", "2027-12-01"])
airports = st.sampled_from(["JFK", "LAX", "ORD"])
event_ids = st.uuids().map(str)
common = {"event_id": event_ids, "ids": ids, "event_time_ms": times}
shopping = {**common, "channel": channels, "advertiser": advertisers}
order_ids = st.sampled_from([*(f"o{number}" for number in range(8)), "a-long-order-id"])
cabins = st.sampled_from(["", "economy", "business"])
genders = st.sampled_from(["", "female", "male"])
birthdays = st.sampled_from(["", "1980-02-29"])
filters = st.lists(st.sampled_from(["direct", "bag"]), max_size=2).map(tuple)

tellings = st.just(0) | st.integers(0, 3).map(lambda day: START_MS + day * DAY_MS)
orders: Final = st.builds(
    Order, **shopping, told_ms=tellings, order_id=order_ids, revenue_micros=st.integers(1, 10**9),
    margin_micros=st.integers(0, 10**8), items=few_items, cabin=cabins,
    seat=st.sampled_from(["", "window", "aisle"]),
    groups=st.lists(st.sampled_from([f"group-{n}" for n in range(12)]), max_size=2).map(tuple),
)  # fmt: skip
"""Orders with few ids, so that several sources tell of one, some of them later or earlier."""

refunds = st.builds(
    Refund, **shopping, told_ms=tellings, order_id=order_ids, refunded_micros=st.integers(0, 10**9),
    refunded_margin_micros=st.integers(0, 10**8), items=few_items,
)  # fmt: skip
refusals = st.builds(
    Refusal, **shopping, told_ms=tellings, order_id=order_ids,
    reason=st.sampled_from(["late", "dear"]), refused_micros=st.integers(0, 10**9), items=few_items,
)  # fmt: skip
deals: Final = st.one_of(orders, refunds, refusals)
"""Orders and what became of them, in any order: a refund may come before its order."""

numbers = st.sampled_from(["+12125550110", "+12125550111"])
call_ids = st.sampled_from([f"call-{number}" for number in range(20)])


def _begun_once(call: Call) -> Call:
    """A call has one start, whoever tells of it."""
    start_ms = START_MS + 7919 * int(call.call_id[5:]) % 1000 * 60_000
    return msgspec.structs.replace(call, event_time_ms=start_ms)


def _leased_once(lease: NumberLease) -> NumberLease:
    """A lease has one start; it is renewed by a later end."""
    start_ms = START_MS + 7919 * int(lease.lease_id[6:]) % 1000 * 60_000
    changes = {"event_time_ms": start_ms, "expires_ms": start_ms + lease.expires_ms}
    return msgspec.structs.replace(lease, **changes)


calls: Final = st.builds(
    Call, **common, advertiser=advertisers, call_id=call_ids, called_number=numbers,
    told_ms=st.integers(0, 5), duration_seconds=st.integers(0, 100), missed=st.booleans(),
    is_outbound=st.booleans(), tag=st.sampled_from(["", "call_back", "repeat"]),
    score=st.none() | st.integers(0, 100), department=st.sampled_from(["", "sales", "service"]),
).map(_begun_once)  # fmt: skip
"""Tellings of few calls, so that many are told again."""

leases: Final = st.builds(
    NumberLease, **common, advertiser=advertisers, number=numbers,
    lease_id=st.sampled_from([f"lease-{number}" for number in range(8)]),
    expires_ms=st.integers(1, 7_200_000), device_type=st.sampled_from(["desktop", "phone"]),
).map(_leased_once)  # fmt: skip

browsing = st.one_of(
    st.builds(PageView, **shopping, page=st.sampled_from(["/", "/deals", "/help", "/a", "/b"])),
    st.builds(ProductView, **shopping, item=items),
    st.builds(
        FlightSearch, **shopping, origin=airports, destination=airports, depart_date=dates,
        cabin=cabins, adults=st.integers(1, 2), children=st.integers(0, 2), sort=words,
        filters=filters,
    ),
    st.builds(ProductSearch, **shopping, query=words, group=words, sort=words, filters=filters),
    st.builds(CartAdd, **shopping, item=items),
    st.builds(CartRemove, **shopping, item=items),
    st.builds(BookingStep, **shopping, item=items, step=st.integers(1, 4)),
    st.builds(PriceWatch, **shopping, item=items),
    st.builds(CouponUsed, **shopping, coupon=words),
    st.builds(OrderStatus, **shopping, order_id=order_ids, stage=st.sampled_from(STAGES)),
)  # fmt: skip

purposes = st.lists(st.sampled_from(PURPOSES), min_size=1, unique=True).map(tuple)

personal = st.one_of(
    st.builds(
        SignIn, event_id=event_ids, event_time_ms=times, channel=channels, advertiser=advertisers,
        ids=st.tuples(st.sampled_from(NODES), st.sampled_from(ACCOUNTS)),
    ),
    st.builds(
        CrmCard, **common, city=st.sampled_from(["", "Paris", "Rome"]),
        tier=st.sampled_from("ab"), birthday=birthdays, gender=genders,
        miles=st.none() | st.integers(0, 100), deal_stage=words,
        sizes=st.dictionaries(st.sampled_from(["shoe", "shirt"]), words),
    ),
    calls,
    leases,
    st.builds(
        Contact, **common, channel=st.sampled_from(sorted(CONTACT_CHANNELS)),
        advertiser=advertisers, action=st.sampled_from(ACTIONS), topic=words,
    ),
    st.builds(
        CardContact, **common, channel=st.sampled_from(["terminal", "card"]),
        advertiser=advertisers, place=words,
    ),
    st.builds(
        Registration, **common, advertiser=advertisers, gender=genders, birthday=birthdays,
        city=st.sampled_from(["", "Oslo"]),
    ),
    st.builds(
        FormAnswers, **common, advertiser=advertisers, kind=st.sampled_from(["quiz", "survey"]),
        form=st.just("f"),
        answers=st.dictionaries(
            st.integers(0, 30).map(lambda n: f"q{n}"), words, min_size=1, max_size=3
        ),
    ),
    st.builds(
        LoyaltyStatus, **common, advertiser=advertisers, tier=st.sampled_from(["", "gold"]),
        miles=st.none() | st.integers(0, 100),
    ),
    st.builds(
        Consent, **common, channel=st.sampled_from(CHANNELS),
        source=st.sampled_from(["cmp", "crm"]),
        granted=st.just(()), withdrawn=purposes,
    ),
    st.builds(
        Consent, **common, source=st.just("cmp"),
        granted=purposes,
    ),
    st.builds(
        TraitTold, **common, source=st.integers(0, 20).map(lambda n: f"s{n}"),
        third_party=st.booleans(), name=st.sampled_from(["city", "pets", "car"]),
        value=st.sampled_from(["a", "b"]), trust=st.integers(0, 100),
    ),
)  # fmt: skip

events: Final[st.SearchStrategy[Event]] = st.one_of(browsing, personal, deals)

notice = {
    "node": st.sampled_from(NODES),
    "nonce": st.integers(0, 200).map(str),
    "campaign": st.sampled_from([CampaignId("C"), CampaignId("D")]),
    "creative": st.just(CreativeId("R")),
    "exchange": st.just(ExchangeId("E")),
    "clearing_cpm_micros": st.integers(0, 10**8),
    "personal": st.booleans(),
}


def _at_its_time(billing: Billing) -> Billing:
    """A nonce is billed at one time only, whoever tells of it."""
    return Billing(
        node=billing.node, nonce=billing.nonce, campaign=billing.campaign,
        creative=billing.creative, exchange=billing.exchange,
        clearing_cpm_micros=billing.clearing_cpm_micros, personal=billing.personal,
        notice_time_ms=START_MS + 7919 * int(billing.nonce) % 1000,
    )  # fmt: skip


billings: Final = st.builds(Billing, **notice, notice_time_ms=times).map(_at_its_time)
_uncounted: Final = (Win, UncountedBilling, Impression, AuctionLoss, Click)
outcomes: Final = st.one_of(
    billings, *(st.builds(kind, **notice, notice_time_ms=times) for kind in _uncounted)
)


def folded(records: Sequence[Event]) -> Facet:
    """The facet of one identifier that did all this."""
    facet = Facet()
    for offset, event in enumerate(records):
        facet = fold_event(facet, event, offset)
    return facet
