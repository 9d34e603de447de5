"""Responses: valid JSON, escaped markup, macros untouched, whatever the data holds."""

import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.world.imps import VIDEO, imp_part
from bidder import creatives as module
from bidder.bids import Bid
from bidder.creatives import PLAIN, AdUrls, Creatives
from bidder.formats import Fitted, Lineups, Links, asked_of
from bidder.notice_urls import NoticeUrls
from bidder.notices.clicks import landing_page
from bidder.respond import Responder
from models.catalog import Catalog
from models.catalog_records import Advertiser, Campaign, Creative, Exchange, Offer
from models.notices import NoticeKind, NoticeSigner, NoticeToken
from models.profile import Header
from models.units import MICROS
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    BRAND,
    ITEMS,
    NODE,
    NORTH,
    NOW_MS,
    SETTINGS,
    SHOP,
    TERMS,
    bid_request,
    catalog,
    creative,
    decision_of,
    imp,
    person,
    product,
    the_bid,
    thorough,
    viewed,
)

SIGNER = NoticeSigner(SETTINGS.notice_secret)

NOTICE = "https://bid.example/notice/"
PRICED = "&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}"

HOSTILE = [
    "'\"`",
    "</script><script>alert(1)</script>",
    "<!-- -->",
    "${AUCTION_PRICE}",
    "{AUCTION_PRICE}",
    "{click_url} {{}}",
    "a\nb\r\tc\x00\x1f",
    "\u2028\u2029 \U0001f600 \u202e",
    "&quot;&amp;&#39;",
    "\\u0022\\",
    "%22%0d%0a",
    "]}}]}",
]

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


def token(nonce: str = "w1-0", bid_cpm_micros: int = 1_000_000) -> NoticeToken:
    return NoticeToken(
        node=NODE, nonce=nonce, campaign="air-seats", creative="air-seats-prospect-1",
        exchange="north", bid_cpm_micros=bid_cpm_micros, bid_time_ms=NOW_MS, window_seconds=3_600,
        auction="0b1e4b32-7c3a-4a7f-93b5-52e1a3c7a001", imp="1",
    )  # fmt: skip


def filled(creatives: Creatives, bid: Bid, **exchange: object) -> bytes:
    """The markup, with TOKEN in the place of the bid's token."""
    urls = NoticeUrls(msgspec.structs.replace(NORTH, **exchange), "https://bid.example", SIGNER)
    return creatives.write(bid, urls.ads).markup.with_links(urls.links("TOKEN", "w1-0"))


def responder(what: Catalog, public_url: str = "https://bid.example/") -> Responder:
    return Responder(what, SIGNER, public_url=public_url)


NO_LINKS = Links("https://bid.example/i", "", "w1-0")


def markup_of(creatives: Creatives, bid: Bid) -> bytes:
    return creatives.write(bid).markup.with_links(NO_LINKS)


def fitted(one: Creative, offer: Offer) -> Fitted:
    """A creative as it fits a slot of the demo's."""
    slot = bid_request(imp(**({"banner": None} | SLOTS[one.format]))).imp[0]
    shop = Advertiser(id=SHOP, name="s", domain="s.example")
    lineup = Lineups().of(one.campaign, (one,))
    found = lineup.choose(asked_of(slot), one.creative_set, offer, shop, private_allowed=True)
    assert isinstance(found, Fitted), (one.id, found)
    return found


def item_bid(what: Catalog) -> Bid:
    return the_bid(decision_of(who=person(showing(products=(viewed(),))), what=what))


def hostile_catalog(text: str, **creative_changes: object) -> Catalog:
    changes = {"html": '<a title="{title}" href="{click_url}">{title} ${price}</a>'}
    return catalog(
        product(title=text, group=text),
        creative("items", ITEMS, click_url="https://shop.example/{title}?g={group}",
                 **(changes | creative_changes)),
    )  # fmt: skip


def twin(request_id: str, bids: list[tuple[Bid, NoticeToken]], what: Catalog) -> dict[str, Any]:
    """The response as plain Python would write it."""
    written = []
    for bid, notice in bids:
        advertiser = what.advertisers[bid.campaign.advertiser]
        signed = SIGNER.sign(notice)
        written.append(
            {
                "id": notice.nonce,
                "impid": bid.imp_id,
                "price": bid.price_micros / MICROS,
                "adm": json.loads(b'"' + markup_of(Creatives(what), bid) + b'"'),
                "nurl": f"{NOTICE}win?t={signed}&p=${{AUCTION_PRICE}}&m=${{AUCTION_MIN_TO_WIN}}",
                "burl": f"{NOTICE}billing?t={signed}{PRICED}",
                "lurl": f"{NOTICE}loss?t={signed}&l=${{AUCTION_LOSS}}&m=${{AUCTION_MIN_TO_WIN}}",
                "adomain": [advertiser.domain],
                "cid": bid.campaign.id,
                "crid": bid.fitted.crid,
                "cat": list(advertiser.iab_categories),
                "attr": [],
                "w": bid.fitted.width,
                "h": bid.fitted.height,
                "mtype": 1,
                "exp": bid.wait_seconds,
            }
        )
    return {"id": request_id, "seatbid": [{"bid": written, "seat": "kinbid"}], "cur": "USD"}


@thorough
@given(texts, texts, texts)
@example(request_id=HOSTILE[0], imp_id=HOSTILE[1], title=HOSTILE[3])
@example(request_id=HOSTILE[11], imp_id=HOSTILE[9], title=HOSTILE[6])
def test_o1_o2_o12_a_response_is_the_json_that_plain_python_writes(
    request_id: str, imp_id: str, title: str
) -> None:
    what = hostile_catalog(title)
    request = bid_request(imp(id=imp_id or "i"), imp(id="second"), id=request_id or "r")
    decision = decision_of(request, person(showing(products=(viewed(),))), what)
    bids = [(bid, token(f"w1-{n}")) for n, bid in enumerate(decision.bids)]
    body = responder(what).body(request.id, bids, TERMS, NORTH)
    assert json.loads(body) == twin(request.id, bids, what)
    assert body.decode()  # UTF-8


def test_o3_o4_o8_f3_every_field_that_exchanges_insist_on_is_there() -> None:
    what = catalog()
    response = json.loads(responder(what).body("r", [(item_bid(what), token())], TERMS, NORTH))
    assert response["cur"] == "USD"
    assert response["seatbid"][0]["seat"] == "kinbid"
    (bid,) = response["seatbid"][0]["bid"]
    assert (bid["cid"], bid["mtype"]) == (ITEMS, 1)
    assert bid["crid"].startswith("items.300x250.")
    assert (bid["w"], bid["h"], bid["adomain"]) == (300, 250, ["shop.example"])
    assert len(bid["crid"]) <= 64


@pytest.mark.parametrize("micros", [10_000, 1, 123_456, 999_999, 1_000_001, 12_345_678_901])
def test_a10_a_price_is_written_exactly_with_six_decimals_at_most(micros: int) -> None:
    what = catalog()
    bid = the_bid(decision_of(bid_request(imp(bidfloor=0.01)), what=what))
    priced = Bid(bid.imp_id, bid.campaign, bid.fitted, micros, micros, micros, offer=bid.offer)
    body = responder(what).body("r", [(priced, token())], TERMS, NORTH)
    written = body.split(b'"price":')[1].split(b",")[0].decode()
    assert round(float(written) * MICROS) == micros
    assert len(written.partition(".")[2]) <= 6
    assert "e" not in written


@pytest.mark.parametrize("text", HOSTILE)
def test_what_customers_and_feeds_wrote_is_text_in_the_markup_and_nothing_else(text: str) -> None:
    what = hostile_catalog(text)
    markup = json.loads(b'"' + markup_of(Creatives(what), item_bid(what)) + b'"')
    assert markup.startswith('<a title="')
    title, _, rest = markup.removeprefix('<a title="').partition('" href="')
    address, _, rest = rest.partition('">')
    shown, _, rest = rest.rpartition(" $12.00</a>")
    assert rest == ""
    assert html.unescape(title) == text
    assert html.unescape(shown) == text
    assert not set('<>"{') & set(title + shown)
    parts = urlsplit(html.unescape(address))
    assert (parts.scheme, parts.hostname) == ("https", "shop.example")
    assert unquote(parts.path) == f"/{text}"
    assert parse_qs(parts.query, keep_blank_values=True) == {"g": [text]}


@pytest.mark.parametrize("text", ["${AUCTION_PRICE}", "{AUCTION_PRICE}", "$ {AUCTION_LOSS}"])
def test_c3_no_value_of_the_data_becomes_a_macro(text: str) -> None:
    what = hostile_catalog(text, html="${title} {click_url}")
    body = responder(what).body("r", [(item_bid(what), token())], TERMS, NORTH)
    adm = json.loads(body)["seatbid"][0]["bid"][0]["adm"]
    assert "{AUCTION" not in adm


def test_c1_c3_macros_of_templates_and_notices_survive_as_text() -> None:
    template = (
        '<img src="https://px.example/?p=${{AUCTION_PRICE}}&i=${AUCTION_IMP_ID}&a={advertiser}">'
        "{click_url} $5 {{}}"
    )
    what = catalog(
        creative("brand", BRAND, html=template,
                 click_url="https://air.example/?c=${{CLICK_ID}}&a={advertiser}"),
    )  # fmt: skip
    bid = the_bid(decision_of(who=person(Header()), what=what))
    answer = json.loads(responder(what).body("r", [(bid, token())], TERMS, NORTH))
    written = answer["seatbid"][0]["bid"][0]
    assert "?p=${AUCTION_PRICE}&i=${AUCTION_IMP_ID}&a=Kinbid Air" in written["adm"]
    assert written["adm"].endswith(" $5 {}")
    assert "?c=${CLICK_ID}&amp;a=Kinbid%20Air" in written["adm"]
    for name in ("nurl", "burl"):
        assert "&p=${AUCTION_PRICE}" in written[name]


def test_n12_a_notice_url_holds_the_signed_token_and_our_public_address() -> None:
    what = catalog()
    response = json.loads(
        responder(what).body("r", [(item_bid(what), token("w1-9"))], TERMS, NORTH)
    )
    (bid,) = response["seatbid"][0]["bid"]
    kinds: tuple[tuple[str, NoticeKind], ...] = (
        ("nurl", "win"), ("burl", "billing"), ("lurl", "loss"),
    )  # fmt: skip
    for name, kind in kinds:
        parts = urlsplit(bid[name])
        assert (parts.netloc, parts.path) == ("bid.example", f"/notice/{kind}")
        assert SIGNER.verify(parse_qs(parts.query)["t"][0], kind) == token("w1-9")


def test_a_slot_that_the_offer_does_not_have_is_left_empty() -> None:
    what = catalog(
        creative("items", ITEMS, html="[{fare}]{click_url}", click_url="https://s.example/{trip}{click_url}")
    )  # fmt: skip
    assert markup_of(Creatives(what), item_bid(what)) == b"[]https://s.example/"


def test_a_creative_that_changes_is_compiled_anew() -> None:
    what = catalog()
    creatives = Creatives(what)
    before = markup_of(creatives, item_bid(what))
    assert markup_of(creatives, item_bid(what)) == before
    what.apply(creative("items", ITEMS, html="new"))
    assert markup_of(creatives, item_bid(what)) == b"new"


def test_a_new_price_and_name_show_at_the_next_bid() -> None:
    what = catalog()
    creatives = Creatives(what)
    assert b"Kind of Blue 12.00" in markup_of(creatives, item_bid(what))
    what.apply(product(price_micros=9_990_000, updated_ms=NOW_MS + 1))
    what.apply(Advertiser(id=SHOP, name="New", domain="shop.example"))
    assert b"Kind of Blue 9.99" in markup_of(creatives, item_bid(what))


def test_markup_that_is_kept_is_bounded_and_each_size_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT_WRITTEN", 2)
    what = catalog(creative("items", ITEMS, html="{title} {width}x{height}"))
    creatives = Creatives(what)
    for n in range(9):
        what.apply(product(title=f"record {n}", updated_ms=NOW_MS + n))
        bid = item_bid(what)
        assert markup_of(creatives, bid) == b"record %d 300x250" % n
        shape = msgspec.structs.replace(bid.fitted, width=728, height=90)
        wide = msgspec.structs.replace(bid, fitted=shape)
        assert markup_of(creatives, wide) == b"record %d 728x90" % n
        what.apply(product(id="sku-2", title="other"))
        other = msgspec.structs.replace(bid, offer=what.products[SHOP, "sku-2"])
        assert markup_of(creatives, other) == b"other 300x250"
        assert len(creatives._kept) <= 2


SLOTS = {
    "banner": {
        "banner": {"w": 300, "h": 250, "format": [{"w": 300, "h": 250}, {"w": 320, "h": 50}]}
    },
    "native": {"native": imp_part("native", ())},
    "video": {"video": VIDEO | {"companionad": [{"w": 300, "h": 250}]}},
}
"""What the simulated exchanges send."""


WITH_EVERYTHING = msgspec.structs.replace(NORTH, bills_on="pixel", click_redirect=True)


def test_a_pixel_and_a_click_redirect_carry_the_bids_token() -> None:
    """N3, N12: one signature for all addresses of a bid."""
    what = catalog(WITH_EVERYTHING)
    bids = [(item_bid(what), token("w1-9"))]
    body = responder(what).body("r", bids, TERMS, WITH_EVERYTHING)
    (bid,) = json.loads(body)["seatbid"][0]["bid"]
    click, pixel = (
        html.unescape(found) for found in re.findall(r'(?:href|src)="([^"]+)"', bid["adm"])
    )
    shown: tuple[tuple[str, NoticeKind], ...] = ((click, "click"), (pixel, "impression"))
    for address, kind in shown:
        parts = urlsplit(address)
        assert (parts.netloc, parts.path) == ("bid.example", f"/notice/{kind}")
        assert SIGNER.verify(parse_qs(parts.query)["t"][0], kind) == token("w1-9")
    values = {name: found[0] for name, found in parse_qs(urlsplit(click).query).items()}
    assert landing_page(values, SIGNER) == "https://shop.example/sku-1"


@pytest.mark.parametrize("text", HOSTILE)
def test_what_customers_wrote_arrives_at_the_landing_page_through_our_redirect(text: str) -> None:
    """C1, C3: values intact, and no value is a macro."""
    what = hostile_catalog(text)
    markup = json.loads(b'"' + filled(Creatives(what), item_bid(what), click_redirect=True) + b'"')
    address = html.unescape(markup.partition('" href="')[2].partition('">')[0])
    assert "${" not in address
    values = {name: found[0] for name, found in parse_qs(urlsplit(address).query).items()}
    page = urlsplit(landing_page(values, SIGNER) or "")
    assert page.netloc == "shop.example"
    assert unquote(page.path) == f"/{text}"
    assert parse_qs(page.query, keep_blank_values=True) == {"g": [text]}


def test_each_exchange_has_its_own_markup_and_a_changed_record_shows_at_once() -> None:
    what = catalog()
    made, bid = responder(what), item_bid(what)

    def adm() -> str:
        body = made.body("r", [(bid, token())], TERMS, what.exchanges[NORTH.id])
        found: str = json.loads(body)["seatbid"][0]["bid"][0]["adm"]
        return found

    assert "/notice/" not in adm()
    what.apply(WITH_EVERYTHING)
    assert adm().count("/notice/") == 2
    what.apply(NORTH)
    assert "/notice/" not in adm()


@pytest.mark.parametrize(("exchange", "most_bytes"), [(NORTH, 3_072), (WITH_EVERYTHING, 4_096)])
def test_h16_the_response_of_the_demos_largest_creative_is_below_4_kb(
    demo_catalog: Catalog, exchange: Exchange, most_bytes: int
) -> None:
    largest: dict[str, int] = {}
    demo_catalog.apply(exchange)
    for campaign in demo_catalog.campaigns.values():
        for one in demo_catalog.creatives[campaign.id]:
            body = responder(demo_catalog).body(
                "r" * 36, [(demo_bid(campaign, one), token())], TERMS, exchange
            )
            largest[one.format] = max(largest.get(one.format, 0), len(body))
    print(f"largest response with one bid, bytes: {largest}")
    assert largest.keys() == {"banner", "native", "video"}
    assert max(largest.values()) < most_bytes


def demo_bid(campaign: Campaign, one: Creative) -> Bid:
    offer = product(title="A rather long title of a record, remastered, with bonus tracks")
    return Bid("slot", campaign, fitted(one, offer), 1, 1, 1, offer=offer)


def test_n2_n3_a_banner_brings_our_pixel_only_where_the_exchange_bills_on_it() -> None:
    """N2, N3: once, with the address of this bid; video and native ads have their own."""
    what = catalog()
    bid, creatives = item_bid(what), Creatives(what)
    links = Links("https://bid.example/i?t=a&p=${AUCTION_PRICE}", "", "w1-0")
    with_pixel = AdUrls("north", has_pixel=True)
    adm = json.loads(b'"' + creatives.write(bid, with_pixel).markup.with_links(links) + b'"')
    assert adm.count('<img src="https://bid.example/i?t=a&amp;p=${AUCTION_PRICE}"') == 1
    assert b"<img" not in creatives.write(bid).markup.with_links(links)
    assert creatives.write(bid, with_pixel) is creatives.write(bid, with_pixel)


def test_a_click_passes_us_where_the_exchange_allows_it_whatever_the_landing_page_is() -> None:
    """B5, C1: the address stays inside of its quotes."""
    what = catalog(creative("items", ITEMS, html='<a href="{click_url}">x</a>',
                            click_url="https://shop.example/?a=\"><b>&c={title}"))  # fmt: skip
    urls = AdUrls("north", target=lambda landing: f"&u={quote(landing, safe='')}")
    links = Links("i", "https://bid.example/click?t=a", "w1-0")
    for chosen, begins in (
        (PLAIN, "https://shop.example/"),
        (urls, "https://bid.example/click?t=a&u=https%3A"),
    ):
        markup = Creatives(what).write(item_bid(what), chosen).markup.with_links(links)
        adm = json.loads(b'"' + markup + b'"')
        address = adm.removeprefix('<a href="').removesuffix('">x</a>')
        assert not set('"<>') & set(address)
        assert html.unescape(address).startswith(begins)
