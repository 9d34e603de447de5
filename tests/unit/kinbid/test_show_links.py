"""What the tables about links say to people."""

from typing import get_args

import pytest

from kinbid import show
from kinbid.decide_link import Decided
from kinbid.link_history import LinkHistory, told_moment
from kinbid.person_summary import PersonSummary
from kinbid.show_links import KIND_WORDS, REASON_WORDS, show_decided, show_history, show_quarantine
from kinbid.told_link import told_link
from models.event_base import MAX_TIME_MS
from models.evidence import UNSEEN, Edge, Evidence, Kind, Reason, pair_of
from models.history import Moment
from models.identifiers import NodeId
from models.link_records import QuarantineRecord

TABLET, EMAIL = NodeId("k" + "t" * 22), NodeId("e" + "a" * 22)
A, B = pair_of(TABLET, EMAIL)
CARDS = NodeId("c" + "a" * 22), NodeId("c" + "b" * 22)
DAY = 1_767_225_600_000


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of the usual width."""
    monkeypatch.setattr(show.console, "_width", 80)


def test_every_reason_and_kind_of_evidence_has_words() -> None:
    assert set(REASON_WORDS) == set(get_args(Reason))
    assert set(KIND_WORDS) == set(get_args(Kind))


def test_a_history_reads_as_sentences_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments = [
        Moment(
            time_ms=DAY, pair=(A, B), what="seen", kind="call_session", confidence=80,
            joined=(EMAIL,), size=2,
        ),
        Moment(time_ms=DAY, pair=(A, B), what="refused", reason="too_many_links", size=2),
        Moment(
            time_ms=DAY, pair=(A, B), what="rejected", by="olga", why="wrong", reason="rejected",
            left=(EMAIL,),
        ),
        Moment(time_ms=DAY, pair=(A, B), what="approved", by="ivan", is_pending=True),
        Moment(
            time_ms=DAY, pair=CARDS, what="seen", kind="crm_merge", confidence=100,
            survivor=CARDS[0],
        ),
        Moment(time_ms=DAY, pair=CARDS, what="crm_split"),
        Moment(
            time_ms=DAY, pair=(A, B), what="withdrawn", kind="call_session", confidence=50,
            seen_ms=DAY - 1000,
        ),
    ]  # fmt: skip
    edge = Edge(Evidence("call_session", DAY, 80), "rejected")
    show_history(
        LinkHistory(
            person=TABLET, identifier=TABLET, identifiers=(TABLET,), shared=(TABLET,),
            history=tuple(map(told_moment, moments)),
            links=(told_link((A, B), edge, "rejected"), told_link((A, B), Edge(UNSEEN), None)),
            is_whole=False,
        )
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    told = " ".join(" ".join(lines).split())
    for text in (
        "2026-01-01 00:00:00 called a number that was shown there (80 %)",
        f"+ email {EMAIL} = 2 identifiers",
        "link refused: one side has more links than its kind may have",
        "link withdrawn by olga: 'wrong'", f"- email {EMAIL} = 1 identifier",
        "link approved by ivan", "waits for streams", "(shared device)", "somebody's word",
        "those of other persons are left out", "the CRM has split the cards",
        "link withdrawn: a lease that was told later takes the call of 2025-12-31 23:59:59 from it",
        f"the CRM has merged the two cards; crm {CARDS[0]} goes on for both",
    ):  # fmt: skip
        assert text in told
    assert max(map(len, lines)) <= 80


def test_what_people_write_is_shown_as_it_is_and_orders_the_terminal_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    why = "it's [/red] a \x1b[31m\nkiosk"
    moment = Moment(time_ms=DAY, pair=(A, B), what="rejected", by="[b]olga", why=why)
    show_history(
        LinkHistory(
            person=TABLET, identifier=TABLET, identifiers=(TABLET,), shared=(),
            history=(told_moment(moment),), links=(), is_whole=True,
        )
    )  # fmt: skip
    told = " ".join(capsys.readouterr().out.split())
    assert r"by [b]olga: 'it's [/red] a \x1b[31m\nkiosk'" in told


def test_a_link_that_nobody_saw_is_listed_without_a_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unseen = QuarantineRecord(
        a=A, b=B, reason="rejected", kind="call_session", event_time_ms=MAX_TIME_MS, noted_ms=DAY
    )
    seen = QuarantineRecord(
        a=A, b=B, reason="weak", kind="call_session", event_time_ms=DAY, noted_ms=DAY
    )
    show_quarantine([unseen, seen], 1)
    told = capsys.readouterr().out
    assert "somebody's word" in told
    assert "2286" not in told
    assert "... and 1 older ones: --limit 2" in told
    for reason in ("rejected", "weak"):
        assert f"1 {reason}: {REASON_WORDS[reason]}" in told


def test_an_approval_that_makes_no_link_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    person = PersonSummary(
        person=TABLET, identifiers=(TABLET,), shared=(), segments=("shop/prospect",), orders={},
        impressions=0,
    )  # fmt: skip
    decided = Decided(
        a=A, b=B, verdict="approved", by="", why="", at="2026-01-01 00:00:00",
        verdict_before="approved", carried_out=True, is_one=False, through=(),
        reason="two_crm_persons", before=(person,), after=(person,),
    )  # fmt: skip
    show_decided(decided, is_dry_run=False)
    told = capsys.readouterr().out
    assert "The same was decided before." in told
    assert "The two belong to two persons." in told
    assert f"The link itself is not made: {REASON_WORDS['two_crm_persons']}." in told
