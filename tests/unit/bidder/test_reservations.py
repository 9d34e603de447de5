"""A worker's own reservations."""

from bidder.reservations import OwnReservations
from models.identifiers import NodeId
from models.reservations import Reservation, decode_reservations
from models.units import SECOND_MS
from tests.unit.bidder.support import NODE, NOW_MS, SEATS

OTHER = NodeId("k" + "b" * 22)


def reservation(nonce: str, ms: int = 1_000) -> Reservation:
    return Reservation(SEATS, nonce, NOW_MS + ms, NOW_MS)


def test_what_is_added_is_open_until_it_expires() -> None:
    own = OwnReservations("w1")
    short, long = reservation("a", 10), reservation("b", 20)
    own.add(NODE, short)
    own.add(NODE, long)
    assert own.of(NODE, NOW_MS) == (short, long)
    assert own.of(NODE, NOW_MS + 10) == (long,)
    assert own.of(NODE, NOW_MS + 20) == ()
    assert own.of(OTHER, NOW_MS) == ()


def test_the_field_holds_all_that_is_open_at_the_time_of_writing() -> None:
    own = OwnReservations("w1")
    assert own.field == b"r:w1"
    one, two = reservation("a"), reservation("b")
    own.add(NODE, one)
    own.add(NODE, two)
    assert decode_reservations(own.packed(NODE), NOW_MS) == [one, two]
    own.remove(NODE, one)
    assert decode_reservations(own.packed(NODE), NOW_MS) == [two]
    own.remove(NODE, two)
    assert decode_reservations(own.packed(NODE), NOW_MS) == []


def test_removing_takes_exactly_the_one_that_was_refused() -> None:
    own = OwnReservations("w1")
    kept, refused = reservation("a"), reservation("b")
    own.add(NODE, kept)
    own.add(NODE, refused)
    own.remove(NODE, refused)
    own.remove(NODE, refused)
    own.remove(OTHER, refused)
    assert own.of(NODE, NOW_MS) == (kept,)


def test_expired_persons_leave_memory() -> None:
    own = OwnReservations("w1")
    own.add(NODE, reservation("a", 10))
    own.add(OTHER, reservation("b", 20))
    own.forget_expired(NOW_MS + 10)
    assert list(own._open) == [OTHER]
    own.forget_expired(NOW_MS + 20)
    assert own._open == {}


def test_whatever_is_added_moved_or_removed_expires() -> None:
    own = OwnReservations("w1")
    for second in range(5):
        for nonce in "abc":
            own.add(NODE, reservation(f"{nonce}{second}", second * SECOND_MS))
    own.move(NODE, OTHER)
    own.add(NODE, refused := reservation("d", 2 * SECOND_MS))
    own.remove(NODE, refused)
    for second in range(5):
        own.forget_expired(NOW_MS + second * SECOND_MS)
        assert list(own._open) == ([OTHER] if second < 4 else [])
    own.forget_expired(NOW_MS + 5 * SECOND_MS)
    assert own._due == {}, "nothing is left to be looked at"


def test_who_has_an_open_reservation_is_not_looked_at() -> None:
    looked_at: list[NodeId] = []

    class Watched(OwnReservations):
        def of(self, root: NodeId, now_ms: int) -> tuple[Reservation, ...]:
            looked_at.append(root)
            return super().of(root, now_ms)

    own = Watched("w1")
    own.add(NODE, reservation("a", 10 * SECOND_MS))
    own.add(OTHER, reservation("b", SECOND_MS))
    own.forget_expired(NOW_MS + 2 * SECOND_MS)
    own.forget_expired(NOW_MS + 3 * SECOND_MS)
    assert looked_at == [OTHER]


def test_reservations_follow_a_person_who_is_merged_into_another() -> None:
    own = OwnReservations("w1")
    mine, theirs = reservation("a"), reservation("b")
    own.add(NODE, mine)
    own.add(OTHER, theirs)
    own.move(NODE, OTHER)
    assert own.of(NODE, NOW_MS) == ()
    assert own.of(OTHER, NOW_MS) == (theirs, mine)
    own.move(NODE, OTHER)
    assert own.of(OTHER, NOW_MS) == (theirs, mine)
