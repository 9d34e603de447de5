"""What goes wrong in the world, how often, and the dice that decide it.

Every kind of noise has dice of its own, so to switch one off changes nothing of the others: two
worlds of one seed differ by that noise alone. Two kinds put another one right again, as far as
they go.
"""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, Self, TypeAlias, get_args

import msgspec

from models.errors import InvalidFieldError

__all__ = ["NOISE_KINDS", "PUTS_RIGHT", "Luck", "NoiseKind", "NoiseRates"]

NoiseKind: TypeAlias = Literal[
    "cookie_churn", "poison_id", "form_typo", "stray_call",
    "family_tablet", "kiosk", "borrowed_device", "gift_order",
    "family_line", "recycled_phone", "crm_duplicate", "merged_duplicate",
    "wrong_merge", "split_again",
]  # fmt: skip

NOISE_KINDS: Final[tuple[NoiseKind, ...]] = get_args(NoiseKind)

PUTS_RIGHT: Final[Mapping[NoiseKind, NoiseKind]] = {
    "merged_duplicate": "crm_duplicate", "split_again": "wrong_merge",
}  # fmt: skip
"""Kinds that happen only where another one did, which the CRM puts right by them."""


class NoiseRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often each kind of noise happens, 0 to 1. They are declared, not measured.

    Attributes:
        cookie_churn_ratio: visits before which the browser's cookies were cleared.
        poison_id_ratio: devices that send one constant id beside their own.
        form_typo_ratio: forms with one slip of the finger in the e-mail or the phone; one slip in
            ten hits somebody else's address or number.
        stray_call_ratio: callers whose phone is not the one that they gave in the form: their
            office's, or somebody else's.
        family_tablet_ratio: households of several customers who sign in on one tablet.
        kiosk_ratio: customers who sign in once at a public kiosk.
        borrowed_device_ratio: devices on which a friend signs in once and never signs out.
        gift_order_ratio: customers who order once for somebody else and give that one's contact.
        family_line_ratio: households of several customers whose cards name one landline.
        recycled_phone_ratio: customers whose number goes to another customer months later.
        crm_duplicate_ratio: customers with two CRM cards.
        merged_duplicate_ratio: of these, customers whose cards the CRM merges later.
        wrong_merge_ratio: customers whose card the CRM merges with somebody else's by mistake.
        split_again_ratio: of these mistakes, those that the CRM finds and splits.

    Raises:
        InvalidFieldError: a rate is outside 0 to 1.
    """

    cookie_churn_ratio: float = 0.1
    poison_id_ratio: float = 0.03
    form_typo_ratio: float = 0.05
    stray_call_ratio: float = 0.25
    family_tablet_ratio: float = 0.4
    kiosk_ratio: float = 0.05
    borrowed_device_ratio: float = 0.05
    gift_order_ratio: float = 0.1
    family_line_ratio: float = 0.3
    recycled_phone_ratio: float = 0.05
    crm_duplicate_ratio: float = 0.05
    merged_duplicate_ratio: float = 0.6
    wrong_merge_ratio: float = 0.02
    split_again_ratio: float = 0.5

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidFieldError(name, getattr(self, name), "a share from 0 to 1")

    def of(self, kind: NoiseKind) -> float:
        """The rate of one kind."""
        rate: float = getattr(self, f"{kind}_ratio")
        return rate

    def only(self, *kinds: NoiseKind) -> Self:
        """These rates for the given kinds, 0 for all others; no kind is a world without noise."""
        quiet = {f"{kind}_ratio": 0.0 for kind in NOISE_KINDS if kind not in kinds}
        return msgspec.structs.replace(self, **quiet)

    def alone(self, kind: NoiseKind) -> Self:
        """Only this kind, and the one that it puts right."""
        return self.only(kind, PUTS_RIGHT.get(kind, kind))


class Luck:
    """Decides what goes wrong, and counts it.

    Attributes:
        chances: how often each kind could have happened.
        mishaps: how often it did.
    """

    def __init__(self, seed: int, rates: NoiseRates) -> None:
        self._rates = rates
        self._happens = {kind: random.Random(f"{seed}/{kind}") for kind in NOISE_KINDS}
        self._details = {kind: random.Random(f"{seed}/{kind}/details") for kind in NOISE_KINDS}
        self.chances: Counter[NoiseKind] = Counter()
        self.mishaps: Counter[NoiseKind] = Counter()

    def happens(self, kind: NoiseKind) -> bool:
        """Whether this chance for a noise becomes one."""
        happened = self._happens[kind].random() < self._rates.of(kind)
        self.chances[kind] += 1
        self.mishaps[kind] += happened
        return happened

    def dice(self, kind: NoiseKind) -> random.Random:
        """For the details of a mishap of this kind."""
        return self._details[kind]
