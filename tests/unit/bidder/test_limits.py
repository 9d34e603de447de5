"""Who may not bid: every list of a request, read once and remembered."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder import limits as module
from bidder.bids import Fate, Loss
from bidder.errors import MalformedRequestError, NoBidReason
from bidder.limits import Limits, limits_of
from bidder.openrtb import decode_request
from models.catalog_records import Advertiser, Campaign
from models.units import AdvertiserId
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    SEATS,
    bid_request,
    catalog,
    creative,
    decision_of,
    imp,
    thorough,
)


def limits(**lists: object) -> Limits:
    found = limits_of(bid_request(**lists))
    assert found is not None
    return found


def advertiser(**changes: object) -> Advertiser:
    made = Advertiser(id=AIR, name="Air", domain="air.example", iab_categories=("IAB20-3",))
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize("code", ["iab20", " IAB20 ", "Iab20-3"])
def test_b1_a_blocked_category_blocks_however_it_is_spelt(code: str) -> None:
    """B1: on either side, as codes are people's writing."""
    assert not limits(bcat=[code]).admits(advertiser())
    assert not limits(bcat=["IAB20"]).admits(advertiser(iab_categories=(code,)))
    assert limits(acat=[code]).admits(advertiser())


def test_a_request_without_lists_has_no_limits_at_all() -> None:
    assert limits_of(bid_request()) is None
    assert limits_of(bid_request(cattax=2, bcat=[])) is not None


@pytest.mark.parametrize(
    ("entry", "is_blocked"),
    [
        ("air.example", True),
        ("AIR.Example", True),
        (" air.example. ", True),
        ("www.air.example", True),
        ("https://www.air.example/offers?x=1", True),
        ("example", True),
        ("*.air.example", True),
        (".air.example", True),
        ("air.example:443", True),
        ("air.example?x=1", True),
        ("air.example#top", True),
        ("http://air.example//", True),
        ("//air.example", True),
        ("https://user@air.example/", True),
        ("ir.example", False),
        ("sub.air.example", False),
        ("air.example.com", False),
        ("", False),
    ],
)
def test_b2_a_blocked_domain_blocks_itself_and_what_lies_below(
    entry: str, is_blocked: bool
) -> None:
    """B2: whatever the case, and however the entry is written."""
    assert limits(badv=["x.example", entry]).admits(advertiser()) != is_blocked


@pytest.mark.parametrize(
    ("lists", "own", "is_admitted"),
    [
        ({"bcat": ["IAB20"]}, {"iab_categories": ("IAB20-3",)}, False),
        ({"bcat": ["IAB20-3"]}, {"iab_categories": ("IAB20",)}, True),
        ({"bcat": ["IAB2"]}, {"iab_categories": ("IAB20",)}, True),
        ({"bcat": ["IAB20"]}, {"iab_categories": ("IAB1", "IAB20-3")}, False),
        ({"acat": ["IAB20"]}, {"iab_categories": ("IAB1", "IAB20-3")}, True),
        ({"acat": ["IAB2"]}, {"iab_categories": ("IAB20-3",)}, False),
        ({"acat": ["IAB20"], "bcat": ["IAB20-3"]}, {"iab_categories": ("IAB20-3",)}, False),
        ({"bcat": ["IAB1"], "cattax": 1}, {"iab_categories": ("IAB20",)}, True),
        # other taxonomies: as stated, and closed where nothing is stated
        ({"bcat": ["653"], "cattax": 7}, {}, False),
        ({"bcat": ["1"], "cattax": 7}, {"categories": {"7": ("653",)}}, True),
        ({"bcat": ["653"], "cattax": 7}, {"categories": {"7": ("653",)}}, False),
        ({"bcat": ["653"], "cattax": 6}, {"categories": {"7": ("653",)}}, False),
        ({"acat": ["653"], "cattax": 7}, {"categories": {"7": ("653",)}}, True),
        ({"bcat": ["IAB1"], "cattax": 99}, {}, False),
        ({"bcat": ["IAB1"]}, {"iab_categories": ()}, False),
        ({"bcat": [], "cattax": 99}, {}, True),
        ({"badv": ["x.example"], "cattax": 99}, {}, True),
    ],
    ids=str,
)
def test_b1_categories_of_any_taxonomy_block_and_allow(
    lists: dict[str, Any], own: dict[str, Any], is_admitted: bool
) -> None:
    """B1: a parent's code means its children; a taxonomy that says nothing of us lets none by."""
    assert limits(**lists).admits(advertiser(**own)) == is_admitted


def test_b1_the_same_lists_in_another_taxonomy_are_other_limits() -> None:
    """B1: what is remembered of one taxonomy is not believed of another."""
    own = advertiser(categories={"7": ("IAB1",)})
    assert limits(bcat=["IAB1"]).admits(own)
    assert not limits(bcat=["IAB1"], cattax=7).admits(own)
    assert limits(bcat=["IAB1"]).admits(own)


def test_what_is_remembered_of_an_advertiser_ends_with_its_record() -> None:
    before = limits(badv=["air.example"])
    assert not before.admits(advertiser())
    assert before.admits(advertiser(domain="land.example"))
    assert not before.admits(advertiser())
    assert before.admits(msgspec.structs.replace(advertiser(domain="a.b"), id=AdvertiserId("x")))


def test_the_same_lists_are_read_once_and_long_ones_are_not_kept() -> None:
    same = {"badv": ["x.example"], "bcat": ["IAB1"]}
    assert limits(**same) is limits(**same)
    long = {"badv": ["x" * module.LARGEST_KEPT_BYTES]}
    assert limits(**long) is not limits(**long)
    assert module._remembered.cache_info().maxsize == module.KEPT


@pytest.mark.parametrize(
    ("lists", "is_admitted"),
    [
        ({"wseat": ["kinbid"]}, True),
        ({"wseat": ["other", "kinbid"]}, True),
        ({"wseat": ["other"]}, False),
        ({"wseat": ["KINBID"]}, False),
        ({"wseat": []}, True),
        ({"bseat": ["kinbid"]}, False),
        ({"bseat": ["other"]}, True),
        ({"wseat": ["kinbid"], "bseat": ["kinbid"]}, False),
        ({"wseat": "kinbid"}, True),
    ],
    ids=str,
)
def test_a13_seats(lists: dict[str, Any], is_admitted: bool) -> None:
    """A13: only a seat that is wanted, and never one that is barred; ids are opaque (P7)."""
    assert limits(**lists).admits_seat("kinbid") == is_admitted
    reason = decision_of(bid_request(**lists)).reason
    assert (reason is NoBidReason.SEAT_BLOCKED) != is_admitted


def test_b3_an_ad_for_a_blocked_app_is_not_bid() -> None:
    """B3: by the store id of Android or iOS."""
    app = Campaign(
        id=BRAND, advertiser=AIR, goal="contextual", contextual_cpm_micros=90_000_000,
        uncapped_contextual=True, app_bundle="628677149",
    )  # fmt: skip
    what = catalog(app)
    assert {bid.campaign.id for bid in decision_of(what=what).bids} == {BRAND}
    blocked = bid_request(bapp=["com.other", 628677149])
    fates: list[Fate] = []
    assert {bid.campaign.id for bid in decision_of(blocked, what=what, fates=fates).bids} == {SEATS}
    assert [fate.lost.reason for fate in fates if fate.campaign == BRAND] == [Loss.BLOCKED]
    assert limits(bapp=[""]).admits_app("com.air")


@pytest.mark.parametrize(
    ("lists", "language", "is_bid"),
    [
        ({"wlang": ["en"]}, "en", True),
        ({"wlang": ["en"]}, "de", False),
        ({"wlang": ["EN", "de"]}, "de", True),
        ({"wlangb": ["en-US", "zh-Hant"]}, "zh", True),
        ({"wlangb": ["en-US"]}, "de", False),
        ({"wlang": ["en"]}, "", True),
        ({"wlang": []}, "de", True),
        ({"badv": []}, "de", True),
    ],
    ids=str,
)
def test_b7_words_in_a_language_that_is_not_wanted_are_not_shown(
    lists: dict[str, Any], language: str, is_bid: bool
) -> None:
    """B7: both ways of naming languages; a creative without words suits everybody."""
    words = creative("seats-prospect", SEATS, language=language)
    decision = decision_of(bid_request(**lists), what=catalog(words))
    assert (SEATS in {bid.campaign.id for bid in decision.bids}) == is_bid


UNREADABLE = [{"a": 1}, [["IAB1"]], ["IAB1", {"a": 1}], [True]]


@pytest.mark.parametrize("value", UNREADABLE, ids=json.dumps)
@pytest.mark.parametrize("name", ["bcat", "badv", "bapp", "acat", "wseat", "bseat", "wlang"])
def test_a_list_that_cannot_be_read_lets_nobody_bid(name: str, value: object) -> None:
    """P4, B1, B2: a block that is not understood is not taken for none."""
    found = limits(**{name: value})
    assert not found.is_readable
    assert found.deviations == (name,)
    assert not found.admits(advertiser())
    assert decision_of(bid_request(**{name: value})).reason is NoBidReason.INVALID_REQUEST


@pytest.mark.parametrize(
    ("lists", "deviations"),
    [
        ({"badv": "air.example"}, ("badv",)),
        ({"bapp": [17]}, ("bapp",)),
        ({"bcat": [None, "IAB20"]}, ("bcat",)),
        ({"bcat": ["IAB20"], "badv": None}, ()),
        ({"wseat": "", "bcat": {}}, ()),
    ],
    ids=str,
)
def test_p4_a_list_that_deviates_is_read_as_what_it_means(
    lists: dict[str, Any], deviations: tuple[str, ...]
) -> None:
    """P4: and told, so that it can be counted."""
    found = limits(**lists)
    assert found.is_readable
    assert set(found.deviations) == set(deviations)
    is_about_us = "air.example" in lists.values() or [None, "IAB20"] in lists.values()
    assert found.admits(advertiser()) != (is_about_us or lists.get("bcat") == ["IAB20"])


@pytest.mark.parametrize("name", ["bcat", "wseat"])
@pytest.mark.parametrize(
    "value",
    [b"[" * 900 + b"]" * 900, b'{"a":' * 500 + b"1" + b"}" * 500, b"[" + b"9" * 400 + b"]",
     b"[1e308, -0.0, true]"],
    ids=lambda value: value[:8].decode(),
)  # fmt: skip
@pytest.mark.parametrize("more", [b"", b',"tmax":"120"'])
def test_p6_no_list_breaks_the_bidder_however_deep_or_large(
    name: str, value: bytes, more: bytes
) -> None:
    """P6: read in the strict way and in the tolerant one."""
    body = b'{"id":"a","imp":[{"id":"1"}],"%b":%b%b}' % (name.encode(), value, more)
    try:
        request = decode_request(body)
    except MalformedRequestError:
        return
    found = limits_of(request)
    assert found is not None
    assert found.deviations
    assert decision_of(request).bids == ()


names = st.text(alphabet="ab.-AB", max_size=6)


@thorough
@given(st.lists(names, max_size=4), st.lists(names, max_size=4), names)
def test_a_longer_list_never_lets_more_through(
    some: list[str], more: list[str], domain: str
) -> None:
    """B2, as a property: also against a plain reading of the rule."""
    own = advertiser(domain=domain.lower() or "a")
    few, many = limits(badv=some), limits(badv=some + more)
    assert few.admits(own) or not many.admits(own)
    plain = [name.lower().strip(".").removeprefix("www.") for name in some]
    is_below = any(own.domain == n or (n and own.domain.endswith("." + n)) for n in plain)
    if "" not in plain:
        assert few.admits(own) != is_below


def test_b4_attributes_and_kinds_of_banner() -> None:
    """B4: ``battr`` and ``btype`` of the slot, against what the creative is."""
    script = creative(
        "seats-prospect", SEATS, html="<script>1</script>{click_url}", attributes=(13,)
    )
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True), ({"battr": [1, 14], "btype": [1, 2, 4]}, True), ({"battr": [13]}, False),
        ({"btype": [3]}, False), ({"btype": []}, True),
    ]  # fmt: skip
    for banner, is_bid in cases:
        slot = imp(banner={"w": 300, "h": 250} | banner)
        decision = decision_of(bid_request(slot), what=catalog(script))
        assert (SEATS in {bid.campaign.id for bid in decision.bids}) == is_bid, banner
