"""The Digital Services Act: what is required is said, or there is no bid."""

import json
from typing import Any

import msgspec
import pytest

from bidder.bids import Fate, Loss
from bidder.respond import Responder
from models.catalog import Catalog
from models.catalog_records import Advertiser
from models.errors import InvalidFieldError
from models.notices import NoticeSigner
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    NORTH,
    SEATS,
    SETTINGS,
    bid_request,
    catalog,
    creative,
    decision_of,
    person,
    terms,
)
from tests.unit.bidder.test_respond import token

SAYS = Advertiser(
    id=AIR, name="Air", domain="air.example", iab_categories=("IAB20-3",),
    dsa_behalf="Kinbid Air", dsa_paid="Kinbid Gruppe \u00dc",
)  # fmt: skip


def answer(dsa: object, what: Catalog) -> list[dict[str, Any]]:
    request = bid_request(regs={"ext": {"dsa": dsa}})
    decision = decision_of(request, person(), what)
    if not decision.bids:
        return []
    responder = Responder(
        what, NoticeSigner(SETTINGS.notice_secret), public_url="https://b.example"
    )
    body = responder.body("r", [(bid, token()) for bid in decision.bids], terms(request), NORTH)
    written: list[dict[str, Any]] = json.loads(body)["seatbid"][0]["bid"]
    return written


@pytest.mark.parametrize("required", [2, 3, "2", 3.0])
def test_r11_where_it_is_required_a_bid_says_it(required: object) -> None:
    """R11: behalf, paid, transparency, and who shows it."""
    (bid,) = answer({"dsarequired": required, "pubrender": 1}, catalog(SAYS))
    assert bid["ext"]["dsa"] == {
        "behalf": "Kinbid Air",
        "paid": "Kinbid Gruppe \u00dc",
        "transparency": [{"domain": "air.example", "dsaparams": [1, 2]}],
        "adrender": 0,
    }


def test_r11_an_ad_for_nobody_in_particular_was_chosen_by_its_context() -> None:
    """R11: user parameter 2 alone; profiling is said only where there was some."""
    what = catalog(SAYS)
    what.withdraw(f"campaign/{SEATS}")
    (bid,) = answer({"dsarequired": 2}, what)
    assert bid["cid"] == BRAND
    assert bid["ext"]["dsa"]["transparency"][0]["dsaparams"] == [2]


@pytest.mark.parametrize("required", ["yes", [2], {"value": 2}, 1e300])
def test_r11_what_is_asked_for_unreadably_is_taken_for_required(required: object) -> None:
    """R11: as a block that is not understood never passes for none."""
    asked = {"dsarequired": required, "pubrender": "1"}
    assert answer(asked, catalog()) == []
    (bid,) = answer(asked, catalog(SAYS))
    assert bid["ext"]["dsa"]["behalf"] == "Kinbid Air"


def test_r11_no_bid_says_that_neither_publisher_nor_ad_would_show_it() -> None:
    """R11: prebid-server throws such a bid away whatever ``dsarequired`` is (dsa/validate.go)."""
    (bid,) = answer({"dsarequired": 1, "pubrender": 0}, catalog(SAYS))
    assert "ext" not in bid


@pytest.mark.parametrize("required", [2, 3])
def test_r11_an_advertiser_who_does_not_say_gets_no_bid_where_it_is_required(required: int) -> None:
    """R11: the exchange would throw the bid away."""
    fates: list[Fate] = []
    request = bid_request(regs={"ext": {"dsa": {"dsarequired": required}}})
    assert decision_of(request, fates=fates).bids == ()
    reasons = {fate.lost.reason for fate in fates if fate.campaign in (SEATS, BRAND)}
    assert reasons == {Loss.NOT_TRANSPARENT}


@pytest.mark.parametrize("dsa", [None, {}, {"dsarequired": 0}, {"dsarequired": None}, [], "x"])
def test_r11_where_nothing_is_asked_nothing_is_said(dsa: object) -> None:
    """R11: and an advertiser who says nothing may bid."""
    for what in (catalog(), catalog(SAYS)):
        (bid,) = answer(dsa, what)
        assert "ext" not in bid


def test_r11_where_it_is_taken_but_not_required_it_is_said_if_it_is_known() -> None:
    """R11: ``dsarequired`` 1."""
    (silent,) = answer({"dsarequired": 1}, catalog())
    (said,) = answer({"dsarequired": 1}, catalog(SAYS))
    assert "ext" not in silent
    assert said["ext"]["dsa"]["behalf"] == "Kinbid Air"


@pytest.mark.parametrize(
    ("rendered_by_publisher", "ad_shows", "adrender"),
    [
        (0, True, 1), (0, False, None), (1, True, 0), (1, False, 0), (2, True, 0), (2, False, 0),
        (None, False, 0),
    ],
)  # fmt: skip
def test_r11_one_of_both_shows_it(
    rendered_by_publisher: int | None, ad_shows: bool, adrender: int | None
) -> None:
    """R11: ``adrender`` 1 if ``pubrender`` is 0, never with 2; else no bid."""
    ours = [
        creative("seats-prospect", SEATS, shows_transparency=ad_shows),
        creative("brand", BRAND, shows_transparency=ad_shows),
    ]
    asked = {"dsarequired": 3, "pubrender": rendered_by_publisher}
    found = [bid["ext"]["dsa"]["adrender"] for bid in answer(asked, catalog(SAYS, *ours))]
    assert found == ([] if adrender is None else [adrender])


@pytest.mark.parametrize(
    "names",
    [{"dsa_behalf": "a"}, {"dsa_paid": "a"}, {"dsa_behalf": "a" * 101, "dsa_paid": "a"},
     {"dsa_behalf": "a", "dsa_paid": "a" * 101}],
)  # fmt: skip
def test_r11_names_are_both_given_and_have_a_hundred_characters_at_most(
    names: dict[str, str],
) -> None:
    """R11: what an exchange would refuse is refused when it is published."""
    with pytest.raises(InvalidFieldError, match="dsa_"):
        msgspec.structs.replace(SAYS, **({"dsa_behalf": "", "dsa_paid": ""} | names)).check()
    fine = {"dsa_behalf": "\u00dc" * 100, "dsa_paid": "b" * 100}
    msgspec.structs.replace(SAYS, **fine).check()


@pytest.mark.parametrize("taxonomy", ["1", "x", "7.0", ""])
def test_b1_categories_are_stated_by_the_numbers_of_other_taxonomies(taxonomy: str) -> None:
    """B1: taxonomy 1 has a field of its own, so that nobody states it twice."""
    made = Advertiser(id=AIR, name="Air", domain="air.example", categories={taxonomy: ("1",)})
    with pytest.raises(InvalidFieldError, match="categories"):
        made.check()
