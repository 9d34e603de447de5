"""Supply chains: three places, and what the owner's policy says of them."""

from typing import Any

import msgspec
import pytest

from bidder.errors import NoBidReason
from bidder.supply_chain import chain_of, supply_refused
from models.catalog_records import Exchange
from models.errors import InvalidFieldError
from tests.unit.bidder.support import NORTH, bid_request, decision_of

NODES = [{"asi": "ssp.example", "sid": "1", "hp": 1}, {"asi": "Reseller.example", "sid": "77"}]
CHAIN = {"complete": 1, "ver": "1.0", "nodes": NODES}


def exchange(**rules: object) -> Exchange:
    return msgspec.structs.replace(NORTH, **rules)


@pytest.mark.parametrize(
    "fields",
    [
        {"source": {"schain": CHAIN}},
        {"source": {"ext": {"schain": CHAIN}}},
        {"ext": {"schain": CHAIN}},
        {"source": {"fd": 1}, "ext": {"schain": CHAIN}},
        {"source": {"schain": CHAIN, "ext": {"schain": {"complete": 0}}}, "ext": {"schain": {}}},
    ],
)
def test_u11_the_chain_is_read_wherever_a_version_puts_it(fields: dict[str, Any]) -> None:
    """U11: 2.6, 2.5 and what came before; the newest place counts."""
    chain = chain_of(bid_request(**fields))
    assert chain is not None
    assert chain.complete == 1
    assert [node.sid for node in chain.nodes or ()] == ["1", "77"]


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (CHAIN, None),
        (None, NoBidReason.CHAIN_INCOMPLETE),
        (CHAIN | {"complete": 0}, NoBidReason.CHAIN_INCOMPLETE),
        (CHAIN | {"complete": None}, NoBidReason.CHAIN_INCOMPLETE),
        (CHAIN | {"nodes": []}, NoBidReason.CHAIN_INCOMPLETE),
        (CHAIN | {"nodes": [*NODES, {"asi": "x.example"}]}, NoBidReason.CHAIN_INCOMPLETE),
        (CHAIN | {"nodes": [*NODES, {"sid": "x"}]}, NoBidReason.CHAIN_INCOMPLETE),
        (CHAIN | {"complete": "1"}, None),
    ],
)
def test_u11_where_complete_chains_only_are_bought_a_gap_is_refused(
    chain: dict[str, Any] | None, reason: NoBidReason | None
) -> None:
    """U11: and nothing else is, so that a policy that is not set costs no bid."""
    request = bid_request(source={"schain": chain})
    assert supply_refused(request, exchange(complete_chain_only=True)) is reason
    assert supply_refused(request, NORTH) is None
    assert decision_of(request, exchange=exchange(complete_chain_only=True)).reason is reason


@pytest.mark.parametrize(
    ("blocked", "is_refused"),
    [
        ((), False),
        (("reseller.example",), True),
        (("reseller.example/77",), True),
        (("reseller.example/7",), False),
        (("ssp.example/77",), False),
        (("example",), False),
    ],
)
def test_u11_a_blocked_node_is_refused(blocked: tuple[str, ...], is_refused: bool) -> None:
    """U11: a whole system, or one seller in it."""
    refused = supply_refused(
        bid_request(source={"schain": CHAIN}), exchange(blocked_sellers=blocked)
    )
    assert refused is (NoBidReason.SELLER_BLOCKED if is_refused else None)


@pytest.mark.parametrize("kind", ["site", "app", "dooh"])
def test_u12_a_blocked_publisher_is_refused_by_the_sellers_id(kind: str) -> None:
    """U12: ``publisher.id`` of whichever there is."""
    rules = exchange(blocked_publishers=("pub-1",))
    for name, reason in [("pub-1", NoBidReason.PUBLISHER_BLOCKED), ("PUB-1", None)]:
        assert supply_refused(bid_request(**{kind: {"publisher": {"id": name}}}), rules) is reason
    assert supply_refused(bid_request(**{kind: {}}), rules) is None
    assert supply_refused(bid_request(), rules) is None


def test_a_blocked_system_that_could_never_match_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="blocked_sellers"):
        exchange(blocked_sellers=("SSP.example/A",)).check()
    exchange(blocked_sellers=("ssp.example/A",)).check()
