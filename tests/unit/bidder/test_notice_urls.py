"""Notice URLs: macros as exchanges want them, our values around them encoded."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from bidder.notice_urls import NoticeUrls, click_macros
from models.notices import NoticeSigner
from tests.unit.bidder.support import NORTH, SETTINGS

SIGNER = NoticeSigner(SETTINGS.notice_secret)
TOKEN = b"TOKEN"
SET_BY_EVERY_BID = {
    "AUCTION_PRICE", "AUCTION_CURRENCY", "AUCTION_LOSS", "AUCTION_MIN_TO_WIN",
}  # fmt: skip
"""Their sources are the auction itself, not a field of the bid."""


def urls(**changes: object) -> NoticeUrls:
    exchange = msgspec.structs.replace(NORTH, **changes)
    return NoticeUrls(exchange, "https://bid.example/", SIGNER)


def called(made: NoticeUrls) -> dict[str, str]:
    """What an exchange calls, by the fields of a bid."""
    read: dict[str, str] = json.loads(b"{%b}" % made.fields(TOKEN))
    return read


def pixel(made: NoticeUrls) -> str:
    """What an ad calls when it is seen."""
    return made.links("TOKEN", "w1-0").impression_url


def click(made: NoticeUrls, target: str) -> str:
    """What a click opens."""
    assert made.ads.target is not None
    return made.links("TOKEN", "w1-0").click_prefix + made.ads.target(target)


def test_every_kind_has_its_path_the_token_and_its_macros() -> None:
    """C1: each macro is a whole query value, written as it is."""
    made = urls()
    addresses = called(made)
    assert list(addresses) == ["nurl", "burl", "lurl"]
    assert addresses["nurl"] == (
        "https://bid.example/notice/win?t=TOKEN&p=${AUCTION_PRICE}&m=${AUCTION_MIN_TO_WIN}"
    )
    assert "&c=${AUCTION_CURRENCY}" in called(urls(bills_on="nurl"))["nurl"]
    assert addresses["burl"] == (
        "https://bid.example/notice/billing?t=TOKEN&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}"
    )
    assert addresses["lurl"] == (
        "https://bid.example/notice/loss?t=TOKEN&l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}"
    )


def test_only_macros_whose_source_every_bid_sets_are_used() -> None:
    """C2: neither bidid, adid nor a seat that may be missing."""
    made = urls(bills_on="pixel", click_redirect=True)
    everything = "".join(called(made).values()) + pixel(made)
    assert set(re.findall(r"\$\{(\w+)\}", everything)) == SET_BY_EVERY_BID


def test_an_exchange_that_encrypts_gets_its_own_price_macro() -> None:
    """C4: ``${AUCTION_PRICE:X}``."""
    made = urls(price_format="encrypted", price_macro_suffix="X")
    for name in ("nurl", "burl"):
        assert "&p=${AUCTION_PRICE:X}&" in called(made)[name] + "&"


def test_there_is_a_price_in_the_pixel_only_where_it_bills() -> None:
    """N3: and no pixel at all where nobody asks for one."""
    assert not urls().ads.has_pixel
    compared = urls(impression_pixel=True)
    assert compared.ads.has_pixel
    assert pixel(compared) == "https://bid.example/notice/impression?t=TOKEN"
    billing = urls(bills_on="pixel")
    assert billing.ads.has_pixel
    assert pixel(billing).endswith("?t=TOKEN&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}")


def test_an_exchange_without_loss_notices_gets_no_lurl() -> None:
    assert list(called(urls(loss_notices=False))) == ["nurl", "burl"]


def test_a_click_goes_through_us_only_where_the_exchange_says_so() -> None:
    made = urls()
    assert made.ads.target is None
    assert made.links("TOKEN", "w1-0").click_prefix == ""


@pytest.mark.parametrize("target", ["https://air.example/?a=b&c=%20d", "https://a.example/'\"<>"])
def test_a_click_address_holds_the_whole_landing_page_and_our_signature(target: str) -> None:
    """C1: our values around macros are percent-encoded."""
    made = click(urls(click_redirect=True), target)
    assert not set("<>\"'") & set(made)
    query = parse_qs(urlsplit(made).query)
    assert query["u"] == [target]
    assert SIGNER.is_target(target, query["s"][0])


def test_macros_of_a_landing_page_come_as_values_that_exchanges_can_expand() -> None:
    """C1, C3: percent-encoded they would not be found, so they stand beside it."""
    target = "https://air.example/?a=${AUCTION_ID}&p=${AUCTION_PRICE:X}&b=${AUCTION_ID}"
    assert click_macros(target) == ["AUCTION_ID", "AUCTION_PRICE:X"]
    made = click(urls(click_redirect=True), target)
    assert made.endswith("&m_AUCTION_ID=${AUCTION_ID}&m_AUCTION_PRICE:X=${AUCTION_PRICE:X}")
    assert made.count("${") == 2


def test_every_address_is_https_where_we_are() -> None:
    """B5: notice, pixel and click addresses are as secure as the public one."""
    made = urls(bills_on="pixel", click_redirect=True)
    for one in (*called(made).values(), pixel(made), click(made, "https://a.example")):
        assert one.startswith("https://")
