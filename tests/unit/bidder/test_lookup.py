"""From identifiers to the person, under merges and shared devices."""

import pytest

from bidder.lookup import Found, fetch_person, reserve, reserve_exactly
from bidder.reservations import OwnReservations
from models.caps import CapLedger, encode_ledger
from models.commands import Steps
from models.identifiers import Namespace, NodeId
from models.limits import Limit
from models.profile import Header, Person
from models.reservations import Reservation, decode_reservations
from models.reservations import encode_reservations as packed
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    AIR,
    KEYS,
    NODE,
    NOW_MS,
    SEATS,
    MemoryRedis,
    node,
    person,
    searched,
)

OWN = b"r:me"
LIMITS = (Limit(5, 86_400),)
CRM = node(Namespace.CRM, "42")
OTHER = node(Namespace.IFA, "8f5a3b6c-1d2e-4f60-8123-456789abcd00")


def fetch(redis: MemoryRedis, *nodes: NodeId) -> Found:
    return redis.run(fetch_person(KEYS, nodes or (NODE,), NOW_MS, OWN))


def rooted(at: NodeId, billed: int = 0) -> Person:
    ledger = CapLedger(campaigns={SEATS: {f"{at}-{n}": NOW_MS - 1 for n in range(billed)}})
    return Person(None, at, showing(searches=(searched(),)), ledger)


def reservation(nonce: str, ms: int = 1_000, made_ms: int = NOW_MS) -> Reservation:
    return Reservation(SEATS, nonce, NOW_MS + ms, made_ms, AIR)


def test_a_known_person_takes_two_steps() -> None:
    redis = MemoryRedis()
    redis.put(person(billed=2))
    found = fetch(redis)
    assert (found.is_known, found.person) == (True, person(billed=2))
    assert [[command[0] for command in step] for step in redis.steps] == [["MGET"], ["HGETALL"]]


def test_a_device_leads_to_its_persons_root_and_counts_under_the_device() -> None:
    redis = MemoryRedis()
    redis.parents[KEYS.parent(NODE)] = b">" + CRM.encode()
    redis.put(rooted(CRM, billed=3))
    found = fetch(redis)
    assert (found.person.node, found.person.root) == (NODE, CRM)
    assert len(found.person.ledger.campaigns[SEATS]) == 3


def test_an_unknown_identifier_is_an_empty_person_with_a_cap_of_its_own() -> None:
    found = fetch(MemoryRedis(), NODE, OTHER)
    assert (found.is_known, found.disagrees) == (False, False)
    assert found.person == Person(NODE, NODE)


def test_the_first_identifier_that_resolves_decides_and_a_disagreement_is_told() -> None:
    redis = MemoryRedis()
    redis.put(rooted(OTHER))
    found = fetch(redis, NODE, OTHER)
    assert (found.person.node, found.disagrees) == (OTHER, False)
    redis.put(rooted(NODE))
    found = fetch(redis, NODE, OTHER)
    assert (found.person.node, found.disagrees) == (NODE, True)


def test_two_identifiers_of_one_person_do_not_disagree() -> None:
    redis = MemoryRedis()
    for one in (NODE, OTHER):
        redis.parents[KEYS.parent(one)] = b">" + CRM.encode()
    redis.put(rooted(CRM))
    found = fetch(redis, NODE, OTHER)
    assert (found.person.node, found.person.root, found.disagrees) == (NODE, CRM, False)
    assert len(redis.named("HGETALL")) == 1


def test_a_view_that_was_merged_away_between_two_steps_is_followed() -> None:
    redis = MemoryRedis()
    redis.hashes[KEYS.bid_view(NODE)] = {b">": OTHER.encode()}
    redis.hashes[KEYS.bid_view(OTHER)] = {b">": CRM.encode()}
    redis.put(rooted(CRM))
    found = fetch(redis)
    assert (found.person.node, found.person.root, found.is_known) == (NODE, CRM, True)


def test_a_path_through_a_view_that_leads_on_no_more_is_followed_by_entries() -> None:
    redis = MemoryRedis()
    redis.parents[KEYS.parent(NODE)] = b">" + EMAIL.encode()
    redis.parents[KEYS.parent(EMAIL)] = b">" + OTHER.encode()
    redis.parents[KEYS.parent(OTHER)] = b">" + CRM.encode()
    redis.hashes[KEYS.bid_view(EMAIL)] = {b"r:w": b"left there"}
    redis.hashes[KEYS.bid_view(OTHER)] = {b">": CRM.encode()}
    redis.put(rooted(CRM, billed=3))
    found = fetch(redis)
    assert (found.person.node, found.person.root, found.is_known) == (NODE, CRM, True)
    assert len(found.person.ledger.campaigns[SEATS]) == 3


def test_only_where_an_entry_leads_to_nobody_it_is_asked_again() -> None:
    redis = MemoryRedis()
    fetch(redis, NODE, OTHER)
    assert [[command[0] for command in step] for step in redis.steps] == [
        ["MGET"], ["HGETALL", "HGETALL"],
    ]  # fmt: skip
    redis = MemoryRedis()
    redis.parents[KEYS.parent(NODE)] = b">" + CRM.encode()
    found = fetch(redis, NODE)
    assert (found.person.node, found.person.root, found.is_known) == (NODE, CRM, False)
    assert [[command[0] for command in step] for step in redis.steps] == [
        ["MGET"], ["HGETALL"], ["GET", "HGETALL"],
    ]  # fmt: skip


def test_a_shared_device_is_nobody() -> None:
    redis = MemoryRedis()
    redis.put(person(showing(searches=(searched(),), shared=(NODE,))))
    found = fetch(redis)
    assert (found.is_shared, found.is_known) == (True, True)
    assert found.person == Person(node=NODE)


def shared_by(*sign_ins: tuple[NodeId, int]) -> Header:
    return showing(searches=(searched(),), shared=(NODE,), sign_ins=sign_ins)


HOUR_MS = 3_600_000
EMAIL, FRIENDS_EMAIL = (
    node(Namespace.EMAIL, "a@kin.example"),
    node(Namespace.EMAIL, "b@kin.example"),
)
FRIEND = node(Namespace.CRM, "43")


def used_by_two(age_ms: int) -> MemoryRedis:
    """A device on which a friend signed in, and then, so long ago, the person."""
    redis = MemoryRedis()
    newest_ms = NOW_MS - age_ms
    redis.put(person(shared_by((EMAIL, newest_ms), (FRIENDS_EMAIL, newest_ms - 1))))
    redis.parents[KEYS.parent(EMAIL)] = b">" + CRM.encode()
    redis.parents[KEYS.parent(FRIENDS_EMAIL)] = b">" + FRIEND.encode()
    redis.put(rooted(CRM, billed=3))
    return redis


def test_a_shared_device_is_who_signed_in_last_and_counts_under_their_account() -> None:
    found = fetch(used_by_two(HOUR_MS))
    assert (found.is_shared, found.is_known) == (False, True)
    assert (found.person.node, found.person.root) == (EMAIL, CRM)
    assert 0.9 < found.person.presence_ratio < 1
    assert len(found.person.ledger.campaigns[SEATS]) == 3


def test_a_shared_device_is_nobodys_again_when_the_sign_in_is_old() -> None:
    found = fetch(used_by_two(48 * HOUR_MS))
    assert found.is_shared
    assert found.person == Person(node=NODE)


def test_whoever_is_at_a_shared_device_may_have_withdrawn_consent() -> None:
    redis = used_by_two(HOUR_MS)
    redis.put(Person(None, CRM, showing(searches=(searched(),), personal_ok=False)))
    assert fetch(redis).is_withdrawn


def test_a_withdrawal_for_a_shared_device_stands_above_whoever_is_there() -> None:
    redis = used_by_two(HOUR_MS)
    sign_ins = ((EMAIL, NOW_MS - HOUR_MS),)
    redis.put(person(showing(shared=(NODE,), sign_ins=sign_ins, personal_ok=False)))
    found = fetch(redis)
    assert (found.withdrawn, found.is_known) == (NODE, True)
    assert found.person == Person()


@pytest.mark.parametrize("nodes", [(NODE, OTHER), (OTHER, NODE)])
def test_of_all_that_a_request_names_the_strictest_consent_counts(
    nodes: tuple[NodeId, ...],
) -> None:
    redis = MemoryRedis()
    redis.put(rooted(NODE))
    redis.put(Person(None, OTHER, Header(personal_ok=False)))
    found = fetch(redis, *nodes)
    assert (found.withdrawn, found.is_known, found.disagrees) == (OTHER, True, True)
    assert found.person == Person()


def test_a_withdrawal_beside_a_known_person_counts_while_it_is_being_merged() -> None:
    redis = MemoryRedis()
    redis.put(rooted(NODE))
    redis.put(Person(None, OTHER, Header(personal_ok=False)))
    merging(redis, OTHER, CRM)
    assert fetch(redis, NODE, OTHER).withdrawn == OTHER


def test_a_withdrawal_is_not_missed_where_a_person_is_split_meanwhile() -> None:
    """The second identifier leads elsewhere by the time that its old person's view is read."""
    redis = MemoryRedis()
    redis.put(rooted(NODE))
    redis.put(rooted(CRM))
    redis.hashes[KEYS.bid_view(CRM)][b"g"] = b"1"
    redis.put(Person(None, OTHER, Header(personal_ok=False)))
    redis.parents[KEYS.parent(OTHER)] = b">" + CRM.encode()

    def read() -> Steps[Found]:
        steps = fetch_person(KEYS, [NODE, OTHER], NOW_MS, OWN)
        replies = yield next(steps)
        redis.parents[KEYS.parent(OTHER)] = b",1"
        try:
            while True:
                replies = yield steps.send(replies)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # the generator's result

    assert redis.run(read()).withdrawn == OTHER


def test_while_a_person_is_split_the_frozen_view_tells_who_they_are() -> None:
    redis = MemoryRedis()
    redis.put(rooted(NODE, billed=2))
    frozen = redis.hashes.pop(KEYS.bid_view(NODE))
    redis.hashes[KEYS.bid_view(NODE)] = {b"!": b"s1"}
    redis.hashes[KEYS.frozen_bid_view(NODE, "s1")] = frozen | {b">": b"s1"}
    found = fetch(redis)
    assert found.is_known
    assert len(found.person.ledger.campaigns[SEATS]) == 2


def test_another_device_of_a_person_with_a_shared_one_is_theirs() -> None:
    redis = MemoryRedis()
    redis.put(person(showing(searches=(searched(),), shared=(OTHER,))))
    assert not fetch(redis).is_shared


def test_who_has_withdrawn_consent_is_nobody_and_nothing_is_kept_for_them() -> None:
    redis = MemoryRedis()
    redis.put(person(showing(searches=(searched(),), personal_ok=False), billed=2))
    found = fetch(redis)
    assert (found.is_withdrawn, found.is_known) == (True, True)
    assert found.person == Person()


def test_a_withdrawal_counts_while_its_person_is_being_merged() -> None:
    redis = MemoryRedis()
    redis.put(Person(None, NODE, Header(personal_ok=False)))
    redis.put(rooted(CRM))
    merging(redis, NODE, CRM)
    assert fetch(redis).is_withdrawn


def test_others_reservations_count_while_they_are_open_and_our_own_field_does_not() -> None:
    redis = MemoryRedis()
    redis.put(person())
    redis.hashes[KEYS.bid_view(NODE)] |= {
        b"r:them": packed([reservation("a"), reservation("b", 0)]),
        b"r:old": packed([reservation("c", -5)]),
        OWN: packed([reservation("mine")]),
    }
    found = fetch(redis)
    assert [entry.nonce for entry in found.person.reservations] == ["a"]
    assert not found.has_expired


def test_where_all_reservations_have_expired_somebody_should_sweep() -> None:
    redis = MemoryRedis()
    redis.put(person())
    redis.hashes[KEYS.bid_view(NODE)] |= {b"r:old": packed([reservation("c", -5)])}
    assert fetch(redis).has_expired
    redis.put(person())
    assert not fetch(redis).has_expired


def merging(redis: MemoryRedis, child: NodeId, root: NodeId, token: bytes = b"t1") -> None:
    """A child that has been drained, and is not yet taken in."""
    redis.hashes.setdefault(KEYS.bid_view(root), {})[b"m:" + token] = child.encode()
    frozen = redis.hashes.pop(KEYS.bid_view(child), {})
    redis.hashes[KEYS.frozen_bid_view(child, token.decode())] = frozen | {b">": token}
    redis.hashes[KEYS.bid_view(child)] = {b">": root.encode()}
    redis.parents[KEYS.parent(child)] = b">" + root.encode()


def test_what_a_merging_child_holds_is_counted_ours_included() -> None:
    redis = MemoryRedis()
    child = rooted(NODE, billed=2)
    redis.put(child)
    redis.hashes[KEYS.bid_view(NODE)] |= {
        OWN: packed([reservation("mine")]), b"r:them": packed([reservation("theirs")])
    }  # fmt: skip
    redis.put(rooted(CRM, billed=1))
    merging(redis, NODE, CRM)
    found = fetch(redis)
    assert found.person.root == CRM
    assert len(found.person.ledger.campaigns[SEATS]) == 3
    assert {entry.nonce for entry in found.person.reservations} == {"mine", "theirs"}


def test_children_of_merging_children_are_counted_too() -> None:
    redis = MemoryRedis()
    redis.put(rooted(OTHER, billed=1))
    redis.put(rooted(NODE, billed=2))
    merging(redis, OTHER, NODE, b"t1")
    redis.put(rooted(CRM))
    merging(redis, NODE, CRM, b"t2")
    assert len(fetch(redis, OTHER).person.ledger.campaigns[SEATS]) == 3


def test_a_mere_intention_to_merge_and_a_finished_merge_change_nothing() -> None:
    redis = MemoryRedis()
    redis.put(rooted(CRM, billed=1))
    redis.hashes[KEYS.bid_view(CRM)][b"m:t1"] = NODE.encode()
    assert len(fetch(redis, CRM).person.ledger.campaigns[SEATS]) == 1
    stale = {b">": b"t0", b"c": encode_ledger(rooted(NODE, billed=9).ledger)}
    redis.hashes[KEYS.frozen_bid_view(NODE, "t0")] = stale
    assert len(fetch(redis, CRM).person.ledger.campaigns[SEATS]) == 1


def test_a_reservation_is_written_at_the_root() -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    own.add(NODE, reservation("a"))
    redis.run(reserve(KEYS, NODE, own, NOW_MS))
    written = redis.hashes[KEYS.bid_view(NODE)][OWN]
    assert decode_reservations(written, NOW_MS) == [reservation("a")]


def test_a_reservation_follows_a_merge_and_writes_over_no_other() -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    own.add(CRM, reservation("earlier"))
    own.add(NODE, reservation("a"))
    redis.parents[KEYS.parent(NODE)] = b">" + CRM.encode()
    redis.run(reserve(KEYS, NODE, own, NOW_MS))
    written = decode_reservations(redis.hashes[KEYS.bid_view(CRM)][OWN], NOW_MS)
    assert {entry.nonce for entry in written} == {"earlier", "a"}
    assert {entry.nonce for entry in own.of(CRM, NOW_MS)} == {"earlier", "a"}
    assert own.of(NODE, NOW_MS) == ()
    assert KEYS.bid_view(NODE) not in redis.hashes, "nothing is left where nobody reads"


@pytest.mark.parametrize(("reply", "is_reserved"), [(1, True), (0, False), (-1, False)])
def test_an_exact_reservation_holds_only_if_redis_says_so(reply: int, is_reserved: bool) -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    redis.reserve_replies = [reply]
    one = reservation("a")
    own.add(NODE, one)
    steps = reserve_exactly(KEYS, NODE, own, one, splits=0, limits=LIMITS, now_ms=NOW_MS)
    assert redis.run(steps) is is_reserved
    ((_, function, count, *rest),) = redis.commands
    assert (function, count) == ("kinbid_v1_reserve", 2)
    assert rest[:2] == [KEYS.parent(NODE), KEYS.bid_view(NODE)]
    assert rest[2:] == [NOW_MS, OWN, packed([one]), NOW_MS, 0, SEATS, AIR, 0, 5, 86_400_000]


def test_a_bid_in_flight_writes_nothing_about_who_was_erased_meanwhile() -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    own.add(NODE, reservation("a"))
    redis.parents[KEYS.parent(NODE)] = b",0^%d" % NOW_MS
    redis.run(reserve(KEYS, NODE, own, NOW_MS))
    assert redis.hashes == {}
    assert own.of(NODE, NOW_MS) == (), "nor does the next bid for whoever comes there count it"


def test_what_was_reserved_since_an_erasure_is_written_without_what_was_before() -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    old, new = reservation("old"), reservation("new", made_ms=NOW_MS + 2)
    own.add(NODE, old)
    own.add(NODE, new)
    redis.parents[KEYS.parent(NODE)] = b",0^%d" % (NOW_MS + 1)
    redis.run(reserve(KEYS, NODE, own, NOW_MS))
    assert redis.hashes[KEYS.bid_view(NODE)] == {OWN: packed([new])}


def test_a_bid_for_the_erased_does_not_follow_them_into_another_person() -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    own.add(NODE, reservation("a"))
    redis.parents[KEYS.parent(NODE)] = b">%b^%d" % (CRM.encode(), NOW_MS)
    redis.run(reserve(KEYS, NODE, own, NOW_MS))
    assert redis.hashes == {}
    assert own.of(CRM, NOW_MS) == ()


def test_an_exact_reservation_fails_closed_where_the_person_was_erased() -> None:
    redis, own = MemoryRedis(), OwnReservations("me")
    one = reservation("a")
    own.add(NODE, one)
    redis.reserve_replies = [NOW_MS]
    assert not redis.run(
        reserve_exactly(KEYS, NODE, own, one, splits=0, limits=LIMITS, now_ms=NOW_MS)
    )
    new = reservation("b", made_ms=NOW_MS + 1)
    own.add(NODE, reservation("old"))
    own.add(NODE, new)
    redis.reserve_replies = [NOW_MS, 1]
    assert redis.run(reserve_exactly(KEYS, NODE, own, new, splits=0, limits=LIMITS, now_ms=NOW_MS))
    assert redis.hashes[KEYS.bid_view(NODE)] == {OWN: packed([new])}
