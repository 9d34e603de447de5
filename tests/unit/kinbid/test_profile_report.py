"""What ``kinbid person`` tells of a profile: on whose data it rests, and what happened."""

import json
from typing import Any

import msgspec
import pytest

from kinbid.profile_report import profile_report
from kinbid.show_person import show_person
from models.catalog import Catalog
from models.catalog_records import Advertiser
from models.events import (
    Call,
    Consent,
    Contact,
    CrmCard,
    Event,
    FormAnswers,
    OrderStatus,
    Refund,
    Refusal,
    TraitTold,
)
from models.units import MICROS, AdvertiserId
from tests.fakes.records import NODES, folded

NOW_MS = 1_767_225_600_000
BOLD, CAREFUL = AdvertiserId("bold"), AdvertiserId("careful")
CATALOG = Catalog()
for one in (BOLD, CAREFUL):
    CATALOG.apply(Advertiser(id=one, name=one, domain="a.example", third_party_data=one == BOLD))


def at(after_ms: int = 0) -> dict[str, Any]:
    return {"event_id": "e", "ids": (NODES[0],), "event_time_ms": NOW_MS + after_ms}


def of_bold(after_ms: int = 0) -> dict[str, Any]:
    return {**at(after_ms), "advertiser": BOLD}


BOUGHT_IN = TraitTold(**at(), source="dataco", third_party=True, name="car", value="suv", trust=99)
CARD = CrmCard(**at(), city="Rome")


def report(*events: Event) -> dict[str, Any]:
    return profile_report(folded(events), CATALOG)


def test_each_attribute_says_for_whom_it_counts_and_each_advertiser_on_what_its_answer_rests() -> (
    None
):
    found = report(BOUGHT_IN, CARD)
    assert [
        (one["value"], one["source"], one["is_third_party"], one["advertisers"])
        for one in found["attributes"]
    ] == [("suv", "dataco", True, [BOLD]), ("Rome", "crm", False, [BOLD, CAREFUL])]
    assert found["rests_on"] == {
        BOLD: {"sources": ["crm", "dataco"], "third_parties": True, "hears_third_parties": True},
        CAREFUL: {"sources": ["crm"], "third_parties": False, "hears_third_parties": False},
    }
    assert found["partner_data"]


def test_whoever_withdraws_consent_to_partner_data_is_known_by_own_data_to_all() -> None:
    withdrawn = Consent(**at(1), withdrawn=("partner_data",), source="banner")
    found = report(BOUGHT_IN, CARD, withdrawn)
    assert [(one["value"], one["advertisers"]) for one in found["attributes"]] == [
        ("Rome", [BOLD, CAREFUL])
    ]
    assert not any(rests["third_parties"] for rests in found["rests_on"].values())
    assert not found["partner_data"]
    granted = Consent(**at(2), granted=("partner_data",), source="banner")
    assert report(BOUGHT_IN, CARD, withdrawn, granted)["partner_data"]


def test_without_an_advertiser_the_owners_own_data_is_shown() -> None:
    found = profile_report(folded([BOUGHT_IN, CARD]), Catalog())
    assert [one["value"] for one in found["attributes"]] == ["Rome"]


HISTORY: list[Event] = [
    Call(**of_bold(1_000), call_id="c1", duration_seconds=75, tag="repeat", score=80),
    Call(
        **of_bold(2_000),
        call_id="c2",
        duration_seconds=0,
        missed=True,
        missed_reason="no_answer",
        is_outbound=True,
    ),
    OrderStatus(**of_bold(), order_id="7", stage="shipped"),
    Refund(**of_bold(3_000), order_id="7", refunded_micros=5 * MICROS),
    Refusal(**of_bold(4_000), order_id="8", reason="[too small]"),
    Contact(**of_bold(), action="opened"),
    Contact(**{**of_bold(5_000), "event_id": "e2"}, action="opened"),
    FormAnswers(**of_bold(), kind="survey", form="nps", answers={"a/b": "nine [/b]"}),
]


def told(rows: list[dict[str, Any]]) -> list[list[object]]:
    return [list(row.values())[1:] for row in rows]


def test_row_19_calls_deals_refunds_contacts_and_answers_are_told_newest_first() -> None:
    found = report(*HISTORY)
    assert told(found["calls"]) == [
        [BOLD, "c2", "outgoing", 0, "no_answer", "", "", None],
        [BOLD, "c1", "incoming", 75, "", "repeat", "", 80],
    ]
    assert found["calls"][1]["time"] == "2026-01-01 00:00:01+00:00"
    assert told(found["deals"]) == [[BOLD, "7", "shipped"]]
    assert told(found["refunds"]) == [
        [BOLD, "8", "refusal", "all", "[too small]"], [BOLD, "7", "refund", "5.00", ""],
    ]  # fmt: skip
    assert told(found["contacts"]) == [["email", "opened", 2]]
    assert told(found["answers"]) == [[BOLD, "nps", "a/b", "nine [/b]"]]
    json.dumps(msgspec.to_builtins(found))


NOBODY: dict[str, Any] = {
    "person": NODES[0], "known": True, "personal_ads": True, "segments": [], "impressions": 0,
    "spend": "0.00", "facets": {}, "searches": [], "products": [], "orders": {},
    "call_backs": [], "caps": [],
    "identifiers": [
        {"node": NODES[0], "namespace": "cookie", "shared": False, "survivor": None, "erased": None}
    ],
}  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], *events: Event, **more: Any) -> str:  # noqa: ANN401
    show_person({**NOBODY, **report(*events), **more})
    return " ".join(capsys.readouterr().out.split())


def test_row_19_what_is_told_is_printed_as_it_was_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, *HISTORY)
    for line in (
        "00:00:01 bold incoming 75 s repeat, score 80",
        "00:00:02 bold outgoing missed: no_answer",
        "bold 7 shipped",
        "bold 7 refund 5.00",
        "bold 8 refusal all [too small]",
        "email opened 2",
        "bold nps a/b nine [/b]",
    ):
        assert line in text
    assert "messages" not in shown(capsys, CARD), "what there is none of is not printed"


def test_the_print_says_per_advertiser_on_what_it_rests(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, BOUGHT_IN, CARD)
    assert "car suv dataco (third party) 2026-01-01 00:00:00+00:00 99 bold" in text
    assert "bold: rests on third parties, too (crm, dataco)" in text
    assert "careful: rests on own data alone (crm); it hears no third parties" in text
    withdrawn = Consent(**at(1), withdrawn=("partner_data",), source="banner")
    text = shown(capsys, BOUGHT_IN, CARD, withdrawn)
    assert "consent to partner data is withdrawn" in text
    assert "bold: rests on own data alone (crm)" in text
    assert "00:00:00+00:00 90 all" in text


def test_an_erased_identifier_is_told_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    (identifier,) = NOBODY["identifiers"]
    erased = {**identifier, "erased": "2026-01-01 00:00:00+00:00"}
    text = shown(capsys, known=False, identifiers=[erased])
    assert f"Nothing is known under {NODES[0]}." in text
    assert f"cookie {NODES[0]} was erased: nothing up to 2026-01-01 00:00:00+00:00 counts" in text
