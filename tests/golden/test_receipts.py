"""Receipts of every public sample and golden request; and receipts of before that must stay read.

The golden receipts were written by an older version: what they say must be told for ever, and as
long as their inputs can be read, an answer comes of them. ``UPDATE_GOLDEN=1`` writes them anew.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from bidder.metrics import Counters, open_memory
from bidder.openrtb import decode_request
from bidder.receipts import recompute
from kinbid.explain_receipt import receipt_report
from models.catalog import Catalog
from models.catalog_records import Exchange, decode_record
from models.profile import Person
from models.receipts import decode_receipt
from models.units import ExchangeId
from tests.golden.test_bids import PAIRS
from tests.golden.test_openrtb_requests import lines
from tests.golden.test_openrtb_samples_bid import generous, samples
from tests.unit.bidder.receipt_support import Case
from tests.unit.bidder.support import NODE, NORTH, NOW_MS, SETTINGS, person

__all__ = ["generous", "samples"]  # fixtures

HERE: Final = Path(__file__).parent / "receipts"
SECRET: Final = SETTINGS.notice_secret
IN_EUROS: Final = Exchange(id=ExchangeId("north"), no_bid_body=True, seat="another-seat")
SHORTEST_IDENTIFIER: Final = 8
"""Characters; shorter texts may stand anywhere by chance."""


class Everybody(dict[str, bytes]):
    """Parents by which every identifier leads to one person."""

    def get(self, key: str, default: Any = None) -> bytes:  # noqa: ANN401 - as in dict
        return f">{NODE}".encode()


@pytest.fixture
def counters() -> Iterator[Counters]:
    """One worker's counters, all zero."""
    with open_memory() as memory:
        yield Counters(memory.fileno())


def kept(case: Case, request: dict[str, Any], exchange: Exchange) -> tuple[bytes | None, bytes]:
    """The answer to a request, and its receipt."""
    steps = case.path.answer(decode_request(msgspec.json.encode(request)), exchange, NOW_MS)
    answer = case.redis.run(steps)
    assert answer.receipt is not None
    answer.receipt.close(is_sent=True, elapsed_ns=1)
    case.receipts.refresh(NOW_MS)
    return answer.body, case.outbox.values[-1]


def identifiers(request: dict[str, Any]) -> Iterator[str]:
    """What a sample says of who somebody is: every text of its user, and of its device's ids."""
    device, regs = request.get("device") or {}, request.get("regs") or {}
    yield from texts(request.get("user"))
    ids = ("ifa", "ip", "ipv6", "didsha1", "didmd5", "dpidsha1", "dpidmd5", "macsha1", "macmd5")
    for name in ids:
        yield from texts(device.get(name))
    yield from texts([regs.get("gpp"), (regs.get("ext") or {}).get("gpp")])


def texts(value: object) -> Iterator[str]:
    match value:
        case str():
            if len(value) >= SHORTEST_IDENTIFIER:
                yield value
        case dict():
            for one in value.values():
                yield from texts(one)
        case list():
            for one in value:
                yield from texts(one)
        case _:
            return


@pytest.mark.parametrize("exchange", [NORTH, IN_EUROS], ids=["plain", "with no-bid bodies"])
def test_every_sample_made_again_from_its_receipt_is_equal_and_names_nobody(
    exchange: Exchange, counters: Counters, samples: list[dict[str, Any]], generous: Catalog
) -> None:
    case = Case(counters, what=generous)
    case.redis.parents = Everybody()
    outcomes = set()
    for sample in samples:
        elsewhere = msgspec.json.encode([sample.get(name) for name in ("id", "imp", "site", "app")])
        answer, value = kept(case, sample, exchange)
        receipt = decode_receipt(value)
        found = recompute(receipt, SECRET)
        assert found.differences == (), sample["id"]
        assert found.body == answer
        outcomes.add(receipt.reason)
        for text in identifiers(sample):
            written = msgspec.json.encode(text)[1:-1]
            assert written not in value or written in elsewhere, (sample["id"], text)
    assert {None, "no_campaign"} <= outcomes
    assert case.count("bidder_receipts", "full") == len(lines())


@pytest.mark.parametrize("file", PAIRS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_golden_request_made_again_from_its_receipt_is_equal(
    file: Path, counters: Counters
) -> None:
    pair = json.loads(file.read_text())
    case = Case(counters, person() if pair["person"] else Person(NODE, NODE))
    for record in pair["records"]:
        case.catalog.apply(decode_record(msgspec.json.encode(record)))
    answer, value = kept(case, pair["request"], case.catalog.exchanges[ExchangeId("north")])
    found = recompute(decode_receipt(value), SECRET)
    assert found.differences == ()
    assert found.body == answer


# -- receipts of before ----------------------------------------------------------------------------


def written_now(counters: Counters, full_percent: float) -> bytes:
    case = Case(counters, full_percent=full_percent)
    case.catalog.as_of |= {"catalog.v1": 16, "offers.v1": 2}
    case.bid()
    return case.outbox.values[0]


@pytest.mark.parametrize(("name", "full_percent"), [("summary", 0), ("full", 100)])
def test_a_receipt_of_before_is_read_and_told(
    name: str, full_percent: float, counters: Counters
) -> None:
    file = HERE / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_bytes(msgspec.json.format(written_now(counters, full_percent)) + b"\n")
    receipt = decode_receipt(file.read_bytes())
    assert receipt.is_full == bool(full_percent)
    report = receipt_report(receipt, SECRET)
    assert report["receipt"] == receipt.bids[0]["nonce"]
    assert report["bids"][0]["campaign"] == "air-seats"
    assert report["bids"][0]["factors"]["target_cpa_micros"] == 12_000_000
    assert report["person"]["node"] == NODE
    assert report["outcome"] == "bid"
    again = report["recomputed"]
    if full_percent:
        # Whether it comes out the same is for the versions to say; that it comes out is for us.
        assert again["trouble"] is None
        assert again["is_equal"] is True or again["differences"]
        assert {one["campaign"] for one in report["lost"]} == {"air-brand", "shop-items"}
    else:
        assert "summary" in again["trouble"]
