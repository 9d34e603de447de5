"""The decision, rule by rule."""

from typing import Any

import msgspec
import pytest

from bidder.bids import Decision, Fate, Loss, Policy
from bidder.errors import NoBidReason
from models.catalog_records import (
    Advertiser,
    Campaign,
    CatalogRecord,
    Exchange,
    Offer,
    record_key,
)
from models.limits import Cap
from models.profile import Person
from models.reservations import Reservation
from models.units import DAY_MS, HOUR_MS, MICROS, CampaignId, ExchangeId
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    CUSTOMER,
    ITEMS,
    NODE,
    NOW_MS,
    OTHER_TRIP,
    POLICY,
    PROSPECT,
    RECORDS,
    SEATS,
    SHOP,
    bid_request,
    buyer,
    catalog,
    creative,
    decision_of,
    flight,
    imp,
    person,
    product,
    searched,
    segment,
    the_bid,
    viewed,
)


def campaigns(decision: Decision) -> list[str]:
    return [bid.campaign.id for bid in decision.bids]


def reserved(nonce: str, campaign: str = SEATS) -> Reservation:
    return Reservation(campaign, nonce, NOW_MS + 5_000, NOW_MS)


# -- whose ad -----------------------------------------------------------------------------------


def test_a_searched_flight_is_advertised_at_todays_fare() -> None:
    bid = the_bid(decision_of())
    assert (bid.campaign.id, bid.offer, bid.creative.id) == (SEATS, flight(), "seats-prospect")
    assert (bid.fitted.width, bid.fitted.height, bid.imp_id) == (300, 250, "slot-1")
    assert bid.segment is not None
    assert bid.segment.id == PROSPECT


def test_a_viewed_product_is_advertised_at_todays_price() -> None:
    bid = the_bid(decision_of(who=person(showing(products=(viewed(),)))))
    assert (bid.campaign.id, bid.offer) == (ITEMS, product())


def test_without_a_person_only_contextual_campaigns_bid() -> None:
    fates: list[Fate] = []
    bid = the_bid(decision_of(who=Person(), fates=fates))
    assert (bid.campaign.id, bid.segment, bid.offer) == (BRAND, None, None)
    assert {fate.lost.reason for fate in fates} == {Loss.NO_PERSON}


def test_the_highest_bid_of_ours_wins_and_the_others_are_outbid() -> None:
    fates: list[Fate] = []
    who = person(showing(searches=(searched(),), products=(viewed(),)))
    assert campaigns(decision_of(who=who, fates=fates)) == [SEATS]
    assert {(f.campaign, f.lost.reason) for f in fates} == {
        (ITEMS, Loss.OUTBID),
        (BRAND, Loss.OUTBID),
    }


def test_a_first_order_flips_segment_creative_cap_and_target_cpa() -> None:
    prospect = the_bid(decision_of())
    header = showing(searches=(searched(),), buyers={AIR: buyer()})
    customer = the_bid(decision_of(who=person(header)))
    assert prospect.segment is not None
    assert customer.segment is not None
    assert prospect.factors is not None
    assert customer.factors is not None
    assert (prospect.segment.id, customer.segment.id) == (PROSPECT, CUSTOMER)
    assert (prospect.creative.id, customer.creative.id) == ("seats-prospect", "seats-customer")
    assert (prospect.segment.caps[0].impressions, customer.segment.caps[0].impressions) == (5, 8)
    assert prospect.factors.target_cpa_micros == 12 * MICROS
    assert customer.factors.target_cpa_micros == 20 * MICROS


def test_an_order_with_one_advertiser_makes_nobody_anothers_customer() -> None:
    bid = the_bid(decision_of(who=person(showing(searches=(searched(),), buyers={SHOP: buyer()}))))
    assert bid.segment is not None
    assert bid.segment.id == PROSPECT


# -- what is shown ------------------------------------------------------------------------------


def test_what_is_sold_out_is_never_advertised() -> None:
    fates: list[Fate] = []
    decision = decision_of(what=catalog(flight(seats_left=0), product(stock=0)), fates=fates)
    assert campaigns(decision) == [BRAND]
    assert (SEATS, Loss.NOTHING_TO_SELL) in {(f.campaign, f.lost.reason) for f in fates}
    gone = person(showing(products=(viewed(),)))
    assert campaigns(decision_of(who=gone, what=catalog(product(stock=0)))) == [BRAND]


@pytest.mark.parametrize("departure_in_ms", [-DAY_MS, 0, 2 * HOUR_MS - 1])
def test_a_flight_that_left_or_leaves_within_two_hours_is_not_advertised(
    departure_in_ms: int,
) -> None:
    what = catalog(flight(depart_ms=NOW_MS + departure_in_ms))
    assert campaigns(decision_of(what=what)) == [BRAND]


def test_the_newest_intent_that_can_be_sold_is_shown() -> None:
    other = flight(id="KB2/2026-12-01", origin="EWR", destination="SFO")
    older, newer = searched(age_ms=DAY_MS), searched(OTHER_TRIP, age_ms=HOUR_MS)
    who = person(showing(searches=(older, newer)))
    assert the_bid(decision_of(who=who, what=catalog(other))).offer == other
    sold_out = msgspec.structs.replace(other, seats_left=0)
    assert the_bid(decision_of(who=who, what=catalog(sold_out))).offer == flight()


def test_of_a_days_departures_an_unsold_one_is_shown_and_of_equals_the_cheapest() -> None:
    full = flight(id="KB2/2026-12-01", seats_left=1)
    cheap = flight(id="KB3/2026-12-01", fare_micros=99 * MICROS)
    assert the_bid(decision_of(what=catalog(full, cheap))).offer == cheap


def test_a_creative_of_the_segments_set_is_preferred_to_one_for_all() -> None:
    what = catalog(creative("a-seats-for-all", SEATS, html="{fare}"))
    assert the_bid(decision_of(what=what)).creative.id == "seats-prospect"
    small = bid_request(imp(banner={"w": 320, "h": 50}))
    what = catalog(creative("seats-small", SEATS, sizes=((320, 50),)))
    assert the_bid(decision_of(small, what=what)).creative.id == "seats-small"


# -- shared devices -----------------------------------------------------------------------------


def probably(ratio: float) -> Person:
    return msgspec.structs.replace(person(), presence_ratio=ratio)


def test_the_less_certain_who_is_there_the_less_is_bid() -> None:
    certain, doubtful = (the_bid(decision_of(who=probably(r))) for r in (1.0, 0.6))
    assert doubtful.value_cpm_micros == pytest.approx(0.6 * certain.value_cpm_micros, abs=1)
    assert doubtful.bid_cpm_micros < certain.bid_cpm_micros


def test_a_private_creative_is_withheld_where_somebody_else_may_look_on() -> None:
    secret = creative("seats-prospect", SEATS, creative_set="prospect", is_private=True)
    what = catalog(secret, creative("seats-for-all", SEATS))
    shown = [
        the_bid(decision_of(who=probably(ratio), what=what)).creative.id
        for ratio in (1.0, POLICY.private_ratio, 0.89)
    ]
    assert shown == ["seats-prospect", "seats-prospect", "seats-for-all"]


# -- caps ---------------------------------------------------------------------------------------


def test_a_cap_that_is_used_up_by_billed_impressions_ends_that_campaign_only() -> None:
    fates: list[Fate] = []
    assert campaigns(decision_of(who=person(billed=5), fates=fates)) == [BRAND]
    assert Fate("slot-1", SEATS, fates[0].lost) in fates
    assert {f.lost.reason for f in fates if f.campaign == SEATS} == {Loss.CAP_REACHED}
    assert campaigns(decision_of(who=person(billed=4))) == [SEATS]


def test_open_reservations_use_the_cap_up_like_impressions() -> None:
    who = person(billed=3, reserved=[reserved("x")])
    assert campaigns(decision_of(who=who)) == [SEATS]
    assert campaigns(decision_of(who=who, pending=(reserved("y"),))) == [BRAND]
    # The same bid, billed or shown twice, is one.
    twice = person(billed=3, reserved=[reserved("billed-0"), reserved("x")])
    assert campaigns(decision_of(who=twice, pending=(reserved("x"),))) == [SEATS]


def test_impressions_outside_the_window_do_not_count() -> None:
    who = person(billed=5)
    what = catalog(segment(PROSPECT, caps=(Cap(5, 60),)))
    assert campaigns(decision_of(who=who, what=what)) == [SEATS]


def test_two_slots_of_one_request_cannot_pass_the_cap() -> None:
    slots = [imp(id=f"slot-{n}") for n in range(4)]
    decision = decision_of(bid_request(*slots), who=person(billed=3))
    assert campaigns(decision) == [SEATS, SEATS, BRAND, BRAND]
    assert [bid.used_count for bid in decision.bids[:2]] == [3, 4]


def test_a_campaign_whose_cap_redis_found_used_up_is_left_out() -> None:
    assert campaigns(decision_of(excluded=frozenset({SEATS}))) == [BRAND]


# -- the exchange's rules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"wseat": ["other"]}, NoBidReason.SEAT_BLOCKED),
        ({"bseat": ["other", "kinbid"]}, NoBidReason.SEAT_BLOCKED),
        ({"cur": ["EUR"]}, NoBidReason.CURRENCY),
        ({"wseat": ["other", "kinbid"]}, None),
        ({"wseat": []}, None),
        ({"bseat": ["other"]}, None),
        ({"cur": ["EUR", "USD"]}, None),
        ({"cur": []}, None),
        ({"cur": None}, None),
    ],
)
def test_a8_a13_seats_and_currency(fields: dict[str, Any], reason: NoBidReason | None) -> None:
    assert decision_of(bid_request(**fields)).reason is reason


def test_a8_an_absent_currency_means_the_default_and_not_ours() -> None:
    euro = Policy(seat="kinbid", currency="EUR", is_secure=True)
    assert decision_of(bid_request(cur=None), policy=euro).reason is NoBidReason.CURRENCY
    assert decision_of(bid_request(cur=["EUR"]), policy=euro).reason is None


@pytest.mark.parametrize(
    ("floor", "reason"),
    [
        ({"bidfloor": 1.0, "bidfloorcur": "EUR"}, NoBidReason.CURRENCY),
        ({"bidfloor": 0, "bidfloorcur": "EUR"}, None),
        ({"bidfloor": 1.0, "bidfloorcur": "USD"}, None),
        ({"bidfloor": 1.0}, None),
        ({"bidfloor": -3}, None),
    ],
)
def test_a5_a9_a_floor_in_a_currency_that_we_cannot_convert_gets_no_bid(
    floor: dict[str, Any], reason: NoBidReason | None
) -> None:
    assert decision_of(bid_request(imp(**floor))).reason is reason


@pytest.mark.parametrize("floor", [1e6, 1e300, 1.7e308])
def test_a5_a_floor_above_all_value_gets_no_bid(floor: float) -> None:
    fates: list[Fate] = []
    slots = (imp(id="dear", bidfloor=floor), imp(id="fair"))
    assert the_bid(decision_of(bid_request(*slots), fates=fates)).imp_id == "fair"
    assert {f.lost.reason for f in fates if f.imp_id == "dear" and f.campaign != ITEMS} == {
        Loss.BELOW_FLOOR
    }


@pytest.mark.parametrize(
    ("pmp", "is_bid"),
    [({"private_auction": 1}, False), ({"private_auction": 0, "deals": [{"id": "d"}]}, True),
     ({}, True)],
)  # fmt: skip
def test_d1_d2_a_private_auction_gets_no_open_bid(pmp: dict[str, Any], is_bid: bool) -> None:
    decision = decision_of(bid_request(imp(pmp=pmp)))
    assert decision.reason is (None if is_bid else NoBidReason.PRIVATE_AUCTION)


@pytest.mark.parametrize(
    ("blocked", "is_blocked"),
    [
        (["air.example"], True),
        (["AIR.EXAMPLE"], True),
        (["example"], True),
        (["ir.example"], False),
        (["www.air.example"], True),
        (["https://air.example/offers"], True),
        (["shop.example"], False),
        ([""], False),
        ([], False),
    ],
)
def test_b2_a_blocked_domain_blocks_what_lies_below_it(
    blocked: list[str], is_blocked: bool
) -> None:
    assert (decision_of(bid_request(badv=blocked)).bids == ()) == is_blocked


def test_b2_our_own_domain_is_compared_without_case_too() -> None:
    what = catalog(Advertiser(id=AIR, name="Air", domain="Air.Example"))
    assert decision_of(bid_request(badv=["air.example"]), what=what).bids == ()


@pytest.mark.parametrize(
    ("blocked", "is_blocked"),
    [
        (["IAB20-3"], True),
        (["IAB20"], True),
        (["IAB2"], False),
        (["IAB20-30"], False),
        (["IAB22"], False),
    ],
)
def test_b1_a_blocked_parent_category_blocks_its_children(
    blocked: list[str], is_blocked: bool
) -> None:
    assert (decision_of(bid_request(bcat=blocked)).bids == ()) == is_blocked


@pytest.mark.parametrize(
    ("allowed", "is_bid"), [(["IAB20"], True), (["IAB20-3"], True), (["IAB1"], False), ([], True)]
)
def test_b1_with_a_list_of_allowed_categories_only_those_are_bid(
    allowed: list[str], is_bid: bool
) -> None:
    assert (decision_of(bid_request(acat=allowed)).bids != ()) == is_bid


@pytest.mark.parametrize(
    ("is_secure", "secure", "is_bid"),
    [(True, 1, True), (True, 0, True), (True, None, True), (False, 0, True), (False, 1, False),
     (False, None, False)],
)  # fmt: skip
def test_b5_without_https_only_a_slot_that_says_secure_0_is_bid(
    is_secure: bool, secure: int | None, is_bid: bool
) -> None:
    policy = Policy(seat="kinbid", currency="USD", is_secure=is_secure)
    decision = decision_of(bid_request(imp(secure=secure)), policy=policy)
    assert decision.reason is (None if is_bid else NoBidReason.INSECURE)


def test_f1_f2_the_size_answered_is_one_that_was_offered() -> None:
    banner = {"format": [{"w": 320, "h": 50}, {"w": 728, "h": 90}]}
    bid = the_bid(decision_of(bid_request(imp(banner=banner))))
    assert (bid.fitted.width, bid.fitted.height) == (728, 90)
    fates: list[Fate] = []
    odd = bid_request(imp(banner={"w": 301, "h": 250}))
    assert decision_of(odd, fates=fates).reason is NoBidReason.NO_CAMPAIGN
    assert {f.lost.reason for f in fates if f.campaign != ITEMS} == {Loss.NO_CREATIVE}


@pytest.mark.parametrize(
    ("slot", "reason"),
    [
        ({"banner": None, "video": {"mimes": ["video/mp4"]}}, NoBidReason.NO_CAMPAIGN),
        ({"banner": {"w": 300, "h": 250, "btype": [2]}}, NoBidReason.NO_CAMPAIGN),
        ({"banner": None}, NoBidReason.NO_FORMAT),
        ({"id": ""}, NoBidReason.NO_FORMAT),
    ],
)
def test_b4_f3_a_slot_that_takes_no_markup_banner_is_left_out(
    slot: dict[str, Any], reason: NoBidReason
) -> None:
    assert decision_of(bid_request(imp(**slot))).reason is reason


def test_a1_a2_every_slot_is_judged_by_itself() -> None:
    slots = (
        imp(id="video", banner=None, video={}),
        imp(id="fine"),
        imp(id="private", pmp={"private_auction": 1}),
        imp(id="too dear", bidfloor=1e9),
        imp(id="fine too"),
    )
    decision = decision_of(bid_request(*slots))
    assert [bid.imp_id for bid in decision.bids] == ["fine", "fine too"]
    assert decision.reason is None


# -- price --------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [2, None, 0])
def test_a3_a_second_price_is_bid_at_its_value(at: int | None) -> None:
    bid = the_bid(decision_of(bid_request(at=at)))
    assert bid.bid_cpm_micros == bid.value_cpm_micros


@pytest.mark.parametrize("at", [1, 3, 500])
def test_a3_any_other_auction_is_shaded(at: int) -> None:
    bid = the_bid(decision_of(bid_request(at=at)))
    assert bid.bid_cpm_micros < bid.value_cpm_micros


def test_a_higher_median_price_of_the_exchange_raises_the_bid_and_not_the_value() -> None:
    cheap, dear = (
        the_bid(
            decision_of(exchange=Exchange(id=ExchangeId("x"), median_price_cpm_micros=m * MICROS))
        )
        for m in (1, 10)
    )
    assert cheap.value_cpm_micros == dear.value_cpm_micros
    assert cheap.bid_cpm_micros < dear.bid_cpm_micros


def test_the_value_is_the_product_of_its_factors() -> None:
    bid = the_bid(decision_of())
    factors = bid.factors
    assert factors is not None
    product_of_all = (
        1000 * factors.target_cpa_micros * factors.p_conversion * factors.value_multiplier
        * factors.exposure_factor * factors.trip_horizon_factor * factors.seat_pressure
    )  # fmt: skip
    assert bid.value_cpm_micros == int(product_of_all)


def test_a_campaign_worth_less_than_a_cent_for_a_thousand_does_not_bid() -> None:
    fates: list[Fate] = []
    what = catalog(segment(PROSPECT, target_cpa_micros=0))
    assert campaigns(decision_of(what=what, fates=fates)) == [BRAND]
    assert (SEATS, Loss.BELOW_FLOOR) in {(f.campaign, f.lost.reason) for f in fates}


# -- fates and determinism ----------------------------------------------------------------------


LOSSES: list[tuple[Loss, dict[str, Any]]] = [
    (
        Loss.PAUSED,
        {"what": [Campaign(id=SEATS, advertiser=AIR, goal="flight", segments=(PROSPECT,),
                           is_active=False)]},
    ),
    (Loss.BLOCKED, {"request": {"badv": ["air.example"]}}),
    (Loss.NO_PERSON, {"who": Person()}),
    (Loss.NO_SEGMENT, {"what": [segment(PROSPECT, min_orders=1, max_orders=1)]}),
    (Loss.CAP_REACHED, {"who": person(billed=5)}),
    (Loss.NO_INTENT, {"who": Person(NODE, NODE)}),
    (Loss.NOTHING_TO_SELL, {"what": [flight(seats_left=0)]}),
    (Loss.NO_CREATIVE, {"slot": {"banner": {"w": 320, "h": 50}}}),
    (Loss.BELOW_FLOOR, {"slot": {"bidfloor": 900}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "case"), LOSSES, ids=lambda v: v.name if isinstance(v, Loss) else ""
)
def test_each_losing_campaign_gets_its_one_reason(loss: Loss, case: dict[str, Any]) -> None:
    fates: list[Fate] = []
    decision = decision_of(
        bid_request(imp(**case.get("slot", {})), **case.get("request", {})),
        case.get("who"),
        catalog(*case.get("what", ())),
        fates=fates,
    )
    assert {fate.lost.reason for fate in fates if fate.campaign == SEATS} == {loss}
    winners = {bid.campaign.id for bid in decision.bids}
    assert sorted([f.campaign for f in fates] + [str(w) for w in winners]) == sorted(
        [SEATS, ITEMS, BRAND]
    )


def test_the_same_inputs_give_the_same_decision_with_or_without_fates() -> None:
    request, who, what = bid_request(imp(), imp(id="b")), person(billed=2), catalog()
    first = decision_of(request, who, what)
    assert decision_of(request, who, what) == first
    assert decision_of(request, who, what, fates=[]) == first


def test_the_order_in_which_campaigns_came_is_irrelevant_even_in_a_tie() -> None:
    twin = Campaign(
        id=CampaignId("air-twin"), advertiser=AIR, goal="flight", segments=(PROSPECT, CUSTOMER)
    )
    records: list[CatalogRecord | Offer] = [*RECORDS, twin, creative("twin", twin.id)]
    forward, backward = catalog(), catalog()
    forward.withdraw(f"campaign/{SEATS}")
    for record in records:
        forward.apply(record)
    for record in reversed(records):
        backward.withdraw(record_key(record))
        backward.apply(record)
    assert list(forward.campaigns) != list(backward.campaigns)
    one, other = (decision_of(what=what) for what in (forward, backward))
    assert one == other
    assert campaigns(one) == [SEATS]


def test_what_is_withdrawn_is_not_advertised() -> None:
    what = catalog()
    what.withdraw(f"advertiser/{AIR}")
    assert decision_of(what=what).bids == ()
    what = catalog()
    what.withdraw(f"campaign/{BRAND}")
    assert decision_of(who=Person(), what=what).reason is NoBidReason.NO_CAMPAIGN


def test_a_policy_of_another_seat_is_refused_where_only_ours_may_bid() -> None:
    other = msgspec.structs.replace(POLICY, seat="other")
    assert decision_of(bid_request(wseat=["kinbid"]), policy=other).bids == ()
