"""The canonical export: what is known of each person, as text that two equal systems write alike.

Offsets, epochs, reservations and the shape of the trees are how a system came to know it, not what
it knows, and are left out. So the exports before and after a rebuild are compared byte by byte.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from models.caps import CapLedger
from models.facets import Facet
from models.forest import Settled
from models.identifiers import NodeId
from models.profile import person_of, shared_devices

__all__ = ["CanonicalPerson", "Export", "canonical_person", "export_of"]

OF_THE_SYSTEM: Final = "watermark"


class CanonicalPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the export.

    Attributes:
        members: the person's identifiers, sorted.
        shared: those that are devices of several CRM persons.
        profile: the merged facet by field names, without its watermark.
        ledger: the merged cap ledger, likewise.
    """

    members: tuple[NodeId, ...]
    shared: tuple[NodeId, ...]
    profile: dict[str, Any]
    ledger: dict[str, Any]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The whole export.

    Attributes:
        lines: JSON, one person each, in the order of their members.
        identifier_count: members of all persons.
        impression_count: billed impressions of all persons.
    """

    lines: tuple[bytes, ...]
    identifier_count: int
    impression_count: int

    @property
    def body(self) -> bytes:
        """The export as it is written to a file."""
        return b"".join(line + b"\n" for line in self.lines)

    @property
    def digest(self) -> str:
        """SHA-256 of the body, hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


def canonical_person(settled: Settled) -> CanonicalPerson | None:
    """What is known of a person, or None where it is nothing.

    Which empty persons have a key in Redis depends on what was tried with them, so an identifier
    that is alone, and of which nothing was seen, is nobody.
    """
    facet, ledger = person_of(settled)
    person = CanonicalPerson(
        members=tuple(sorted(settled.members)),
        shared=shared_devices(settled),
        profile=_without_watermark(facet),
        ledger=_without_watermark(ledger),
    )
    # A merge or split of cards raises the watermark, and is nothing that is known of anybody.
    is_empty = (person.profile, person.ledger) == _NOTHING
    return None if is_empty and len(person.members) == 1 and not person.shared else person


def export_of(persons: Iterable[CanonicalPerson]) -> Export:
    """Sorts persons and writes each as a line."""
    ordered = sorted(persons, key=lambda person: person.members)
    return Export(
        lines=tuple(_encode(person) for person in ordered),
        identifier_count=sum(len(person.members) for person in ordered),
        impression_count=sum(person.ledger["billed_count"] for person in ordered),
    )


def _without_watermark(known: msgspec.Struct) -> dict[str, Any]:
    fields = msgspec.structs.asdict(known)
    return {name: _named(value) for name, value in fields.items() if name != OF_THE_SYSTEM}


def _named(value: object) -> object:
    """Structs by their field names, as deep as they go: the export is read by people, too."""
    if isinstance(value, msgspec.Struct):
        return {name: _named(held) for name, held in msgspec.structs.asdict(value).items()}
    if isinstance(value, dict):
        return {key: _named(held) for key, held in value.items()}
    if isinstance(value, tuple | list):
        return [_named(held) for held in value]
    return value


_encode: Final = msgspec.json.Encoder(order="sorted").encode
_NOTHING: Final = _without_watermark(Facet()), _without_watermark(CapLedger())
