"""Identifiers of a request: order of trust, placeholders, scopes, limits."""

from typing import Any

import pytest

from bidder.identify import MAX_NODES, MOST_READ, nodes_of
from models.identifiers import Namespace, NodeId, eid, is_device
from tests.unit.bidder.support import PEPPER, bid_request, node

IFA = "8F5A3B6C-1D2E-4F60-8123-456789ABCDEF"


def nodes(exchange: str = "north", **fields: object) -> list[NodeId]:
    found = nodes_of(bid_request(**fields), exchange, PEPPER)
    assert found is not None, "there are too many"
    return found


def has_too_many(**fields: object) -> bool:
    return nodes_of(bid_request(**fields), "north", PEPPER) is None


def ids(*uids: str, source: str = "ids.example", atype: int = 1) -> dict[str, Any]:
    return {"source": source, "uids": [{"id": one, "atype": atype} for one in uids]}


def eid_node(uid: str, atype: int = 1) -> NodeId:
    return node(*eid("ids.example", uid, atype))


def test_u2_our_cookie_is_trusted_before_extended_ids_and_these_before_the_device() -> None:
    found = nodes(
        device={"ifa": IFA}, user={"id": "theirs", "buyeruid": "ours", "eids": [ids("e-1")]}
    )
    assert found == [
        node(Namespace.COOKIE, "ours"),
        eid_node("e-1"),
        node(Namespace.IFA, IFA),
    ]


def test_u2_the_exchanges_own_id_is_used_only_where_there_is_nothing_else() -> None:
    assert nodes(user={"id": "theirs"}) == [node(Namespace.EXCHANGE_USER, "north|theirs")]
    assert nodes(user={"id": "theirs", "buyeruid": "ours"}) == [node(Namespace.COOKIE, "ours")]
    assert nodes(user={"id": "theirs", "buyeruid": "0"}) == nodes(user={"id": "theirs"})


def test_u3_the_exchanges_own_id_means_nothing_at_another_exchange() -> None:
    assert nodes("north", user={"id": "7"}) != nodes("south", user={"id": "7"})


def test_u4_extended_ids_are_read_in_both_places_and_merged() -> None:
    user = {"eids": [ids("a")], "ext": {"eids": [ids("b"), ids("a")]}}
    expected = [eid_node(one) for one in "ab"]
    assert nodes(user=user) == expected


def test_u5_an_extended_id_is_the_pair_of_source_and_id() -> None:
    one, other = nodes(user={"eids": [ids("a"), ids("a", source="other.example")]})
    assert one != other


@pytest.mark.parametrize(
    "value",
    [
        "00000000-0000-0000-0000-000000000000",
        "",
        "0",
        "unknown",
        "null",
        "ffffffffffffffff",
        " ",
        "${UID}",
        "198.51.100.7",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_u7_a_placeholder_is_nobody_wherever_it_stands(value: str) -> None:
    user = {"id": value, "buyeruid": value, "eids": [ids(value)], "ext": {"eids": [ids(value)]}}
    assert nodes(user=user, device={"ifa": value}) == []


def test_u7_only_the_advertising_ids_case_is_normalised() -> None:
    assert nodes(device={"ifa": IFA}) == nodes(device={"ifa": IFA.lower()})
    assert nodes(user={"buyeruid": "Abc"}) != nodes(user={"buyeruid": "abc"})


def test_an_eid_without_source_or_an_id_too_long_is_skipped() -> None:
    broken = [ids("a", source=""), ids("x" * 5_000), {"source": "s"}, ids("good")]
    expected = [eid_node("good")]
    assert nodes(user={"eids": broken, "buyeruid": "y" * 5_000}) == expected


def test_all_identifiers_of_a_request_are_looked_up_or_it_is_nobodys() -> None:
    """One that is left out might lead to somebody who has withdrawn consent."""
    most = [f"id-{n}" for n in range(MAX_NODES - 2)]
    user, device = {"buyeruid": "ours", "eids": [ids(*most)]}, {"ifa": IFA}
    found = nodes(user=user, device=device)
    assert found == [
        node(Namespace.COOKIE, "ours"), *map(eid_node, most), node(Namespace.IFA, IFA)
    ]  # fmt: skip
    one_more = {"buyeruid": "ours", "eids": [ids(*most), ids("one more")]}
    assert has_too_many(user=one_more, device=device)
    assert not has_too_many(user=one_more)


def test_a_request_with_very_many_ids_is_given_up_before_they_are_hashed() -> None:
    pages = [ids(*["same"] * n) for n in (MOST_READ, MOST_READ + 1)]
    assert [has_too_many(user={"eids": [one]}) for one in pages] == [False, True]
    everywhere = {"eids": [pages[0]], "ext": {"eids": [ids("same")]}}
    assert has_too_many(user=everywhere)


def test_repeated_ids_do_not_push_others_out() -> None:
    user = {"eids": [ids(*["same"] * 10)]}
    expected = [eid_node("same"), node(Namespace.IFA, IFA)]
    assert nodes(user=user, device={"ifa": IFA}) == expected


def test_a_request_without_user_and_device_has_no_nodes() -> None:
    assert nodes() == []
    assert nodes(user={}, device={}) == []


def test_an_id_of_a_person_is_trusted_before_those_of_devices() -> None:
    user = {"buyeruid": "ours", "eids": [ids("a"), ids("b", atype=501), ids("p", atype=3)]}
    found = nodes(user=user, device={"ifa": IFA})
    assert found == [
        node(Namespace.COOKIE, "ours"),
        eid_node("p", 3),
        eid_node("a"),
        eid_node("b", 501),
        node(Namespace.IFA, IFA),
    ]
    assert [is_device(one) for one in found] == [True, False, True, True, True]


def test_one_id_under_two_agent_types_is_two_identifiers() -> None:
    assert len(nodes(user={"eids": [ids("a"), ids("a", atype=3), ids("a", atype=501)]})) == 3
    in_app, browser, untyped = (ids("a", atype=2), ids("a"), {**ids(), "uids": [{"id": "a"}]})
    assert len(nodes(user={"eids": [in_app, browser, untyped]})) == 1


def test_an_id_that_the_exchange_guessed_names_nobody() -> None:
    guessed = {**ids("a"), "inserter": "north.example", "matcher": "graph.example", "mm": 5}
    assert nodes(user={"eids": [guessed]}) == []
    for method in (None, 0, 1, 2, 3, 4):
        assert nodes(user={"eids": [{**guessed, "mm": method}]}) == [eid_node("a")]


def test_an_advertising_id_of_no_known_form_names_nobody() -> None:
    assert nodes(device={"ifa": "test-ifa"}) == []
