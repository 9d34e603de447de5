"""Landing pages: values intact, macros put in, no other host."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.clicks import landing_page
from tests.unit.bidder.notices.support import SIGNER


def page(target: str, **values: str) -> str | None:
    named = {"u": target, "s": SIGNER.sign_target(target)} | values
    return landing_page(named, SIGNER)


@pytest.mark.parametrize(
    "target",
    [
        "https://air.example",
        "https://air.example/",
        "https://air.example/book?trip=JFK-LAX%2F2026-12-01&a=%26#top",
        "https://air.example/a;b=c,d?x=$y&z=!'()*@:/?",
    ],
)
def test_an_address_arrives_as_it_was_signed(target: str) -> None:
    assert page(target) == target


def test_a_macros_value_is_put_in_encoded() -> None:
    """C1: the exchange writes it as it is, in a value of its own."""
    target = "https://air.example/b?a=${AUCTION_ID}&i=${AUCTION_IMP_ID}&a2=${AUCTION_ID}"
    found = page(target, m_AUCTION_ID="x&y=1#z", m_AUCTION_IMP_ID="7")
    assert found == "https://air.example/b?a=x%26y%3D1%23z&i=7&a2=x%26y%3D1%23z"


def test_a_macro_that_was_not_expanded_is_empty() -> None:
    """N11: nobody's landing page gets a macro for a value."""
    target = "https://air.example/b?a=${AUCTION_ID}"
    assert page(target, m_AUCTION_ID="${AUCTION_ID}") == "https://air.example/b?a="
    assert page(target) == "https://air.example/b?a="


@given(st.text(max_size=30), st.sampled_from(["", "/", "/p/${AUCTION_ID}", "?q=${AUCTION_ID}"]))
def test_no_value_of_a_macro_leads_to_another_host(value: str, rest: str) -> None:
    found = page(f"https://air.example{rest}", m_AUCTION_ID=value)
    assert found is not None
    parts = urlsplit(found)
    assert (parts.scheme, parts.netloc) == ("https", "air.example")
    assert found.isascii()
    assert not set("\r\n ") & set(found)
    if rest.startswith("?") and value and not value.startswith("${"):
        assert parse_qs(parts.query, keep_blank_values=True)["q"] == [
            value.encode("utf-8", "replace").decode()
        ]


def test_a_macro_in_the_host_stays_unexpanded() -> None:
    found = page("https://${AUCTION_ID}.example/", m_AUCTION_ID="evil.example/")
    assert found == "https://${AUCTION_ID}.example/"
    assert page("https://${AUCTION_ID}", m_AUCTION_ID="evil") == "https://${AUCTION_ID}"


def test_what_no_header_may_hold_is_encoded() -> None:
    assert page("https://air.example/a b\r\nSet-Cookie: x=\u00e9") == (
        "https://air.example/a%20b%0D%0ASet-Cookie:%20x=%C3%A9"
    )
