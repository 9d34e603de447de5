"""Public sample bodies, against a catalogue that wants all of them: many bids, each by the rules.

The rules are read from the JSON here as plainly as they stand in the specification, a second time
and by other code than the bidder's.
"""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest

from bidder.metrics import Counters, open_memory
from bidder.openrtb import decode_request
from bidder.path import NO_BIDS, BidPath
from models.catalog import Catalog
from models.catalog_records import Advertiser, Campaign, Rates
from models.units import MICROS, CampaignId
from tests.golden.test_openrtb_requests import lines
from tests.unit.bidder.support import AIR, NOW_MS, SETTINGS, MemoryRedis, catalog, creative

EVERYWHERE: Final = CampaignId("everywhere")
RATES: Final = Rates(
    base="USD", date="2026-11-20",
    units={"EUR": Decimal("0.92"), "GBP": Decimal("0.80"), "JPY": Decimal(155),
           "CNY": Decimal("7.2"), "RUB": Decimal(80), "AUD": Decimal("1.5")},
)  # fmt: skip


def sizes_of(requests: list[dict[str, Any]]) -> set[tuple[int, int]]:
    found = set()
    for request in requests:
        for slot in request["imp"]:
            banner = slot.get("banner") or {}
            for one in [banner, *(banner.get("format") or [])]:
                if isinstance(one, dict) and one.get("w") and one.get("h"):
                    found.add((int(one["w"]), int(one["h"])))
    return found


def deals_of(slot: dict[str, Any]) -> list[dict[str, Any]]:
    return (slot.get("pmp") or {}).get("deals") or []


@pytest.fixture(scope="module")
def samples() -> list[dict[str, Any]]:
    return [line["request"] for line in lines()]


@pytest.fixture(scope="module")
def generous(samples: list[dict[str, Any]]) -> Catalog:
    """One campaign for every size and every deal, which pays a hundred for a thousand."""
    deals = {deal["id"] for one in samples for slot in one["imp"] for deal in deals_of(slot)}
    campaign = Campaign(
        id=EVERYWHERE, advertiser=AIR, goal="contextual", uncapped_contextual=True,
        contextual_cpm_micros=100 * MICROS, deals=tuple(sorted(deals)),
    )  # fmt: skip
    says = Advertiser(
        id=AIR, name="Air", domain="air.example", iab_categories=("IAB20-3",),
        categories={"2": ("653",), "7": ("653",)}, dsa_behalf="Air", dsa_paid="Air",
    )  # fmt: skip
    sizes = tuple(sorted(sizes_of(samples)))
    shown = creative("all", EVERYWHERE, sizes=sizes, shows_transparency=True)
    return catalog(campaign, shown, says, RATES)


@pytest.fixture(scope="module")
def answers(
    samples: list[dict[str, Any]], generous: Catalog
) -> list[tuple[dict[str, Any], dict[str, Any] | None, str]]:
    """Each sample with the response and what became of it."""
    found = []
    for sample in samples:
        with open_memory() as memory:
            counters = Counters(memory.fileno())
            path = BidPath(SETTINGS, generous, counters)
            body = msgspec.json.encode(sample)
            request = decode_request(body, path.count_deviation)
            answer = MemoryRedis().run(path.answer(request, generous.exchanges["north"], NOW_MS))
            reasons = [reason.value for reason, at in NO_BIDS.items() if counters.slots[at]]
            response = None if answer.body is None else json.loads(answer.body)
            found.append((sample, response, reasons[0] if reasons else "bid"))
    return found


Answers = list[tuple[dict[str, Any], dict[str, Any] | None, str]]


def bids_in(answers: Answers) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Each bid, with its request and its response."""
    for sample, response, _ in answers:
        if response is not None:
            (seatbid,) = response["seatbid"]
            assert seatbid["bid"]
            for bid in seatbid["bid"]:
                yield sample, response, bid


def slot_of(sample: dict[str, Any], bid: dict[str, Any]) -> dict[str, Any]:
    (slot,) = [one for one in sample["imp"] if str(one["id"]) == bid["impid"]]
    return dict(slot)


def test_most_samples_with_a_banner_get_a_bid_and_none_an_error(answers: Answers) -> None:
    """P1, P2, P3, P4, H5: the others say why."""
    outcomes = Counter(outcome for _, _, outcome in answers)
    assert sum(outcomes.values()) == 249
    assert outcomes["bid"] >= 120, outcomes
    assert "internal_error" not in outcomes
    assert set(outcomes) <= {
        "bid", "no_format", "no_campaign", "currency", "private_auction", "seat_blocked", "crawler",
    }, outcomes  # fmt: skip


def test_o1_o2_o8_every_response_has_what_exchanges_insist_on(answers: Answers) -> None:
    """O1, O2, O8, A2, O13: ids of the request, ids of ours, a currency that is wanted."""
    ours = set()
    for sample, response, bid in bids_in(answers):
        assert response["id"] == sample["id"]
        assert response["cur"] in (sample.get("cur") or ["USD"])
        assert bid["price"] > 0
        slot_of(sample, bid)
        ours.add(bid["id"])
    assert len(ours) == len(list(bids_in(answers)))


def test_a5_a6_a7_no_price_is_below_the_floor_that_applies(answers: Answers) -> None:
    """A5, A6, A7: the deal's own floor for a bid on a deal, else the slot's."""
    rates = {"USD": Decimal(1)} | RATES.units
    compared = 0
    for sample, response, bid in bids_in(answers):
        slot = slot_of(sample, bid)
        terms = slot
        if "dealid" in bid:
            (terms,) = [deal for deal in deals_of(slot) if deal["id"] == bid["dealid"]]
        floor = Decimal(str(terms.get("bidfloor") or 0))
        currency = terms.get("bidfloorcur") or "USD"
        in_dollars = Decimal(str(bid["price"])) / rates[response["cur"]]
        assert in_dollars >= floor / rates[currency] - Decimal("0.000001"), sample["id"]
        compared += floor > 0
    assert compared > 40


def test_d1_d3_d5_deals_are_of_the_slot_and_private_auctions_get_no_others(
    answers: Answers,
) -> None:
    """D1, D2, D3, D5: and many of the samples' deals are bid on."""
    on_deals = 0
    for sample, _, bid in bids_in(answers):
        slot = slot_of(sample, bid)
        deal = bid.get("dealid")
        if (slot.get("pmp") or {}).get("private_auction"):
            assert deal is not None
        if deal is not None:
            (found,) = [one for one in deals_of(slot) if one["id"] == deal]
            assert not found.get("wseat") or "kinbid" in found["wseat"]
            on_deals += 1
    assert on_deals >= 3, on_deals


def test_b1_b2_a13_no_bid_is_made_where_we_are_blocked(answers: Answers) -> None:
    """B1, B2, A13: lists of the samples, read plainly."""
    for sample, _, bid in bids_in(answers):
        assert "kinbid" in (sample.get("wseat") or ["kinbid"])
        assert "kinbid" not in (sample.get("bseat") or [])
        assert "air.example" not in (sample.get("badv") or [])
        if (sample.get("cattax") or 1) == 1:
            assert not {"IAB20", "IAB20-3"} & set(sample.get("bcat") or [])
        assert bid["adomain"] == ["air.example"]


def test_f1_the_size_is_one_of_those_offered(answers: Answers) -> None:
    """F1: of the format list, or the one size."""
    for sample, _, bid in bids_in(answers):
        assert (bid["w"], bid["h"]) in sizes_of([{"imp": [slot_of(sample, bid)]}])
