"""Deals, floors and currencies: where a campaign may bid, and what is written as its price."""

from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.auction import Terms, is_first_price, terms_of
from bidder.bids import Bid, Fate, Loss, Policy
from bidder.decide import decide
from bidder.errors import NoBidReason
from bidder.openings import (
    LOWEST_BID_CPM_MICROS,
    Floor,
    Opening,
    bid_in,
    floor_of,
    openings,
    price_of,
)
from bidder.openrtb import BidRequest
from models.budgets import Allowance
from models.catalog import Catalog
from models.catalog_records import Campaign, Rates
from models.errors import InvalidFieldError
from models.profile import Person
from models.units import DAY_MS, MICROS, CampaignId
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    NORTH,
    NOW_MS,
    POLICY,
    PROSPECT,
    SEATS,
    bid_request,
    catalog,
    creative,
    decision_of,
    imp,
    person,
    terms,
    thorough,
)

UNITS = {"EUR": Decimal("0.9217"), "JPY": Decimal("155.42"), "GBP": Decimal("0.8031")}
RATES = Rates(base="USD", date="2026-11-20", units=UNITS)
DEALS = CampaignId("deals")


def contextual(**changes: object) -> Campaign:
    """A campaign of deal-1 and deal-2 that pays 5 for a thousand, and not in open auctions."""
    made = Campaign(
        id=DEALS, advertiser=AIR, goal="contextual", uncapped_contextual=True,
        contextual_cpm_micros=5 * MICROS, deals=("deal-1", "deal-2"), open_auction=False,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def market(**changes: object) -> Catalog:
    return catalog(contextual(**changes), creative("of-deals", DEALS), RATES)


def on_deals(*deals: dict[str, Any], private: int = 0, **slot: object) -> BidRequest:
    return bid_request(imp(pmp={"private_auction": private, "deals": list(deals)}, **slot), at=2)


def bids(request: BidRequest, what: Catalog | None = None, **rules: object) -> list[Bid]:
    exchange = msgspec.structs.replace(NORTH, **rules)
    return list(decision_of(request, person(), what or market(), exchange=exchange).bids)


def the_opening(deal: dict[str, Any], **fields: object) -> tuple[Opening, Terms]:
    request = bid_request(imp(pmp={"private_auction": 1, "deals": [deal]}), **fields)
    asked = terms(request, market())
    found = openings(request.imp[0], asked, {str(deal["id"])})
    assert not isinstance(found, NoBidReason)
    (opening,) = found
    return opening, asked


# -- which deals -----------------------------------------------------------------------------------


def test_d2_both_a_deal_and_the_open_auction_get_a_bid() -> None:
    """D2, D3, A16: each with its own best campaign; the deal's id is echoed."""
    found = bids(on_deals({"id": "deal-1"}, {"id": "unknown"}))
    assert [(bid.campaign.id, bid.deal_id) for bid in found] == [(DEALS, "deal-1"), (SEATS, None)]


def test_d7_a_deals_bid_is_not_pushed_out_by_a_better_one_of_ours() -> None:
    """D7: the open auction's is worth more, and both are sent."""
    deal, open_bid = bids(on_deals({"id": "deal-1"}))
    assert open_bid.value_cpm_micros > deal.value_cpm_micros


def test_d1_a_private_auction_gets_bids_on_its_deals_alone() -> None:
    """D1: and none where none of them is ours."""
    assert [bid.deal_id for bid in bids(on_deals({"id": "deal-1"}, private=1))] == ["deal-1"]
    for request in (on_deals({"id": "unknown"}, private=1), on_deals(private=1)):
        decision = decision_of(request, what=market())
        assert decision.reason is NoBidReason.PRIVATE_AUCTION
    paused = decision_of(on_deals({"id": "deal-1"}, private=1), what=market(is_active=False))
    assert paused.reason is NoBidReason.NO_CAMPAIGN


def test_d7_deals_are_named_by_campaigns_and_exactly() -> None:
    """D7, P7: the case of an id matters, a part of it is another id."""
    for name in ("DEAL-1", "deal-1 ", "deal-", "deal-11"):
        assert [bid.deal_id for bid in bids(on_deals({"id": name}))] == [None]


def test_a_campaign_of_deals_and_of_the_open_auction_bids_on_both() -> None:
    what = market(open_auction=True, contextual_cpm_micros=500 * MICROS)
    found = bids(on_deals({"id": "deal-1"}, {"id": "deal-2"}), what)
    assert [(bid.campaign.id, bid.deal_id) for bid in found] == [
        (DEALS, "deal-1"), (DEALS, "deal-2"), (DEALS, None),
    ]  # fmt: skip
    fates: list[Fate] = []
    decision_of(bid_request(), what=market(), fates=fates)
    assert [one.lost.reason for one in fates if one.campaign == DEALS] == [Loss.NO_DEAL]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a16_an_exchange_that_takes_few_bids_gets_those_on_deals(most: int) -> None:
    """A16, D6: guaranteed ones first of all."""
    request = on_deals({"id": "deal-1"}, {"id": "deal-2", "guar": 1})
    found = [bid.deal_id for bid in bids(request, max_bids_per_slot=most)]
    assert found == ["deal-2", "deal-1", None][:most]
    assert len(bids(request, max_bids_per_slot=0)) == 3


def test_the_catalogue_knows_which_deals_are_anybodys() -> None:
    what = market()
    assert set(what.deals) == {"deal-1", "deal-2"}
    what.apply(contextual(id=CampaignId("second"), deals=("deal-2", "deal-3")))
    what.apply(contextual(deals=("deal-1",)))
    assert set(what.deals) == {"deal-1", "deal-2", "deal-3"}
    what.withdraw("campaign/second")
    assert set(what.deals) == {"deal-1"}


def test_a_campaign_that_could_bid_nowhere_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="deals"):
        contextual(deals=()).check()
    with pytest.raises(InvalidFieldError, match="guaranteed_cpm_micros"):
        contextual(guaranteed_cpm_micros=-1).check()
    contextual().check()


@pytest.mark.parametrize(
    ("rule", "is_bid"),
    [
        ({"wseat": ["kinbid"]}, True),
        ({"wseat": ["other"]}, False),
        ({"wseat": []}, True),
        ({"wadomain": ["air.example"]}, True),
        ({"wadomain": ["AIR.Example"]}, True),
        ({"wadomain": ["example"]}, True),
        ({"wadomain": ["shop.example"]}, False),
        ({"wadomain": []}, True),
    ],
)
def test_d5_a_deal_may_be_for_some_seats_and_advertisers_only(
    rule: dict[str, Any], is_bid: bool
) -> None:
    """D5: as the seller says it."""
    found = bids(on_deals({"id": "deal-1"} | rule, private=1))
    assert bool(found) == is_bid


def test_d5_the_seat_is_the_one_at_that_exchange() -> None:
    """D5, A13: an exchange's own name for us counts there."""
    request = on_deals({"id": "deal-1", "wseat": ["512"]}, private=1)
    assert not bids(request)
    assert bids(request, seat="512")


# -- prices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "is_first"), [(None, False), (0, False), (1, True), (2, False), (3, True), (500, True)]
)
def test_a3_the_auction_type(at: int | None, is_first: bool) -> None:
    """A3: 2 by default; an exchange's own rules are taken for first price."""
    assert is_first_price(at) == is_first


@pytest.mark.parametrize(
    ("request_at", "deal_at", "is_first"),
    [(1, None, True), (2, None, False), (1, 2, False), (2, 1, True), (None, None, False)],
)
def test_d4_a_deals_auction_type_comes_before_the_requests(
    request_at: int | None, deal_at: int | None, is_first: bool
) -> None:
    """D4, A3: so a bid is shaded only where its own auction is a first-price one."""
    opening, _ = the_opening({"id": "deal-1", "at": deal_at}, at=request_at)
    assert opening.is_first_price == is_first
    value = 5.0 * MICROS
    bid = bid_in(opening, opening.floor, value, contextual(), NORTH)
    assert bid is not None
    assert (bid < value) == is_first


@pytest.mark.parametrize(("floor", "price"), [(2.5, 2_500_000), (5.0, 5_000_000), (5.01, None)])
def test_d4_a_fixed_price_is_bid_as_it_is_or_not_at_all(floor: float, price: int | None) -> None:
    """D4: ``at`` 3; nothing is shaded, and nothing above its value is bid."""
    found = bids(on_deals({"id": "deal-1", "at": 3, "bidfloor": floor}, private=1))
    assert [bid.price_micros for bid in found] == ([price] if price else [])


@pytest.mark.parametrize(
    ("promised", "floor", "price"),
    [(9, 8.0, 8_000_000), (8, 8.0, 8_000_000), (7, 8.0, None), (0, 8.0, None), (0, 4.0, 5_000_000)],
)
def test_d6_on_a_guaranteed_deal_the_floor_is_bid_as_far_as_it_was_promised(
    promised: int, floor: float, price: int | None
) -> None:
    """D6: also where it is worth less; no exchange can make us pay more than was agreed."""
    request = on_deals({"id": "deal-1", "guar": 1, "bidfloor": floor}, private=1)
    what = market(guaranteed_cpm_micros=promised * MICROS)
    assert [bid.price_micros for bid in bids(request, what)] == ([price] if price else [])
    other = on_deals({"id": "deal-1", "bidfloor": 8.0}, private=1)
    assert bids(other, what) == []


def test_a6_a_deals_floor_comes_before_the_slots() -> None:
    """A6: lower or higher; and the slot's holds in the open auction."""
    found = bids(on_deals({"id": "deal-1", "bidfloor": 1.0}, bidfloor=900.0))
    assert [bid.deal_id for bid in found] == ["deal-1"]
    found = bids(on_deals({"id": "deal-1", "bidfloor": 900.0}, bidfloor=1.0))
    assert [bid.deal_id for bid in found] == [None]


def test_a7_a_deals_currency_is_not_the_slots() -> None:
    """A7: absent means US dollars, whatever the slot says."""
    request = on_deals({"id": "deal-1", "bidfloor": 4.0}, bidfloor=1.0, bidfloorcur="JPY")
    asked = terms(request, market())
    found = openings(request.imp[0], asked, {"deal-1"})
    assert not isinstance(found, NoBidReason)
    deal, auction = found
    assert (deal.floor.cpm_micros, deal.floor_currency) == (4 * MICROS, "USD")
    assert auction.floor.cpm_micros == max(LOWEST_BID_CPM_MICROS, -(-MICROS * 100 // 15542))
    own = on_deals({"id": "deal-1", "bidfloor": 4.0, "bidfloorcur": "EUR"})
    in_euros = openings(own.imp[0], terms(own, market()), {"deal-1"})
    assert not isinstance(in_euros, NoBidReason)
    assert in_euros[0].floor.cpm_micros > 4 * MICROS


def test_a7_a_deals_currency_is_not_the_answers_either() -> None:
    """A7: dollars, though the bid is written in euros."""
    opening, asked = the_opening({"id": "deal-1", "bidfloor": 4.0}, cur=["EUR"])
    assert asked.currency == "EUR"
    assert (opening.floor.cpm_micros, opening.floor.price_micros) == (4 * MICROS, 3_686_800)


def test_d6_a_promise_holds_for_an_ad_for_a_person_too() -> None:
    """D6: no plan is passed over there, since it is worth less than the floor."""
    seats = Campaign(
        id=SEATS, advertiser=AIR, goal="flight", segments=(PROSPECT,), deals=("deal-1",),
        guaranteed_cpm_micros=900 * MICROS,
    )  # fmt: skip
    (plain,) = bids(bid_request(at=2), catalog(seats))
    floor = plain.value_cpm_micros / MICROS + 10
    request = on_deals({"id": "deal-1", "guar": 1, "bidfloor": floor}, private=1)
    (bid,) = bids(request, catalog(seats))
    assert bid.segment is not None
    assert bid.bid_cpm_micros > bid.value_cpm_micros


class Media(msgspec.Struct, frozen=True):
    """A video slot, as far as floors go."""

    mincpmpersec: float | None = None
    durfloors: list[Any] | None = None


RANGES = [
    {"mindur": 1, "maxdur": 15, "bidfloor": 5.0},
    {"mindur": 16, "maxdur": 30, "bidfloor": 10.0},
    {"mindur": 31, "bidfloor": 20.0},
]


@pytest.mark.parametrize(
    ("timed", "seconds", "floor"),
    [
        ({"durfloors": RANGES}, 15, 5.0),
        ({"durfloors": RANGES}, 16, 10.0),
        ({"durfloors": RANGES}, 600, 20.0),
        ({"durfloors": RANGES}, 15.5, 2.0),
        ({"durfloors": RANGES}, None, 2.0),
        ({"mincpmpersec": 0.25}, 30, 7.5),
        ({"mincpmpersec": 0.25, "durfloors": RANGES}, 30, 10.0),
        ({"mincpmpersec": 0.5, "durfloors": RANGES}, 30, 15.0),
        ({"durfloors": []}, 30, 2.0),
        ({}, 30, 2.0),
    ],
)
def test_a6_floors_by_duration(timed: dict[str, Any], seconds: float | None, floor: float) -> None:
    """A6: of a deal; and of a slot in the open auction, before the slot's own floor."""
    opening, asked = the_opening({"id": "deal-1", "bidfloor": 2.0} | timed)
    found = floor_of(opening, asked, seconds)
    assert found is not None
    assert found.cpm_micros == floor * MICROS
    media = opening.timed if opening.timed is not None else Media()
    request = bid_request(imp(bidfloor=2.0))
    (auction,) = the_ways(request, asked)
    in_open = floor_of(auction, asked, seconds, media)
    assert in_open == found
    assert floor_of(opening, asked, seconds, Media(mincpmpersec=100.0)) == found


def the_ways(request: BidRequest, asked: Terms) -> tuple[Opening, ...]:
    found = openings(request.imp[0], asked, set())
    assert not isinstance(found, NoBidReason)
    return found


# -- currencies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (None, "USD"), ([], "USD"), (["USD"], "USD"), (["EUR", "USD"], "USD"), (["EUR"], "EUR"),
        (["XXX", "GBP", "EUR"], "GBP"), (["eur"], "EUR"), (["usd"], "USD"), (["XXX"], None),
        ([""], None),
    ],
)  # fmt: skip
def test_a8_the_answer_is_in_a_currency_that_is_wanted(
    wanted: list[str] | None, answer: str | None
) -> None:
    """A8: our own if it will do, else the first one with a rate."""
    found = terms_of(bid_request(cur=wanted), NORTH, POLICY, market(), NOW_MS)
    if answer is None:
        assert found is NoBidReason.CURRENCY
    else:
        assert isinstance(found, Terms)
        assert found.currency == answer


def test_a8_absent_means_dollars_and_not_our_own_currency() -> None:
    """A8: an owner in euros needs a rate."""
    euros = Policy(seat="kinbid", currency="EUR", is_secure=True)
    request = bid_request(cur=None)
    assert terms_of(request, NORTH, euros, catalog(), NOW_MS) is NoBidReason.CURRENCY
    rates = Rates(base="EUR", date="2026-11-20", units={"USD": Decimal("1.085")})
    found = terms_of(request, NORTH, euros, catalog(rates), NOW_MS)
    assert isinstance(found, Terms)
    assert found.currency == "USD"


def test_a9_old_rates_cost_those_bids_only_that_need_one() -> None:
    """A9: the slot that names its floor in dollars gets its bid."""
    slots = (imp(id="dollars", bidfloor=1.0), imp(id="euros", bidfloor=1.0, bidfloorcur="EUR"))
    request = bid_request(*slots)
    assert [bid.imp_id for bid in decision_of(request, what=market()).bids] == ["dollars", "euros"]
    for days in (5, 50):
        old = Rates(base="USD", date="2026-11-20", units=UNITS, max_age_days=days)
        later_ms = NOW_MS + 10 * DAY_MS
        found = terms_of(request, NORTH, POLICY, catalog(old), later_ms)
        assert isinstance(found, Terms)
        ways = openings(request.imp[1], found, set())
        assert (ways is NoBidReason.CURRENCY) == (days == 5)
        assert openings(request.imp[0], found, set()) is not NoBidReason.CURRENCY


def test_a9_a_floor_of_nothing_needs_no_rate() -> None:
    """A9: whatever the currency that it is in."""
    for floor in (0, None, -1.0):
        assert bids(bid_request(imp(bidfloor=floor, bidfloorcur="XXX")))
    assert not bids(bid_request(imp(bidfloor=0.01, bidfloorcur="XXX")))


currencies = st.sampled_from(["USD", "EUR", "JPY", "GBP"])
floors = st.floats(0, 50) | st.sampled_from([0.1, 1.1, 2.675, 0.015, 1e-7, 1e-300, 0.3 - 0.1])


@thorough
@given(floors, currencies, currencies, st.floats(0, 100), st.sampled_from([1, 2, 3]))
def test_a5_a10_a_price_is_never_below_the_floor_nor_above_the_value(
    floor: float, floor_currency: str, answer: str, value: float, at: int
) -> None:
    """A5, A9, A10, A11: as the exchange reads it, at our rates, whatever the three currencies."""
    request = bid_request(imp(bidfloor=floor, bidfloorcur=floor_currency), cur=[answer], at=at)
    asked = terms(request, market())
    (opening,) = the_ways(request, asked)
    value_cpm_micros = value * MICROS
    bid = bid_in(opening, opening.floor, value_cpm_micros, contextual(), NORTH)
    if bid is None:
        assert value_cpm_micros < opening.floor.cpm_micros
        return
    assert 0 < bid <= value_cpm_micros
    price = price_of(bid, opening.floor, asked)
    assert isinstance(price, int)
    assert price > 0
    written = float(f"{price / MICROS:.6f}")
    if floor_currency == answer:
        assert written >= floor
    to_dollars = {"USD": Decimal(1)} | UNITS
    least = next(m for m in count(max(0, int(floor * MICROS) - 1)) if m / MICROS >= floor)
    asked_for = Fraction(least) / Fraction(to_dollars[floor_currency])
    assert price >= asked_for * Fraction(to_dollars[answer])
    assert Decimal(price) / to_dollars[answer] <= Decimal(bid) or price == 1


@thorough
@given(floors, currencies, currencies)
def test_a10_a_bid_at_the_floor_is_written_as_the_floor(
    floor: float, floor_currency: str, answer: str
) -> None:
    """A10: rounding adds nothing, so a fixed price is the price that was agreed on."""
    request = bid_request(imp(bidfloor=floor, bidfloorcur=floor_currency), cur=[answer])
    asked = terms(request, market())
    (opening,) = the_ways(request, asked)
    price = price_of(opening.floor.cpm_micros, opening.floor, asked)
    if floor_currency == answer and opening.floor.cpm_micros > LOWEST_BID_CPM_MICROS:
        assert abs(price - floor * MICROS) < 1
        assert price / MICROS >= floor


@thorough
@given(st.integers(10_000, 10**9), st.integers(10_000, 10**9), floors, currencies)
def test_a_higher_bid_is_never_a_lower_price(
    one: int, other: int, floor: float, answer: str
) -> None:
    """A10: also where one of them is the floor."""
    request = bid_request(imp(bidfloor=floor, bidfloorcur="EUR"), cur=[answer])
    asked = terms(request, market())
    (opening,) = the_ways(request, asked)
    least = opening.floor.cpm_micros
    low, high = sorted((max(one, least), max(other, least)))
    assert price_of(low, opening.floor, asked) <= price_of(high, opening.floor, asked)


def test_a11_the_cheapest_bid_is_above_nothing_in_any_currency() -> None:
    """A11: even where a cent is less than a micro of the other currency."""
    rates = Rates(base="USD", date="2026-11-20", units={"XBT": Decimal("0.00000001")})
    request = bid_request(cur=["XBT"])
    asked = terms(request, catalog(rates))
    (opening,) = the_ways(request, asked)
    assert opening.floor == Floor(LOWEST_BID_CPM_MICROS, 1)
    assert price_of(20_000, opening.floor, asked) == 1


def test_a_bid_in_another_currency_keeps_its_value_in_our_own() -> None:
    """A8: caps, budgets and reports count the owner's currency."""
    (plain,) = bids(bid_request(at=2))
    (yen,) = bids(bid_request(at=2, cur=["JPY"]))
    assert yen.bid_cpm_micros == plain.bid_cpm_micros == plain.price_micros
    assert yen.price_micros == int(plain.bid_cpm_micros * Decimal("155.42"))
    assert yen.campaign.id == plain.campaign.id != BRAND


@pytest.mark.parametrize("multiplier", [-3, -0.001, 1e300, 1_000_001])
def test_a4_a_slot_that_claims_an_impossible_crowd_gets_no_bid(multiplier: float) -> None:
    """A4: a negative one would put money back into a budget, a vast one empty it."""
    slots = (imp(qty={"multiplier": multiplier}), imp(id="other"))
    assert {bid.imp_id for bid in bids(bid_request(*slots))} == {"other"}


@pytest.mark.parametrize("spelt", ["usd", " USD "])
def test_a8_a_currencys_case_and_blanks_do_not_matter(spelt: str) -> None:
    """A8, A9: without any rates, too."""
    request = bid_request(imp(bidfloor=0.01, bidfloorcur=spelt), cur=[spelt])
    assert decision_of(request).bids


def test_d3_a_deal_that_is_named_twice_gets_one_bid() -> None:
    """D3: the first of its name stands."""
    deals = [{"id": "deal-1", "bidfloor": 1.0}, {"id": "deal-1", "bidfloor": 0.5}]
    found = bids(bid_request(imp(pmp={"private_auction": 1, "deals": deals})))
    assert [bid.deal_id for bid in found] == ["deal-1"]


@pytest.mark.parametrize(("multiplier", "left_micros", "is_bid"), [
    (1.0, 5_000, True), (1.0, 4_999, False), (14.2, 70_999, False), (14.2, 71_000, True),
])  # fmt: skip
def test_a4_a_showing_costs_a_thousandth_of_the_price_for_each_impression(
    multiplier: float, left_micros: int, is_bid: bool
) -> None:
    """A4: a screen with 14.2 impressions a showing takes as much of the budget."""
    what = market(daily_budget_micros=10**9)
    request = bid_request(
        imp(
            qty={"multiplier": multiplier}, pmp={"private_auction": 1, "deals": [{"id": "deal-1"}]}
        ),
        at=2,
    )
    allowances: dict[str, Allowance] = {DEALS: Allowance(left_micros, 1.0)}
    decision = decide(
        request, Person(), NORTH, what, policy=POLICY, now_ms=NOW_MS, allowances=allowances
    )
    assert bool(decision.bids) == is_bid
    if is_bid:
        assert decision.bids[0].cost_micros == int(5_000 * multiplier)
