"""A seeded world with ground truth: the records that producers send, and whose each node is.

The records are those of production, :mod:`models.events`, in the order in which Kafka gets them.
A node that one person has is judged by that; one that several use, a family's tablet or line, a
kiosk, a constant id, is judged apart. A recycled phone number is its last holder's.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from benchmarks.quality.browsing import Browsing
from benchmarks.quality.contacts import Contacts
from benchmarks.quality.noise import Luck, NoiseKind, NoiseRates
from benchmarks.quality.people import customers_of, make_people
from benchmarks.quality.registry import Registry
from benchmarks.quality.scribe import Scribe
from benchmarks.quality.sharing import Sharing
from models.errors import InvalidFieldError
from models.events import Event
from models.identifiers import NodeId, Pepper

__all__ = ["FEWEST_PERSONS", "World", "make_world"]

BEGIN_MS: Final = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 1000
END_MS: Final = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()) * 1000

FEWEST_PERSONS: Final = 10
"""Below, there may be no second customer to share anything with."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What producers sent, and the truth.

    Attributes:
        events: in the order of their arrival in Kafka.
        owned: every node that one person has, to that person's index.
        shared: every node that several persons use, to all of them.
        chances, mishaps: how often each kind of noise could have happened, and did.
    """

    events: Sequence[Event]
    owned: Mapping[NodeId, int]
    shared: Mapping[NodeId, frozenset[int]]
    chances: Mapping[NoiseKind, int]
    mishaps: Mapping[NoiseKind, int]


def make_world(seed: int, persons: int, rates: NoiseRates) -> World:
    """Two years in the life of so many people; the same arguments give the same world.

    Args:
        seed: of everything.
        persons: how many people, customers and guests.
        rates: what goes wrong.

    Raises:
        InvalidFieldError: there are fewer than ``FEWEST_PERSONS``.
    """
    if persons < FEWEST_PERSONS:
        raise InvalidFieldError("persons", persons, f"{FEWEST_PERSONS} or more")
    people = make_people(seed, persons)
    if len(customers_of(people)) < 2:
        raise InvalidFieldError("persons", persons, "enough for two customers; take more")
    luck, scribe = Luck(seed, rates), Scribe(seed)
    registry = Registry(Pepper(f"the pepper of world {seed}"))
    contacts = Contacts(people, luck, registry, BEGIN_MS, END_MS)
    contacts.write_cards(scribe)
    contacts.merge_by_mistake(scribe)
    browsing = Browsing(
        seed=seed, people=people, contacts=contacts, luck=luck, registry=registry, scribe=scribe
    )
    visits = browsing.live(BEGIN_MS, END_MS)
    sharing = Sharing(people, contacts, luck, registry, scribe)
    sharing.use_family_tablets(BEGIN_MS, END_MS)
    sharing.use_kiosks(BEGIN_MS, END_MS)
    sharing.use_friends_devices(visits)
    sharing.order_gifts(visits)
    events = scribe.in_order_of_arrival()
    owners = registry.owners({node for event in events for node in event.ids})
    return World(
        events=events,
        owned={node: min(found) for node, found in owners.items() if len(found) == 1},
        shared={node: found for node, found in owners.items() if len(found) > 1},
        chances=luck.chances,
        mishaps=luck.mishaps,
    )
