"""A person's history: what happened to their links, and what each made of the person."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from models.card_words import CardStory, CardWord, decode_word, encode_word, laid_over
from models.event_base import MAX_TIME_MS
from models.evidence import DEFAULT_LIMITS, Edge, Evidence, Kind, Limits, Pair, canonical, pair_of
from models.evidence import Verdict as VerdictWord
from models.history import MOST_REPLAYED, Moment, Note, history
from models.identifiers import NodeId
from models.link_path import path_between
from models.link_records import ToldRecord, VerdictRecord, told_record

TABLET, LAPTOP = NodeId("k" + "t" * 22), NodeId("k" + "l" * 22)
EMAIL, OTHER = NodeId("e" + "a" * 22), NodeId("e" + "b" * 22)
ANNA, BORIS = NodeId("c" + "a" * 22), NodeId("c" + "b" * 22)
NODES = (TABLET, LAPTOP, EMAIL, OTHER, ANNA, BORIS)


def seen(a: NodeId, b: NodeId, at: int, kind: Kind = "sign_in") -> tuple[Pair, Edge]:
    return pair_of(a, b), Edge(Evidence(kind, at))


def verdict(a: NodeId, b: NodeId, what: VerdictWord, at: int, by: str = "") -> VerdictRecord:
    low, high = pair_of(a, b)
    return VerdictRecord(a=low, b=high, verdict=what, at_ms=at, by=by, reason="because")


def carried_out(edges: dict[Pair, Edge], *verdicts: VerdictRecord) -> dict[Pair, Edge]:
    for one in verdicts:
        pair = (one.a, one.b)
        edges[pair] = Edge(edges[pair].evidence, one.verdict)
    return edges


def changes(moments: tuple[Moment, ...]) -> list[tuple[int, str, set[NodeId], set[NodeId]]]:
    return [(one.time_ms, one.what, set(one.joined), set(one.left)) for one in moments]


def test_links_are_told_in_the_order_of_time_with_whom_they_brought() -> None:
    edges = dict([seen(TABLET, EMAIL, 2), seen(EMAIL, ANNA, 1, "crm_card")])
    assert changes(history(TABLET, [TABLET, EMAIL, ANNA], edges)) == [
        (1, "seen", set(), set()), (2, "seen", {EMAIL, ANNA}, set())
    ]  # fmt: skip
    assert changes(history(ANNA, [TABLET, EMAIL, ANNA], edges)) == [
        (1, "seen", {EMAIL}, set()), (2, "seen", {TABLET}, set())
    ]  # fmt: skip


def test_a_withdrawal_says_who_left_and_by_whom_it_was_decided() -> None:
    word = verdict(TABLET, EMAIL, "rejected", 9, by="olga")
    edges = carried_out(dict([seen(TABLET, EMAIL, 2), seen(EMAIL, ANNA, 1, "crm_card")]), word)
    *_, last = history(TABLET, [TABLET], edges, verdicts=[word])
    assert (last.what, last.by, last.why, last.size) == ("rejected", "olga", "because", 1)
    assert set(last.left) == {EMAIL, ANNA}


def test_an_approval_brings_them_back() -> None:
    words = [verdict(TABLET, EMAIL, "rejected", 5), verdict(TABLET, EMAIL, "approved", 6)]
    edges = carried_out(dict([seen(TABLET, EMAIL, 2)]), words[-1])
    assert changes(history(TABLET, [TABLET, EMAIL], edges, verdicts=words)) == [
        (2, "seen", {EMAIL}, set()), (5, "rejected", set(), {EMAIL}),
        (6, "approved", {EMAIL}, set()),
    ]  # fmt: skip


def test_a_verdict_that_waits_changes_nothing_and_says_that_it_waits() -> None:
    word = verdict(TABLET, EMAIL, "rejected", 5)
    first, last = history(TABLET, [TABLET, EMAIL], dict([seen(TABLET, EMAIL, 2)]), verdicts=[word])
    assert (first.is_pending, last.is_pending) == (False, True)
    assert (last.left, last.size) == ((), 2)


def test_of_several_verdicts_those_after_the_one_that_stands_wait() -> None:
    words = [
        verdict(TABLET, EMAIL, "rejected", 5), verdict(TABLET, EMAIL, "approved", 6),
        verdict(TABLET, EMAIL, "rejected", 7), verdict(TABLET, EMAIL, "rejected", 8),
    ]  # fmt: skip
    edges = carried_out(dict([seen(TABLET, EMAIL, 2)]), words[1])
    moments = history(TABLET, [TABLET, EMAIL], edges, verdicts=words)
    assert [one.time_ms for one in moments if one.is_pending] == [7]
    assert moments[-1].size == 2
    unheard = dict([seen(TABLET, EMAIL, 2)])
    moments = history(TABLET, [TABLET, EMAIL], unheard, verdicts=words[:1])
    assert [one.is_pending for one in moments] == [False, True]


def test_a_verdict_that_is_given_twice_is_told_once() -> None:
    words = [verdict(TABLET, EMAIL, "rejected", at, by=by) for at, by in ((5, "olga"), (6, "ivan"))]
    edges = carried_out(dict([seen(TABLET, EMAIL, 2)]), *words)
    *_, last = moments = history(TABLET, [TABLET], edges, verdicts=words)
    assert [one.what for one in moments] == ["seen", "rejected"]
    assert (last.by, last.is_pending) == ("olga", False)


def told(
    a: NodeId, b: NodeId, at: int, kind: Kind = "seen_with", *, wrong_ms: int | None = None
) -> ToldRecord:
    return told_record(a, b, Evidence(kind, at), withdrawn_ms=wrong_ms)


def test_a_link_is_told_at_the_time_of_its_first_evidence_and_of_what_confirmed_it() -> None:
    past = [
        told(TABLET, EMAIL, 30), told(TABLET, EMAIL, 3, "call_session"), told(TABLET, EMAIL, 8),
        told(TABLET, EMAIL, 9, "call_session"), told(TABLET, EMAIL, 50, "sign_in"),
        told(TABLET, EMAIL, 60), told(TABLET, LAPTOP, 1),
    ]  # fmt: skip
    moments = history(TABLET, [TABLET, EMAIL], dict([seen(TABLET, EMAIL, 50)]), told=past)
    assert [(one.time_ms, one.kind, one.joined) for one in moments] == [
        (3, "call_session", (EMAIL,)), (8, "seen_with", ()), (50, "sign_in", ())
    ]  # fmt: skip


def test_a_call_that_was_found_wrong_joined_them_until_then() -> None:
    wrong = told(TABLET, EMAIL, 3, "call_session", wrong_ms=7)
    edges = dict([seen(EMAIL, ANNA, 1)])
    made, parted = history(TABLET, [TABLET], edges, told=[wrong])
    assert (made.time_ms, made.what, set(made.joined)) == (3, "seen", {EMAIL, ANNA})
    assert (parted.time_ms, parted.what, set(parted.left)) == (7, "withdrawn", {EMAIL, ANNA})
    assert (parted.seen_ms, parted.size) == (3, 1)


def test_where_other_evidence_stands_a_call_that_was_wrong_parts_nobody() -> None:
    wrong = told(TABLET, EMAIL, 3, "call_session", wrong_ms=7)
    edges = dict([seen(TABLET, EMAIL, 5)])
    moments = history(TABLET, [TABLET, EMAIL], edges, told=[wrong])
    assert changes(moments) == [
        (3, "seen", {EMAIL}, set()), (5, "seen", set(), set()), (7, "withdrawn", set(), set())
    ]  # fmt: skip


def test_a_call_that_turned_out_right_after_all_was_never_wrong() -> None:
    wrong = told(TABLET, EMAIL, 3, "call_session", wrong_ms=7)
    edges = dict([seen(TABLET, EMAIL, 3, "call_session")])
    assert changes(history(TABLET, [TABLET, EMAIL], edges, told=[wrong])) == [
        (3, "seen", {EMAIL}, set())
    ]


def test_a_call_that_was_dated_ahead_was_not_wrong_before_it_came() -> None:
    wrong = told(TABLET, EMAIL, 9, "call_session", wrong_ms=7)
    assert changes(history(TABLET, [TABLET], {}, told=[wrong])) == [
        (9, "seen", {EMAIL}, set()), (9, "withdrawn", set(), {EMAIL})
    ]  # fmt: skip


CARDS = pair_of(ANNA, BORIS)


def test_cards_that_the_crm_merged_and_split_again_are_told_of_both_times() -> None:
    edges = dict([seen(EMAIL, ANNA, 1, "crm_card"), seen(OTHER, BORIS, 2, "crm_card")])
    story = CardStory((CardWord(3, ANNA), CardWord(5), CardWord(7, BORIS), CardWord(9)))
    moments = history(EMAIL, [EMAIL, ANNA], edges, cards={CARDS: story})
    assert changes(moments) == [
        (1, "seen", {ANNA}, set()),
        (3, "seen", {BORIS, OTHER}, set()), (5, "crm_split", set(), {BORIS, OTHER}),
        (7, "seen", {BORIS, OTHER}, set()), (9, "crm_split", set(), {BORIS, OTHER}),
    ]  # fmt: skip
    assert [one.survivor for one in moments] == [None, ANNA, None, BORIS, None]
    assert {one.kind for one in moments[1::2]} == {"crm_merge"}


def test_after_a_split_what_else_is_known_of_two_cards_is_what_it_was_before() -> None:
    merge = Edge(Evidence("crm_merge", 3))
    story = CardStory((CardWord(3, ANNA),), beside=Evidence("sign_in", 1))
    moments = history(ANNA, CARDS, {CARDS: merge}, cards={CARDS: story})
    assert [(one.what, one.kind, one.reason) for one in moments] == [
        ("seen", "sign_in", "two_crm_persons"), ("seen", "crm_merge", None)
    ]  # fmt: skip


def test_cards_that_somebody_keeps_apart_are_not_joined_by_the_crm() -> None:
    word = verdict(*CARDS, "rejected", 2)
    story = CardStory((CardWord(1, ANNA), CardWord(3, ANNA)))
    rejected = {CARDS: Edge(Evidence("crm_merge", 3), "rejected")}
    moments = history(ANNA, [ANNA], rejected, verdicts=[word], cards={CARDS: story})
    assert changes(moments) == [
        (1, "seen", {BORIS}, set()), (2, "rejected", set(), {BORIS}), (3, "seen", set(), set())
    ]  # fmt: skip


def test_a_second_customer_at_the_tablet_splits_it_off_and_each_refusal_is_told_once() -> None:
    edges = dict(
        [
            seen(EMAIL, ANNA, 1, "crm_card"), seen(TABLET, EMAIL, 2),
            seen(OTHER, BORIS, 3, "crm_card"), seen(TABLET, OTHER, 4),
        ]
    )  # fmt: skip
    notes = [
        Note(pair_of(TABLET, EMAIL), 5, "shared_device"),
        Note(pair_of(TABLET, OTHER), 5, "shared_device"),
    ]
    moments = history(TABLET, [TABLET], edges, notes=notes)
    assert changes(moments) == [
        (2, "seen", {EMAIL, ANNA}, set()), (4, "seen", set(), {EMAIL, ANNA}),
        (5, "refused", set(), set()),
    ]  # fmt: skip
    assert moments[1].reason == "shared_device"
    assert moments[2].pair == pair_of(TABLET, EMAIL)


def test_a_refusal_that_ends_without_a_verdict_is_told() -> None:
    pair = pair_of(TABLET, EMAIL)
    notes = [Note(pair, 5, "too_many_links"), Note(pair, 6, None)]
    moments = history(TABLET, [TABLET, EMAIL], dict([seen(*pair, 2)]), notes=notes)
    assert [one.what for one in moments] == ["seen", "refused", "accepted"]


KIOSK_LIMITS = Limits(device_links=2)
KIOSK = (seen(TABLET, EMAIL, 1), seen(TABLET, OTHER, 2), seen(TABLET, ANNA, 3))


def test_one_link_too_many_parts_those_that_were_joined_until_it_came() -> None:
    overloaded = frozenset([TABLET])
    for node, left in ((TABLET, {EMAIL, OTHER}), (EMAIL, {TABLET, OTHER})):
        moments = history(node, [node], dict(KIOSK), overloaded=overloaded, limits=KIOSK_LIMITS)
        *made, parted = moments
        assert [one.reason for one in made] == [None, None]
        assert (parted.time_ms, parted.reason) == (3, "too_many_links")
        assert (set(parted.left), parted.size) == (left, 1)


def test_where_more_was_told_than_is_kept_links_are_refused_all_the_time() -> None:
    moments = history(
        TABLET, [TABLET], dict(KIOSK[:2]), overloaded=frozenset([TABLET]), limits=KIOSK_LIMITS
    )
    assert [one.reason for one in moments] == ["too_many_links"] * 2


def test_a_link_of_others_is_told_where_it_brought_somebody() -> None:
    edges = dict([seen(TABLET, EMAIL, 1), seen(EMAIL, OTHER, 2), seen(LAPTOP, OTHER, 3)])
    word = verdict(EMAIL, OTHER, "rejected", 4)
    moments = history(TABLET, [TABLET, EMAIL], carried_out(edges, word), verdicts=[word])
    assert changes(moments) == [
        (1, "seen", {EMAIL}, set()), (2, "seen", {OTHER}, set()), (3, "seen", {LAPTOP}, set()),
        (4, "rejected", set(), {OTHER, LAPTOP}),
    ]  # fmt: skip


def test_a_verdict_whose_record_is_gone_holds_from_the_start() -> None:
    pair, edge = seen(TABLET, EMAIL, 2)
    (moment,) = history(TABLET, [TABLET], {pair: Edge(edge.evidence, "rejected")})
    assert (moment.reason, moment.joined) == ("rejected", ())


def test_a_link_that_is_somebody_s_word_alone_has_no_time_of_its_own() -> None:
    pair = pair_of(TABLET, EMAIL)
    word = verdict(*pair, "approved", 7)
    edges = {pair: Edge(Evidence("call_session", MAX_TIME_MS), "approved")}
    assert changes(history(TABLET, [TABLET, EMAIL], edges, verdicts=[word])) == [
        (7, "approved", {EMAIL}, set())
    ]


def test_beyond_the_most_that_is_replayed_the_own_links_remain() -> None:
    far = [NodeId(f"k{number:022d}") for number in range(MOST_REPLAYED + 1)]
    edges = dict(seen(a, b, 5) for a, b in itertools.pairwise(far))
    edges |= dict([seen(TABLET, EMAIL, 1)])
    limits = Limits(person_ids=10**6)
    assert changes(history(TABLET, [TABLET, EMAIL], edges, limits=limits)) == [
        (1, "seen", {EMAIL}, set())
    ]


nodes = st.sampled_from(NODES)
evidence = st.builds(
    Evidence, st.sampled_from(["crm_card", "sign_in", "seen_with"]), st.integers(1, 50)
)
known = st.dictionaries(
    st.lists(nodes, min_size=2, max_size=2, unique=True).map(lambda two: pair_of(*two)),
    st.builds(Edge, evidence), max_size=9,
)  # fmt: skip


past = st.lists(
    st.builds(
        lambda two, kind, at, wrong_ms: told(two[0], two[1], at, kind, wrong_ms=wrong_ms),
        st.lists(nodes, min_size=2, max_size=2, unique=True),
        st.sampled_from(["sign_in", "seen_with", "call_session"]), st.integers(1, 50),
        st.none() | st.integers(1, 99),
    ),
    max_size=5,
)  # fmt: skip
said = st.lists(st.builds(CardWord, st.integers(1, 50), st.sampled_from([None, ANNA, BORIS])))


@given(
    edges=known, node=nodes, said=said, past=past,
    words=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["approved", "rejected"]))),
)  # fmt: skip
def test_the_history_ends_with_the_person_that_all_evidence_makes(
    edges: dict[Pair, Edge],
    node: NodeId,
    said: list[CardWord],
    past: list[ToldRecord],
    words: list[tuple[int, VerdictWord]],
) -> None:
    cards: dict[Pair, CardStory] = {}
    if said:
        told = sorted(set(map(encode_word, said)))
        beside = edges[CARDS].evidence if CARDS in edges else None
        cards[CARDS] = CardStory(tuple(map(decode_word, told)), beside)
        edges = laid_over(edges, {CARDS: told[-1]})
    ordered = sorted(edges)
    verdicts = [
        verdict(*ordered[place], what, 10 * number)
        for number, (place, what) in enumerate(words)
        if place < len(ordered)
    ]
    carried_out(edges, *verdicts)
    plan = canonical(NODES, edges, limits=DEFAULT_LIMITS)
    person = next(one for one in plan.persons if node in one)
    moments = history(node, person, edges, verdicts=verdicts, told=past, cards=cards)
    found = {node}
    for one in moments:
        assert found.isdisjoint(one.joined)
        assert found.issuperset(one.left)
        found = found.union(one.joined).difference(one.left)
        assert one.size == len(found)
    assert found == person
    assert [one.time_ms for one in moments] == sorted(one.time_ms for one in moments)


@given(edges=known, a=nodes, b=nodes)
def test_a_path_joins_two_identifiers_of_one_person_and_nobody_else(
    edges: dict[Pair, Edge], a: NodeId, b: NodeId
) -> None:
    plan = canonical(NODES, edges)
    path = path_between(a, b, edges.keys() - plan.refused.keys())
    is_one = any(person.issuperset({a, b}) for person in plan.persons)
    assert bool(path) == (is_one and a != b)
    at = a
    for one, other in path:
        assert at in {one, other}
        at = other if at == one else one
    assert at == b or not path


def test_the_path_is_the_shortest() -> None:
    made = [pair_of(*two) for two in [(TABLET, EMAIL), (EMAIL, ANNA), (TABLET, ANNA)]]
    assert path_between(TABLET, ANNA, made) == (pair_of(TABLET, ANNA),)
    assert path_between(TABLET, ANNA, made[:2]) == (pair_of(TABLET, EMAIL), pair_of(EMAIL, ANNA))
