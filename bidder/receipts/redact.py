"""What no receipt holds is taken out: identifiers in clear, and what privacy forbids to keep.

``decide`` reads none of it: a property test makes decisions again from what is left.
"""

from typing import Final, TypeVar

import msgspec

from bidder.agents import is_crawler
from bidder.inventory import name_of
from bidder.openrtb import BidRequest, Device, Regs, RegsExt
from bidder.openrtb_context import Site
from models.identifiers import NodeId
from models.profile import Person

__all__ = ["REMOVED", "without_identifiers", "without_nodes"]

S = TypeVar("S", bound=msgspec.Struct)

REMOVED: Final[dict[type[msgspec.Struct], tuple[str, ...]]] = {
    BidRequest: ("user",),
    Device: ("ifa", "lmt", "dnt"),
    Regs: ("coppa", "gdpr", "us_privacy", "gpp", "gpp_sid"),
    RegsExt: ("gdpr", "us_privacy", "gpp", "gpp_sid", "gpc"),
}
"""Fields that are left out. Consent strings are data about a person; what became of them stands in
the receipt's ``use``."""

SOMEBODY: Final = NodeId("somebody")
"""In place of nodes that may not be kept: there was somebody, which is all that counts."""


def without_identifiers(one: S) -> S:
    """A request, or a part of one, without the fields of :data:`REMOVED`."""
    changes: dict[str, object] = {
        name: without_identifiers(value)
        for name in one.__struct_fields__
        if isinstance(value := getattr(one, name), msgspec.Struct)
    }
    changes |= dict.fromkeys(REMOVED.get(type(one), ()))
    if isinstance(one, Device):
        changes["ua"] = one.ua if is_crawler(one) else None  # of whoever is no person
    elif isinstance(one, Site) and one.page:
        changes["page"] = f"//{name_of(one)}/"  # what follows may name a person
    return msgspec.structs.replace(one, **changes)


def without_nodes(person: Person, *, may_keep_own: bool) -> Person:
    """A person without other identifiers than the one that decided, and their root.

    Args:
        person: whom a decision was for.
        may_keep_own: whether those two may be kept.
    """
    header = person.header
    if header.shared or header.sign_ins or header.calls:
        calls = tuple(msgspec.structs.replace(one, number="") for one in header.calls)
        header = msgspec.structs.replace(header, shared=(), sign_ins=(), calls=calls)
    if may_keep_own or person.root is None:
        return msgspec.structs.replace(person, header=header)
    return msgspec.structs.replace(person, header=header, node=SOMEBODY, root=SOMEBODY)
