"""Notices: who signed them, what is stored of them, and what is answered."""

import asyncio
from urllib.parse import quote, urlencode

import msgspec
import pytest

from bidder.http1 import response
from bidder.metrics import NOTICE_RESULTS, Counters
from bidder.notices import Caller
from bidder.notices import intake as module
from bidder.notices.replies import NO_CONTENT, PIXEL
from models.notices import NO_NODE, NOTICE_KINDS, NoticeKind, NoticeSigner
from models.outcomes import AuctionLoss, Billing, Click, NoticeOutcome, Win
from models.units import CampaignId, CreativeId, ExchangeId
from tests.fakes.outcomes import decode_notice
from tests.unit.bidder.notices.support import (
    BID_CPM_MICROS,
    SIGNER,
    FakeKeeper,
    ask,
    in_ad,
    notices,
    query,
    token,
)
from tests.unit.bidder.notices.test_prices import OWN_KEYS, encrypted
from tests.unit.bidder.support import NODE, NORTH, NOW_MS, SETTINGS

PAGE = "https://air.example/book?trip=JFK-LAX%2F2026-12-01&a=b"


def counted(counters: Counters) -> dict[str, int]:
    names = [f"{kind}_{result}" for kind in NOTICE_KINDS for result in NOTICE_RESULTS]
    found = {name: counters.value("bidder_notices", name) for name in names}
    return {name: count for name, count in found.items() if count}


def only(keeper: FakeKeeper) -> NoticeOutcome:
    (record,) = keeper.kept
    assert record.topic == "demo.outcomes.v1"
    return decode_notice(record.value)


def test_billing_stores_the_notified_price_under_the_persons_key(counters: Counters) -> None:
    """N2, N9: spend moves by the clearing price, not the bid."""
    keeper = FakeKeeper()
    assert ask(notices(counters, keeper), query()) == NO_CONTENT
    assert keeper.kept[0].key == NODE.encode()
    assert only(keeper) == Billing(
        node=NODE, nonce="w1-0", campaign=CampaignId("c"), creative=CreativeId("cr"),
        exchange=ExchangeId("north"), clearing_cpm_micros=1_500_000, notice_time_ms=NOW_MS,
        personal=True, auction="auction-1", imp="slot-1", bid_time_ms=NOW_MS,
        bid_cpm_micros=BID_CPM_MICROS, viewer=SIGNER.viewer("", ""), source="burl",
    )  # fmt: skip
    assert counted(counters) == {"billing_accepted": 1}
    assert counters.value("bidder_spend_micros") == 1_500


@pytest.mark.parametrize("kind", ["win", "loss", "impression", "click"])
def test_what_does_not_bill_moves_no_spend(counters: Counters, kind: NoticeKind) -> None:
    """N1, N3: stored, and no money."""
    keeper = FakeKeeper()
    ask(notices(counters, keeper), query(), kind)
    assert not isinstance(only(keeper), Billing)
    assert counted(counters) == {f"{kind}_accepted": 1}
    assert counters.value("bidder_spend_micros") == 0


def test_a_contextual_impression_has_no_person_and_goes_where_its_repetitions_go(
    counters: Counters,
) -> None:
    """N4: another worker knows nothing of it, and its partition counts it once."""
    keeper = FakeKeeper()
    ask(notices(counters, keeper), query(signed=token(node=NO_NODE)))
    outcome = only(keeper)
    assert keeper.kept[0].key == b"w1-0"
    assert (outcome.node, outcome.personal, outcome.viewer) == ("", False, "")


def test_a_notice_that_is_repeated_changes_nothing(counters: Counters) -> None:
    """N4: by (bid, kind); each repetition is answered like the first."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper)
    for _ in range(3):
        assert ask(taker, query()) == NO_CONTENT
    assert ask(taker, query("1.0")) == NO_CONTENT
    assert ask(taker, query(), "win") == NO_CONTENT
    assert len(keeper.kept) == 2
    assert counted(counters) == {
        "billing_accepted": 1, "billing_repeated": 3, "win_accepted": 1,
    }  # fmt: skip
    assert counters.value("bidder_spend_micros") == 1_500


@pytest.mark.parametrize("first", ["${AUCTION_PRICE}", "AUDIT", "99999", ""])
def test_what_was_set_aside_stands_in_no_ones_way(counters: Counters, first: str) -> None:
    """N8, N9: somebody fetched it before the macro was expanded; set aside once, then it counts."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper)
    ask(taker, query(first))
    ask(taker, query(first))
    ask(taker, query())
    ask(taker, query())
    assert [one.topic for one in keeper.kept] == ["demo.dead-letters.v1", "demo.outcomes.v1"]
    assert counters.value("bidder_spend_micros") == 1_500
    assert (counted(counters)["billing_accepted"], counted(counters)["billing_repeated"]) == (1, 2)


def test_the_same_notice_twice_at_once_moves_spend_once(counters: Counters) -> None:
    """N4: the second comes while the first is being written."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper)

    async def scenario() -> None:
        asked = [taker.answer("billing", query(), Caller(), NOW_MS) for _ in range(3)]
        assert await asyncio.gather(*asked) == [NO_CONTENT] * 3

    asyncio.run(scenario())
    assert {one.nonce for one in map(decode_notice, (r.value for r in keeper.kept))} == {"w1-0"}
    assert counters.value("bidder_spend_micros") == 1_500


def test_how_many_notices_are_remembered_is_bounded(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    taker = notices(counters)
    for number in range(9):
        ask(taker, query(signed=token(nonce=f"w1-{number}")))
    assert list(taker._taken) == [("billing", f"w1-{n}") for n in (6, 7, 8)]


def test_notices_in_any_order_and_alone_are_taken(counters: Counters) -> None:
    """N8: billing before its win, a loss before its billing, billing alone."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper)
    for kind in ("billing", "win", "loss", "billing"):
        assert ask(taker, query(), kind) == NO_CONTENT
    assert [type(decode_notice(one.value)) for one in keeper.kept] == [Billing, Win, AuctionLoss]
    assert counters.value("bidder_spend_micros") == 1_500


@pytest.mark.parametrize("price", [None, "", "${AUCTION_PRICE}", "-1", "nan", "2.1", "x"])
def test_a_notice_without_a_believable_price_is_2xx_and_set_aside(
    counters: Counters, price: str | None
) -> None:
    """N9, N11: kept as it came, with the reason; the exchange need not repeat it."""
    keeper = FakeKeeper()
    text = query(price)
    assert ask(notices(counters, keeper), text) == NO_CONTENT
    (record,) = keeper.kept
    headers = dict(record.headers)
    assert (record.topic, record.key) == ("demo.dead-letters.v1", NODE.encode())
    assert (headers["reason"], headers["topic"]) == (b"quarantined", b"demo.outcomes.v1")
    assert headers["why"]
    assert record.value == f"billing?{text}".encode()
    assert counted(counters) == {"billing_quarantined": 1}
    assert counters.value("bidder_spend_micros") == 0


@pytest.mark.parametrize("kind", ["win", "billing", "impression", "loss"])
def test_a_creative_review_is_told_apart(counters: Counters, kind: NoticeKind) -> None:
    """N10: AUDIT moves nothing."""
    keeper = FakeKeeper()
    ask(notices(counters, keeper), query("AUDIT"), kind)
    assert dict(keeper.kept[0].headers)["reason"] == b"audit"
    assert counted(counters) == {f"{kind}_audit": 1}
    assert counters.value("bidder_spend_micros") == 0


def test_a_late_notice_is_stored_and_reported_and_moves_nothing(counters: Counters) -> None:
    """N7: neither silently dropped nor silently billed."""
    keeper = FakeKeeper()
    assert ask(notices(counters, keeper), query(), ms=NOW_MS + 10**6) == NO_CONTENT
    headers = dict(keeper.kept[0].headers)
    assert (headers["reason"], headers["why"]) == (b"late", b"940 s after its window")
    assert counted(counters) == {"billing_late": 1}
    assert counters.value("bidder_spend_micros") == 0


def test_a_notice_of_a_test_is_counted_as_such_and_stored_nowhere(counters: Counters) -> None:
    """A12, N16: marked, never billed."""
    keeper = FakeKeeper()
    assert ask(notices(counters, keeper), query(signed=token(is_test=True))) == NO_CONTENT
    assert keeper.kept == []
    assert counted(counters) == {"billing_test": 1}


def edited(text: str) -> list[str]:
    return [
        "",
        "p=1.5",
        "t=&p=1.5",
        text.replace("t=", "t=A", 1),
        text[:-20] + "&p=1",
        "t=%00%ff&p=1",
        "t=" + "A" * 100_000,
        "t=\u20ac",
    ]


@pytest.mark.parametrize("place", range(8))
def test_a_forged_or_edited_token_moves_nothing_and_is_not_asked_for_again(
    counters: Counters, place: int
) -> None:
    """N12, N5: a URL that somebody cut would else come again and again."""
    keeper = FakeKeeper()
    assert ask(notices(counters, keeper), edited(query())[place]) == NO_CONTENT
    assert keeper.kept == []
    assert counted(counters) == {"billing_forged": 1}


def test_another_owners_token_is_forged(counters: Counters) -> None:
    """N12: the secret is the owner's."""
    text = urlencode({"t": NoticeSigner("another secret").sign(token()), "p": "1"})
    ask(notices(counters), text)
    assert counted(counters) == {"billing_forged": 1}


def test_a_viewer_who_reads_the_ad_bills_nothing(counters: Counters) -> None:
    """N12: the token of a pixel or a click, in the address of another notice."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper)
    for kind in ("billing", "win", "loss"):
        asyncio.run(taker.answer(kind, in_ad(query("0.000001")), Caller(), NOW_MS))
    assert keeper.kept == []
    assert counted(counters) == {"billing_forged": 1, "win_forged": 1, "loss_forged": 1}


def test_what_a_caller_appends_to_our_address_changes_nothing(counters: Counters) -> None:
    keeper = FakeKeeper()
    other = SIGNER.sign(token(nonce="other"))
    ask(notices(counters, keeper), f"{query('1.0')}&p=0.1&t={other}")
    outcome = only(keeper)
    assert (outcome.nonce, outcome.clearing_cpm_micros) == ("w1-0", 1_000_000)


@pytest.mark.parametrize("price", ["1.5", "x"])
def test_what_cannot_be_made_durable_is_503_and_can_come_again(
    counters: Counters, price: str
) -> None:
    """N5: only this is asked for again, and then counts."""
    keeper = FakeKeeper(is_full=True)
    taker = notices(counters, keeper)
    assert ask(taker, query(price)) == response(503)
    assert counted(counters) == {"billing_failed": 1}
    assert counters.value("bidder_spend_micros") == 0
    keeper.is_full = False
    assert ask(taker, query("1.0")) == NO_CONTENT
    assert counters.value("bidder_spend_micros") == 1_000


# -- prices by exchange ----------------------------------------------------------------------------

KEYED = msgspec.structs.replace(
    SETTINGS,
    price_keys="north=ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU=:"
    "aWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWk=",
)
SECRETIVE = msgspec.structs.replace(NORTH, price_format="encrypted")


def test_an_exchange_that_encrypts_is_read_with_its_keys_and_not_believed_without(
    counters: Counters,
) -> None:
    """C4: decoded by exchange; a price that anybody could write is quarantined."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper, KEYED, SECRETIVE)
    ask(taker, query(encrypted(1_250_000, OWN_KEYS)))
    assert only(keeper).clearing_cpm_micros == 1_250_000
    ask(taker, query("1.25", token(nonce="plain")))
    ask(notices(counters, keeper, SETTINGS, SECRETIVE), query("1.25", token(nonce="no-keys")))
    assert counted(counters) == {"billing_accepted": 1, "billing_quarantined": 2}


def test_an_exchange_that_is_gone_from_the_catalogue_is_still_billed(counters: Counters) -> None:
    """N7: its last bids are paid for."""
    keeper = FakeKeeper()
    ask(notices(counters, keeper), query(signed=token(exchange="gone")))
    assert only(keeper).clearing_cpm_micros == 1_500_000


# -- browsers --------------------------------------------------------------------------------------


def test_an_impression_gets_a_picture_that_nobody_keeps(counters: Counters) -> None:
    """N3: where the pixel bills, each view has to come to us."""
    answer = ask(notices(counters), query(signed=token(source="pixel")), "impression")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer == PIXEL
    assert body.startswith(b"GIF89a")
    assert len(body) == 42 or len(body) == 43
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Cache-Control: no-store" in head
    assert counters.value("bidder_spend_micros") == 1_500
    assert ask(notices(counters), "t=forged", "impression") == PIXEL


def clicked(target: str = PAGE, signature: str | None = None, **values: str) -> str:
    signed = SIGNER.sign_target(target) if signature is None else signature
    return query(None) + "&" + urlencode({"s": signed, "u": target} | values, quote_via=quote)


def location(answer: bytes) -> str:
    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    return answer.split(b"Location: ")[1].split(b"\r\n")[0].decode()


def test_a_click_leads_to_its_page_and_is_stored(counters: Counters) -> None:
    keeper = FakeKeeper()
    assert location(ask(notices(counters, keeper), clicked(), "click")) == PAGE
    assert isinstance(only(keeper), Click)


def test_a_click_whose_notice_cannot_be_kept_or_is_forged_still_leads_to_its_page(
    counters: Counters,
) -> None:
    """Somebody waits for the page; the click is counted as failed."""
    full = notices(counters, FakeKeeper(is_full=True))
    assert location(ask(full, clicked(), "click")) == PAGE
    forged = clicked().replace("t=", "t=A", 1)
    assert location(ask(full, forged, "click")) == PAGE
    assert counted(counters) == {"click_failed": 1, "click_forged": 1}


@pytest.mark.parametrize(
    "text",
    [
        clicked("https://evil.example/", SIGNER.sign_target(PAGE)),
        clicked(PAGE, ""),
        clicked("http://air.example/"),
        clicked("javascript:alert(1)"),
        clicked("//evil.example"),
        query(None),
        query(None) + "&u=" + quote(PAGE),
    ],
)
def test_nobody_makes_us_redirect_elsewhere(counters: Counters, text: str) -> None:
    """N12: no open redirect; only what we signed, and only https."""
    assert ask(notices(counters), text, "click") == response(400)


def test_a_viewer_is_told_apart_and_not_stored_in_clear(counters: Counters) -> None:
    """N15: whose view a server reports, as a digest under our secret."""
    keeper = FakeKeeper()
    taker = notices(counters, keeper)
    headers = {"x-forwarded-for": "203.0.113.7, 10.0.0.1", "user-agent": "player/1"}
    ask(taker, query(), caller=Caller(headers, "10.0.0.9"))
    ask(taker, query(signed=token(nonce="b")), caller=Caller({}, "10.0.0.9"))
    first, second = (decode_notice(one.value).viewer for one in keeper.kept)
    assert first == SIGNER.viewer("203.0.113.7", "player/1") != second
    assert b"203.0.113.7" not in keeper.kept[0].value
    assert b"player" not in keeper.kept[0].value
