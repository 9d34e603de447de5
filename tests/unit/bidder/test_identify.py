"""Identifiers of a request: order of trust, placeholders, scopes, limits."""

from typing import Any

import pytest

from bidder.identify import MAX_NODES, nodes_of
from models.identifiers import Namespace, NodeId
from tests.unit.bidder.support import PEPPER, bid_request, node

IFA = "8F5A3B6C-1D2E-4F60-8123-456789ABCDEF"


def nodes(exchange: str = "north", **fields: object) -> list[NodeId]:
    return nodes_of(bid_request(**fields), exchange, PEPPER)


def eid(*ids: str, source: str = "ids.example") -> dict[str, Any]:
    return {"source": source, "uids": [{"id": one} for one in ids]}


def test_u2_our_cookie_is_trusted_before_extended_ids_and_these_before_the_device() -> None:
    found = nodes(
        device={"ifa": IFA}, user={"id": "theirs", "buyeruid": "ours", "eids": [eid("e-1")]}
    )
    assert found == [
        node(Namespace.COOKIE, "ours"),
        node(Namespace.EID, "ids.example|e-1"),
        node(Namespace.IFA, IFA),
    ]


def test_u2_the_exchanges_own_id_is_used_only_where_there_is_nothing_else() -> None:
    assert nodes(user={"id": "theirs"}) == [node(Namespace.EXCHANGE_USER, "north|theirs")]
    assert nodes(user={"id": "theirs", "buyeruid": "ours"}) == [node(Namespace.COOKIE, "ours")]
    assert nodes(user={"id": "theirs", "buyeruid": "0"}) == nodes(user={"id": "theirs"})


def test_u3_the_exchanges_own_id_means_nothing_at_another_exchange() -> None:
    assert nodes("north", user={"id": "7"}) != nodes("south", user={"id": "7"})


def test_u4_extended_ids_are_read_in_both_places_and_merged() -> None:
    user = {"eids": [eid("a")], "ext": {"eids": [eid("b"), eid("a")]}}
    expected = [node(Namespace.EID, f"ids.example|{one}") for one in "ab"]
    assert nodes(user=user) == expected


def test_u5_an_extended_id_is_the_pair_of_source_and_id() -> None:
    one, other = nodes(user={"eids": [eid("a"), eid("a", source="other.example")]})
    assert one != other


@pytest.mark.parametrize(
    "value",
    ["00000000-0000-0000-0000-000000000000", "", "0", "unknown", "null", "ffffffffffffffff", " "],
)
def test_u7_a_placeholder_is_nobody_wherever_it_stands(value: str) -> None:
    user = {"id": value, "buyeruid": value, "eids": [eid(value)], "ext": {"eids": [eid(value)]}}
    assert nodes(user=user, device={"ifa": value}) == []


def test_u7_only_the_advertising_ids_case_is_normalised() -> None:
    assert nodes(device={"ifa": IFA}) == nodes(device={"ifa": IFA.lower()})
    assert nodes(user={"buyeruid": "Abc"}) != nodes(user={"buyeruid": "abc"})


def test_an_eid_without_source_or_an_id_too_long_is_skipped() -> None:
    broken = [eid("a", source=""), eid("x" * 5_000), {"source": "s"}, eid("good")]
    expected = [node(Namespace.EID, "ids.example|good")]
    assert nodes(user={"eids": broken, "buyeruid": "y" * 5_000}) == expected


def test_no_request_costs_more_than_the_most_nodes() -> None:
    user = {"buyeruid": "ours", "eids": [eid(*(f"id-{n}" for n in range(10_000)))]}
    found = nodes(user=user)
    assert len(found) == MAX_NODES
    assert found[0] == node(Namespace.COOKIE, "ours")


def test_repeated_ids_do_not_push_others_out() -> None:
    user = {"eids": [eid(*["same"] * 10)]}
    expected = [node(Namespace.EID, "ids.example|same"), node(Namespace.IFA, IFA)]
    assert nodes(user=user, device={"ifa": IFA}) == expected


def test_a_request_without_user_and_device_has_no_nodes() -> None:
    assert nodes() == []
    assert nodes(user={}, device={}) == []
