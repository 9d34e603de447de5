"""CRM cards, and who has which address and number when.

Noise that lives here: one landline on the cards of a family, a number that goes to another
customer months later, a customer with two cards, and two customers whose cards the CRM merges by
mistake; the CRM puts some of the last two right.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.quality.noise import Luck, NoiseKind
from benchmarks.quality.people import Person, customers_of
from benchmarks.quality.registry import Registry
from benchmarks.quality.scribe import Scribe
from models.identifiers import Namespace, NodeId
from models.units import DAY_MS

__all__ = ["Contacts"]

FALLOW_DAYS: Final = (90, 180)
"""How long a number that was given up rests, before somebody else gets it."""

SAME_PHONE_SHARE: Final = 0.5
"""Duplicate cards that name the same phone; the others share nothing with the first."""


class Contacts:
    """What people sign in with and write into forms.

    Args:
        people: the world's.
        luck: decides what goes wrong.
        registry: makes the nodes.
        begin_ms: when the world begins.
        end_ms: when it ends.
    """

    def __init__(
        self, people: Sequence[Person], luck: Luck, registry: Registry, begin_ms: int, end_ms: int
    ) -> None:
        self._people = people
        self._luck = luck
        self._registry = registry
        self._begin_ms, self._span_ms = begin_ms, end_ms - begin_ms
        self._numbers: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        self._recycle()
        self._landlines = set(self._shared_landlines())
        self._doubled = {
            person.index for person in customers_of(people) if luck.happens("crm_duplicate")
        }

    # -- what people know of themselves ----------------------------------------------------

    def phone_at(self, person: Person, at_ms: int) -> str:
        """The person's mobile number at a time, raw."""
        return next(
            (number for since_ms, number in self._numbers[person.index] if since_ms <= at_ms),
            person.phone,
        )

    def email_account(self, person: Person, *, second: bool = False) -> NodeId:
        """The account by its address."""
        address = person.other_email if second else person.email
        return self._registry.node(Namespace.EMAIL, address, person.index)

    def crm_account(self, person: Person, *, second: bool = False) -> NodeId:
        """The account by its CRM id."""
        number = f"customer-{person.index}{'-again' if second else ''}"
        return self._registry.node(Namespace.CRM, number, person.index)

    def has_second_card(self, person: Person) -> bool:
        """Whether the CRM has this customer twice."""
        return person.index in self._doubled

    # -- cards -----------------------------------------------------------------------------

    def write_cards(self, scribe: Scribe) -> None:
        """Every card when it is made, and again whenever a number changes."""
        for person in customers_of(self._people):
            made_ms = self._made_ms(person)
            for at_ms in (made_ms, *(since_ms for since_ms, _ in self._numbers[person.index])):
                email, crm = self.email_account(person), self.crm_account(person)
                scribe.crm_card(at_ms, crm, email, *self._card_phones(person, at_ms))
            if self.has_second_card(person):
                dice = self._luck.dice("crm_duplicate")
                at_ms = made_ms + round(dice.random() * 0.5 * self._span_ms)
                same = dice.random() < SAME_PHONE_SHARE
                phones = self._card_phones(person, at_ms)[:1] if same else ()
                email = self.email_account(person, second=True)
                second = self.crm_account(person, second=True)
                scribe.crm_card(at_ms, second, email, *phones)
                if self._luck.happens("merged_duplicate"):
                    merged_ms = self._later(at_ms, "merged_duplicate")
                    scribe.crm_merge(merged_ms, self.crm_account(person), second)

    def merge_by_mistake(self, scribe: Scribe) -> None:
        """The CRM takes relatives, or strangers of one name, for one customer; not always for good.

        No customer's card is taken for those of two others.
        """
        customers, dice = customers_of(self._people), self._luck.dice("wrong_merge")
        merged: set[int] = set()
        for person in customers:
            others = [one for one in customers if one is not person and one.index not in merged]
            if person.index in merged or not others or not self._luck.happens("wrong_merge"):
                continue
            family = [one for one in others if one.household == person.household]
            other = dice.choice(family or others)
            merged |= {person.index, other.index}
            cards = self.crm_account(person), self.crm_account(other)
            at_ms = self._later(max(map(self._made_ms, (person, other))), "wrong_merge")
            scribe.crm_merge(at_ms, *cards)
            if self._luck.happens("split_again"):
                scribe.crm_split(self._later(at_ms, "split_again"), *cards)

    def _later(self, since_ms: int, kind: NoiseKind) -> int:
        return self._luck.dice(kind).randrange(since_ms, self._begin_ms + self._span_ms)

    def _made_ms(self, person: Person) -> int:
        """Cards are made one after another in the first quarter."""
        share = (person.index * 0.618034) % 1
        return self._begin_ms + round(share * self._span_ms / 4)

    def _card_phones(self, person: Person, at_ms: int) -> tuple[NodeId, ...]:
        numbers = [self.phone_at(person, at_ms)]
        if person.household in self._landlines:
            numbers.append(person.landline)
        return tuple(self._registry.node(Namespace.PHONE, one, person.index) for one in numbers)

    def _shared_landlines(self) -> Iterator[int]:
        households: defaultdict[int, int] = defaultdict(int)
        for person in customers_of(self._people):
            households[person.household] += 1
        for household, customers in households.items():
            if customers > 1 and self._luck.happens("family_line"):
                yield household

    def _recycle(self) -> None:
        """Numbers change hands: their first holder gets another, somebody else gets them."""
        customers, dice = customers_of(self._people), self._luck.dice("recycled_phone")
        for person in customers:
            others = [one for one in customers if one is not person]
            if not others or not self._luck.happens("recycled_phone"):
                continue
            left_ms = self._begin_ms + round(self._span_ms * dice.uniform(0.3, 0.5))
            taken_ms = left_ms + dice.randint(*FALLOW_DAYS) * DAY_MS
            heir = dice.choice(others)
            self._numbers[person.index].append((left_ms, person.next_phone))
            self._numbers[heir.index].append((taken_ms, person.phone))
            node = self._registry.node(Namespace.PHONE, person.phone)
            self._registry.hand_over(node, heir.index)
        for changes in self._numbers.values():
            changes.sort(reverse=True)
