"""Every public sample body gets a decision: a bid or a no-bid, not an error."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from bidder.bids import Policy
from bidder.decide import decide
from bidder.errors import MalformedRequestError
from bidder.identify import nodes_of
from bidder.openrtb import BidRequest, decode_request
from bidder.privacy import Privacy
from models.consent_strings import TcfVendor
from models.profile import Person
from tests.unit.bidder.support import NORTH, NOW_MS, PEPPER, catalog, person

SAMPLES: Final = Path(__file__).parent / "openrtb_requests" / "requests.jsonl"

PRIVACY: Final = Privacy(TcfVendor(id=60_000, features=frozenset({1, 2})))
"""As a vendor whom no published string can name: ids were given up to some 1,600."""

ANSWERED_400: Final[dict[int, str]] = {}
"""Line of the file to the reason why that body is refused; this table may only shrink."""


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in SAMPLES.read_text().splitlines()]


def decoded() -> list[BidRequest]:
    bodies = [msgspec.json.encode(line["request"]) for line in lines()]
    return [decode_request(body) for n, body in enumerate(bodies, 1) if n not in ANSWERED_400]


def test_the_samples_are_all_there_with_their_sources_and_licences() -> None:
    found = lines()
    assert len(found) == 249
    readme = (SAMPLES.parent / "README.md").read_text()
    for source, licence in {(line["source"].partition(":")[0], line["license"]) for line in found}:
        assert source in readme
        assert licence.partition(" ")[0] in readme


@pytest.mark.parametrize("personal", [False, True])
def test_h3_p1_p2_p3_p4_every_sample_gets_a_decision(personal: bool) -> None:
    policy = Policy(seat="kinbid", currency="USD", is_secure=True)
    outcomes: Counter[str] = Counter()
    for request in decoded():
        who = person() if personal and PRIVACY.use_of(request).personal else Person()
        decision = decide(request, who, NORTH, catalog(), policy=policy, now_ms=NOW_MS)
        assert bool(decision.bids) == (decision.reason is None)
        assert {bid.imp_id for bid in decision.bids} <= {imp.id for imp in request.imp}
        outcomes[decision.reason.value if decision.reason else "bid"] += 1
    assert outcomes["bid"] > 30, outcomes
    assert sum(outcomes.values()) == 249 - len(ANSWERED_400)


def test_the_bodies_that_are_refused_are_listed_with_a_reason() -> None:
    refused = {}
    for number, line in enumerate(lines(), 1):
        try:
            decode_request(msgspec.json.encode(line["request"]))
        except MalformedRequestError as error:
            refused[number] = str(error)
    assert refused.keys() == ANSWERED_400.keys(), refused


def test_p7_every_id_is_echoed_as_it_came() -> None:
    originals = [line["request"] for n, line in enumerate(lines(), 1) if n not in ANSWERED_400]
    for original, request in zip(originals, decoded(), strict=True):
        assert request.id == original["id"]
        assert [imp.id for imp in request.imp] == [str(imp["id"]) for imp in original["imp"]]


def test_r1_r2_r6_r9_every_sample_that_carries_a_refusal_is_refused() -> None:
    """R1, R2, R6, R9: against a plain reading of the JSON, both places of each signal."""
    for original, request in zip((line["request"] for line in lines()), decoded(), strict=True):
        regs, device = original.get("regs") or {}, original.get("device") or {}
        ext = regs.get("ext") or {}
        flags = [regs.get("coppa"), device.get("lmt"), device.get("dnt")]
        opted_out = [
            str(one)[2:3] == "Y" for one in (regs.get("us_privacy"), ext.get("us_privacy"))
        ]
        if any(flags) or any(opted_out):
            assert not PRIVACY.use_of(request).personal, original["id"]


def test_r3_under_the_gdpr_no_sample_consents_to_a_vendor_that_it_does_not_name() -> None:
    """R3: many samples' strings are no TC strings at all; those that are do not name us."""
    found: Counter[str] = Counter()
    for original, request in zip((line["request"] for line in lines()), decoded(), strict=True):
        regs = original.get("regs") or {}
        if regs.get("gdpr") or (regs.get("ext") or {}).get("gdpr"):
            use = PRIVACY.use_of(request)
            assert not use.personal, original["id"]
            found.update(one.value for one in use.refusals)
    assert found["tcf_unreadable"] > 20
    assert found["tcf_vendor"] > 2


def test_every_sample_can_be_searched_for_identifiers() -> None:
    found = [nodes_of(request, "north", PEPPER) for request in decoded()]
    assert None not in found, "a published request has more identifiers than are looked up"
    assert sum(map(bool, found)) > 50
