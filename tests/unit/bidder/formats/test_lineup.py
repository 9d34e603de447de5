"""Which creative of a campaign is shown: of the segment's set, of a format that the slot takes."""

from typing import Any

import pytest

from bidder.formats import Fit, Fitted, Lineups, Misfit, asked_of
from bidder.formats import lineup as module
from models.catalog_records import Creative
from tests.fakes.headers import showing
from tests.unit.bidder.formats.support import (
    AUDIO,
    AUDIO_SLOT,
    NATIVE,
    VIDEO,
    VIDEO_SLOT,
    ad,
    slot,
)
from tests.unit.bidder.support import (
    BRAND,
    SHOP,
    bid_request,
    catalog,
    creative,
    decision_of,
    imp,
    person,
    product,
    the_bid,
    viewed,
)

BANNER_SLOT = {"w": 300, "h": 250}
NATIVE_SLOT = {"request": {"assets": [{"id": 1, "required": 1, "title": {"len": 90}}]}}


def banner(name: str, creative_set: str = "any", *, is_private: bool = False) -> Creative:
    return ad(
        name, html="{title}", sizes=((300, 250),), creative_set=creative_set, is_private=is_private
    )


def chosen(
    creatives: tuple[Creative, ...], wanted: str = "any", *, private: bool = True, **formats: object
) -> Fit:
    lineup = Lineups().of("c", creatives)
    shop = catalog().advertisers[SHOP]
    asked = asked_of(slot(**formats))
    return lineup.choose(asked, wanted, product(), shop, private_allowed=private)


def name_of(fit: Fit) -> str:
    assert isinstance(fit, Fitted), fit
    return fit.creative.id


def test_a_slot_of_several_formats_gets_one_ad_that_says_of_which_it_is() -> None:
    """F3: one of the types, named in mtype; the richest that the campaign has."""
    all_four = (banner("b"), ad("n", native=NATIVE), ad("v", video=VIDEO), ad("a", audio=AUDIO))
    formats: dict[str, Any] = {"banner": BANNER_SLOT, "native": NATIVE_SLOT, "video": VIDEO_SLOT}
    assert name_of(chosen(all_four, **formats)) == "v"
    assert name_of(chosen(all_four[:2], **formats)) == "n"
    assert name_of(chosen(all_four[:1], **formats)) == "b"
    unplayable = formats | {"video": {"mimes": ["video/ogg"]}}
    assert name_of(chosen(all_four, **unplayable)) == "n"
    assert name_of(chosen(all_four, audio=AUDIO_SLOT)) == "a"


def test_the_segments_set_comes_before_what_is_for_all_and_other_sets_never_come() -> None:
    mine, theirs = banner("z", creative_set="mine"), banner("a", creative_set="theirs")
    everybodys = banner("b")
    assert name_of(chosen((theirs, everybodys, mine), "mine", banner=BANNER_SLOT)) == "z"
    assert name_of(chosen((theirs, everybodys), "mine", banner=BANNER_SLOT)) == "b"
    assert chosen((theirs,), "mine", banner=BANNER_SLOT) is Misfit.SET
    video = ad("v", video=VIDEO)
    both: dict[str, Any] = {"banner": BANNER_SLOT, "video": VIDEO_SLOT}
    assert name_of(chosen((video, mine), "mine", **both)) == "z"


def test_a_private_creative_waits_until_it_is_certain_who_is_there() -> None:
    private = banner("p", is_private=True)
    assert chosen((private,), banner=BANNER_SLOT, private=False) is Misfit.PRIVATE
    assert name_of(chosen((private,), banner=BANNER_SLOT)) == "p"
    assert name_of(chosen((private, banner("q")), banner=BANNER_SLOT, private=False)) == "q"


def test_a_lineup_is_made_once_and_anew_when_the_creatives_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT_LINEUPS", 2)
    lineups, creatives = Lineups(), (banner("b"),)
    first = lineups.of("c", creatives)
    assert lineups.of("c", creatives) is first
    assert lineups.of("c", (banner("d"),)) is not first
    for n in range(9):
        lineups.of(str(n), creatives)
        assert len(lineups._kept) <= 2


def test_every_creative_is_explained() -> None:
    lineup = Lineups().of("c", (banner("b"), ad("v", video=VIDEO)))
    shop = catalog().advertisers[SHOP]
    told = lineup.fits_of(asked_of(slot(banner={"w": 1, "h": 1})), product(), shop)
    assert {one.id: fit for one, fit in told} == {"b": Misfit.SIZE, "v": Misfit.FORMAT}


def test_b1_a_creatives_own_categories_stand_instead_of_the_advertisers() -> None:
    """B1, O6: bcat and acat against what this ad is about."""
    what = catalog(creative("brand", BRAND, categories=("IAB9-7",)))
    nobody = person(showing())
    assert the_bid(decision_of(bid_request(bcat=["IAB1"]), nobody, what)).campaign.id == BRAND
    assert not decision_of(bid_request(bcat=["IAB9"]), nobody, what).bids


def test_a_native_and_a_video_slot_are_bid_like_a_banner() -> None:
    """F3, A1: through decide, for a person who looked at a product."""
    what = catalog(
        ad("items-native", native=NATIVE), ad("items-video", video=VIDEO, creative_set="prospect")
    )
    who = person(showing(products=(viewed(),)))
    request = bid_request(
        imp(id="n", banner=None, native=NATIVE_SLOT),
        imp(id="v", banner=None, video=VIDEO_SLOT),
        imp(id="b"),
    )
    found = {b.imp_id: b.fitted.mtype for b in decision_of(request, who, what).bids}
    assert found == {"n": 4, "v": 2, "b": 1}


@pytest.mark.parametrize(
    ("floors", "is_bid"),
    [
        ({"durfloors": [{"mindur": 1, "maxdur": 20, "bidfloor": 0.01}]}, True),
        ({"durfloors": [{"mindur": 16, "bidfloor": 0.01}]}, False),
        ({"durfloors": [{"mindur": 1, "bidfloor": 5_000}]}, False),
        ({"mincpmpersec": 0.001}, True),
        ({"mincpmpersec": 500}, False),
        ({}, False),
    ],
)
def test_a6_the_floor_of_a_video_is_that_of_its_duration(
    floors: dict[str, Any], *, is_bid: bool
) -> None:
    """A6: durfloors and mincpmpersec stand instead of bidfloor, lower or higher."""
    what = catalog(ad("items-video", video=VIDEO))
    who = person(showing(products=(viewed(),)))
    request = bid_request(imp(banner=None, video=VIDEO_SLOT | floors, bidfloor=2_000))
    assert bool(decision_of(request, who, what).bids) == is_bid
    banner_too = bid_request(imp(video=VIDEO_SLOT | {"mincpmpersec": 0.001}, bidfloor=2_000))
    for bid in decision_of(banner_too, who, what).bids:
        assert bid.fitted.mtype == 2
