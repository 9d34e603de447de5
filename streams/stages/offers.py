"""From what revenue management and shops send to offers that bidders may believe."""

from models.catalog_records import Flight, Offer, Product, decode_record, record_key
from models.errors import EventError

__all__ = ["OfferGate"]


class OfferGate:
    """Lets offers through, each in its newest version only."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def forget(self, key: bytes | None) -> bytes | None:
        """The key to withdraw after an update that cannot be read, if the offer is on sale."""
        known = self._newest.pop((key or b"").decode(errors="replace"), None)
        return None if known is None else key

    def admit(self, key: bytes | None, value: bytes | None) -> tuple[str, Offer | None] | None:
        """Checks one record.

        Returns:
            The key and the offer to publish; None for the offer withdraws it; None in all for an
            update older than one that was let through before.

        Raises:
            EventError: not an offer, or its key does not name it.
        """
        name = (key or b"").decode(errors="replace")
        if value is None:
            self._newest.pop(name, None)
            return name, None
        record = decode_record(value)
        if not isinstance(record, Flight | Product):
            raise EventError(f"kind: {record_key(record)} belongs to the catalogue topic")
        if name != record_key(record):
            raise EventError(f"key: {name!r} is not the record's, {record_key(record)!r}")
        if record.updated_ms < self._newest.get(name, 0):
            return None
        self._newest[name] = record.updated_ms
        return name, record
