"""Events that tell of the person: contacts, cards, forms, loyalty, consent, traits."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from models.errors import EventError
from models.event_base import (
    Advertiser,
    Channel,
    EventRecord,
    Label,
    Name,
    Text,
    check_date,
    check_node,
)
from models.identifiers import NodeId, is_crm

__all__ = [
    "ACTIONS",
    "PURPOSES",
    "AccountErased",
    "Action",
    "CardContact",
    "CarriedConsent",
    "Consent",
    "Contact",
    "CrmMerge",
    "CrmSplit",
    "FormAnswers",
    "Gender",
    "LoyaltyStatus",
    "Purpose",
    "Registration",
    "TraitTold",
]

Action = Literal["sent", "received", "opened", "clicked", "unsubscribed"]
ACTIONS: Final[tuple[Action, ...]] = ("sent", "received", "opened", "clicked", "unsubscribed")
CONTACT_CHANNELS: Final[frozenset[Channel]] = frozenset({"email", "sms", "push", "chat", "social"})

Purpose = Literal["personal_ads", "email", "sms", "push", "calls", "analytics", "partner_data"]
PURPOSES: Final[tuple[Purpose, ...]] = (
    "personal_ads", "email", "sms", "push", "calls", "analytics", "partner_data",
)  # fmt: skip

Gender = Literal["", "female", "male", "other"]


class Contact(EventRecord, frozen=True, kw_only=True, tag="contact"):
    """A message and what became of it, on mail, SMS, push, chat or a social network.

    Attributes:
        action: ``received`` is a message from the person.
        topic: what it was about: ``welcome``, ``price_drop``, ``order_status``.
    """

    channel: Channel = "email"
    advertiser: Advertiser
    action: Action
    topic: Label = ""

    def check(self) -> None:
        """Raises EventError for a channel without messages."""
        if self.channel not in CONTACT_CHANNELS:
            wanted = ", ".join(sorted(CONTACT_CHANNELS))
            raise EventError(f"channel: a contact is on one of {wanted}, not {self.channel!r}")


class CardContact(EventRecord, frozen=True, kw_only=True, tag="card_contact"):
    """A card was swiped, or a shop's terminal used; ``place`` is where."""

    channel: Channel = "card"
    advertiser: Advertiser
    place: Label


class Registration(EventRecord, frozen=True, kw_only=True, tag="registration"):
    """An account was made; what the person said about themselves stands beside it."""

    advertiser: Advertiser
    city: Text = ""
    gender: Gender = ""
    birthday: str = ""

    def check(self) -> None:
        """Raises EventError where the birthday is not a date."""
        if self.birthday:
            check_date("birthday", self.birthday)


class FormAnswers(EventRecord, frozen=True, kw_only=True, tag="form_answers"):
    """A quiz, a lead form or a survey was answered: question to answer."""

    advertiser: Advertiser
    kind: Literal["quiz", "lead_form", "survey"]
    form: Name
    answers: Annotated[dict[Name, Text], Meta(min_length=1, max_length=16)]


class LoyaltyStatus(EventRecord, frozen=True, kw_only=True, tag="loyalty_status"):
    """A loyalty programme's word on a member: tier, and miles or points to spend.

    A programme is its advertiser's; what two programmes say stands side by side.
    """

    advertiser: Advertiser
    tier: Label = ""
    miles: Annotated[int, Meta(ge=0, le=10**12)] | None = None


class Consent(EventRecord, frozen=True, kw_only=True, tag="consent"):
    """Purposes that the person allows or no longer allows; ``source`` is who heard it."""

    granted: Annotated[tuple[Purpose, ...], Meta(max_length=16)] = ()
    withdrawn: Annotated[tuple[Purpose, ...], Meta(max_length=16)] = ()
    source: Name

    def check(self) -> None:
        """Raises EventError where nothing is said, or two things at once."""
        if not self.granted and not self.withdrawn:
            raise EventError("granted: a consent event grants or withdraws at least one purpose")
        both = set(self.granted) & set(self.withdrawn)
        if both:
            raise EventError(f"granted: {', '.join(sorted(both))} is withdrawn in the same event")


class CarriedConsent(Consent, frozen=True, kw_only=True, tag="carried_consent"):
    """The word of a consent event, told to one identifier more; it leaves no touch.

    Streams tells it to the further identifiers of an event, ``kinbid erase`` to those erased:
    what was withdrawn stays withdrawn. No producer does.
    """


class TraitTold(EventRecord, frozen=True, kw_only=True, tag="trait"):
    """A source says something about the person.

    Attributes:
        source: who says so, for example ``weather`` or a data partner's name.
        third_party: it is not the owner's own data; an advertiser may do without.
        name, value: what it says.
        trust: 0 to 100; among sources that differ, the most trusted wins.
    """

    source: Name
    third_party: bool = False
    name: Name
    value: Text
    trust: Annotated[int, Meta(ge=0, le=100)] = 30


class AccountErased(EventRecord, frozen=True, kw_only=True, tag="account_erased"):
    """``account``, an identifier, was erased, and nothing about it counts up to the event's time.

    ``kinbid erase`` tells it to the identifier itself and to every one that it was seen with.
    """

    channel: Channel = "crm"
    account: NodeId

    def check(self) -> None:
        """Raises EventError where the account is not a hashed identifier."""
        check_node("account", self.account)


class CrmMerge(EventRecord, frozen=True, kw_only=True, tag="crm_merge"):
    """The CRM has merged cards: ``ids`` are the one that survives, then those that it took in.

    Nothing that the customer did: it leaves no touch.
    """

    channel: Channel = "crm"

    def check(self) -> None:
        """Raises EventError unless these are two or more different cards."""
        _check_cards(self.ids)


class CrmSplit(EventRecord, frozen=True, kw_only=True, tag="crm_split"):
    """Cards are customers of their own again: each of ``ids`` is none of the others.

    It speaks of those that were merged. Nothing that the customer did: it leaves no touch.
    """

    channel: Channel = "crm"

    def check(self) -> None:
        """Raises EventError unless these are two or more different cards."""
        _check_cards(self.ids)


def _check_cards(ids: tuple[NodeId, ...]) -> None:
    if len(set(ids)) != len(ids) or len(ids) < 2:
        raise EventError(f"ids: {len(set(ids))} different of {len(ids)}; name each card once")
    for node in ids:
        if not is_crm(node):
            raise EventError(f"ids: {node!r} is not a CRM id; only cards are merged and split")
