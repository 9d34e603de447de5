"""What phone calls do to bids: ads pause for a call-back, full lines lower them."""

import msgspec
import pytest

from bidder.bids import Fate, Loss
from models.calls import ToldCall
from models.catalog import Catalog
from models.catalog_records import CallTag, Campaign, LineState
from models.profile import Header, Person
from models.units import HOUR_MS, CampaignId
from models.value.lines import LEAST, MINUTE_MS, WINDOW_MINUTES
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    ITEMS,
    NOW_MS,
    SEATS,
    SHOP,
    catalog,
    decision_of,
    person,
    searched,
    the_bid,
    viewed,
)

CALL_BACK = CallTag(
    id="call_back", is_conversion=False, opens_callback=True, pauses_ads_hours=24,
    automatic_for=("lines_full",),
)  # fmt: skip
NOW_MINUTE = NOW_MS // MINUTE_MS


def call(age_ms: int = HOUR_MS, **more: object) -> ToldCall:
    fields = {"told_ms": 0, "advertiser": AIR} | more
    return ToldCall(call_id=f"c{age_ms}", time_ms=NOW_MS - age_ms, **fields)  # type: ignore[arg-type]


def header(*calls: ToldCall) -> Header:
    return showing(searches=(searched(),), products=(viewed(),), calls=calls)


def fate_of(campaign: CampaignId, *calls: ToldCall) -> Loss | None:
    fates: list[Fate] = []
    decision_of(None, person(header(*calls)), catalog(CALL_BACK), fates=fates)
    found = [fate.lost.reason for fate in fates if fate.campaign == campaign]
    return found[0] if found else None


def fate_of_seats(*calls: ToldCall) -> Loss | None:
    return fate_of(SEATS, *calls)


def winner(*calls: ToldCall) -> str:
    return the_bid(decision_of(None, person(header(*calls)), catalog(CALL_BACK))).campaign.id


@pytest.mark.parametrize("campaign", [SEATS, BRAND], ids=["personal", "contextual"])
def test_whoever_waits_for_a_call_gets_no_ads_of_the_advertiser(campaign: CampaignId) -> None:
    waiting = call(missed_reason="lines_full")
    assert fate_of(campaign, waiting) is Loss.CALL_PAUSE
    assert fate_of(campaign, call(tag="call_back")) is Loss.CALL_PAUSE
    assert fate_of(campaign, call()) is not Loss.CALL_PAUSE
    assert winner(waiting) == ITEMS


def test_a_pause_of_one_person_stops_no_contextual_ads_to_others() -> None:
    waiting = showing(calls=(call(missed_reason="lines_full"),))
    assert decision_of(None, person(waiting), catalog(CALL_BACK)).bids == ()
    assert the_bid(decision_of(None, person(Header()), catalog(CALL_BACK))).campaign.id == BRAND
    assert the_bid(decision_of(None, Person(), catalog(CALL_BACK))).campaign.id == BRAND


def test_ads_come_back_when_the_call_back_is_done_or_its_hours_are_over() -> None:
    assert fate_of_seats(call(missed_reason="lines_full"), call(1)) is not Loss.CALL_PAUSE
    assert fate_of_seats(call(24 * HOUR_MS, missed_reason="lines_full")) is not Loss.CALL_PAUSE
    assert fate_of_seats(call(24 * HOUR_MS - 1, missed_reason="lines_full")) is Loss.CALL_PAUSE


def test_a_call_to_one_brand_stops_no_ads_of_another() -> None:
    assert fate_of_seats(call(advertiser=SHOP, tag="call_back")) is not Loss.CALL_PAUSE


def test_other_calls_stop_no_ads() -> None:
    assert fate_of_seats(call(), call(missed_reason="no_answer")) is not Loss.CALL_PAUSE


def test_the_reason_says_until_when() -> None:
    fates: list[Fate] = []
    who = person(header(call(tag="call_back")))
    decision_of(None, who, catalog(CALL_BACK), fates=fates)
    (lost,) = [fate.lost for fate in fates if fate.campaign == SEATS]
    assert lost.detail == "until 2026-11-21 14:00:00+00:00"


def test_a_tag_that_is_configured_anew_counts_at_the_next_bid() -> None:
    what = catalog(CALL_BACK)
    who = person(header(call(tag="call_back")))
    what.apply(msgspec.structs.replace(CALL_BACK, pauses_ads_hours=0))
    assert the_bid(decision_of(None, who, what)).campaign.id == SEATS


# -- lines -----------------------------------------------------------------------------------


def with_lines(
    lost: int, of: int, *, call_driven: bool = True, minute: int = NOW_MINUTE
) -> Catalog:
    what = catalog(LineState(advertiser=AIR, minutes=((minute, of, lost),), updated_ms=1))
    for name in (SEATS, BRAND):
        driven = msgspec.structs.replace(what.campaigns[name], call_driven=call_driven)
        assert isinstance(driven, Campaign)
        what.apply(driven)
    return what


def seats_value(what: Catalog) -> int:
    return the_bid(decision_of(None, person(), what)).value_cpm_micros


def test_full_lines_lower_the_bid_of_a_call_driven_campaign_and_explain_shows_the_factor() -> None:
    bid = the_bid(decision_of(None, person(), with_lines(20, 20)))
    assert bid.factors is not None
    assert LEAST <= bid.factors.line_factor < 0.3
    free = seats_value(with_lines(0, 20))
    assert bid.value_cpm_micros == pytest.approx(free * bid.factors.line_factor, abs=1)


def test_full_lines_are_nothing_to_other_campaigns() -> None:
    assert seats_value(with_lines(20, 20, call_driven=False)) == seats_value(catalog())


def test_calls_that_get_through_raise_the_bid_again() -> None:
    assert (
        seats_value(with_lines(20, 20)) < seats_value(with_lines(20, 60)) < seats_value(catalog())
    )


def test_the_bid_comes_back_by_itself_when_nobody_calls() -> None:
    values = [seats_value(with_lines(20, 20, minute=NOW_MINUTE - age)) for age in (0, 5, 10)]
    assert values == sorted(set(values))
    assert seats_value(with_lines(20, 20, minute=NOW_MINUTE - WINDOW_MINUTES)) == seats_value(
        catalog()
    )


def test_a_contextual_campaign_that_asks_for_calls_bids_less_too() -> None:
    nobody = person(Header())
    full = the_bid(decision_of(None, nobody, with_lines(20, 20)))
    free = the_bid(decision_of(None, nobody, with_lines(0, 20)))
    assert full.campaign.id == free.campaign.id == BRAND
    assert full.value_cpm_micros < free.value_cpm_micros / 3
