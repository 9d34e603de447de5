"""Targeting, segments and the search for the best bid, against asking every campaign."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bidder.decide
from bidder.bids import Bid, Fate, Loss
from bidder.desk import Desk
from bidder.errors import NoBidReason
from bidder.fates import judge
from bidder.openings import openings
from bidder.openrtb import BidRequest
from bidder.slot import slot_of
from models.catalog import Catalog
from models.catalog_records import Campaign, Condition, MediaFile, Targeting, VideoAd
from models.limits import Cap
from models.profile import Person
from models.units import DAY_MS, MICROS, CampaignId, SegmentId
from tests.fakes.headers import showing
from tests.unit.bidder.formats.support import VIDEO_SLOT
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    CUSTOMER,
    ITEMS,
    NORTH,
    NOW_MS,
    OTHER_TRIP,
    POLICY,
    PROSPECT,
    SEATS,
    TRIP,
    bid_request,
    buyer,
    catalog,
    creative,
    decision_of,
    flight,
    imp,
    person,
    searched,
    segment,
    terms,
    the_bid,
    thorough,
    viewed,
)

LOYAL = SegmentId("airline/loyal")
CROWD = [CampaignId(f"crowd-{number}") for number in range(6)]
ROUTES = ("JFK-LAX", "EWR-SFO")
BOTH = showing(searches=(searched(TRIP), searched(OTHER_TRIP, age_ms=2 * DAY_MS)))
OTHER_FLIGHT = flight(
    id="KB9/2026-12-01", origin="EWR", destination="SFO", seats_left=100, fare_micros=90 * MICROS
)


FILM = VideoAd(
    title="A film",
    duration_seconds=15,
    media=(MediaFile("video/mp4", "https://cdn.example/a.mp4", 640, 360),),
)


def seats(**changes: object) -> Campaign:
    made = Campaign(id=SEATS, advertiser=AIR, goal="flight", segments=(PROSPECT, CUSTOMER))
    return msgspec.structs.replace(made, **changes)


def reasons(fates: Sequence[Fate]) -> dict[str, Loss]:
    return {fate.campaign: fate.lost.reason for fate in fates}


@pytest.mark.parametrize(
    ("targeting", "fields"),
    [
        (Targeting(exchanges=("north",)), {}),
        (Targeting(places=("USA",)), {"device": {"geo": {"country": "USA", "region": "NY"}}}),
        (Targeting(places=("USA-NY",)), {"device": {"geo": {"country": "usa", "region": "ny"}}}),
        (Targeting(devices=("phone",)), {"device": {"devicetype": 1}}),
        (Targeting(devices=("tablet",)), {"device": {"devicetype": 1}}),
        (Targeting(devices=("other",)), {"device": {"devicetype": 6}}),
        (Targeting(systems=("ios",)), {"device": {"os": "iOS"}}),
        (Targeting(hours=(15,)), {}),
        (Targeting(hours=(10,)), {"device": {"geo": {"utcoffset": -300}}}),
        (Targeting(weekdays=(4,)), {}),
        (Targeting(sites=("news.example",)), {"site": {"domain": "www.News.example"}}),
        (Targeting(sites=("com.app",)), {"app": {"bundle": "com.App"}}),
        (Targeting(not_sites=("news.example",)), {"site": {"domain": "oldnews.example"}}),
    ],
)
def test_a_campaign_bids_in_the_slots_that_it_asks_for(
    targeting: Targeting, fields: dict[str, object]
) -> None:
    bid = the_bid(decision_of(bid_request(**fields), what=catalog(seats(targeting=targeting))))
    assert bid.campaign.id == SEATS


@pytest.mark.parametrize(
    ("targeting", "fields", "detail"),
    [
        (Targeting(exchanges=("south",)), {}, "exchange"),
        (Targeting(places=("USA",)), {}, "place"),
        (Targeting(places=("USA-CA",)), {"device": {"geo": {"country": "USA"}}}, "place"),
        (Targeting(devices=("pc",)), {"device": {"devicetype": 4}}, "device"),
        (Targeting(systems=("ios",)), {"device": {"os": "android"}}, "system"),
        (Targeting(hours=(15,)), {"device": {"geo": {"utcoffset": -300}}}, "hour"),
        (Targeting(weekdays=(5, 6)), {}, "weekday"),
        (Targeting(sites=("news.example",)), {"site": {"domain": "oldnews.example"}}, "site"),
        (Targeting(not_sites=("example",)), {"site": {"domain": "news.example"}}, "site"),
    ],
)
def test_a_campaign_stays_out_of_all_others_and_explain_names_the_dimension(
    targeting: Targeting, fields: dict[str, object], detail: str
) -> None:
    fates: list[Fate] = []
    what = catalog(seats(targeting=targeting))
    bid = the_bid(decision_of(bid_request(**fields), what=what, fates=fates))
    assert bid.campaign.id == BRAND
    (lost,) = [fate.lost for fate in fates if fate.campaign == SEATS]
    assert (lost.reason, lost.detail) == (Loss.TARGETING, detail)


def test_a_swap_of_a_segments_policy_changes_all_of_it_at_once() -> None:
    what = catalog(
        OTHER_FLIGHT,
        creative("seats-swapped", SEATS, creative_set="swapped"),
    )
    who = person(BOTH, billed=1)
    before = the_bid(decision_of(who=who, what=what))
    what.apply(
        segment(
            PROSPECT, target_cpa_micros=99 * MICROS, caps=(Cap(2, 86_400),), creative_set="swapped",
            offers=("EWR-SFO",), channels_off=("app",),
        )
    )  # fmt: skip
    after = the_bid(decision_of(who=who, what=what))
    assert before.segment is not None
    assert after.segment is not None
    assert (before.offer, after.offer) == (flight(), OTHER_FLIGHT)
    assert (before.creative.creative_set, after.creative.creative_set) == ("prospect", "swapped")
    assert after.segment.target_cpa_micros == 99 * MICROS
    fates: list[Fate] = []
    request = bid_request(app={"bundle": "com.app"})
    assert the_bid(decision_of(request, who, what, fates=fates)).campaign.id == BRAND
    assert reasons(fates)[SEATS] is Loss.CHANNEL_OFF
    fates.clear()
    decision_of(who=person(BOTH, billed=2), what=what, fates=fates)
    assert reasons(fates)[SEATS] is Loss.CAP_REACHED


def test_the_first_segment_that_holds_a_person_gives_the_policy_even_if_another_pays_more() -> None:
    rich = segment(LOYAL, when=(Condition(feature="days_to_departure", at_most=30),),
                   target_cpa_micros=500 * MICROS, creative_set="prospect")  # fmt: skip
    first = the_bid(decision_of(what=catalog(rich, seats(segments=(PROSPECT, LOYAL)))))
    other = the_bid(decision_of(what=catalog(rich, seats(segments=(LOYAL, PROSPECT)))))
    assert first.segment is not None
    assert other.segment is not None
    assert (first.segment.id, other.segment.id) == (PROSPECT, LOYAL)


def test_a_campaign_with_offers_of_its_own_shows_the_first_of_them_that_can_be_sold() -> None:
    what = catalog(OTHER_FLIGHT, seats(offers=("EWR-SFO",)))
    assert the_bid(decision_of(who=person(BOTH), what=what)).offer == OTHER_FLIGHT
    fates: list[Fate] = []
    decision_of(who=person(), what=what, fates=fates)
    assert reasons(fates)[SEATS] is Loss.NOTHING_TO_SELL


# -- the search, against asking every campaign -------------------------------------------------


targetings = st.builds(
    Targeting,
    places=st.sampled_from([(), ("USA",), ("DEU", "USA-CA")]),
    devices=st.sampled_from([(), ("phone",), ("pc", "tv")]),
    hours=st.sampled_from([(), (15,), (3,)]),
    not_sites=st.sampled_from([(), ("news.example",)]),
)
offers = st.lists(st.sampled_from(ROUTES), max_size=1).map(tuple)
requests = st.builds(
    lambda country, device, site, floor, slots, pmp: bid_request(
        *(imp(id=str(number), bidfloor=floor, pmp=pmp) for number in range(slots)),
        at=2,
        device={"geo": {"country": country}, "devicetype": device},
        site={"domain": site},
    ),
    st.sampled_from(["USA", "DEU", None]),
    st.sampled_from([1, 2, 4, None]),
    st.sampled_from(["news.example", "other.example"]),
    st.sampled_from([0, 0.5, 3.0]),
    st.integers(1, 3),
    st.sampled_from(
        [
            None,
            {"deals": [{"id": "deal-1", "bidfloor": 1.0}, {"id": "nobodys"}]},
            {
                "private_auction": 1,
                "deals": [
                    {"id": "deal-1"},
                    {"id": "deal-2", "guar": 1, "at": 3, "bidfloor": 5.0, "wadomain": ["example"]},
                ],
            },
        ]
    ),
)
deals = st.lists(st.sampled_from(["deal-1", "deal-2", "of others"]), unique=True).map(tuple)


@st.composite
def markets(draw: st.DrawFn) -> Catalog:
    """Many campaigns over few segments, so that there are ties, caps and several first choices."""
    what = catalog(
        OTHER_FLIGHT,
        segment(PROSPECT, offers=draw(offers), target_cpa_micros=draw(st.integers(1, 3)) * MICROS),
        segment(LOYAL, when=(Condition(feature="days_since_look", at_most=draw(st.floats(0, 3))),),
                target_cpa_micros=draw(st.integers(1, 3)) * MICROS),
    )  # fmt: skip
    for name in CROWD:
        names, of_deals = draw(st.permutations([PROSPECT, LOYAL, CUSTOMER])), draw(deals)
        what.apply(
            seats(
                id=name, segments=tuple(names[: draw(st.integers(1, 3))]), offers=draw(offers),
                targeting=draw(targetings), is_active=draw(st.integers(0, 9)) > 0,
                deals=of_deals, open_auction=not of_deals or draw(st.booleans()),
                guaranteed_cpm_micros=draw(st.sampled_from([0, 9 * MICROS])),
            )
        )  # fmt: skip
        what.apply(creative(f"of-{name}", name))
    return what


@st.composite
def visitors(draw: st.DrawFn) -> Person:
    ages = draw(st.lists(st.integers(0, 4 * DAY_MS), min_size=2, max_size=2))
    searches = (searched(TRIP, age_ms=ages[0]), searched(OTHER_TRIP, age_ms=ages[1]))
    header = showing(
        searches=searches[: draw(st.integers(0, 2))],
        buyers={"airline": buyer(2)} if draw(st.booleans()) else {},
    )
    full = draw(st.sampled_from([*CROWD, SEATS]))
    return person(header, billed=draw(st.integers(0, 6)), campaign=full)


@thorough
@given(requests, visitors(), markets())
def test_the_search_finds_the_winner_that_asking_every_campaign_finds(
    request: BidRequest, who: Person, what: Catalog
) -> None:
    decision = decision_of(request, who, what)
    asked = terms(request, what)
    desk = Desk(request, asked, who, NORTH, what, POLICY, NOW_MS, frozenset(), {}, who.reservations)
    picked: list[Bid] = []
    for one in request.imp:
        ways = openings(one, asked, what.deals)
        for opening in () if isinstance(ways, NoBidReason) else ways:
            slot = slot_of(desk, one, opening, picked)
            bids = [judge(slot, campaign) for campaign in what.campaigns.values()]
            picked += sorted(
                (bid for bid in bids if isinstance(bid, Bid)),
                key=lambda bid: (-bid.value_cpm_micros, bid.campaign.id),
            )[:1]
    assert decision.bids == tuple(picked)
    assert not decision.was_cut


def test_a_slot_that_nothing_can_win_tries_a_bounded_number_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bidder.decide, "MOST_TRIED", 3)
    what = catalog()
    what.withdraw(f"campaign/{SEATS}")
    for name in CROWD:
        what.apply(seats(id=name))
        what.apply(creative(f"of-{name}", name, creative_set="for nobody"))
    decision = decision_of(what=what)
    assert decision.was_cut
    assert [bid.campaign.id for bid in decision.bids] == [BRAND], "who knows nobody is tried still"
    what.withdraw(f"campaign/{CROWD[0]}")
    monkeypatch.setattr(bidder.decide, "MOST_TRIED", len(CROWD))
    assert not decision_of(what=what).was_cut


@pytest.mark.parametrize(
    ("off", "slot", "fields", "wins", "detail"),
    [
        (("video",), {"video": VIDEO_SLOT, "banner": None}, {}, False, "video"),
        (("banner",), {}, {}, False, "banner"),
        (("dooh",), {}, {"dooh": {"domain": "screens.example"}}, False, "dooh"),
        (("site",), {}, {"dooh": {"domain": "screens.example"}}, True, ""),
        (("native", "audio"), {}, {}, True, ""),
        (("banner",), {"video": VIDEO_SLOT}, {}, True, ""),
    ],
)
def test_a_segments_people_see_no_ads_of_a_kind_or_format_that_it_has_turned_off(
    off: tuple[str, ...],
    slot: dict[str, object],
    fields: dict[str, object],
    *,
    wins: bool,
    detail: str,
) -> None:
    what = catalog(
        segment(PROSPECT, channels_off=off),
        creative("seats-video", SEATS, creative_set="prospect", html="", sizes=(), video=FILM),
    )
    fates: list[Fate] = []
    found = decision_of(bid_request(imp(**slot), **fields), what=what, fates=fates)
    won = [bid for bid in found.bids if bid.campaign.id == SEATS]
    assert bool(won) is wins
    if not wins:
        (lost,) = [fate.lost for fate in fates if fate.campaign == SEATS]
        assert (lost.reason, lost.detail) == (Loss.CHANNEL_OFF, detail)
    elif "video" in slot:
        assert [bid.fitted.mtype for bid in won] == [2]


def test_explain_blames_the_segment_where_a_campaign_has_only_formats_that_are_off() -> None:
    """A slot of two formats, one of them off, and the campaign has the other one not."""
    fates: list[Fate] = []
    decision_of(
        bid_request(imp(video=VIDEO_SLOT)),
        what=catalog(segment(PROSPECT, channels_off=("banner",))),
        fates=fates,
    )
    assert reasons(fates)[SEATS] is Loss.CHANNEL_OFF


@pytest.mark.parametrize(
    ("air_cpa", "shop_cpa", "wins"), [(0.001, 900, ITEMS), (900, 0.001, SEATS)]
)
def test_of_what_a_person_wants_of_two_advertisers_the_dearer_wins_above_the_floor(
    air_cpa: float, shop_cpa: float, wins: str
) -> None:
    """The search begins with the best plan of all advertisers: what is below the floor ends it."""
    what = catalog(
        segment(PROSPECT, target_cpa_micros=int(air_cpa * MICROS)),
        segment(SegmentId("shop/prospect"), target_cpa_micros=int(shop_cpa * MICROS)),
    )
    who = person(showing(searches=(searched(),), products=(viewed(in_cart=True),)))
    found = decision_of(bid_request(imp(bidfloor=5.0), at=2), who, what)
    assert the_bid(found).campaign.id == wins
