"""Consent: the newest word on each purpose stands; of two at one instant, the stricter."""

from collections.abc import Mapping
from typing import Final

from models.events import Consent
from models.person_events import PURPOSES, Purpose

__all__ = ["KEPT_CONSENTS", "Consents", "consents_of", "is_withdrawn"]

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
