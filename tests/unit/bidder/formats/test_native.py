"""Native answers: every asset that is required, ids echoed, lengths kept, one root convention."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.formats import Fitted, Lineups, Links, Misfit, asked_of, native
from bidder.formats import native_request as requests
from bidder.formats.native_request import NativeAsks
from bidder.openrtb_formats import Native
from models.catalog_records import Image, NativeAd
from tests.unit.bidder.formats.support import (
    CLICK_PREFIX,
    LINKS,
    NATIVE,
    ad,
    adm_of,
    fields_of,
    fit_of,
    fitted,
    slot,
)
from tests.unit.bidder.support import SHOP, catalog, product, thorough

ASSETS: list[dict[str, Any]] = [
    {"id": 1, "required": 1, "title": {"len": 90}},
    {"id": 2, "required": 1, "img": {"type": 3, "w": 1200, "h": 627}},
    {"id": 3, "img": {"type": 1, "wmin": 50, "hmin": 50}},
    {"id": 4, "required": 1, "data": {"type": 1, "len": 25}},
    {"id": 5, "data": {"type": 2, "len": 140}},
    {"id": 6, "data": {"type": 12, "len": 5}},
    {"id": 7, "data": {"type": 3}},
]
TRACKERS = [{"event": 1, "methods": [1, 2]}]


def request(**changes: object) -> dict[str, Any]:
    return {"ver": "1.2", "assets": ASSETS, "eventtrackers": TRACKERS} | changes


def as_sent(form: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The native object in one of the three forms that exchanges send (F10)."""
    match form:
        case "string":
            return {"request": json.dumps(wanted), "ver": "1.2"}
        case "rooted":
            return {"request": json.dumps({"native": wanted | {"ver": "1.0"}}), "ver": "1.0"}
        case _:
            return {"request": wanted}


def answer(
    wanted: dict[str, Any], form: str = "string", *, redirects: bool = False, links: Links = LINKS
) -> dict[str, Any]:
    found = fitted(ad(native=NATIVE), native=as_sent(form, wanted))
    read: dict[str, Any] = json.loads(adm_of(found, redirects=redirects, links=links))
    return read


def fit(wanted: dict[str, Any], native: NativeAd = NATIVE) -> Fitted | Misfit:
    return fit_of(ad(native=native), native=as_sent("object", wanted))


@pytest.mark.parametrize("form", ["string", "rooted", "object"])
def test_all_three_forms_of_the_request_are_answered_in_their_own_convention(form: str) -> None:
    """F10, F12: root node only where the request has it, and its version."""
    said = answer(request(), form)
    if form == "rooted":
        assert said.keys() == {"native"}
        said = said["native"]
    assert said["ver"] == ("1.0" if form == "rooted" else "1.2")
    assert said["link"] == {"url": "https://shop.example/item?sku=sku-1&t=Kind%20of%20Blue"}
    assert [asset["id"] for asset in said["assets"]] == [1, 2, 3, 4, 5, 6]


def test_each_asset_holds_what_was_asked_for() -> None:
    """F11: titles and data within len, images as wide and high as wanted."""
    by_id = {asset["id"]: asset for asset in answer(request())["assets"]}
    assert by_id[1]["title"] == {"text": "Kind of Blue for $12.00 today"}
    assert by_id[2]["img"] == {"url": "https://cdn.example/sku-1/1200x627.jpg", "w": 1200, "h": 627}
    assert by_id[3]["img"] == {"url": "https://cdn.example/logo.png", "w": 100, "h": 100}
    assert by_id[4]["data"] == {"value": "Records & Co"}
    assert by_id[5]["data"] == {"value": "Kind of Blue, in the group jazz, is in stock"}
    assert by_id[6]["data"] == {"value": "Buy"}
    assert 7 not in by_id  # a rating: optional, and we have none


@pytest.mark.parametrize(
    ("limit", "text"),
    [(0, "Kind of Blue for $12.00 today"), (29, "Kind of Blue for $12.00 today"),
     (28, "Kind of Blue"), (12, "Kind of Blue"), (11, "For you"), (7, "For you")],
)  # fmt: skip
def test_a_shorter_variant_is_shown_and_none_is_cut(limit: int, text: str) -> None:
    """F11: within len, by choosing another text, never by cutting one mid-word."""
    wanted = request(assets=[{"id": 1, "required": 1, "title": {"len": limit}}])
    assert answer(wanted)["assets"] == [{"id": 1, "title": {"text": text}}]


@pytest.mark.parametrize(
    ("asset", "reason"),
    [
        ({"title": {"len": 6}}, Misfit.LENGTH),
        ({"data": {"type": 2, "len": 3}}, Misfit.LENGTH),
        ({"data": {"type": 3}}, Misfit.ASSET),
        ({"data": {"type": 501}}, Misfit.ASSET),
        ({"data": {}}, Misfit.ASSET),
        ({"video": {"mimes": ["video/mp4"]}}, Misfit.ASSET),
        ({"img": {"type": 3, "w": 300, "h": 250}}, Misfit.IMAGE),
        ({"img": {"type": 3, "wmin": 1201}}, Misfit.IMAGE),
        ({"img": {"type": 3, "hmin": 628}}, Misfit.IMAGE),
        ({"img": {"type": 1, "wmin": 101}}, Misfit.IMAGE),
        ({"img": {"type": 3, "mimes": ["image/gif"]}}, Misfit.IMAGE),
        ({}, Misfit.ASSET),
    ],
)
def test_a_required_asset_that_we_have_not_is_no_bid_and_an_optional_one_is_left_out(
    asset: dict[str, Any], reason: Misfit
) -> None:
    """F11, B8: all required assets, or no bid."""
    title = {"id": 1, "required": 1, "title": {"len": 90}}
    assert fit(request(assets=[title, {"id": 2, "required": 1} | asset])) is reason
    found = fit(request(assets=[title, {"id": 2, "required": 0} | asset]))
    assert isinstance(found, Fitted)
    assert [one["id"] for one in json.loads(adm_of(found))["assets"]] == [1]
    assert fit(request(assets=[{"id": 2} | asset])) is Misfit.ASSET


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ({"type": 3}, (600, 600)),
        ({"type": 3, "wmin": 600, "hmin": 600}, (600, 600)),
        ({"type": 3, "wmin": 601, "hmin": 300}, (1200, 627)),
        ({"type": 3, "w": 1200, "h": 627, "wmin": 200, "hmin": 200}, (1200, 627)),
        ({"type": 3, "w": 1200}, (1200, 627)),
        ({"type": 3, "mimes": ["IMAGE/PNG"]}, (600, 600)),
        ({"type": 2}, (100, 100)),
    ],
)
def test_the_picture_is_of_the_size_and_type_asked_for_else_the_smallest_that_will_do(
    wanted: dict[str, Any], size: tuple[int, int]
) -> None:
    """F11, B8: image within w and h, or wmin and hmin."""
    (asset,) = answer(request(assets=[{"id": 1, "img": wanted}]))["assets"]
    assert (asset["img"]["w"], asset["img"]["h"]) == size


def test_our_pixel_is_an_event_tracker_where_the_slot_has_them_and_an_imptracker_elsewhere() -> (
    None
):
    """F12: eventtrackers (1.2) or imptrackers (older)."""
    new = answer(request())
    assert new["eventtrackers"] == [{"event": 1, "method": 1, "url": LINKS.impression_url}]
    assert "imptrackers" not in new
    for trackers in (None, [], [{"event": 2, "methods": [1]}], [{"event": 1, "methods": [2]}]):
        old = answer(request(eventtrackers=trackers))
        assert old["imptrackers"] == [LINKS.impression_url]
        assert "eventtrackers" not in old


def test_third_parties_pixels_stand_beside_ours() -> None:
    """F12."""
    pixels = ("https://px.example/?a=1&b=${AUCTION_ID}",)
    one = ad(native=NATIVE, impression_urls=pixels)
    for trackers, name in ((TRACKERS, "eventtrackers"), ([], "imptrackers")):
        found = fitted(one, native=as_sent("object", request(eventtrackers=trackers)))
        listed = json.loads(adm_of(found))[name]
        urls = [entry["url"] if isinstance(entry, dict) else entry for entry in listed]
        assert urls == [LINKS.impression_url, *pixels]


def test_the_click_goes_through_us_where_the_exchange_wants_it_so() -> None:
    """F12: link.url."""
    links = Links(LINKS.impression_url, CLICK_PREFIX, LINKS.nonce)
    url = answer(request(), redirects=True, links=links)["link"]["url"]
    assert url.startswith(CLICK_PREFIX + "&u=https%3A%2F%2Fshop.example%2Fitem%3Fsku%3Dsku-1")
    assert url.endswith("&s=sig")


def test_the_reason_for_the_ad_is_linked_only_where_it_is_asked_for() -> None:
    assert "privacy" not in answer(request())
    assert answer(request(privacy=1))["privacy"] == "https://shop.example/why"


@pytest.mark.parametrize("asset_id", ["17", '"a-1"', "0", "123456789012345678901234567890"])
def test_the_ids_of_assets_are_echoed_byte_for_byte(asset_id: str) -> None:
    """F11, P7: whatever their type is."""
    text = f'{{"ver":"1.2","assets":[{{"id":{asset_id},"title":{{"len":90}}}}]}}'
    found = fitted(ad(native=NATIVE), native={"request": text})
    assert f'"assets":[{{"id":{asset_id},' in adm_of(found)


@pytest.mark.parametrize(
    "native",
    [
        {}, {"request": None}, {"request": ""}, {"request": "{"}, {"request": "[]"},
        {"request": "17"}, {"request": {}}, {"request": {"assets": []}}, {"request": '"\\ud800"'},
        {"request": {"assets": [{"title": {"len": 90}}]}}, {"request": {"native": {}}},
        {"request": "[" * 100_000}, {"request": {"assets": "none"}},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_bid_and_no_error(native: dict[str, Any]) -> None:
    """P5, F10."""
    assert fit_of(ad(native=NATIVE), native=native) is Misfit.NATIVE_REQUEST


def test_deviating_types_inside_the_request_are_mended() -> None:
    """P4: numbers as strings, true for 1."""
    text = '{"ver":1.2,"assets":[{"id":1,"required":true,"title":{"len":"12"}}],"privacy":"1"}'
    found = fitted(ad(native=NATIVE), native={"request": text, "ver": 1})
    said = json.loads(adm_of(found))
    assert said["assets"] == [{"id": 1, "title": {"text": "Kind of Blue"}}]
    assert (said["ver"], said["privacy"]) == ("1.2", "https://shop.example/why")


def test_the_bid_says_what_it_is() -> None:
    """F3, O6: mtype 4, and no size that the publisher's layout decides."""
    fields = fields_of(fitted(ad(native=NATIVE), native=as_sent("string", request())))
    assert (fields["mtype"], fields["adomain"]) == (4, ["shop.example"])
    assert not {"w", "h", "dur", "protocol"} & fields.keys()
    assert fields["crid"].startswith("ad.")


def test_b4_b6_attributes_and_frameworks_are_respected() -> None:
    """B4, B6."""
    wanted = as_sent("object", request())
    assert (
        fit_of(ad(native=NATIVE, attributes=(9,)), native=wanted | {"battr": [9]})
        is Misfit.ATTRIBUTE
    )
    assert fit_of(ad(native=NATIVE, api=(7,)), native=wanted) is Misfit.API
    assert fitted(ad(native=NATIVE, api=(7,)), native=wanted | {"api": [7]}).mtype == 4


def test_another_offer_with_the_same_id_is_judged_anew() -> None:
    one = ad(native=NATIVE)
    wanted = request(assets=[{"id": 1, "required": 1, "title": {"len": 12}}])
    lineup, shop = Lineups().of("c", (one,)), catalog().advertisers[SHOP]
    asked = asked_of(slot(native=as_sent("object", wanted)))

    def text(title: str) -> str:
        offer = product(title=title)
        found = lineup.choose(asked, "any", offer, shop, private_allowed=True)
        assert isinstance(found, Fitted)
        shown: str = json.loads(adm_of(found, offer))["assets"][0]["title"]["text"]
        return shown

    assert [text("Kind of Blue"), text("A very long title"), text("Kind")] == [
        "Kind of Blue", "For you", "Kind",
    ]  # fmt: skip


def test_what_is_kept_of_all_ads_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand native ads in a thousand layouts would not fit into a worker."""
    monkeypatch.setattr(native, "KEPT_FITS", 4)
    lineups, shop = Lineups(), catalog().advertisers[SHOP]
    ads = [lineups.of(name, (ad(name, native=NATIVE),)) for name in "abc"]
    layouts = [request(assets=[{"id": n, "required": 1, "title": {"len": 30}}]) for n in range(5)]
    layouts.append(request(assets=[{"id": "x" * 20_000, "required": 1, "title": {"len": 30}}]))
    for layout in layouts:
        asked = asked_of(slot(native=as_sent("object", layout)))
        for one in ads:
            assert isinstance(
                one.choose(asked, "any", product(), shop, private_allowed=True), Fitted
            )
    kept = lineups._asks.fits
    assert 0 < len(kept) <= 4
    assert all(len(raw) < 20_000 for _, raw, _, _ in kept)


def test_what_is_kept_of_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "KEPT_ASKS", 3)
    asks = NativeAsks()
    for n in range(10):
        raw = json.dumps({"assets": [{"id": n, "title": {"len": 9}}]}).encode()
        ask = asks.of(Native(request=raw_of(raw)))
        assert ask is not None
        assert bytes(ask.assets[0].id) == str(n).encode()
        assert asks.of(Native(request=raw_of(raw))) is ask
        assert len(asks._kept) <= 3
    big = json.dumps({"assets": [{"id": 1}], "ext": "x" * 20_000}).encode()
    assert asks.of(Native(request=raw_of(big))) is not None
    assert all(len(raw) < 20_000 for raw, _ in asks._kept)


def raw_of(text: bytes) -> msgspec.Raw:
    return msgspec.Raw(text)


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@thorough
@given(texts, st.integers(1, 40))
def test_whatever_a_feed_says_the_answer_is_json_with_the_text_and_no_macro(
    title: str, limit: int
) -> None:
    """F11, C3, O12: hostile values stay text."""
    offer = product(title=title)
    wanted = as_sent("object", request(assets=[{"id": 1, "required": 1, "title": {"len": limit}}]))
    found = fit_of(ad(native=NATIVE), offer, native=wanted)
    if isinstance(found, Misfit):
        assert limit < len("For you")
        return
    adm = adm_of(found, offer)
    shown = json.loads(adm)["assets"][0]["title"]["text"]
    assert len(shown) <= limit
    assert shown in {f"{title} for $12.00 today", title, "For you"}
    assert "${" not in adm.replace("${AUCTION_PRICE}", "")


def test_a_picture_without_a_match_in_mime_is_not_shown_twice() -> None:
    only = NativeAd(titles=("a",), images=(Image("https://c.example/a.gif", 9, 9, "image/gif"),))
    wanted = request(assets=[{"id": 1, "required": 1, "img": {"type": 3, "mimes": ["image/png"]}}])
    assert fit(wanted, only) is Misfit.IMAGE
