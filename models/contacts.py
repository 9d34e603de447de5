"""Messages to and from a person, so kept that one that is told twice counts once.

Of each channel and action the newest are kept: the event's name, in short, to its time. That is a
map of newest entries (:mod:`models.newest`), hence exact: neither order nor repetition changes it,
and how many there were since any time is known, up to as many as are kept.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

from models.events import Contact
from models.newest import join_newest
from models.person_events import ACTIONS
from models.touches import LETTER_OF
from models.units import SECOND_MS

__all__ = ["KEPT_CONTACTS", "SENT", "Contacts", "advertiser_in", "contacts_of", "join_contacts"]

Contacts = dict[str, dict[str, int]]
"""Channel's letter and action's place to a contact's short name to its time, Unix seconds."""

KEPT_CONTACTS: Final = 16
"""Of one channel with one action: counts are exact up to so many."""

SENT: Final = str(ACTIONS.index("sent"))

NAME_LENGTH: Final = 8
NAME_BYTES: Final = 6
"""48 bits: that two of the few that are kept share a name happens once in 10^12 contacts."""


def contacts_of(event: Contact) -> Contacts:
    """What one event says. Its name is its producer's, so the advertiser is part of it.

    A message that was sent counts towards its advertiser's pressure cap, so it says whose it is.
    """
    name = f"{event.advertiser}/{event.event_id}".encode()
    short = urlsafe_b64encode(hashlib.blake2b(name, digest_size=NAME_BYTES).digest()).decode()
    kind = f"{LETTER_OF[event.channel]}{ACTIONS.index(event.action)}"
    if kind[1:] == SENT:
        short += event.advertiser
    return {kind: {short: event.event_time_ms // SECOND_MS}}


def advertiser_in(name: str) -> str:
    """Whose message it is, of the name of one that was sent."""
    return name[NAME_LENGTH:]


def join_contacts(a: Contacts, b: Contacts) -> Contacts:
    """The newest contacts of both."""
    if not a or not b:
        return a or b
    joined = dict(a)
    for kind, told in b.items():
        joined[kind] = join_newest(joined.get(kind, {}), told, KEPT_CONTACTS)
    return joined
