"""Golden requests and the bids on them: what ``exemplary`` and ``supplemental`` hold."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from bidder.metrics import Counters, open_memory
from bidder.openrtb import DEVIATIONS, decode_request
from bidder.path import NO_BIDS, BidPath
from models.catalog_records import decode_record
from models.profile import Person
from tests.unit.bidder.support import NODE, NOW_MS, SETTINGS, MemoryRedis, catalog, person

HERE: Final = Path(__file__).parent / "bids"
PAIRS: Final = sorted(HERE.glob("*/*.json"))
EACH_ITS_OWN: Final = ("id", "nurl", "burl", "lurl", "adm")
"""Of a bid: another each time, or looked at by other tests."""
IS_WRITTEN_ANEW: Final = bool(os.environ.get("UPDATE_GOLDEN"))


@pytest.fixture
def counters() -> Iterator[Counters]:
    """One worker's counters, all zero."""
    with open_memory() as memory:
        yield Counters(memory.fileno())


def answered(pair: dict[str, Any], counters: Counters) -> tuple[Any, str | None]:
    """The response, and the reason where there is no bid."""
    what = catalog()
    for record in pair["records"]:
        what.apply(decode_record(msgspec.json.encode(record)))
    redis = MemoryRedis()
    redis.put(person() if pair["person"] else Person(NODE, NODE))
    path = BidPath(SETTINGS, what, counters)
    request = decode_request(json.dumps(pair["request"]).encode(), path.count_deviation)
    body = redis.run(path.answer(request, what.exchanges["north"], NOW_MS)).body
    reasons = [reason.value for reason, place in NO_BIDS.items() if counters.slots[place]]
    return (None if body is None else json.loads(body)), (reasons[0] if reasons else None)


def without_what_is_each_its_own(response: Any) -> Any:  # noqa: ANN401 - any JSON
    for seatbid in (response or {}).get("seatbid", ()):
        for bid in seatbid["bid"]:
            for name in EACH_ITS_OWN:
                assert bid.pop(name)
    return response


@pytest.mark.parametrize("file", PAIRS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_each_request_gets_its_golden_response(file: Path, counters: Counters) -> None:
    """A1, A2, D2, D3, O1, O2, O8, O12: and what each file says that it covers."""
    pair = json.loads(file.read_text())
    response, no_bid = answered(pair, counters)
    found = {"response": without_what_is_each_its_own(response), "no_bid": no_bid}
    if IS_WRITTEN_ANEW:
        file.write_text(json.dumps(pair | found, indent=2, ensure_ascii=False) + "\n")
    assert {name: pair[name] for name in found} == found


def test_what_is_exemplary_is_a_bid_and_needs_no_tolerance(counters: Counters) -> None:
    files = [file for file in PAIRS if file.parent.name == "exemplary"]
    assert len(files) >= 15
    for file in files:
        pair = json.loads(file.read_text())
        response, no_bid = answered(pair, counters)
        assert no_bid is None, file.name
        assert response["seatbid"][0]["bid"], file.name
    assert not any(counters.value("bidder_request_deviations", name) for name in DEVIATIONS)


def test_each_pair_says_what_it_covers() -> None:
    for file in PAIRS:
        pair = json.loads(file.read_text())
        assert pair["covers"], file.name
        assert pair["says"].endswith("."), file.name
