"""What a notice may move: by kind, by price, by time, by who bills."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.judgement import Judgement, Notice, judge, outcome_of
from bidder.notices.prices import price_cpm_micros
from models.events import encode
from models.notices import KIND_OF, NO_NODE, NOTICE_KINDS, NoticeKind, NoticeToken
from models.outcomes import (
    AuctionLoss,
    Billing,
    Click,
    Impression,
    NoticeOutcome,
    NoticeSource,
    UncountedBilling,
    Win,
)
from tests.fakes.outcomes import decode_notice
from tests.unit.bidder.notices.support import BID_CPM_MICROS, WINDOW_SECONDS, token
from tests.unit.bidder.support import NODE, NOW_MS

SOURCES: list[NoticeSource] = ["burl", "pixel", "nurl"]


def notice(
    kind: NoticeKind = "billing",
    signed: NoticeToken | None = None,
    after_ms: int = 0,
    **values: str,
) -> Notice:
    return Notice(kind, signed or token(), {"p": "1.5"} | values, NOW_MS + after_ms, "viewer")


def verdict(told: Notice) -> str:
    return judge(told, price_cpm_micros, "USD").verdict


def stored(told: Notice) -> NoticeOutcome:
    judged = judge(told, price_cpm_micros, "USD")
    assert judged.verdict == "accepted"
    return outcome_of(told, judged)


@pytest.mark.parametrize("source", SOURCES)
def test_of_each_bid_exactly_one_kind_of_notice_bills(source: NoticeSource) -> None:
    """N1, N2, N3: the source that bills at the exchange, and no other, makes a Billing."""
    made = {kind: stored(notice(kind, token(source=source))) for kind in NOTICE_KINDS}
    bills = {kind for kind, outcome in made.items() if isinstance(outcome, Billing)}
    assert bills == {KIND_OF[source]}
    billing = made[KIND_OF[source]]
    assert isinstance(billing, Billing)
    assert (billing.source, billing.clearing_cpm_micros) == (source, 1_500_000)
    others: dict[NoticeKind, type[NoticeOutcome]] = {
        "win": Win, "billing": UncountedBilling, "impression": Impression, "loss": AuctionLoss,
        "click": Click,
    }  # fmt: skip
    assert {kind: type(one) for kind, one in made.items() if kind not in bills} == {
        kind: made_as for kind, made_as in others.items() if kind not in bills
    }


def test_a_notice_is_accepted_up_to_the_bid_and_no_further() -> None:
    """N9, C5: first price or a discount; never above the bid."""
    assert verdict(notice(p=f"{BID_CPM_MICROS / 1e6}")) == "accepted"
    assert verdict(notice(p="0")) == "accepted"
    assert verdict(notice(p="2.000001")) == "accepted"
    assert verdict(notice(p="2.000002")) == "quarantined"


@pytest.mark.parametrize("price", ["", "${AUCTION_PRICE}", "x", "-1", "nan", "2.1"])
@pytest.mark.parametrize("source", SOURCES)
def test_what_bills_needs_a_believable_price(source: NoticeSource, price: str) -> None:
    """N9, N11: and says why it was not believed."""
    judged = judge(notice(KIND_OF[source], token(source=source), p=price), price_cpm_micros, "USD")
    assert judged.verdict == "quarantined"
    assert judged.why


@pytest.mark.parametrize("kind", ["impression", "loss", "click"])
def test_what_never_bills_is_kept_without_a_price(kind: NoticeKind) -> None:
    """N13: the price may be blank; one that cannot be believed is left out."""
    for price in ("", "${AUCTION_PRICE}", "99"):
        assert stored(notice(kind, p=price)).clearing_cpm_micros == 0


@pytest.mark.parametrize("kind", NOTICE_KINDS)
@pytest.mark.parametrize("name", ["p", "c", "l", "m", "m_AUCTION_ID"])
def test_audit_in_any_macro_is_a_review_of_the_creative(kind: NoticeKind, name: str) -> None:
    """N10: no counters, whatever else the notice says."""
    told = Notice(kind, token(), {"p": "1.5"} | {name: "AUDIT"}, NOW_MS)
    assert verdict(told) == "audit"


@pytest.mark.parametrize("kind", NOTICE_KINDS)
def test_a_notice_of_test_traffic_is_one_of_a_test_whatever_it_says(kind: NoticeKind) -> None:
    """N16, A12: never billed, not even quarantined."""
    for price in ("1.5", "AUDIT", "99", ""):
        assert verdict(notice(kind, token(is_test=True), 10**9, p=price)) == "test"


def test_only_what_bills_can_be_late() -> None:
    """N7: late is stored and reported; what moves nothing is kept with its time."""
    end_ms = WINDOW_SECONDS * 1000
    assert verdict(notice(after_ms=end_ms)) == "accepted"
    late = judge(notice(after_ms=end_ms + 1_500), price_cpm_micros, "USD")
    assert (late.verdict, late.why) == ("late", "2 s after its window")
    click = stored(notice("click", after_ms=10**9))
    assert (click.notice_time_ms - click.bid_time_ms) == 10**9


def test_a_price_in_another_currency_is_not_believed() -> None:
    """N9: the price is in the bid's currency; a macro that was not expanded says nothing."""
    assert verdict(notice(c="USD")) == verdict(notice(c="usd")) == "accepted"
    assert verdict(notice(c="${AUCTION_CURRENCY}")) == verdict(notice(c="")) == "accepted"
    assert verdict(notice(c="EUR")) == "quarantined"
    in_euros = token(currency="EUR")
    assert verdict(notice(signed=in_euros, c="EUR")) == "accepted"
    assert verdict(notice(signed=in_euros, c="USD")) == "quarantined"


def test_a_loss_keeps_its_code_and_what_would_have_won() -> None:
    """N13, C5: for pricing; either may be missing or unexpanded."""
    lost = stored(notice("loss", p="", l="102", m="2.25"))
    assert isinstance(lost, AuctionLoss)
    assert (lost.reason, lost.min_to_win_cpm_micros) == (102, 2_250_000)
    for reason, least in (("", ""), ("${AUCTION_LOSS}", "${AUCTION_MIN_TO_WIN}"), ("-1", "x")):
        blank = stored(notice("loss", p="", l=reason, m=least))
        assert isinstance(blank, AuctionLoss)
        assert (blank.reason, blank.min_to_win_cpm_micros) == (None, None)
    won = stored(notice("win", m="1.25"))
    assert isinstance(won, Win)
    assert won.min_to_win_cpm_micros == 1_250_000


def test_a_loss_of_code_0_is_a_win_that_bills_nothing() -> None:
    """N13: some exchanges call lurl for every bid (DT)."""
    for source in SOURCES:
        assert isinstance(stored(notice("loss", token(source=source), l="0")), Win)


def test_an_outcome_says_when_and_for_how_much_was_bid() -> None:
    """N4, N7: auction, slot and bid are named, and how long the notice took."""
    billed = stored(notice(after_ms=7_000))
    assert (billed.auction, billed.imp, billed.nonce) == ("auction-1", "slot-1", "w1-0")
    assert (billed.bid_time_ms, billed.notice_time_ms) == (NOW_MS, NOW_MS + 7_000)
    assert billed.bid_cpm_micros == BID_CPM_MICROS


def test_a_viewer_is_kept_only_where_the_bid_was_for_a_person() -> None:
    """N15, R12: what privacy kept from the bid, the notice does not bring back."""
    assert stored(notice()).viewer == "viewer"
    contextual = stored(notice(signed=token(node=NO_NODE)))
    assert (contextual.viewer, contextual.personal) == ("", False)


@given(
    st.sampled_from(NOTICE_KINDS),
    st.sampled_from(SOURCES),
    st.text(max_size=12),
    st.dictionaries(st.sampled_from(["p", "c", "l", "m"]), st.text(max_size=12)),
    st.integers(0, 10**8),
)
def test_whatever_a_notice_says_money_moves_only_within_the_bid(
    kind: NoticeKind, source: NoticeSource, price: str, values: dict[str, str], after_ms: int
) -> None:
    """N9, N11, N12: no text breaks it, and no text costs more than was bid."""
    told = Notice(kind, token(source=source), {"p": price} | values, NOW_MS + after_ms)
    judged = judge(told, price_cpm_micros, "USD")
    if judged.verdict != "accepted":
        assert judged.why or judged.verdict == "test"
        return
    outcome = outcome_of(told, judged)
    assert decode_notice(encode(outcome)) == outcome
    assert 0 <= outcome.clearing_cpm_micros <= BID_CPM_MICROS + 1
    if isinstance(outcome, Billing):
        assert kind == KIND_OF[source]
        assert after_ms <= WINDOW_SECONDS * 1000


def test_old_records_without_the_newer_fields_are_read() -> None:
    """The topic keeps its records for ever."""
    fields = {
        "type": "billing", "node": NODE, "nonce": "n", "campaign": "c", "creative": "k",
        "exchange": "north", "clearing_cpm_micros": 1, "notice_time_ms": 5, "personal": True,
    }  # fmt: skip
    old = decode_notice(msgspec.json.encode(fields))
    assert isinstance(old, Billing)
    assert (old.source, old.auction, old.bid_time_ms) == ("burl", "", 0)


def test_a_judgement_says_nothing_where_all_is_well() -> None:
    assert judge(notice(), price_cpm_micros, "USD") == Judgement("accepted", 1_500_000)
