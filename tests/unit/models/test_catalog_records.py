import re
from typing import Any

import msgspec
import pytest

from models.catalog_records import (
    Advertiser,
    CallTag,
    Campaign,
    CatalogRecord,
    Condition,
    Creative,
    Department,
    Exchange,
    Flight,
    LineState,
    Offer,
    Product,
    Segment,
    Targeting,
    decode_record,
    encode_record,
    record_key,
)
from models.dealings import BuyerStats, Dealings
from models.errors import EventError, InvalidFieldError
from models.limits import Adjustment, Cap, Silence
from models.segment_index import SegmentIndex
from models.units import DAY_MS, AdvertiserId, CampaignId, CreativeId, ExchangeId, SegmentId

AIR = AdvertiserId("air")
GOOD: dict[str, CatalogRecord | Offer | LineState] = {
    "advertiser/air": Advertiser(id=AIR, name="Air", domain="air.example"),
    "exchange/E": Exchange(id=ExchangeId("E")),
    "segment/air/new": Segment(
        id=SegmentId("air/new"), advertiser=AIR, target_cpa_micros=1, caps=(Cap(3, 60),),
        creative_set="any",
    ),
    "campaign/C": Campaign(
        id=CampaignId("C"), advertiser=AIR, goal="flight", segments=(SegmentId("air/new"),)
    ),
    "creative/R": Creative(
        id=CreativeId("R"), campaign=CampaignId("C"), sizes=((300, 250),),
        html="<a href='{click_url}'>{route}</a>", click_url="https://air.example/{trip}",
    ),
    "call_tag/call_back": CallTag(
        id="call_back", opens_callback=True, pauses_ads_hours=24, automatic_for=("lines_full",)
    ),
    "department/sales": Department(id="sales", is_sales=True),
    "line_state/air": LineState(advertiser=AIR, minutes=((1, 2, 1),), updated_ms=1),
    "flight/air/AA1/2026-01-31": Flight(
        id="AA1/2026-01-31", advertiser=AIR, origin="JFK", destination="LAX",
        depart_date="2026-01-31", depart_ms=1, seats_total=10, seats_left=3, fare_micros=1,
        updated_ms=1,
    ),
    "product/air/P": Product(
        id="P", advertiser=AIR, title="Bag", group="bags", price_micros=1, margin_micros=1,
        stock=0, updated_ms=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", GOOD)
def test_a_record_survives_its_encoding_and_its_key_names_it(key: str) -> None:
    record = GOOD[key]
    assert decode_record(encode_record(record)) == record
    assert record_key(record) == key


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("advertiser/air", "domain", "www.air.example"),
        ("advertiser/air", "domain", "https://air.example"),
        ("exchange/E", "default_tmax_ms", 0),
        ("exchange/E", "network_margin_ms", -1),
        ("exchange/E", "network_margin_ms", 120),
        ("exchange/E", "reservation_seconds", -1),
        ("exchange/E", "median_price_cpm_micros", 0),
        ("exchange/E", "bills_on", "adm"),
        ("exchange/E", "price_format", "rot13"),
        ("exchange/E", "price_macro_suffix", "a}b"),
        ("exchange/E", "notice_window_seconds", 0),
        ("exchange/E", "notice_window_seconds", 30 * 86_400 + 1),
        ("exchange/E", "sync_url", "http://sync.example/?u={cookie}"),
        ("exchange/E", "sync_url", "https://sync.example/{cookie}"),
        ("exchange/E", "sync_url", "https://{cookie}.example/?u=1"),
        ("segment/air/new", "target_cpa_micros", -1),
        ("segment/air/new", "caps", ()),
        ("segment/air/new", "caps", (Cap(0, 60),)),
        ("segment/air/new", "caps", (Cap(65, 60),)),
        ("segment/air/new", "caps", (Cap(1, 0),)),
        ("segment/air/new", "caps", (Cap(1, 30 * 86_400 + 1),)),
        ("segment/air/new", "caps", (Cap(1, 60), Cap(2, 60))),
        ("segment/air/new", "caps", tuple(Cap(n, n) for n in range(1, 10))),
        ("segment/air/new", "spacing_seconds", -1),
        ("segment/air/new", "cap_adjustments", (Adjustment("customer_value", add=1),)),
        ("segment/air/new", "cap_adjustments", (Adjustment("customer_value", 2.0),)),
        ("segment/air/new", "cap_adjustments", (Adjustment("customer_value", 2.0, multiply=0),)),
        ("segment/air/new", "cap_adjustments", (Adjustment("customer_value", 2.0, add=65),)),
        ("segment/air/new", "cap_adjustments", (Adjustment("customer_value", 2.0, 1.0, add=1),)),
        ("segment/air/new", "silences", (Silence(0),)),
        ("campaign/C", "caps", (Cap(0, 60),)),
        ("advertiser/air", "caps", (Cap(0, 60),)),
        ("advertiser/air", "pressure_caps", (Cap(17, 60),)),
        ("segment/air/new", "mean_value_micros", 0),
        ("campaign/C", "segments", ()),
        ("campaign/C", "uncapped_contextual", True),
        ("campaign/C", "contextual_cpm_micros", -1),
        ("campaign/C", "contextual_cpm", 1),
        ("creative/R", "click_url", "https://{item}/"),
        ("creative/R", "click_url", "https://www.{trip}.example/"),
        ("creative/R", "click_url", "https://air.example/ a"),
        ("creative/R", "click_url", 'https://air.example/"'),
        ("campaign/C", "goal", "fligt"),
        ("creative/R", "sizes", ()),
        ("creative/R", "click_url", "http://air.example"),
        ("creative/R", "html", "{"),
        ("creative/R", "html", "<img src='https://p.example/?b=${AUCTION_BID_ID}'>"),
        ("creative/R", "click_url", "https://air.example/?a=${AUCTION_AD_ID}"),
        ("creative/R", "html", "<img src='http://air.example'>"),
        ("creative/R", "click_url", "https://air.example/{"),
        ("call_tag/call_back", "pauses_ads_hours", -1),
        ("call_tag/call_back", "pauses_ads_hours", 721),
        ("call_tag/call_back", "automatic_for", ("",)),
        ("call_tag/call_back", "automatic_for", ("asleep",)),
        ("call_tag/call_back", "id", "call back"),
        ("department/sales", "id", ""),
        ("line_state/air", "minutes", ((1, 2, 3),)),
        ("flight/air/AA1/2026-01-31", "seats_left", -1),
        ("flight/air/AA1/2026-01-31", "seats_left", 11),
        ("flight/air/AA1/2026-01-31", "fare_micros", 0),
        ("product/air/P", "price_micros", 0),
        ("product/air/P", "stock", -1),
    ],
)
def test_a_value_that_cannot_be_used_names_its_record_and_field(
    key: str, field: str, value: object
) -> None:
    name = {"contextual_cpm": "contextual_cpm_micros"}.get(field, field)
    wrong = msgspec.structs.replace(GOOD[key], **{name: value})
    with pytest.raises(EventError, match=field):
        decode_record(encode_record(wrong))


@pytest.mark.parametrize("name", ["a|b", "", "north/1", "of the north", "n" * 65])
def test_an_exchanges_id_is_one_part_of_a_path_and_no_two_exchanges_users_meet(name: str) -> None:
    wrong = msgspec.structs.replace(GOOD["exchange/E"], id=ExchangeId(name))
    with pytest.raises(EventError, match=re.escape(f"exchange: id: {name!r} is not 1 to 64 of")):
        decode_record(encode_record(wrong))


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["at_least", "at_most"])
def test_a_limit_that_is_no_number_is_refused_before_it_becomes_null_in_a_record(
    name: str, limit: float
) -> None:
    """JSON knows neither: the record would reach Kafka, and no bidder could read it."""
    low, high = (limit, None) if name == "at_least" else (None, limit)
    rules: dict[str, object] = {
        "when": (Condition(feature="orders", at_least=low, at_most=high),),
        "cap_adjustments": (Adjustment("customer_value", low, high, add=1),),
    }
    for field, value in rules.items():
        with pytest.raises(InvalidFieldError, match=f"{name}: .* is not a number"):
            msgspec.structs.replace(GOOD["segment/air/new"], **{field: value}).check()


@pytest.mark.parametrize(
    "targeting",
    [
        Targeting(places=("USA-ny",)), Targeting(places=("usa",)), Targeting(places=("USA-",)),
        Targeting(sites=("https://news.example/",)), Targeting(not_sites=("news.example/sport",)),
        Targeting(sites=("",)),
    ],
)  # fmt: skip
def test_targeting_that_no_request_could_meet_is_refused(targeting: Targeting) -> None:
    with pytest.raises(InvalidFieldError, match=r"targeting: (places|sites|not_sites)"):
        msgspec.structs.replace(GOOD["campaign/C"], targeting=targeting).check()


def test_a_segments_id_begins_with_its_advertiser() -> None:
    wrong = msgspec.structs.replace(GOOD["segment/air/new"], id="new")
    with pytest.raises(EventError, match="segment id: 'new' is not of the form air/NAME"):
        decode_record(encode_record(wrong))


def test_a_contextual_campaign_has_no_segments_and_no_caps() -> None:
    contextual: dict[str, Any] = {"goal": "contextual", "segments": (), "uncapped_contextual": True}
    good = msgspec.structs.replace(GOOD["campaign/C"], **contextual)
    assert decode_record(encode_record(good)) == good
    for field, value in (("segments", (SegmentId("air/new"),)), ("uncapped_contextual", False)):
        with pytest.raises(EventError, match=field):
            decode_record(encode_record(msgspec.structs.replace(good, **{field: value})))


def test_an_unknown_slot_of_a_creative_is_refused_with_the_nearest() -> None:
    wrong = msgspec.structs.replace(GOOD["creative/R"], html="{rout}")
    with pytest.raises(EventError, match="did you mean 'route'"):
        decode_record(encode_record(wrong))


def test_a_creatives_id_fits_into_a_response() -> None:
    wrong = msgspec.structs.replace(GOOD["creative/R"], id="r" * 65)
    with pytest.raises(EventError, match="at most 64"):
        decode_record(encode_record(wrong))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[]", "object"),
        (b'{"kind": "fligt", "id": "1"}', "fligt"),
        (b'{"kind": "advertiser", "id": "1", "name": "n", "domain": "d", "nmae": 1}', "nmae"),
        (b'{"kind": "advertiser", "id": 1, "name": "n", "domain": "d"}', "id"),
    ],
)
def test_what_is_no_record_is_refused(payload: bytes, text: str) -> None:
    with pytest.raises(EventError, match=text):
        decode_record(payload)


@pytest.mark.parametrize(("orders", "belongs"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_segments_limits_are_inclusive(orders: int, *, belongs: bool) -> None:
    segment = GOOD["segment/air/new"]
    assert isinstance(segment, Segment)
    bounded = msgspec.structs.replace(segment, min_orders=1, max_orders=2)
    buyer = BuyerStats(orders, max(0, orders - 1), 0, 0, 0) if orders else None
    assert SegmentIndex([bounded]).mask_of(Dealings(buyer), now_ms=DAY_MS) == belongs
    assert SegmentIndex([segment]).mask_of(Dealings(buyer), now_ms=DAY_MS) == 1
