"""Facets: what was seen under one identifier, folded from its events.

Facets form a commutative monoid: ``merge`` is associative and commutative and ``Facet()`` is its
unit, so a person's profile is the merge of their identifiers' facets, in whatever order. Folding
an event is merging what that one event says, so late events and events out of order give the
same facet as ordered ones. A facet carries the offset of the last event folded into it; a
redelivered event changes nothing.

One record takes something away: :class:`models.events.AccountErased`. It comes after what it
takes, in its identifier's partition, and what comes later than it does not bring that back.

The law holds because every part is a maximum (:mod:`models.newest`, :mod:`models.visits`,
:mod:`models.purchases`) or, for what was browsed, a sum over a closed set of names. A maximum stays
as it is when a producer tells of something again in a record of its own; a sum does not. Where a
part is exact only up to a limit, its module says up to which. Whatever the history, a facet is at
most :data:`MAX_FACET_BYTES` long.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from models.calls import CallHistory, fold_phone, merge_calls
from models.consents import KEPT_CONSENTS, Consents, consents_of, is_withdrawn
from models.contacts import Contacts, contacts_of, join_contacts
from models.deeds import OWN_PAGES, is_deed
from models.events import (
    AccountErased,
    Call,
    Consent,
    Contact,
    CrmCard,
    Event,
    FormAnswers,
    LoyaltyStatus,
    NumberLease,
    Order,
    OrderStatus,
    Refund,
    Refusal,
    Registration,
    SignIn,
    TraitTold,
)
from models.identifiers import NodeId, is_account, is_crm
from models.newest import add_newest, join_newest
from models.packing import pack, unpack
from models.purchases import Purchases, join_shops, purchases_of, short_name
from models.shop_events import STAGES
from models.touches import LETTER_OF, Touches, join_touches, kind_of
from models.traits import (
    KEPT_ANSWERS,
    Attributes,
    Traits,
    answers_of,
    join_traits,
    resolve,
    traits_of,
)
from models.units import SECOND_MS
from models.visits import HALF_HOUR_S, HalfHours, add_half_hour, join_half_hours

__all__ = [
    "KEPT_SIGN_INS",
    "MAX_FACET_BYTES",
    "Facet",
    "attributes",
    "decode_facet",
    "encode_facet",
    "export_facet",
    "fold_event",
    "merge",
]

MAX_FACET_BYTES: Final = 786_432
"""Longer than every facet can become, whatever the script of its texts: the kept numbers of all
parts times their longest texts, at four bytes a letter. Orders may take four fifths of it."""

KEPT_SIGN_INS: Final = 8
KEPT_DEALS: Final = 8


class Facet(msgspec.Struct, frozen=True, array_like=True):
    """What was seen under one identifier. The watermark comes first, see ``decode_watermark``.

    Times are Unix seconds, which take half the bytes of milliseconds, unless a name says ``_ms``.

    Attributes:
        watermark: offset of the last folded record in this identifier's partition; -1: none.
        channels: channel's letter to what the person did there last.
        counts: of what was browsed, kind's letter to the number of its records.
        touches: the newest touches of each kind.
        half_hours: when there were visits.
        sign_ins: account to its latest sign-in under this identifier, Unix ms.
        purchases: per advertiser.
        deals: ``ADVERTISER/ORDER`` to (time, stage's place in ``STAGES``).
        contacts: the newest messages of each channel and action.
        traits, third_party: what sources say about the person.
        answers: ``ADVERTISER/FORM/QUESTION`` to (time, answer).
        consents: per purpose.
        phone: the newest calls and number leases.
    """

    watermark: int = -1
    channels: dict[str, int] = {}
    counts: dict[str, int] = {}
    touches: Touches = {}
    half_hours: HalfHours = ()
    sign_ins: dict[NodeId, int] = {}
    purchases: dict[str, Purchases] = {}
    deals: dict[str, tuple[int, int]] = {}
    contacts: Contacts = {}
    traits: Traits = {}
    third_party: Traits = {}
    answers: dict[str, tuple[int, str]] = {}
    consents: Consents = {}
    phone: CallHistory = CallHistory()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Facet).decode
export_facet: Final = msgspec.msgpack.Encoder(order="deterministic").encode
"""The one encoding of equal facets, to compare by; sorting costs a third more than encoding."""


def encode_facet(facet: Facet) -> bytes:
    """A facet as it stands in Redis."""
    return pack(facet.watermark, _encode(facet))


def decode_facet(packed: bytes) -> Facet:
    """Reads what :func:`encode_facet` wrote, or a watermark alone: all before it was erased."""
    watermark, encoded = unpack(packed)
    return _decode(encoded) if encoded else Facet(watermark)


_replace: Final = msgspec.structs.replace
_astuple: Final = msgspec.structs.astuple
SEEN_FIELDS: Final = 5
"""The first fields of a facet, which any event may change."""


def fold_event(facet: Facet, event: Event, offset: int) -> Facet:
    """The facet after one more event of its identifier.

    Args:
        facet: the facet before; its watermark is below ``offset``.
        event: the event at ``offset``.
        offset: the record's offset in its partition.
    """
    kind = kind_of(type(event))
    if kind is None:
        if isinstance(event, AccountErased):
            return _without_account(facet, event, offset)
        seen = _replace(facet, watermark=offset)
        return _merge_said(seen, _of_consent(event)) if isinstance(event, Consent) else seen
    now_s = event.event_time_ms // SECOND_MS
    letter = LETTER_OF[event.channel]
    channels, counts, touches, visits = (
        facet.channels, facet.counts, facet.touches, facet.half_hours
    )  # fmt: skip
    entries = touches.get(kind.letter) or {}
    touched = add_newest(entries, letter + kind.text(event), now_s, kind.kept)
    if is_deed(event):
        if channels.get(letter, -1) < now_s:
            channels = {**channels, letter: now_s}
        if event.channel in OWN_PAGES:
            visits = add_half_hour(visits, now_s // HALF_HOUR_S)
    if kind.is_counted:
        counts = {**counts, kind.letter: counts.get(kind.letter, 0) + 1}
    # Built by places, in 0.6 of the time that ``replace`` takes: this runs for every event.
    seen = Facet(
        offset,
        channels,
        counts,
        touches if touched is entries else {**touches, kind.letter: touched},
        visits,
        *_astuple(facet)[SEEN_FIELDS:],
    )
    say = _SAID.get(type(event))
    return seen if say is None else _merge_said(seen, say(event))


def _without_account(facet: Facet, event: AccountErased, offset: int) -> Facet:
    kept = {
        account: time_ms
        for account, time_ms in facet.sign_ins.items()
        if account != event.account or time_ms > event.event_time_ms
    }
    return _replace(facet, watermark=offset, sign_ins=kept)


def _of_sign_in(event: SignIn) -> Facet:
    accounts = (node for node in event.ids[1:] if is_account(node) or is_crm(node))
    return Facet(sign_ins=dict.fromkeys(accounts, event.event_time_ms))


def _of_status(event: OrderStatus) -> Facet:
    deal = f"{event.advertiser}/{short_name(event.order_id)}"
    return Facet(deals={deal: (event.event_time_ms // SECOND_MS, STAGES.index(event.stage))})


def _of_consent(event: Consent) -> Facet:
    return Facet(consents=consents_of(event))


def _of_trait(event: TraitTold) -> Facet:
    said = traits_of(event)
    return Facet(third_party=said) if event.third_party else Facet(traits=said)


def _of_order(event: Order | Refund | Refusal) -> Facet:
    return Facet(purchases={event.advertiser: purchases_of(event)})


def _of_card(event: CrmCard | Registration | LoyaltyStatus) -> Facet:
    return Facet(traits=traits_of(event))


def _of_phone(event: Call | NumberLease) -> Facet:
    return Facet(phone=fold_phone(CallHistory(), event))


_SAID: Final[dict[type[Event], Callable[[Any], Facet]]] = {
    SignIn: _of_sign_in,
    Order: _of_order,
    Refund: _of_order,
    Refusal: _of_order,
    OrderStatus: _of_status,
    Contact: lambda e: Facet(contacts=contacts_of(e)),
    FormAnswers: lambda e: Facet(answers=answers_of(e)),
    Consent: _of_consent,
    TraitTold: _of_trait,
    CrmCard: _of_card,
    Registration: _of_card,
    LoyaltyStatus: _of_card,
    Call: _of_phone,
    NumberLease: _of_phone,
}
"""What an event says beyond that it happened; kinds that say no more stand not here."""


def merge(facets: Iterable[Facet]) -> Facet:
    """The profile that several identifiers make together.

    The result's watermark is the sum of ``watermark + 1`` less one: it rises with every event of
    any of them, and so tells an older merge from a newer one.
    """
    merged: Facet | None = None
    for facet in facets:
        merged = facet if merged is None else _merge_two(merged, facet)
    return Facet() if merged is None else merged


def _merge_two(a: Facet, b: Facet) -> Facet:
    seen = _replace(
        a,
        watermark=a.watermark + b.watermark + 1,
        channels=join_newest(a.channels, b.channels, len(LETTER_OF)),
        counts={**a.counts, **{k: a.counts.get(k, 0) + n for k, n in b.counts.items()}},
        touches=join_touches(a.touches, b.touches),
        half_hours=join_half_hours(a.half_hours, b.half_hours),
    )
    return _merge_said(seen, b)


def _merge_said(a: Facet, b: Facet) -> Facet:
    """``a`` with everything of ``b`` that an event says beyond that it happened."""
    return _replace(
        a,
        sign_ins=join_newest(a.sign_ins, b.sign_ins, KEPT_SIGN_INS),
        purchases=join_shops(a.purchases, b.purchases),
        deals=join_newest(a.deals, b.deals, KEPT_DEALS),
        contacts=join_contacts(a.contacts, b.contacts),
        traits=join_traits(a.traits, b.traits),
        third_party=join_traits(a.third_party, b.third_party),
        answers=join_newest(a.answers, b.answers, KEPT_ANSWERS),
        consents=join_newest(a.consents, b.consents, KEPT_CONSENTS),
        phone=merge_calls(a.phone, b.phone),
    )


def attributes(facet: Facet, *, third_party: bool) -> Attributes:
    """What is believed of the person: birthday, gender, city, sizes, memberships and the like.

    Args:
        facet: a person's merged facet, or one identifier's.
        third_party: whether third parties are heard; without them, and for a person who has
            withdrawn consent to ``partner_data``, the answer rests on the owner's own data alone,
            and says so.
    """
    is_heard = third_party and not is_withdrawn(facet.consents, "partner_data")
    return resolve(facet.traits, facet.third_party if is_heard else {})
