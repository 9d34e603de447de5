"""The people of the world: households, CRM customers and guests, their devices and contacts."""

import random
import uuid
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

__all__ = ["Device", "Person", "customers_of", "make_advertising_id", "make_people"]

CUSTOMER_SHARE: Final = 0.8
"""The rest are guests: they have no CRM card and never sign in."""

HOUSEHOLD_SIZES: Final = (1, 1, 1, 2, 2, 2, 3, 4)
DEVICE_COUNTS: Final = (1, 2, 2, 3, 3, 4)
APP_SHARE: Final = 0.3
SIGNED_IN_SHARE: Final = 0.85
"""Devices of customers on which they ever sign in."""

AREA_CODES: Final = ("201", "212", "305", "312", "404", "415", "516", "617", "703", "917")
GIVEN_NAMES: Final = (
    "ada", "ben", "carla", "dev", "elena", "farid", "grace", "hugo", "iris", "jamal", "kim", "lena",
    "marco", "nina", "omar", "petra", "quinn", "rosa", "samir", "tara", "uma", "viktor",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "abbott", "bianchi", "chen", "dubois", "evans", "fischer", "garcia", "haddad", "ito", "jensen",
    "kowalski", "lopez", "murphy", "nguyen", "okafor", "patel", "rossi", "silva",
)  # fmt: skip


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A browser, known by cookies, or an app, known by its advertising id.

    Attributes:
        name: an app's advertising id; a browser's cookies are made of it.
        owner: the index of the person whose it is.
        signs_in: False where its owner never signs in.
        has_eid: pages see an extended id beside the cookie.
    """

    name: str
    owner: int
    kind: Literal["browser", "app"]
    signs_in: bool
    has_eid: bool


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, with the raw contacts that never leave the world.

    Attributes:
        index: their number, from 0.
        household: people with one number live together.
        is_customer: has a CRM card.
        email, other_email: addresses; the second one is on a duplicate card only.
        phone, next_phone, office_phone, landline: in E.164; a household has one landline, and the
            next number comes when the first one is given up.
        devices: at least one.
    """

    index: int
    household: int
    is_customer: bool
    email: str
    other_email: str
    phone: str
    next_phone: str
    office_phone: str
    landline: str
    devices: tuple[Device, ...]


def make_people(seed: int, count: int) -> list[Person]:
    """The same people for the same seed, in the order of their households."""
    rng = random.Random(f"{seed}/people")
    numbers = _phone_numbers(rng, 4 * count)
    people: list[Person] = []
    household = 0
    while len(people) < count:
        landline = numbers.pop()
        size = min(rng.choice(HOUSEHOLD_SIZES), count - len(people))
        family = rng.choice(FAMILY_NAMES)
        for _ in range(size):
            index = len(people)
            # The index makes the address unique.
            address = f"{rng.choice(GIVEN_NAMES)}.{family}{index}"
            people.append(
                Person(
                    index=index,
                    household=household,
                    is_customer=rng.random() < CUSTOMER_SHARE,
                    email=f"{address}@mail.example",
                    other_email=f"{address}@work.example",
                    phone=numbers.pop(),
                    next_phone=numbers.pop(),
                    office_phone=numbers.pop(),
                    landline=landline,
                    devices=_make_devices(rng, index),
                )
            )
        household += 1
    return people


def _make_devices(rng: random.Random, owner: int) -> tuple[Device, ...]:
    return tuple(
        Device(
            name=make_advertising_id(rng),
            owner=owner,
            kind="app" if place and rng.random() < APP_SHARE else "browser",
            signs_in=rng.random() < SIGNED_IN_SHARE,
            has_eid=rng.random() < 0.4,
        )
        for place in range(rng.choice(DEVICE_COUNTS))
    )


def make_advertising_id(rng: random.Random) -> str:
    """An id as phones and tablets have it: a random UUID."""
    return str(uuid.UUID(bytes=rng.randbytes(16), version=4))


def _phone_numbers(rng: random.Random, count: int) -> list[str]:
    """Different US numbers in E.164; exchange 555 is left out, whose 01xx are placeholders."""
    numbers: dict[str, None] = {}
    while len(numbers) < count:
        exchange = rng.randint(220, 998)
        if exchange == 555 or exchange % 100 == 11:
            continue
        numbers[f"+1{rng.choice(AREA_CODES)}{exchange}{rng.randint(1000, 9999)}"] = None
    return list(numbers)


def customers_of(people: Sequence[Person]) -> list[Person]:
    """Those with a CRM card."""
    return [person for person in people if person.is_customer]
