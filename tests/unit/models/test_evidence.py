"""Which persons a set of evidence makes."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evidence import (
    NOTHING_APART,
    UNSEEN,
    Canonical,
    Edge,
    Evidence,
    Kind,
    Limits,
    Pair,
    Reason,
    canonical,
    decode_evidence,
    encode_evidence,
    evidence_of,
    pair_of,
)
from models.identifiers import NodeId, is_crm

A, B, D = (NodeId("k" + letter * 22) for letter in "abk")
EMAIL, OTHER_EMAIL = NodeId("e" + "e" * 22), NodeId("e" + "f" * 22)
PHONE, OTHER_PHONE = NodeId("p" + "p" * 22), NodeId("p" + "q" * 22)
SESSION = NodeId("s" + "s" * 22)
X, Y, Z = (NodeId("c" + letter * 22) for letter in "xyz")
NODES = (A, B, D, EMAIL, OTHER_EMAIL, PHONE, OTHER_PHONE, X, Y)

Told = tuple[NodeId, NodeId, Evidence]


def persons(
    *told: Told,
    limits: Limits | None = None,
    apart: Mapping[Pair, int] = NOTHING_APART,
    **verdicts: Pair,
) -> Canonical:
    edges = {pair_of(a, b): Edge(evidence) for a, b, evidence in told}
    for verdict, pair in verdicts.items():
        edges[pair_of(*pair)] = Edge(edges[pair_of(*pair)].evidence, verdict)  # type: ignore[arg-type]
    nodes = {node for pair in edges for node in pair}
    return canonical(nodes, edges, apart=apart, limits=limits or Limits())


def clusters(found: Canonical) -> set[frozenset[NodeId]]:
    return set(found.persons)


def together(*groups: tuple[NodeId, ...]) -> set[frozenset[NodeId]]:
    return {frozenset(group) for group in groups}


def sign_in(time_ms: int) -> Evidence:
    return Evidence("sign_in", time_ms)


CARD = Evidence("crm_card", 1)


def test_the_encoded_form_sorts_by_strength_then_confidence_then_time() -> None:
    ordered = [
        Evidence("crm_merge", 9), Evidence("crm_card", 2), Evidence("crm_card", 10), sign_in(1),
        Evidence("seen_with", 1), Evidence("call_session", 9), Evidence("call_session", 9, 90),
        Evidence("call_session", 1, 60), Evidence("call_session", 2, 60), UNSEEN,
    ]  # fmt: skip
    assert sorted(ordered, key=encode_evidence) == ordered
    assert [decode_evidence(encode_evidence(one)) for one in ordered] == ordered


@pytest.mark.parametrize(
    ("event_type", "other", "kind", "confidence"),
    [
        ("sign_in", X, "sign_in", 100),
        ("crm_card", EMAIL, "crm_card", 100),
        ("order", EMAIL, "seen_with", 100),
        ("call", A, "call_session", 90),
        ("call", SESSION, "call_session", 90),
        ("call", X, "seen_with", 100),
    ],
)
def test_what_an_event_is_evidence_of(
    event_type: str, other: NodeId, kind: Kind, confidence: int
) -> None:
    assert evidence_of(event_type, other, 5) == Evidence(kind, 5, confidence)


def test_without_conflict_persons_are_the_connected_components() -> None:
    found = persons((A, EMAIL, sign_in(5)), (B, EMAIL, sign_in(9)), (EMAIL, X, CARD))
    assert clusters(found) == together((A, B, EMAIL, X))
    assert not found.refused
    assert not found.is_contested


def test_a_device_of_two_crm_persons_is_shared_and_stands_alone() -> None:
    found = persons(
        (EMAIL, X, CARD), (OTHER_EMAIL, Y, CARD), (A, EMAIL, sign_in(5)),
        (A, OTHER_EMAIL, sign_in(6)), (B, EMAIL, sign_in(7)),
    )  # fmt: skip
    assert clusters(found) == together((A,), (B, EMAIL, X), (OTHER_EMAIL, Y))
    assert found.shared == {A}
    assert found.is_contested
    assert set(found.refused.values()) == {"shared_device"}


def test_an_order_for_a_friend_makes_no_shared_device() -> None:
    found = persons(
        (EMAIL, X, CARD), (OTHER_EMAIL, Y, CARD), (A, EMAIL, sign_in(5)),
        (A, OTHER_EMAIL, Evidence("seen_with", 1)),
    )  # fmt: skip
    assert clusters(found) == together((A, EMAIL, X), (OTHER_EMAIL, Y))
    assert found.refused == {pair_of(A, OTHER_EMAIL): "two_crm_persons"}
    assert not found.shared


def test_the_stronger_evidence_decides_and_then_the_earlier() -> None:
    found = persons((EMAIL, X, Evidence("seen_with", 1)), (EMAIL, Y, Evidence("crm_card", 99)))
    assert clusters(found) == together((EMAIL, Y), (X,))
    found = persons((EMAIL, X, Evidence("crm_card", 2)), (EMAIL, Y, Evidence("crm_card", 1)))
    assert clusters(found) == together((EMAIL, Y), (X,))
    assert found.refused == {pair_of(EMAIL, X): "two_crm_persons"}
    assert not found.shared


def test_only_the_crm_itself_joins_two_of_its_cards() -> None:
    assert clusters(persons((X, Y, sign_in(1)))) == together((X,), (Y,))
    found = persons((X, Y, Evidence("crm_merge", 9)), (A, X, sign_in(1)), (A, Y, sign_in(2)))
    assert clusters(found) == together((A, X, Y))
    assert not found.shared


def test_a_soft_link_joins_phones_but_never_two_crm_persons() -> None:
    soft = Evidence("call_session", 9, 60)
    assert clusters(persons((PHONE, OTHER_PHONE, soft))) == together((PHONE, OTHER_PHONE))
    found = persons((PHONE, X, CARD), (OTHER_PHONE, Y, CARD), (PHONE, OTHER_PHONE, soft))
    assert clusters(found) == together((PHONE, X), (OTHER_PHONE, Y))
    assert found.refused == {pair_of(PHONE, OTHER_PHONE): "two_crm_persons"}


def test_weak_evidence_waits_for_approval() -> None:
    weak = Evidence("call_session", 9, 49)
    assert persons((A, PHONE, weak)).refused == {pair_of(A, PHONE): "weak"}
    assert clusters(persons((A, PHONE, weak), approved=(A, PHONE))) == together((A, PHONE))


CALL = Evidence("call_session", 9, 90)
FORM = Evidence("seen_with", 8)


@pytest.mark.parametrize("visitor", [A, SESSION])
def test_a_call_from_another_phone_than_the_forms_waits_for_approval(visitor: NodeId) -> None:
    told = [(PHONE, visitor, CALL), (visitor, OTHER_PHONE, FORM)]
    found = persons(*told)
    assert found.refused == {pair_of(PHONE, visitor): "other_phone"}
    assert clusters(found) == together((PHONE,), (visitor, OTHER_PHONE))
    assert not found.is_contested
    everybody = together((PHONE, visitor, OTHER_PHONE))
    assert clusters(persons(*told, approved=(PHONE, visitor))) == everybody
    assert clusters(persons(*told, rejected=(visitor, OTHER_PHONE))) == together(
        (PHONE, visitor), (OTHER_PHONE,)
    )
    assert not persons(*told, limits=Limits(min_confidence=45)).refused


def test_calls_from_two_phones_with_no_form_are_both_believed() -> None:
    assert not persons((PHONE, A, CALL), (OTHER_PHONE, A, CALL)).refused


def test_a_form_that_gives_the_callers_phone_speaks_for_it() -> None:
    """Then the pair has stronger evidence than the call; another phone in a form is no matter."""
    assert not persons((PHONE, A, FORM), (OTHER_PHONE, A, FORM)).refused


def test_phones_of_one_deal_do_not_speak_against_each_other() -> None:
    """They are a call's own word, and no web session."""
    assert not persons((PHONE, OTHER_PHONE, CALL), (X, PHONE, CARD), (A, PHONE, FORM)).refused


@pytest.mark.parametrize("limits", [Limits(account_links=2), Limits(type_links={"e": 2})])
def test_an_identifier_with_too_many_links_joins_nobody(limits: Limits) -> None:
    told = [(device, EMAIL, sign_in(1)) for device in (A, B, D)]
    found = persons(*told, limits=limits)
    assert len(found.persons) == 4
    assert set(found.refused.values()) == {"too_many_links"}
    assert not found.is_contested
    assert clusters(persons(*told, limits=limits, approved=(A, EMAIL))) == together(
        (A, EMAIL), (B,), (D,)
    )
    rejected = persons(*told, limits=limits, rejected=(A, EMAIL))
    assert len(rejected.persons) == 4, "one visitor less makes the others no more one person"


def test_a_link_that_nobody_told_of_is_not_one_too_many() -> None:
    """Somebody has rejected it beforehand: that is no sign of a crowd."""
    told = [(A, EMAIL, sign_in(1)), (B, EMAIL, sign_in(2)), (D, EMAIL, UNSEEN)]
    found = persons(*told, limits=Limits(account_links=2), rejected=(D, EMAIL))
    assert clusters(found) == together((A, B, EMAIL), (D,))


@pytest.mark.parametrize("accounts", [(EMAIL, OTHER_EMAIL, PHONE), (X, Y, EMAIL)])
def test_a_device_at_which_too_many_have_signed_in_is_a_shared_one(
    accounts: tuple[NodeId, ...],
) -> None:
    told = [(A, account, sign_in(at)) for at, account in enumerate(accounts)]
    found = persons(*told, limits=Limits(device_links=2))
    assert found.shared == {A}
    assert len(found.persons) == 4
    assert set(found.refused.values()) == {"too_many_links"}


def test_a_device_that_was_seen_with_too_much_is_nobody_s_but_not_shared() -> None:
    told = [(A, node, FORM) for node in (EMAIL, OTHER_EMAIL, PHONE)]
    found = persons(*told, (A, X, sign_in(1)), limits=Limits(device_links=2))
    assert len(found.persons) == 5
    assert not found.shared


def test_cards_that_the_crm_has_split_are_not_joined_by_way_of_a_third() -> None:
    told = [(X, Z, merge(1)), (Y, Z, merge(2)), (A, Y, sign_in(1))]
    assert clusters(persons(*told)) == together((X, Y, Z, A))
    found = persons(*told, apart={pair_of(X, Y): 3})
    assert clusters(found) == together((X, Z), (Y, A))
    assert found.refused == {pair_of(Y, Z): "cards_split"}
    assert found.is_contested
    again = persons(*told[:1], (Y, Z, merge(4)), apart={pair_of(X, Y): 3})
    assert clusters(again) == together((X, Y, Z)), "the newest word stands"


def merge(time_ms: int) -> Evidence:
    return Evidence("crm_merge", time_ms)


def test_a_person_grows_no_larger_than_allowed() -> None:
    told = [(A, EMAIL, sign_in(1)), (B, EMAIL, sign_in(2)), (D, EMAIL, sign_in(3))]
    found = persons(*told, limits=Limits(person_ids=3))
    assert clusters(found) == together((A, B, EMAIL), (D,))
    assert found.refused == {pair_of(D, EMAIL): "too_many_identifiers"}
    assert found.is_contested


def test_a_rejected_link_is_as_if_it_had_never_been_seen() -> None:
    told = [(A, X, sign_in(1)), (A, Y, sign_in(2)), (B, X, sign_in(3))]
    found = persons(*told, rejected=(A, Y))
    assert clusters(found) == clusters(persons(told[0], told[2])) | together((Y,))
    assert found.refused == {pair_of(A, Y): "rejected"}
    assert not found.shared


def of_cards(told: Told) -> bool:
    """The CRM merges its own cards, and nothing else."""
    return is_crm(told[0]) and is_crm(told[1])


edge_lists = st.lists(
    st.tuples(
        st.sampled_from(NODES), st.sampled_from(NODES),
        st.builds(
            Evidence, kind=st.sampled_from(["crm_merge", "crm_card", "sign_in", "seen_with"]),
            time_ms=st.integers(1, 4), confidence=st.sampled_from([40, 60, 100]),
        ),
    ).filter(lambda told: told[0] != told[1] and (told[2].kind != "crm_merge" or of_cards(told))),
    max_size=14,
)  # fmt: skip


@given(edge_lists, st.integers(0, 2**32))
def test_persons_are_a_function_of_the_set_of_evidence(told: list[Told], seed: int) -> None:
    edges = {pair_of(a, b): Edge(evidence) for a, b, evidence in told}
    shuffled = list(edges.items())
    random.Random(seed).shuffle(shuffled)
    nodes = list(NODES)
    random.Random(seed).shuffle(nodes)
    one, other = canonical(NODES, edges), canonical(nodes, dict(shuffled))
    assert (clusters(one), one.refused, one.shared) == (
        clusters(other),
        other.refused,
        other.shared,
    )


@given(edge_lists, st.sampled_from([2, 4, 500]))
def test_no_two_crm_ids_meet_but_by_the_crms_word_and_every_node_is_somebodys(
    told: list[Told], most: int
) -> None:
    limits = Limits(person_ids=most, device_links=3)
    edges = {pair_of(a, b): Edge(evidence) for a, b, evidence in told}
    found = canonical(NODES, edges, limits=limits)
    assert sorted(node for person in found.persons for node in person) == sorted(NODES)
    merged = edges.get(pair_of(X, Y))
    for person in found.persons:
        assert len(person) <= most
        if sum(map(is_crm, person)) > 1:
            assert merged is not None
            assert merged.evidence.kind == "crm_merge"
        assert len(person) == 1 or not person & found.shared


@given(edge_lists)
def test_what_is_joined_is_connected_by_links_that_were_not_refused(told: list[Told]) -> None:
    edges = {pair_of(a, b): Edge(evidence) for a, b, evidence in told}
    found = canonical(NODES, edges)
    assert not found.refused.keys() & set(found.joins)
    assert sum(len(person) - 1 for person in found.persons) == len(found.joins)
    home = {node: person for person in found.persons for node in person}
    assert all(home[a] is home[b] for a, b in found.joins)


@pytest.mark.parametrize("reason", ["weak", "other_phone", "rejected", "too_many_links"])
def test_refusals_that_are_nobody_elses_matter_contest_nothing(reason: Reason) -> None:
    assert not Canonical((), (), {pair_of(A, B): reason}, frozenset()).is_contested
