"""The room that a person has under all limits."""

import msgspec
import pytest

from bidder.bids import Loss
from bidder.caps import CapRoom, cap_room
from models.approaches import Approaches
from models.caps import CapLedger
from models.catalog_records import Advertiser, Segment
from models.limits import Adjustment, Cap, Limit, Silence
from models.profile import Header, Person
from models.reservations import Reservation
from models.units import DAY_MS, HOUR_MS, CampaignId, date_of
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    AIR,
    NODE,
    NOW_MS,
    PROSPECT,
    SEATS,
    SHOP,
    bid_request,
    buyer,
    catalog,
    decision_of,
    imp,
    person,
    searched,
    segment,
    the_bid,
)

MILES = CampaignId("miles")
DAY, WEEK = 86_400, 7 * 86_400
WHAT = catalog()


def seen(**ages_ms: tuple[int, ...]) -> CapLedger:
    """Impressions by campaign, each so long ago; all are the airline's."""
    campaigns = {
        name: {f"{name}-{age_ms}": NOW_MS - age_ms for age_ms in told}
        for name, told in ages_ms.items()
    }
    return CapLedger(campaigns=campaigns, advertisers={AIR: tuple(sorted(campaigns))})


def room(
    ledger: CapLedger | None = None,
    *,
    policy: Segment | None = None,
    campaign_caps: tuple[Cap, ...] = (),
    advertiser: Advertiser | None = None,
    header: Header | None = None,
    reserved: tuple[Reservation, ...] = (),
) -> CapRoom:
    who = Person(NODE, NODE, header or Header(), ledger or CapLedger())
    campaign = msgspec.structs.replace(WHAT.campaigns[SEATS], id=CampaignId("seats"))
    return cap_room(
        who, msgspec.structs.replace(campaign, caps=campaign_caps),
        advertiser or WHAT.advertisers[AIR], policy or segment(PROSPECT),
        reserved=reserved, picked=(), now_ms=NOW_MS,
    )  # fmt: skip


def airline(**changes: object) -> Advertiser:
    return msgspec.structs.replace(WHAT.advertisers[AIR], **changes)


def test_every_window_holds_and_the_strictest_decides() -> None:
    policy = segment(PROSPECT, caps=(Cap(3, DAY), Cap(4, WEEK)))
    assert room(seen(seats=(1, 2, 2 * DAY_MS)), policy=policy).lost is None
    a_day = room(seen(seats=(1, 2, 3)), policy=policy)
    assert a_day.lost is not None
    assert (a_day.lost.reason, a_day.lost.detail) == (Loss.CAP_REACHED, "3 of 3 in 1d")
    a_week = room(seen(seats=(1, 2, 2 * DAY_MS, 3 * DAY_MS)), policy=policy)
    assert a_week.lost is not None
    assert a_week.lost.detail == "4 of 4 in 7d"


def test_an_impression_leaves_its_window_at_the_very_end_of_it() -> None:
    policy = segment(PROSPECT, caps=(Cap(1, DAY),))
    assert room(seen(seats=(DAY_MS - 1,)), policy=policy).lost is not None
    assert room(seen(seats=(DAY_MS,)), policy=policy).lost is None


def test_spacing_is_kept_between_all_ads_of_the_advertiser() -> None:
    policy = segment(PROSPECT, spacing_seconds=1_800)
    assert room(seen(miles=(1_800_000 - 1,)), policy=policy).lost is not None
    assert room(seen(miles=(1_800_000,)), policy=policy).lost is None


def test_the_caps_of_campaign_and_advertiser_hold_beside_the_segments() -> None:
    two = (Cap(2, DAY),)
    assert room(seen(seats=(1, 2)), campaign_caps=two).lost is not None
    assert room(seen(miles=(1, 2)), campaign_caps=two).lost is None
    assert room(seen(seats=(1,), miles=(2,)), advertiser=airline(caps=two)).lost is not None
    assert room(seen(seats=(1,)), advertiser=airline(caps=two)).lost is None


def test_another_advertisers_impressions_do_not_count() -> None:
    ledger = CapLedger(campaigns={"items": {"n": NOW_MS - 1}}, advertisers={SHOP: ("items",)})
    assert room(ledger, advertiser=airline(caps=(Cap(1, DAY),))).lost is None


def test_what_is_reserved_for_a_sister_campaign_counts_for_the_advertiser_only() -> None:
    held = Reservation("miles", "n", NOW_MS + 1, NOW_MS, AIR)
    assert room(reserved=(held,), advertiser=airline(caps=(Cap(1, DAY),))).lost is not None
    assert room(reserved=(held,), campaign_caps=(Cap(1, DAY),)).lost is None
    billed = seen(miles=(1,))
    billed.campaigns["miles"] = {"n": NOW_MS - 1}
    twice = room(billed, reserved=(held,), advertiser=airline(caps=(Cap(2, DAY),)))
    assert twice.limits[-1] == Limit(2, DAY, of_advertiser=True, used=1), "billed and reserved"


def test_who_departs_soon_sees_more() -> None:
    """Table A 10 and C 7: the departure date moves the cap; today and the rule's last day count."""
    rule = Adjustment("days_to_departure", at_most=7, add=3)
    policy = segment(PROSPECT, caps=(Cap(3, DAY),), cap_adjustments=(rule,))

    def cap_for(*days: int) -> int:
        trips = tuple(searched(f"JFK-LAX/{_date(day)}") for day in days)
        return room(policy=policy, header=showing(searches=trips)).limits[0].impressions

    assert [cap_for(day) for day in (0, 3, 7, 8, 180)] == [6, 6, 6, 3, 3]
    assert cap_for(180, 3) == 6, "the nearest trip"
    assert cap_for(-1) == 3, "a trip that is over is none"
    assert cap_for() == 3


def _date(day: int) -> str:
    return date_of(NOW_MS // DAY_MS + day)


def test_who_is_worth_more_than_the_segments_mean_sees_more() -> None:
    rule = Adjustment("customer_value", at_least=2.0, multiply=2)
    rich = segment(PROSPECT, caps=(Cap(3, DAY),), cap_adjustments=(rule,), mean_value_micros=1)
    poor = msgspec.structs.replace(rich, mean_value_micros=10**15)
    header = showing(buyers={AIR: buyer(5)})
    assert room(policy=rich, header=header).limits[0].impressions == 6
    assert room(policy=poor, header=header).limits[0].impressions == 3
    assert room(policy=rich).limits[0].impressions == 3


def approached(*ages_ms: int, topics: dict[str, int] | None = None) -> Header:
    times_s = sorted(((NOW_MS - age_ms) // 1000 for age_ms in ages_ms), reverse=True)
    gaps = [b - a for a, b in zip(times_s[1:], times_s, strict=False)]
    known = Approaches((*times_s[:1], *gaps), topics or {})
    return Header(approaches={AIR: known})


def test_messages_and_ads_together_keep_to_the_pressure_cap() -> None:
    """Table C 14: total contacts never exceed the budget."""
    pressed = airline(pressure_caps=(Cap(3, DAY),))
    two = approached(HOUR_MS, 2 * HOUR_MS)
    assert room(seen(miles=(1,)), advertiser=pressed, header=approached(HOUR_MS)).lost is None
    full = room(seen(miles=(1,)), advertiser=pressed, header=two)
    assert full.lost is not None
    assert full.lost.reason is Loss.PRESSURE
    assert full.lost.detail == "2 messages and calls, 1 ads; 3/1d"
    left = room(advertiser=pressed, header=two)
    assert left.pressure == (Limit(1, DAY, of_advertiser=True),)
    assert room(advertiser=pressed, header=approached(HOUR_MS, HOUR_MS, HOUR_MS)).lost is not None
    assert room(advertiser=pressed, header=approached(*[2 * DAY_MS] * 9)).lost is None


@pytest.mark.parametrize(
    ("silence", "is_silent"),
    [
        (Silence(7_200, "abandoned_cart"), True),
        (Silence(7_200), True),
        (Silence(3_600, "abandoned_cart"), False),
        (Silence(7_200, "win_back"), False),
        (Silence(7_200, "abandoned_cart", "opened"), False),
    ],
)
def test_ads_are_silent_about_what_another_channel_has_served(
    silence: Silence, *, is_silent: bool
) -> None:
    """Table A 28: one channel for a trigger, for as long as the segment says."""
    policy = segment(PROSPECT, silences=(silence,))
    header = approached(HOUR_MS, topics={"0abandoned_cart": (NOW_MS - HOUR_MS) // 1000})
    lost = room(policy=policy, header=header).lost
    assert (lost is not None) == is_silent
    if lost is not None:
        assert lost.reason is Loss.SILENCED


def test_a_bid_says_what_it_keeps_to() -> None:
    two = catalog(
        segment(PROSPECT, caps=(Cap(5, DAY), Cap(9, WEEK)), spacing_seconds=60),
        airline(pressure_caps=(Cap(4, DAY),)),
    )
    bid = the_bid(decision_of(what=two, who=person(billed=2)))
    assert bid.limits == (
        Limit(5, DAY, used=2), Limit(9, WEEK, used=2), Limit(1, 60, of_advertiser=True),
    )  # fmt: skip
    assert bid.pressure == (Limit(4, DAY, of_advertiser=True, used=2),)
    assert (bid.used_count, bid.room) == (2, 1)


def test_spacing_leaves_one_ad_on_a_page() -> None:
    request = bid_request(imp(id="1"), imp(id="2"))
    spaced = catalog(segment(PROSPECT, spacing_seconds=1))
    bids = decision_of(request, what=spaced).bids
    assert sum(bid.segment is not None for bid in bids) == 1
    assert sum(bid.segment is not None for bid in decision_of(request).bids) == 2
