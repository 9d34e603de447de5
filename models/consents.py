"""Consent: the newest word on each purpose stands; of two at one instant, the stricter."""

from collections.abc import Iterable, Mapping
from typing import Final

from models.event_base import MAX_EVENT_ID
from models.events import CarriedConsent, Consent
from models.newest import join_newest
from models.person_events import PURPOSES, Purpose

__all__ = [
    "KEPT_CONSENTS",
    "Consents",
    "carried_to_others",
    "consents_of",
    "is_withdrawn",
    "withdrawn_in",
]

Consents = dict[Purpose, tuple[int, int, str]]
"""Purpose to (Unix ms, 1 if withdrawn else 0, source)."""

KEPT_CONSENTS: Final = len(PURPOSES)

GRANTED, WITHDRAWN = 0, 1


def consents_of(event: Consent) -> Consents:
    """What one event says."""
    now_ms = event.event_time_ms
    said = dict.fromkeys(event.granted, (now_ms, GRANTED, event.source))
    return said | dict.fromkeys(event.withdrawn, (now_ms, WITHDRAWN, event.source))


def is_withdrawn(consents: Mapping[Purpose, tuple[int, int, str]], purpose: Purpose) -> bool:
    """Whether the person's newest word on ``purpose`` is a withdrawal; silence is not one."""
    said = consents.get(purpose)
    return said is not None and said[1] == WITHDRAWN


def withdrawn_in(told: Iterable[Consents]) -> tuple[Purpose, ...]:
    """The purposes on which the newest word of all that was told is a withdrawal."""
    words: Consents = {}
    for one in told:
        words = join_newest(words, one, KEPT_CONSENTS)
    return tuple(purpose for purpose in PURPOSES if is_withdrawn(words, purpose))


def carried_to_others(event: Consent) -> list[CarriedConsent]:
    """The same word for each further identifier of an event, which is folded under its first.

    They may be one person, and need not be: at a shared device none of its users are.
    """
    others = dict.fromkeys(event.ids)
    del others[event.ids[0]]
    return [
        CarriedConsent(
            event_id=f"{place}/{event.event_id}"[:MAX_EVENT_ID], ids=(other,),
            event_time_ms=event.event_time_ms, channel=event.channel,
            granted=event.granted, withdrawn=event.withdrawn, source=event.source,
        )
        for place, other in enumerate(others, 1)
    ]  # fmt: skip
