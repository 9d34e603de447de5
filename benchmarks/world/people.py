"""The people of the world: customers with a CRM card, and visitors whom nobody knows."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NewType

import msgspec

from benchmarks.world.devices import Device, make_devices, node_of
from benchmarks.world.shop import read_purchases
from models.errors import InvalidFieldError
from models.identifiers import Namespace, NodeId, Pepper

__all__ = ["CrmIdentity", "OwnerId", "Person", "activity_steps", "make_people"]

OwnerId = NewType("OwnerId", str)
"""Who a device belongs to in truth; kinbid never sees it."""

VISITOR_SHARE: Final = 0.2
"""Visitors without a CRM card, per customer."""

UNLINKED_SHARE: Final = 0.15
"""Customers who never sign in on one of their devices."""

SECOND_TRIP_SHARE: Final = 0.15

ACTIVITY_SIGMA: Final = 1.0
"""Of the log-normal activity: the busiest tenth makes about half of the traffic."""

RESPONSE_BETA: Final = (1.2, 60.0)
"""Beta parameters of a person's chance to order after an ad; mean 2 %."""

AREA_CODES: Final = (
    "201", "203", "212", "215", "305", "312", "347", "404", "415", "516", "602", "617", "646",
    "703", "718", "773", "856", "908", "914", "917", "973",
)  # fmt: skip
GIVEN_NAMES: Final = (
    "Ada", "Ben", "Carla", "Dev", "Elena", "Farid", "Grace", "Hugo", "Iris", "Jamal", "Kim",
    "Lena", "Marco", "Nina", "Omar", "Petra", "Quinn", "Rosa", "Samir", "Tara", "Uma", "Viktor",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "Abbott", "Bianchi", "Chen", "Dubois", "Evans", "Fischer", "Garcia", "Haddad", "Ito",
    "Jensen", "Kowalski", "Lopez", "Murphy", "Nguyen", "Okafor", "Patel", "Rossi", "Silva",
)  # fmt: skip
CITIES: Final = ("New York", "Newark", "Jersey City", "Yonkers", "Stamford", "Hoboken")
TIERS: Final = ("", "", "", "silver", "gold")


class CrmIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What the CRM's card says, raw and hashed. The e-mail domain is reserved (RFC 2606).

    ``customer`` is whose purchases they made in the CDNOW log.
    """

    customer: str
    crm_id: str
    email: str
    phone: str
    crm_node: NodeId
    email_node: NodeId
    phone_node: NodeId
    city: str
    tier: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, as the world knows them.

    Attributes:
        owner: the true owner of the devices.
        card: None for a visitor.
        trips: ``ORIGIN-DESTINATION/DATE`` that they want; nobody else wants the same.
        items: products that they want; others may want them too.
        activity: relative amount of traffic, > 0.
        response_rate: chance of an order after one personal ad, 0 to 1.
    """

    index: int
    owner: OwnerId
    card: CrmIdentity | None
    devices: tuple[Device, ...]
    trips: tuple[str, ...]
    items: tuple[str, ...]
    activity: float
    response_rate: float


def make_people(
    seed: int, count: int, pepper: Pepper, trips: Sequence[str], items: Sequence[str]
) -> list[Person]:
    """Customers first, then visitors.

    Args:
        seed: of everything about them.
        count: customers, 1 to 23,570 (the CDNOW log's).
        pepper: under which their identifiers are hashed.
        trips: at least ``count`` different ones; each is given to one person.
        items: products that they may want.

    Raises:
        InvalidFieldError: ``count`` is out of range.
        ValueError: there are fewer trips than customers.
    """
    customers = sorted(read_purchases())
    if not 1 <= count <= len(customers):
        raise InvalidFieldError("persons", count, f"from 1 to {len(customers)}")
    if len(trips) < count:
        raise ValueError(f"{len(trips)} trips for {count} customers: each needs one of their own")
    rng = random.Random(f"{seed}/people")
    spare = list(trips[count:])
    phones = _phone_numbers(rng, count)
    people = []
    for index, customer in enumerate(rng.sample(customers, count)):
        wanted = [trips[index]]
        if spare and rng.random() < SECOND_TRIP_SHARE:
            wanted.append(spare.pop())
        card = _make_card(rng, pepper, customer, phones[index])
        people.append(
            _make_customer(rng, pepper, index=index, card=card, trips=wanted, items=items)
        )
    for index in range(count, count + round(count * VISITOR_SHARE)):
        trip = [spare.pop()] if spare and rng.random() < 0.5 else []
        people.append(_make_visitor(rng, pepper, index, trip, items))
    return people


def _make_customer(
    rng: random.Random,
    pepper: Pepper,
    *,
    index: int,
    card: CrmIdentity,
    trips: Sequence[str],
    items: Sequence[str],
) -> Person:
    devices = make_devices(rng, pepper, rng.choice((2, 2, 3, 3, 4)))
    if rng.random() < UNLINKED_SHARE:
        silent = rng.randrange(len(devices))
        devices = tuple(
            msgspec.structs.replace(device, signs_in=False) if place == silent else device
            for place, device in enumerate(devices)
        )
    return Person(
        index=index,
        owner=OwnerId(f"customer-{index:05d}"),
        card=card,
        devices=devices,
        trips=tuple(trips),
        items=tuple(rng.sample(items, rng.randint(2, 4))),
        activity=rng.lognormvariate(0, ACTIVITY_SIGMA),
        response_rate=rng.betavariate(*RESPONSE_BETA),
    )


def _make_visitor(
    rng: random.Random, pepper: Pepper, index: int, trips: Sequence[str], items: Sequence[str]
) -> Person:
    devices = make_devices(rng, pepper, rng.randint(1, 2))
    return Person(
        index=index,
        owner=OwnerId(f"visitor-{index:05d}"),
        card=None,
        devices=tuple(msgspec.structs.replace(device, signs_in=False) for device in devices),
        trips=tuple(trips),
        items=tuple(rng.sample(items, rng.randint(1, 3))),
        activity=rng.lognormvariate(0, ACTIVITY_SIGMA),
        response_rate=0.0,
    )


def _make_card(rng: random.Random, pepper: Pepper, customer: str, phone: str) -> CrmIdentity:
    given, family = rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)
    crm_id = f"crm-{customer}"
    # The customer number makes the address unique.
    email = f"{given}.{family}.{customer}@mail.example".lower()
    return CrmIdentity(
        customer=customer,
        crm_id=crm_id,
        email=email,
        phone=phone,
        crm_node=node_of(pepper, Namespace.CRM, crm_id),
        email_node=node_of(pepper, Namespace.EMAIL, email),
        phone_node=node_of(pepper, Namespace.PHONE, phone),
        city=rng.choice(CITIES),
        tier=rng.choice(TIERS),
    )


def _phone_numbers(rng: random.Random, count: int) -> list[str]:
    """Different US numbers in E.164; exchange 555 is left out, whose 01xx are placeholders."""
    numbers: dict[str, None] = {}
    while len(numbers) < count:
        exchange = rng.randint(220, 998)
        if exchange == 555 or exchange % 100 == 11:
            continue
        numbers[f"+1{rng.choice(AREA_CODES)}{exchange}{rng.randint(1000, 9999)}"] = None
    return list(numbers)


def activity_steps(people: Sequence[Person]) -> list[float]:
    """Cumulative activity, for weighted choices; strictly rising."""
    steps = [0.0]
    for person in people:
        steps.append(steps[-1] + person.activity)
    if any(before >= after for before, after in pairwise(steps)):
        raise ValueError("every activity must be above 0")
    return steps[1:]
