"""Traits: what sources say about a person, and which of them is believed.

A trait is kept for every source that told it, at that source's newest word. Who is believed is
decided on reading, by a rule without order: an own source before any third party, the most trusted
source, then the newest word, then the greater value. What third parties say stands apart, so that
an advertiser can do without it.

Names and sources are their tellers' to choose, so traits are bounded; each class of them by itself,
lest many words that nothing reads push out the few that something does (:func:`join_traits`).

Tier and miles are a loyalty programme's, which is its advertiser's: of several programmes none
speaks for another, so their names end in it, such as ``tier/air``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from models.event_base import EventRecord
from models.events import CrmCard, FormAnswers, LoyaltyStatus, Registration, TraitTold
from models.newest import join_newest
from models.units import SECOND_MS

__all__ = [
    "KEPT_ANSWERS",
    "KEPT_TRAITS",
    "Attribute",
    "Attributes",
    "Traits",
    "answers_of",
    "join_traits",
    "resolve",
    "tiers",
    "traits_of",
]

Traits = dict[str, tuple[int, int, str]]
"""``NAME@SOURCE`` to (Unix seconds, trust, value); a programme's is ``NAME/@ADVERTISER``."""

CARD_NAMES: Final = frozenset({"birthday", "city", "deal_stage", "gender", "miles", "tier"})
SIZE_HEAD: Final = "size."
CRM, ACCOUNT = "crm", "account"
"""Sources: the CRM's card, and what people say when they register."""


TraitClass = Literal["card", "size", "said", "member", "free"]

KEPT_TRAITS: Final[dict[TraitClass, int]] = {
    "card": 2 * len(CARD_NAMES), "size": 16, "said": 16, "member": 16, "free": 48,
}  # fmt: skip
"""How many words of each class are kept.

``card``: the CRM's and the account's on what the product reads of a person, of which there are
never more; ``size``: theirs on sizes; ``said``: what others say on either; ``member``: what loyalty
programmes say; ``free``: all else, such as scores.
"""

FEWEST: Final = min(kept for of_class, kept in KEPT_TRAITS.items() if of_class != "card")

KEPT_ANSWERS: Final = 16

LOYALTY_TRUST: Final = 95
CRM_TRUST: Final = 90
ACCOUNT_TRUST: Final = 80
"""The programme knows its own tiers best; staff check cards; people mistype in a form."""


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """A trait as it is believed.

    Attributes:
        value: what is believed.
        source: who said so.
        told_ms: when, Unix ms, whole seconds.
        trust: 0 to 100.
        is_third_party: it is not the owner's own data.
    """

    value: str
    source: str
    told_ms: int
    trust: int
    is_third_party: bool = False


class Attributes(msgspec.Struct, frozen=True):
    """All attributes of a person, and the sources on which they rest.

    Attributes:
        values: name to attribute; ``NAME/ADVERTISER`` for what a loyalty programme says.
        sources: every source of one of the values, sorted.
        rests_on_third_parties: one of them is a third party; False: own data alone.
    """

    values: dict[str, Attribute]
    sources: tuple[str, ...]
    rests_on_third_parties: bool

    def membership(self, advertiser: str) -> dict[str, Attribute]:
        """``tier`` and ``miles`` in the loyalty programme of ``advertiser``, as far as known."""
        known = {name: self.values.get(f"{name}/{advertiser}") for name in ("tier", "miles")}
        return {name: one for name, one in known.items() if one is not None}


def traits_of(event: EventRecord) -> Traits:
    """What one event says about the person; empty for events that say nothing."""
    match event:
        case CrmCard():
            said = {"city": event.city, "tier": event.tier, "birthday": event.birthday}
            said |= {"gender": event.gender, "deal_stage": event.deal_stage}
            said |= {"miles": "" if event.miles is None else str(event.miles)}
            said |= {f"{SIZE_HEAD}{kind}": size for kind, size in event.sizes.items()}
            return _told(said, CRM, CRM_TRUST, event)
        case Registration():
            said = {"city": event.city, "gender": event.gender, "birthday": event.birthday}
            return _told(said, ACCOUNT, ACCOUNT_TRUST, event)
        case LoyaltyStatus():
            miles = "" if event.miles is None else str(event.miles)
            said = {"tier/": event.tier, "miles/": miles}
            return _told(said, event.advertiser, LOYALTY_TRUST, event)
        case TraitTold():
            return _told({event.name: event.value}, event.source, event.trust, event)
        case _:
            return {}


def answers_of(event: FormAnswers) -> dict[str, tuple[int, str]]:
    """``ADVERTISER/FORM/QUESTION`` to (Unix seconds, answer)."""
    now_s = event.event_time_ms // SECOND_MS
    return {
        f"{event.advertiser}/{event.form}/{question}": (now_s, answer)
        for question, answer in event.answers.items()
    }


def _told(said: Mapping[str, str], source: str, trust: int, event: EventRecord) -> Traits:
    now_s = event.event_time_ms // SECOND_MS
    return {f"{name}@{source}": (now_s, trust, value) for name, value in said.items() if value}


def join_traits(a: Traits, b: Traits) -> Traits:
    """The newest words of both, of each class its own number."""
    if not a or not b:
        return a or b  # each is within its limits, an event's own words too
    joined = join_newest(a, b, len(a) + len(b))
    if len(joined) <= FEWEST:
        return joined
    classes: defaultdict[TraitClass, Traits] = defaultdict(dict)
    for key, word in joined.items():
        classes[_class_of(key)][key] = word
    return {
        key: word
        for of_class, words in classes.items()
        for key, word in join_newest(words, {}, KEPT_TRAITS[of_class]).items()
    }


def _class_of(key: str) -> TraitClass:
    name, _, source = key.partition("@")
    if name.endswith("/"):
        return "member"
    is_size = name.startswith(SIZE_HEAD)
    if not is_size and name not in CARD_NAMES:
        return "free"
    if source not in {CRM, ACCOUNT}:
        return "said"
    return "size" if is_size else "card"


def resolve(own: Traits, third_party: Traits) -> Attributes:
    """Decides whom to believe; give an empty ``third_party`` to rest on own data alone."""
    best: dict[str, tuple[bool, int, int, str, str]] = {}
    for name, claim in _claims((own, True), (third_party, False)):
        if name not in best or claim > best[name]:
            best[name] = claim
    values = {
        name: Attribute(value, source, told_s * SECOND_MS, trust, not is_own)
        for name, (is_own, trust, told_s, value, source) in sorted(best.items())
    }
    return Attributes(
        values,
        tuple(sorted({one.source for one in values.values()})),
        any(one.is_third_party for one in values.values()),
    )


def tiers(own: Traits) -> dict[str, str]:
    """The loyalty tier by advertiser; under "" what a card says, which names no programme.

    As :func:`resolve` decides it, of the owner's own data.
    """
    if not any(key.startswith("tier") for key in own):
        return {}
    told = {key: word for key, word in own.items() if key[:5] in {"tier@", "tier/"}}
    return {name.partition("/")[2]: one.value for name, one in resolve(told, {}).values.items()}


def _claims(
    *told: tuple[Traits, bool],
) -> Iterable[tuple[str, tuple[bool, int, int, str, str]]]:
    for traits, is_own in told:
        for key, (told_s, trust, value) in traits.items():
            name, _, source = key.partition("@")
            # The names of all other traits have no slash, see ``models.event_base.Name``.
            yield name + source * name.endswith("/"), (is_own, trust, told_s, value, source)
