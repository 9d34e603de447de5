"""Random records of the firehose, and the plain truth about them to compare with."""

from collections.abc import Sequence
from typing import Final

import msgspec
from hypothesis import strategies as st

from models.events import (
    Billing,
    Call,
    CartAdd,
    CrmCard,
    Event,
    FlightSearch,
    NumberLease,
    Order,
    PageView,
    ProductView,
    SignIn,
    Win,
)
from models.facets import Facet, fold_event
from models.identifiers import NodeId
from models.units import DAY_MS, AdvertiserId, CampaignId, CreativeId, ExchangeId

__all__ = ["NODES", "billings", "calls", "events", "folded", "leases", "orders", "outcomes"]

NODES: Final = tuple(NodeId("k" + letter * 22) for letter in "abcdef")

START_MS: Final = 1_700_000_000_000
times = st.integers(START_MS, START_MS + 20 * DAY_MS)
advertisers = st.sampled_from([AdvertiserId("air"), AdvertiserId("shop")])
items = st.sampled_from([f"item-{number}" for number in range(24)])
ids = st.sampled_from([(node,) for node in NODES])
channels = st.sampled_from(["web", "app", "shop"])
dates = st.sampled_from(["2026-01-31", "2026-02-28", "2027-12-01"])
airports = st.sampled_from(["JFK", "LAX", "ORD"])
event_ids = st.uuids().map(str)
common = {"event_id": event_ids, "ids": ids, "event_time_ms": times}

orders: Final = st.builds(
    Order, **common, channel=channels, advertiser=advertisers,
    order_id=st.sampled_from([f"o{number}" for number in range(8)]),
    revenue_micros=st.integers(1, 10**9), margin_micros=st.integers(0, 10**8),
    items=st.lists(items, max_size=3).map(tuple),
)  # fmt: skip
"""Orders with few ids, so that several sources tell of one."""

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

events: Final[st.SearchStrategy[Event]] = st.one_of(
    st.builds(PageView, **common, channel=channels, advertiser=advertisers, page=st.just("/")),
    st.builds(ProductView, **common, channel=channels, advertiser=advertisers, item=items),
    st.builds(
        FlightSearch, **common, channel=channels, advertiser=advertisers, origin=airports,
        destination=airports, depart_date=dates,
    ),
    st.builds(CartAdd, **common, channel=channels, advertiser=advertisers, item=items),
    st.builds(SignIn, **common, channel=channels, advertiser=advertisers),
    st.builds(
        CrmCard, **common, city=st.sampled_from(["Paris", "Rome"]), tier=st.sampled_from("ab")
    ),
    orders,
    calls,
    leases,
)  # fmt: skip

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
outcomes: Final = st.one_of(billings, st.builds(Win, **notice, notice_time_ms=times))


def folded(records: Sequence[Event]) -> Facet:
    """The facet of one identifier that did all this."""
    facet = Facet()
    for offset, event in enumerate(records):
        facet = fold_event(facet, event, offset)
    return facet
