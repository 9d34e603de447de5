"""The persons, catalogues and requests of the bid benchmarks are of the mix that they claim."""

import random
from collections import Counter

import msgspec
import pytest

from benchmarks.load.audience import EVENTS, TYPES, Audience
from benchmarks.load.corpus import Corpus
from benchmarks.load.requests import requests_of
from benchmarks.load.wares import EXCHANGE, catalog_of, offers_of
from bidder.allowed_use import FREE
from bidder.identify import nodes_of
from bidder.openrtb import BidRequest, decode_request
from bidder.privacy import Privacy
from models.catalog_records import Advertiser, Campaign, Creative, Segment, record_key
from models.events import FlightSearch, Order, ProductView, decode_event, encode
from models.identifiers import Pepper
from runtime.settings import Settings

NOW_MS = 1_796_000_000_000
AUDIENCE = Audience(7, Pepper("a pepper of tests"), NOW_MS)
CORPUS = Corpus.of(requests_of(AUDIENCE, 5000, 400, 7))


def decoded() -> list[BidRequest]:
    return [decode_request(body) for body in CORPUS.bodies]


def test_a_request_has_four_identifiers_of_which_three_are_one_persons() -> None:
    persons = {node: index for index in range(5000) for node in AUDIENCE.nodes(index)}
    for request in decoded():
        nodes = nodes_of(request, EXCHANGE, Pepper("a pepper of tests"))
        assert nodes is not None
        assert len(nodes) == 4
        known = [persons[node] for node in nodes if node in persons]
        assert len(known) == 3
        assert len(set(known)) == 1


def test_requests_are_of_1_4_kilobytes_and_may_be_answered_for_a_person() -> None:
    assert CORPUS.mean_bytes == pytest.approx(1400, abs=60)
    assert {Privacy(Settings().tcf_vendor).use_of(one) for one in decoded()} == {FREE}
    assert len(set(CORPUS.ids)) == len(CORPUS.ids)


def test_a_seed_gives_the_same_requests_whenever_they_are_made() -> None:
    later = Audience(7, Pepper("a pepper of tests"), NOW_MS + 10**9)
    assert Corpus.of(requests_of(later, 5000, 400, 7)).sha256 == CORPUS.sha256
    assert Corpus.of(requests_of(later, 5000, 400, 8)).sha256 != CORPUS.sha256


def test_histories_are_events_as_producers_tell_them() -> None:
    for kind in range(TYPES):
        history = list(AUDIENCE.history(kind, AUDIENCE.nodes(kind)))
        assert len(history) == EVENTS
        assert [decode_event(encode(event)) for event in history] == history
        assert max(event.event_time_ms for event in history) < NOW_MS
        assert any(isinstance(event, FlightSearch | ProductView) for event in history)


@pytest.mark.parametrize("campaigns", [3, 10, 1000])
def test_a_catalogue_has_as_many_campaigns_as_it_says_all_usable(campaigns: int) -> None:
    records = [*catalog_of(campaigns, 7), *offers_of(campaigns, 7, NOW_MS)]
    for one in records:
        one.check()
    assert len({record_key(one) for one in records}) == len(records)
    kinds = Counter(type(one) for one in records)
    assert kinds[Campaign] == kinds[Creative] == campaigns
    assert sum(isinstance(one, Campaign) and one.uncapped_contextual for one in records) >= 1


def test_whatever_persons_look_at_is_on_sale() -> None:
    offers = {record_key(one) for one in offers_of(1000, 7, NOW_MS)}
    trips = {key for one in offers_of(1000, 7, NOW_MS) if (key := getattr(one, "depart_date", ""))}
    seen = [
        event for kind in range(TYPES) for event in AUDIENCE.history(kind, AUDIENCE.nodes(kind))
    ]
    assert {event.depart_date for event in seen if isinstance(event, FlightSearch)} <= trips
    items = {(e.advertiser, e.item) for e in seen if isinstance(e, ProductView)}
    assert {f"product/{advertiser}/{item}" for advertiser, item in items} <= offers


@pytest.mark.parametrize("campaigns", [1000, 5000])
def test_about_three_campaigns_in_a_hundred_may_be_shown_to_a_person(campaigns: int) -> None:
    records = list(catalog_of(campaigns, 7))
    segments = {one.id: one for one in records if isinstance(one, Segment)}
    creatives = {one.campaign: one for one in records if isinstance(one, Creative)}
    shares = []
    rng = random.Random(1)
    requests = decoded()
    for kind in range(TYPES):
        history = list(AUDIENCE.history(kind, AUDIENCE.nodes(kind)))
        orders = Counter(one.advertiser for one in history if isinstance(one, Order))
        known = {one.advertiser for one in history if isinstance(one, FlightSearch | ProductView)}
        banner = rng.choice(requests).imp[0].banner
        assert banner is not None
        fits = [
            one
            for one in records
            if isinstance(one, Campaign) and one.advertiser in known
            and any(holds(segments[name], orders[one.advertiser]) for name in one.segments)
            and not banner.sizes().isdisjoint(creatives[one.id].sizes)
        ]  # fmt: skip
        shares.append(len(fits) / campaigns)
    # A person knows three advertisers of the twenty that a thousand campaigns have; further
    # advertisers come with further campaigns.
    many = sum(isinstance(one, Advertiser) for one in records)
    assert sum(shares) / TYPES == pytest.approx(0.03 * 20 / many, rel=0.35)


def test_requests_are_json_objects_in_the_order_of_the_specification_or_not() -> None:
    first = msgspec.json.decode(CORPUS.bodies[0])
    assert first["imp"][0]["banner"]["format"]
    assert first["user"]["eids"][0]["uids"][0]["atype"] == 1


def holds(segment: Segment, orders: int) -> bool:
    most = segment.max_orders
    return segment.min_orders <= orders and (most is None or orders <= most)
