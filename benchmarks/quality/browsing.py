"""What people do on their own devices: visits, sign-ins, forms and calls.

Four kinds of noise live here: cleared cookies, a constant id that a faulty script sends, slips of
the finger in forms, and callers who use another phone than the one in the form.
"""

import random
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.quality.contacts import Contacts
from benchmarks.quality.noise import Luck
from benchmarks.quality.people import Device, Person
from benchmarks.quality.registry import Registry
from benchmarks.quality.scribe import Scribe
from benchmarks.quality.slips import slip_in_email, slip_in_phone
from models.identifiers import Namespace, NodeId
from models.units import SECOND_MS

__all__ = ["Browsing", "Visit"]

VISITS: Final = (2, 10)
"""Per device, in the whole time."""

SIGN_IN_SHARE: Final = 0.4
ORDER_SHARE: Final = 0.2
GUEST_ORDER_SHARE: Final = 0.3
"""Orders of customers who fill in the form although they have an account; guests always do."""

CALL_SHARE: Final = 0.06
HIT_SHARE: Final = 0.1
"""Slips that make somebody else's address or number, not nobody's."""

POISON_ID: Final = "7d3e0c1a-5b52-4c5e-9a41-20c6f3b8d917"
PLACEHOLDER_ID: Final = "00000000-0000-0000-0000-000000000000"
EID_PREFIX: Final = "id.example|1|"
"""Source and agent type of the extended ids: an id of the browser, gone with its cookies."""


class Visit(msgspec.Struct, frozen=True):
    """A person on a device of theirs, and what pages see of it; the first node is the key."""

    at_ms: int
    device: Device
    ids: tuple[NodeId, ...]


class Browsing:
    """Writes down what happens on people's own devices.

    Args:
        seed: of what people do.
        people: the world's.
        contacts: what they sign in with.
        luck: decides what goes wrong.
        registry: makes the nodes.
        scribe: takes the records.
    """

    def __init__(
        self,
        *,
        seed: int,
        people: Sequence[Person],
        contacts: Contacts,
        luck: Luck,
        registry: Registry,
        scribe: Scribe,
    ) -> None:
        self._rng = random.Random(f"{seed}/browsing")
        self._people = people
        self._contacts = contacts
        self._luck = luck
        self._registry = registry
        self._scribe = scribe

    def live(self, begin_ms: int, end_ms: int) -> list[Visit]:
        """Everybody's visits in that time, person by person."""
        visits: list[Visit] = []
        for person in self._people:
            for device in person.devices:
                visits += self._use(person, device, begin_ms, end_ms)
        return visits

    def _use(self, person: Person, device: Device, begin_ms: int, end_ms: int) -> list[Visit]:
        rng, luck = self._rng, self._luck
        times = sorted(rng.randrange(begin_ms, end_ms) for _ in range(rng.randint(*VISITS)))
        has_fault = luck.happens("poison_id")
        second_account = (
            self._contacts.has_second_card(person) and luck.dice("crm_duplicate").random() < 0.5
        )
        visits: list[Visit] = []
        cookies = 0
        for at_ms in times:
            if device.kind == "browser" and visits:
                cookies += luck.happens("cookie_churn")
            visit = Visit(at_ms, device, self._ids(device, cookies))
            visits.append(visit)
            self._scribe.page_view(at_ms, *visit.ids)
            if has_fault:
                self._send_constant_id(visit)
            self._act(person, visit, second_account=second_account)
        return visits

    def _ids(self, device: Device, cookies: int) -> tuple[NodeId, ...]:
        if device.kind == "app":
            return (self._registry.node(Namespace.IFA, device.name, device.owner),)
        value = f"{device.name}-{cookies}"
        cookie = self._registry.node(Namespace.COOKIE, value, device.owner)
        if not device.has_eid:
            return (cookie,)
        eid = self._registry.node(Namespace.EID, EID_PREFIX + value, device.owner)
        return cookie, eid

    def _send_constant_id(self, visit: Visit) -> None:
        """A faulty script: the placeholder is known for one, the other constant looks real."""
        for value in (PLACEHOLDER_ID, POISON_ID):
            node = self._registry.try_node(Namespace.IFA, value, visit.device.owner)
            if node is not None:
                self._scribe.page_view(visit.at_ms + SECOND_MS, visit.ids[0], node)

    def _act(self, person: Person, visit: Visit, *, second_account: bool) -> None:
        rng = self._rng
        wants_in, by_email = rng.random() < SIGN_IN_SHARE, rng.random() < 0.5
        orders, fills_form = rng.random() < ORDER_SHARE, rng.random() < GUEST_ORDER_SHARE
        calls = rng.random() < CALL_SHARE
        if person.is_customer and visit.device.signs_in and wants_in:
            account = self._contacts.email_account if by_email else self._contacts.crm_account
            node = account(person, second=second_account)
            self._scribe.sign_in(visit.at_ms + 30 * SECOND_MS, visit.ids[0], node)
        if calls or (orders and (fills_form or not person.is_customer)):
            self._fill_form(person, visit)
        elif orders:
            self._scribe.order(visit.at_ms + 300 * SECOND_MS, visit.ids[0])
        if calls:
            self._call(person, visit)

    def _fill_form(self, person: Person, visit: Visit) -> None:
        email, email_owner = person.email, person.index
        phone, phone_owner = self._contacts.phone_at(person, visit.at_ms), person.index
        if self._luck.happens("form_typo"):
            dice = self._luck.dice("form_typo")
            other = dice.choice(self._people)
            hits = dice.random() < HIT_SHARE
            if dice.random() < 0.5:
                email = other.email if hits else slip_in_email(dice, email)
                email_owner = other.index if hits else person.index
            else:
                phone = self._contacts.phone_at(other, visit.at_ms) if hits else (
                    slip_in_phone(dice, phone)
                )  # fmt: skip
                phone_owner = other.index if hits else person.index
        nodes = (
            self._registry.try_node(Namespace.EMAIL, email.title(), email_owner),
            self._registry.try_node(Namespace.PHONE, _as_written(phone), phone_owner),
        )
        contacts = [node for node in nodes if node is not None]
        self._scribe.order(visit.at_ms + 300 * SECOND_MS, visit.ids[0], *contacts)

    def _call(self, person: Person, visit: Visit) -> None:
        at_ms = visit.at_ms + 600 * SECOND_MS
        phone, owner = self._contacts.phone_at(person, at_ms), person.index
        if self._luck.happens("stray_call"):
            dice = self._luck.dice("stray_call")
            others = [one for one in self._people if one is not person]
            family = [one for one in others if one.household == person.household]
            if dice.random() < 0.5:
                phone = person.office_phone
            else:
                helper = dice.choice(family or others)
                phone, owner = self._contacts.phone_at(helper, at_ms), helper.index
        caller = self._registry.node(Namespace.PHONE, phone, owner)
        self._scribe.call(at_ms, caller, visit.ids[0])


def _as_written(phone: str) -> str:
    """A US number as people write it into forms."""
    return f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
