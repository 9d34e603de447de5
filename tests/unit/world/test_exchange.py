import json

import pytest

from benchmarks.world import World
from benchmarks.world.actions import Canary, Opportunity
from benchmarks.world.exchange import (
    Bid,
    bid_path,
    bid_request,
    canary_request,
    read_bid,
    settle,
    with_price,
)
from benchmarks.world.markup import Shown, read_markup
from models.units import CampaignId, ExchangeId

NORTH, SOUTH, EAST = ExchangeId("north"), ExchangeId("south"), ExchangeId("east")


def slot(
    exchanges: tuple[ExchangeId, ...] = (NORTH,), rivals: tuple[int, ...] = (2_000_000,)
) -> Opportunity:
    return Opportunity(
        offset_ms=0, request_id="r1", person=0, device=0, surface="site", exchanges=exchanges,
        rival_cpm_micros=rivals, floor_cpm_micros=500_000, sizes=((300, 250),), is_billed=True,
        billing_delay_ms=100,
    )  # fmt: skip


def bid(price: float) -> Bid:
    return Bid(id=f"b{price}", impid="1", price=price, cid=CampaignId("c"))


def test_requests_carry_the_raw_ids_of_the_surface(world: World) -> None:
    surfaces, formats = set(), set()
    for action in world.live(20):
        if not isinstance(action, Opportunity):
            continue
        device = world.people[action.person].devices[action.device]
        for place, exchange in enumerate(action.exchanges):
            request_id, body = bid_request(action, device, place)
            request = json.loads(body)
            assert request["id"] == request_id == f"{action.request_id}-{exchange}"
            assert (request["at"], request["tmax"]) == (1, 120)
            (imp,) = request["imp"]
            assert imp["secure"] == 0
            assert set(imp) & {"banner", "native", "video"} == {action.format}
            formats.add(action.format)
            if action.format == "banner":
                assert [(f["w"], f["h"]) for f in imp["banner"]["format"]] == list(action.sizes)
            assert request["device"]["geo"] == {"country": "USA"}
            assert ("site" in request) != ("app" in request)
            surfaces.add(action.surface)
            if action.surface == "app":
                assert request["device"]["ifa"] == device.ifa
                assert "user" not in request
                continue
            assert "ifa" not in request["device"]
            assert request["user"]["buyeruid"] == device.cookie
            if device.eid is None:
                assert "eids" not in request["user"]
            else:
                uids = [{"id": device.eid, "atype": 1}]
                assert request["user"]["eids"] == [{"source": "id.example", "uids": uids}]
    assert surfaces == {"site", "app"}
    assert formats == {"banner", "native", "video"}


def test_request_ids_are_unique(world: World) -> None:
    ids = [
        bid_request(action, world.people[action.person].devices[action.device], place)[0]
        for action in world.live(20)
        if isinstance(action, Opportunity)
        for place in range(len(action.exchanges))
    ]
    assert len(set(ids)) == len(ids)


def test_a_probe_asks_for_its_own_device_without_a_floor(world: World) -> None:
    probe = next(action for action in world.live(2) if isinstance(action, Canary))
    first, body = canary_request(probe, 0)
    second, _ = canary_request(probe, 1)
    request = json.loads(body)
    assert first != second
    assert request["user"] == {"buyeruid": probe.cookie}
    assert request["imp"][0]["bidfloor"] == 0
    assert bid_path(NORTH) == "/openrtb2/north/bid"


def test_the_best_bid_of_a_response_is_read() -> None:
    bids = [
        {"id": "a", "impid": "1", "price": 1.5, "mtype": 1},
        {"id": "b", "impid": "1", "price": 2.25, "mtype": 1},
    ]
    body = json.dumps({"id": "r", "cur": "USD", "seatbid": [{"seat": "s", "bid": bids}]})
    read = read_bid(body.encode(), "r")
    assert read is not None
    assert (read.id, read.bid_cpm_micros) == ("b", 2_250_000)
    assert read_bid(b'{"id":"r","nbr":2}', "r") is None


@pytest.mark.parametrize(
    "body",
    [
        b"nothing",
        b'{"id":"another"}',
        b'{"id":"r","seatbid":[{"bid":[{"id":"a","impid":"7","price":1}]}]}',
        b'{"id":"r","seatbid":[{"bid":[{"id":"a","impid":"1","price":0}]}]}',
        b'{"id":"r","seatbid":[{"bid":[{"id":"a","impid":"1","price":1,"mtype":4}]}]}',
        b'{"id":"r","seatbid":[{"bid":[{"id":"a","impid":"1"}]}]}',
    ],
)
def test_a_response_that_answers_something_else_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's errors are ValueErrors too
        read_bid(body, "r")


def test_the_highest_bid_wins_at_its_own_price() -> None:
    assert settle(slot(), (bid(2.1),)).winner == bid(2.1)
    assert settle(slot(), (bid(1.9),)).winner is None
    assert settle(slot(), (bid(2.0),)).winner is None
    assert settle(slot(), (None,)).winner is None
    assert settle(slot(rivals=(1,)), (bid(0.4),)).winner is None


def test_header_bidding_sells_the_slot_once_and_against_all_rivals() -> None:
    many = slot((NORTH, SOUTH, EAST), (1_000_000, 3_000_000, 500_000))
    assert settle(many, (bid(2.5), None, bid(2.0))).winner is None
    auction = settle(many, (bid(2.5), bid(3.5), bid(3.1)))
    assert (auction.winner, auction.place) == (bid(3.5), 1)


def test_the_price_replaces_the_macro_as_text() -> None:
    url = "http://h/n?p=${AUCTION_PRICE}&t=1"
    assert with_price(url, bid(2.5)) == "http://h/n?p=2.5&t=1"
    assert with_price(url, bid(0.123456)) == "http://h/n?p=0.123456&t=1"
    assert with_price(url, bid(10.0)) == "http://h/n?p=10&t=1"


def test_markup_is_read_as_a_screen_would_show_it() -> None:
    flight = '<div data-trip="JFK-LAX/2026-11-25" data-fare="199.00" data-seats=\'3\'>x</div>'
    assert read_markup(flight) == Shown(trip="JFK-LAX/2026-11-25", fare="199.00", seats="3")
    item = '<a data-item="A&amp;B &quot;x&quot;" data-price="12.50">'
    assert read_markup(item) == Shown(item='A&B "x"', price="12.50")
    assert read_markup("<div>Fly with us</div>").thing is None
