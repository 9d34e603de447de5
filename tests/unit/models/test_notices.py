import base64
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.notices as module
from models.errors import InvalidFieldError
from models.identifiers import NodeId
from models.limits import Limit
from models.notices import (
    NO_NODE,
    NOTICE_KINDS,
    SHOWN_KINDS,
    TAG_BYTES,
    NoticeKind,
    NoticeSigner,
    NoticeToken,
    TokenError,
    short_id,
)

SIGNER, OTHER = NoticeSigner("first secret"), NoticeSigner("other secret")
tokens = st.builds(
    NoticeToken,
    node=st.sampled_from([NO_NODE, NodeId("k" + "n" * 22)]),
    nonce=st.text(max_size=20), campaign=st.text(max_size=20), creative=st.text(max_size=20),
    exchange=st.text(max_size=20), bid_cpm_micros=st.integers(0, 2**62),
    bid_time_ms=st.integers(0, 2**62), window_seconds=st.integers(0, 2**31),
    auction=st.text(max_size=48), imp=st.text(max_size=8), is_test=st.booleans(),
    biller=st.sampled_from(["b", "p", "n"]), currency=st.sampled_from(["", "EUR"]),
    advertiser=st.text(max_size=20), reserved_seconds=st.integers(0, 3600),
    limits=st.lists(
        st.builds(
            Limit, st.integers(1, 64), st.integers(1, 10**7), st.booleans(), st.integers(0, 64)
        ),
        max_size=3,
    ).map(tuple),
)  # fmt: skip
TOKEN = NoticeToken(NO_NODE, "nonce", "campaign", "creative", "exchange", 1_000_000, 2, 3)


@given(tokens)
def test_what_was_signed_is_read_again_and_by_nobody_else(token: NoticeToken) -> None:
    text = SIGNER.sign(token)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert SIGNER.verify(text, "win") == token
    assert NoticeSigner("first secret").verify(text, "billing") == token
    with pytest.raises(TokenError, match="not signed by this owner"):
        OTHER.verify(text, "win")


@given(tokens, st.sampled_from(NOTICE_KINDS))
def test_what_stands_in_an_ad_is_no_word_of_its_exchange(
    token: NoticeToken, kind: NoticeKind
) -> None:
    """N12: whoever is shown the ad reads its token, and bills, wins or loses nothing by it."""
    read, refused = SIGNER.sign_shown(token), SIGNER.sign(token)
    if kind not in SHOWN_KINDS:
        read, refused = refused, read
    assert SIGNER.verify(read, kind) == token
    with pytest.raises(TokenError):
        SIGNER.verify(refused, kind)


@given(st.data())
def test_an_edited_token_says_what_was_signed_or_nothing(data: st.DataObject) -> None:
    """The bits that pad base64 may change without the bytes; any other edit is found."""
    text = SIGNER.sign(TOKEN)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCDwxyz0189-_"))
    edited = text[:place] + letter + text[place + 1 :]
    try:
        read = SIGNER.verify(edited, "win")
    except TokenError:
        return
    assert read == TOKEN


def test_every_byte_of_the_record_is_signed() -> None:
    raw = base64.urlsafe_b64decode(SIGNER.sign(TOKEN) + "==")
    for place in range(len(raw)):
        edited = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(TokenError):
            SIGNER.verify(base64.urlsafe_b64encode(edited).rstrip(b"=").decode(), "win")


@pytest.mark.parametrize("text", ["", "x", "!!!!", "äöü", "AAAA", "A" * 16, "a b c d", "=" * 8])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        SIGNER.verify(text, "win")


@given(st.binary(max_size=40))
def test_a_signature_over_something_else_is_refused(body: bytes) -> None:
    """As by a version that signed other fields."""
    text = module._signed(SIGNER._base, body)
    try:
        SIGNER.verify(text, "win")
    except TokenError as error:
        assert "readable" in str(error)  # noqa: PT017 - a random record may be a token
    assert len(module._digest(SIGNER._base, body)) == TAG_BYTES


def test_a_token_with_everything_is_a_short_part_of_a_url() -> None:
    """H16: it stands in each bid three times or more."""
    ids = {
        "campaign": "c" * 12, "creative": "r" * 20, "exchange": "e" * 8, "nonce": "n" * 12,
        "auction": "0b1e4b32-7c3a-4a7f-93b5-52e1a3c7a001", "imp": "1",
        "bid_time_ms": 1_796_000_000_000, "window_seconds": 3_600, "advertiser": "a" * 8,
        "reserved_seconds": 10, "limits": (Limit(5, 86_400, used=2), Limit(20, 604_800, used=9)),
    }  # fmt: skip
    made = SIGNER.sign(msgspec.structs.replace(TOKEN, node=NodeId("k" * 23), **ids))
    assert len(made) <= 252


def test_a_token_says_until_when_its_notice_may_move_money() -> None:
    """N7."""
    assert TOKEN.expires_ms == 3_002


@given(st.text(max_size=120))
def test_an_id_of_any_length_has_a_place_in_a_token(text: str) -> None:
    """P7, N4: as it is where it is short, and else always the same digest."""
    made = short_id(text)
    assert len(made) <= 48
    assert (made == text) == (len(text) <= 48)
    assert short_id(text) == made


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_signature_is_of_one_address_under_one_secret(one: str, other: str) -> None:
    """N12: no open redirect."""
    signature = SIGNER.sign_target(one)
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", signature)
    assert SIGNER.is_target(one, signature)
    assert SIGNER.is_target(other, signature) == (one == other)
    assert not OTHER.is_target(one, signature)


def test_tags_of_one_purpose_never_pass_for_another() -> None:
    body = b"https://air.example/"
    tag = base64.urlsafe_b64encode(module._digest(SIGNER._base, body)).decode()
    assert not SIGNER.is_target(body.decode(), tag)
    assert SIGNER.viewer("https://air.example/", "") != SIGNER.sign_target("https://air.example/\0")
    assert not SIGNER.is_target("https://air.example/", "\u20ac\ud800")


def test_a_viewer_is_the_same_under_one_secret_only() -> None:
    """N15: nobody without the secret finds an address by trying all of them."""
    assert SIGNER.viewer("203.0.113.7", "b") == SIGNER.viewer("203.0.113.7", "b")
    others = (SIGNER.viewer("203.0.113.8", "b"), SIGNER.viewer("203.0.113.7", "c"))
    assert len({SIGNER.viewer("203.0.113.7", "b"), OTHER.viewer("203.0.113.7", "b"), *others}) == 4


def test_a_short_secret_is_refused_and_not_told() -> None:
    with pytest.raises(InvalidFieldError, match="notice_secret") as caught:
        NoticeSigner("sevench")
    assert "sevench" not in str(caught.value)
