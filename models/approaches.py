"""Approaches: how we turned to a person lately, as a bid view keeps it for each advertiser.

Messages that were sent, on any channel, and calls that we made count towards one pressure cap with
the ads; and what a message was about may silence ads that would say the same. Of each
advertiser the newest are kept, as a column of times: the first one, then how long before it each
next one was.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from operator import sub
from typing import Final

import msgspec

from models.calls import ToldCall
from models.contacts import SENT, Contacts, advertiser_in
from models.limits import MAX_MESSAGES
from models.person_events import ACTIONS, Action
from models.units import SECOND_MS

__all__ = ["Approaches", "approaches_of"]

KEPT_NAMES: Final = 4_096
"""Topics repeat among persons, so each is taken apart once."""

Topics = dict[str, int]
"""Action's place and topic, such as ``0abandoned_cart``, to the newest time, Unix seconds."""


class Approaches(msgspec.Struct, frozen=True, array_like=True):
    """What one advertiser sent to a person, and whom it called.

    Attributes:
        gaps_s: the newest of at most ``MAX_MESSAGES`` times, Unix seconds; then the gaps.
        topics: when something was last done to a message on a topic.
    """

    gaps_s: tuple[int, ...] = ()
    topics: Topics = {}

    def count_since(self, since_ms: int) -> int:
        """How often we turned to the person after a time, Unix ms."""
        return sum(time_s * SECOND_MS > since_ms for time_s in accumulate(self.gaps_s, sub))

    def last_ms(self, action: Action, topic: str) -> int:
        """When that was last done to a message on the topic, Unix ms; 0 for never.

        An empty topic is any.
        """
        place = str(ACTIONS.index(action))
        if topic:
            return self.topics.get(place + topic, 0) * SECOND_MS
        times_s = (time_s for name, time_s in self.topics.items() if name[0] == place)
        return max(times_s, default=0) * SECOND_MS


def approaches_of(
    contacts: Contacts, touches: Mapping[str, int], calls: Iterable[ToldCall]
) -> dict[str, Approaches]:
    """Approaches by advertiser.

    Args:
        contacts: a person's messages.
        touches: their touches of kind ``contact``: of which the topic is known.
        calls: their phone calls.
    """
    times_s: defaultdict[str, list[int]] = defaultdict(list)
    for kind, told in contacts.items():
        if kind[1:] == SENT:
            for name, sent_s in told.items():
                times_s[advertiser_in(name)].append(sent_s)
    for call in calls:
        if call.is_outbound:
            times_s[call.advertiser].append(call.time_ms // SECOND_MS)
    topics = _topics_of(touches)
    names = sorted(times_s.keys() | topics.keys())
    return {name: Approaches(_gaps_s(times_s[name]), topics.get(name, {})) for name in names}


def _topics_of(touches: Mapping[str, int]) -> dict[str, Topics]:
    found: defaultdict[str, Topics] = defaultdict(dict)
    for key in sorted(touches):  # so that equal persons have equal bytes
        advertiser, name = _topic_in(key[1:])
        told, time_s = found[advertiser], touches[key]
        if told.get(name, 0) < time_s:
            told[name] = time_s
    return found


@lru_cache(maxsize=KEPT_NAMES)
def _topic_in(text: str) -> tuple[str, str]:
    """Of a contact's touch ``ADVERTISER/ACTION;TOPIC`` the advertiser, and the name of the rest."""
    advertiser, _, what = text.partition("/")
    action, _, topic = what.partition(";")
    return advertiser, _PLACES[action] + topic


_PLACES: Final[dict[str, str]] = {action: str(place) for place, action in enumerate(ACTIONS)}


def _gaps_s(times_s: list[int]) -> tuple[int, ...]:
    newest = sorted(times_s, reverse=True)[:MAX_MESSAGES]
    return (newest[0], *map(sub, newest, newest[1:])) if newest else ()
