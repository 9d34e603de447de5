"""A worker's own open reservations: memory is the truth, its Redis field the copy for others."""

from models.identifiers import NodeId
from models.reservations import Reservation, encode_reservations
from models.units import SECOND_MS

__all__ = ["OwnReservations"]


class OwnReservations:
    """Reservations that this worker made, by person.

    Only this worker writes its field, so two of its requests for one person in the same tick see
    each other here before Redis has heard of either.

    Args:
        worker: unique to this incarnation of the worker; a successor begins a field of its own.
    """

    def __init__(self, worker: str) -> None:
        self.field = f"r:{worker}".encode()
        self._open: dict[NodeId, tuple[Reservation, ...]] = {}
        self._due: dict[int, set[NodeId]] = {}
        """By Unix second: persons of whom a reservation expires then."""

    def has(self, root: NodeId, reservation: Reservation) -> bool:
        """Whether one still stands."""
        return any(entry is reservation for entry in self._open.get(root, ()))

    def of(self, root: NodeId, now_ms: int) -> tuple[Reservation, ...]:
        """The person's reservations that are open at ``now_ms``."""
        kept = self._open.get(root)
        if kept is None:
            return ()
        for entry in kept:
            if entry.expires_ms <= now_ms:
                kept = tuple([one for one in kept if one.expires_ms > now_ms])
                self._keep(root, kept)
                break
        return kept

    def add(self, root: NodeId, reservation: Reservation) -> None:
        """Adds one."""
        self._open[root] = (*self._open.get(root, ()), reservation)
        self._look_again(root, reservation)

    def oldest_ms(self, root: NodeId) -> int:
        """When the first of the person's reservations was made, Unix ms; 0 where there is none."""
        oldest_ms = 0
        for entry in self._open.get(root, ()):
            made_ms = entry.made_ms
            oldest_ms = min(oldest_ms, made_ms) if oldest_ms else made_ms
        return oldest_ms

    def packed(self, root: NodeId) -> bytes:
        """The field's value now: to be taken when it is sent, so that none is written over."""
        return encode_reservations(self._open.get(root, ()))

    def move(self, root: NodeId, above: NodeId) -> None:
        """Follows a person who has been merged into another."""
        moved = self._open.pop(root, ())
        self._keep(above, (*self._open.get(above, ()), *moved))
        for reservation in moved:
            self._look_again(above, reservation)

    def remove(self, root: NodeId, reservation: Reservation) -> None:
        """Takes one back that Redis refused."""
        self._keep(root, tuple(e for e in self._open.get(root, ()) if e is not reservation))

    def forget_until(self, root: NodeId, erased_ms: int) -> None:
        """Drops those that were made up to the time of an erasure, Unix ms."""
        kept = tuple(entry for entry in self._open.get(root, ()) if entry.made_ms > erased_ms)
        self._keep(root, kept)

    def forget_expired(self, now_ms: int) -> None:
        """Drops persons without an open reservation, so memory stays bounded.

        Only those of whom one has expired lately are looked at: with 100,000 in memory, a look at
        all of them held up the loop for 69 ms, twice a second.
        """
        this_second = now_ms // SECOND_MS
        for second in [one for one in self._due if one <= this_second]:
            for root in self._due[second]:
                self.of(root, now_ms)
            if second < this_second:
                del self._due[second]

    def _look_again(self, root: NodeId, reservation: Reservation) -> None:
        second = reservation.expires_ms // SECOND_MS
        due = self._due.get(second)
        if due is None:
            self._due[second] = {root}
        else:
            due.add(root)

    def _keep(self, root: NodeId, kept: tuple[Reservation, ...]) -> None:
        if kept:
            self._open[root] = kept
        else:
            self._open.pop(root, None)
