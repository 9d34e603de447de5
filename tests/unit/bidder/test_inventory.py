"""Where an ad would show, whatever kind of place it is."""

from typing import Any

import pytest

from bidder.agents import is_crawler, system_of
from bidder.bids import Bid
from bidder.errors import NoBidReason
from bidder.inventory import keywords_of, name_of, place_of, publisher_of
from models.catalog_records import Campaign, Targeting
from tests.unit.bidder.support import (
    AIR,
    PROSPECT,
    SEATS,
    bid_request,
    catalog,
    decision_of,
    imp,
)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"site": {"domain": "News.example"}}, "news.example"),
        ({"site": {"domain": "www.news.example"}}, "news.example"),
        ({"site": {"page": "https://News.example:8443/a?b"}}, "news.example"),
        ({"site": {"page": "http://["}}, ""),
        ({"site": {"page": "no address"}}, ""),
        ({"site": {}}, ""),
        ({"app": {"bundle": "com.Daily.App", "domain": "daily.example"}}, "com.Daily.App"),
        ({"app": {"domain": "Daily.example"}}, "daily.example"),
        ({"dooh": {"domain": "screens.example"}}, "screens.example"),
    ],
)
def test_u1_a_place_has_a_name(fields: dict[str, Any], name: str) -> None:
    """U1: of whichever of the three there is."""
    place = place_of(bid_request(**fields))
    assert place is not None
    assert name_of(place) == name


def test_u1_no_place_at_all_is_legal_and_of_two_the_site_counts() -> None:
    """U1: neither costs a bid."""
    assert place_of(bid_request()) is None
    assert publisher_of(bid_request()) is None
    assert isinstance(decision_of(bid_request()).bids[0], Bid)
    both = bid_request(site={"domain": "a.example"}, app={"bundle": "com.b"})
    place = place_of(both)
    assert place is not None
    assert name_of(place) == "a.example"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"keywords": "cars, boats,,trains "}, ["cars", "boats", "trains"]),
        ({"kwarray": ["cars", "fast boats"]}, ["cars", "fast boats"]),
        ({"keywords": "old", "kwarray": ["new"]}, ["new"]),
        ({"kwarray": [], "keywords": "old"}, ["old"]),
        ({}, []),
    ],
)
@pytest.mark.parametrize("kind", ["site", "app", "dooh"])
def test_u10_keywords_are_a_text_or_a_list(
    kind: str, fields: dict[str, Any], words: list[str]
) -> None:
    """U10: one of both is there; a list is the newer form."""
    place = place_of(bid_request(**{kind: fields}))
    assert place is not None
    assert keywords_of(place) == words


@pytest.mark.parametrize(
    ("device", "system"),
    [
        ({"os": "Windows", "sua": {"platform": {"brand": "macOS", "version": ["14"]}}}, "macos"),
        ({"os": "Windows", "sua": {"platform": {}}}, "windows"),
        ({"os": "iOS"}, "ios"),
        ({"ua": "Mozilla/5.0 (Windows NT 10.0)", "sua": {"mobile": 1}}, ""),
    ],
)
def test_u8_the_user_agent_in_parts_is_preferred(device: dict[str, Any], system: str) -> None:
    """U8: where it says nothing, what else there is."""
    found = bid_request(device=device).device
    assert found is not None
    assert system_of(found) == system


BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/118.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "nobody_looks"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Mozilla/5.0 (compatible; bingbot/2.0)", True),
        ("Mozilla/5.0 (compatible; Yahoo! Slurp)", True),
        ("Baiduspider+(+http://www.baidu.com/search/spider.htm)", True),
        ("facebookexternalhit/1.1", True),
        (BROWSER.replace("Chrome", "HeadlessChrome"), True),
        ("AdsBot_Google", True),
        ("python-requests/2.31", True),
        ("curl/8.5.0", True),
        (BROWSER, False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT_X18) AppleWebKit/537.36", False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 20) AppleWebKit/537.36", False),
        ("Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7)", False),
        ("Mozilla/5.0 (X11; Linux) Bottle/1", False),
        ("", False),
    ],
)
def test_b9_what_says_that_nobody_looks_gets_no_bid(user_agent: str, nobody_looks: bool) -> None:
    """B9: nbr 3, and no look-up: see the path's tests."""
    request = bid_request(imp(), device={"ua": user_agent})
    assert request.device is not None
    assert is_crawler(request.device) == nobody_looks
    reason = decision_of(request).reason
    assert (reason is NoBidReason.CRAWLER) == nobody_looks


def test_a14_what_a_slot_says_of_itself_can_be_read() -> None:
    """A14: for targeting and for logs; where 2.5 has rewarded slots, too."""
    (slot,) = bid_request(
        imp(instl=1, tagid="top", displaymanager="sdk", rwdd=1, ext={"gpid": "/1/top"})
    ).imp
    assert (slot.instl, slot.tagid, slot.displaymanager) == (1, "top", "sdk")
    assert (slot.is_rewarded, slot.gpid) == (True, "/1/top")
    (older,) = bid_request(imp(ext={"rwdd": 1})).imp
    assert (older.is_rewarded, older.gpid) == (True, None)
    (plain,) = bid_request(imp()).imp
    assert (plain.is_rewarded, plain.gpid, plain.instl) == (False, None, None)


@pytest.mark.parametrize(
    ("qty", "multiplier"),
    [(None, 1.0), ({}, 1.0), ({"multiplier": 0}, 1.0), ({"multiplier": 14.2}, 14.2)],
)
def test_a4_a_screen_shows_more_than_one_impression_at_a_time(
    qty: dict[str, Any] | None, multiplier: float
) -> None:
    """A4: the price is for a thousand of them, so one showing costs so many times a thousandth."""
    (slot,) = bid_request(imp(qty=qty)).imp
    assert slot.multiplier == multiplier


def test_u9_the_device_and_the_person_each_have_a_place() -> None:
    """U9: ``device.geo`` is where the device is, ``user.geo`` is home."""
    geo = {"country": "USA", "region": "NY", "type": 2, "utcoffset": -300}
    request = bid_request(device={"geo": geo}, user={"geo": {"country": "CAN"}})
    assert request.device is not None
    assert request.device.geo is not None
    here = request.device.geo
    assert (here.country, here.region, here.utcoffset) == ("USA", "NY", -300)
    assert request.user is not None
    assert request.user.geo is not None
    assert request.user.geo.country == "CAN"


@pytest.mark.parametrize(
    ("geo", "is_bid"),
    [
        ({"country": "USA", "region": "NY"}, True),
        ({"country": "us", "region": "ny"}, True),
        ({"country": "US", "region": "US-NY"}, True),
        ({"country": "US", "region": "CA"}, False),
        ({"country": "CA", "region": "NY"}, False),
        ({"region": "NY"}, False),
    ],
)
def test_u9_a_country_is_understood_in_either_alphabet(geo: dict[str, str], is_bid: bool) -> None:
    """U9: and by where the device is, not by where home is."""
    what = catalog(
        Campaign(id=SEATS, advertiser=AIR, goal="flight", segments=(PROSPECT,),
                 targeting=Targeting(places=("USA-NY",))),
    )  # fmt: skip
    request = bid_request(device={"geo": geo}, user={"geo": {"country": "USA", "region": "NY"}})
    bids = decision_of(request, what=what).bids
    assert (SEATS in {bid.campaign.id for bid in bids}) == is_bid
