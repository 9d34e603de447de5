"""What people do on devices and with contacts that are not theirs alone.

Four kinds of noise live here: a family's tablet, a public kiosk, a friend's device on which
somebody signs in once, and an order with the contact of the one who gets the present.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from benchmarks.quality.browsing import Visit
from benchmarks.quality.contacts import Contacts
from benchmarks.quality.noise import Luck
from benchmarks.quality.people import Person, customers_of, make_advertising_id
from benchmarks.quality.registry import Registry
from benchmarks.quality.scribe import Scribe
from models.identifiers import Namespace, NodeId
from models.units import SECOND_MS

__all__ = ["Sharing"]

TABLET_SIGN_INS: Final = (6, 16)
CUSTOMERS_PER_KIOSK: Final = 1000
"""Customers who live around one kiosk; ``kiosk_ratio`` of them use it."""


class Sharing:
    """Writes down what people share.

    Args:
        people: the world's.
        contacts: what they sign in with.
        luck: decides what goes wrong.
        registry: makes the nodes.
        scribe: takes the records.
    """

    def __init__(
        self,
        people: Sequence[Person],
        contacts: Contacts,
        luck: Luck,
        registry: Registry,
        scribe: Scribe,
    ) -> None:
        self._customers = customers_of(people)
        self._contacts = contacts
        self._luck = luck
        self._registry = registry
        self._scribe = scribe

    def use_family_tablets(self, begin_ms: int, end_ms: int) -> None:
        """Members of a household take turns on one tablet, and each signs in."""
        households: defaultdict[int, list[Person]] = defaultdict(list)
        for person in self._customers:
            households[person.household].append(person)
        dice = self._luck.dice("family_tablet")
        for members in households.values():
            if len(members) < 2 or not self._luck.happens("family_tablet"):
                continue
            advertising_id = make_advertising_id(dice)
            # Each of the first two at least once: a tablet of one person is not shared.
            turns = members[:2] + dice.choices(members, k=dice.randint(*TABLET_SIGN_INS) - 2)
            for person in turns:
                tablet = self._registry.node(Namespace.IFA, advertising_id, person.index)
                self._sign_in(person, tablet, dice.randrange(begin_ms, end_ms), dice)

    def use_kiosks(self, begin_ms: int, end_ms: int) -> None:
        """Strangers sign in at a public browser, one after another."""
        dice = self._luck.dice("kiosk")
        for place, person in enumerate(self._customers):
            if self._luck.happens("kiosk"):
                name = f"kiosk-{place // CUSTOMERS_PER_KIOSK}"
                kiosk = self._registry.node(Namespace.COOKIE, name, person.index)
                self._sign_in(person, kiosk, dice.randrange(begin_ms, end_ms), dice)

    def use_friends_devices(self, visits: Sequence[Visit]) -> None:
        """A friend signs in on somebody's device and never signs out."""
        by_device: defaultdict[str, list[Visit]] = defaultdict(list)
        for visit in visits:
            by_device[visit.device.name].append(visit)
        dice = self._luck.dice("borrowed_device")
        for found in by_device.values():
            if self._luck.happens("borrowed_device"):
                visit = dice.choice(found)
                friend = self._somebody_else(visit.device.owner, dice)
                at_ms = visit.at_ms + 3600 * SECOND_MS
                self._sign_in(friend, visit.ids[0], at_ms, dice)

    def order_gifts(self, visits: Sequence[Visit]) -> None:
        """A customer orders on a device of their own and gives the contact of somebody else."""
        by_owner: defaultdict[int, list[Visit]] = defaultdict(list)
        for visit in visits:
            by_owner[visit.device.owner].append(visit)
        dice = self._luck.dice("gift_order")
        for person in self._customers:
            if self._luck.happens("gift_order"):
                visit = dice.choice(by_owner[person.index])
                friend = self._somebody_else(person.index, dice)
                at_ms = visit.at_ms + 400 * SECOND_MS
                phone = self._contacts.phone_at(friend, at_ms)
                self._scribe.order(
                    at_ms,
                    visit.ids[0],
                    self._contacts.email_account(friend),
                    self._registry.node(Namespace.PHONE, phone, friend.index),
                )

    def _sign_in(self, person: Person, device: NodeId, at_ms: int, dice: random.Random) -> None:
        by_email = dice.random() < 0.5
        account = self._contacts.email_account if by_email else self._contacts.crm_account
        self._scribe.sign_in(at_ms, device, account(person))
        self._scribe.page_view(at_ms + SECOND_MS, device)

    def _somebody_else(self, index: int, dice: random.Random) -> Person:
        return dice.choice([one for one in self._customers if one.index != index])
