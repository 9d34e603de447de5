"""What tags and departments make of calls: conversions, value, call-backs, pauses. Pure.

The catalogue says what a tag means, so all of this is worked out when it is asked for: a tag
that is configured anew counts at once, also for calls of yesterday.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from models.calls import ToldCall
from models.catalog_records import CallTag, Department
from models.units import HOUR_MS

__all__ = [
    "Conversion",
    "OpenCallback",
    "ads_paused_until_ms",
    "conversions_of",
    "open_callbacks",
    "overdue_callbacks",
    "tags_of",
]

Tags = Mapping[str, CallTag]
Departments = Mapping[str, Department]

FULL_PERCENT: Final = 100
"""What a call is worth that nobody has judged: without scores, all calls count alike."""


class OpenCallback(msgspec.Struct, frozen=True):
    """We owe the customer a call.

    Attributes:
        call: after which we do.
        tag: because of which, the operator's or an automatic one.
    """

    call: ToldCall
    tag: CallTag

    @property
    def advertiser(self) -> str:
        """Who owes it."""
        return self.call.advertiser

    @property
    def call_id(self) -> str:
        """The call's."""
        return self.call.call_id

    @property
    def since_ms(self) -> int:
        """Since when, Unix ms."""
        return self.call.time_ms


def tags_of(call: ToldCall, tags: Tags) -> list[CallTag]:
    """What the call's call-backs and pauses rest on: the operator's tag, and an automatic one.

    A missed call's reason brings a tag by itself, whatever the operator's says besides: lines were
    full for a caller who tries again, too. Only a tag with a call-back of its own stands alone, and
    one that takes all away from a call: nobody owes one to somebody who is no customer.
    """
    told = [tag] if (tag := tags.get(call.tag)) else []
    if call.is_answered or any(tag.opens_callback or _is_nothing(tag) for tag in told):
        return told
    automatic = (tag for _, tag in sorted(tags.items()) if call.missed_reason in tag.automatic_for)
    return told + list(itertools.islice(automatic, 1))


def _is_nothing(tag: CallTag) -> bool:
    return not (tag.is_conversion or tag.counts_value or tag.pauses_ads_hours)


class Conversion(msgspec.Struct, frozen=True):
    """A call that counts.

    Attributes:
        call: it.
        value_percent: how much of a sale's value it counts for: its score, 0 to 100.
    """

    call: ToldCall
    value_percent: int

    def value_micros(self, sale_micros: int) -> int:
        """What it is worth, where a perfect one is worth ``sale_micros``; rounded down."""
        return sale_micros * self.value_percent // FULL_PERCENT


def conversions_of(
    calls: Iterable[ToldCall], tags: Tags, departments: Departments
) -> list[Conversion]:
    """Those of one person's calls that count, oldest first.

    A customer called sales, was heard, and nothing speaks against it. A call that the menu led
    nowhere is one to sales; a department that the catalogue does not know is not. A repeat counts
    only where no call to that advertiser before it did: somebody who was not heard, or was led to
    service, and calls again has called once. Nor does one with a tag that the catalogue does not
    know: nothing is paid for a judgement whose meaning nobody has written down.
    """
    found: list[Conversion] = []
    counted: set[str] = set()
    for call in sorted(calls, key=lambda one: (one.time_ms, one.call_id)):
        tag = tags.get(call.tag)
        if (call.tag and tag is None) or not _may_count(call, tag, departments):
            continue
        if tag is not None and tag.is_repeat and call.advertiser in counted:
            continue
        counted.add(call.advertiser)
        found.append(Conversion(call, _value_percent(call, tag)))
    return found


def _may_count(call: ToldCall, tag: CallTag | None, departments: Departments) -> bool:
    if call.is_outbound or not call.is_answered or not _is_to_sales(call, departments):
        return False
    return tag is None or tag.is_conversion


def _is_to_sales(call: ToldCall, departments: Departments) -> bool:
    if not call.department:
        return True
    department = departments.get(call.department)
    return department is not None and department.is_sales


def _value_percent(call: ToldCall, tag: CallTag | None) -> int:
    if tag is not None and not tag.counts_value:
        return 0
    return FULL_PERCENT if call.score is None else call.score


def open_callbacks(
    calls: Sequence[ToldCall], tags: Tags, departments: Departments
) -> list[OpenCallback]:
    """The call-backs that we owe, oldest first.

    A later call with the same advertiser that was answered, in either direction, closes one, unless
    it asks for a call-back itself or was led elsewhere than to sales: whoever spoke with service
    still waits for sales, but not the other way round. A telling of the call with another tag may
    close it, too.

    Args:
        calls: one person's.
        tags: of the catalogue.
        departments: of the catalogue.
    """
    talks: defaultdict[tuple[str, bool], int] = defaultdict(int)
    owed: list[OpenCallback] = []
    for call in calls:
        asked = next((tag for tag in tags_of(call, tags) if tag.opens_callback), None)
        if asked is not None:
            owed.append(OpenCallback(call, asked))
        elif call.is_answered:
            for closes_sales in {False, _is_to_sales(call, departments)}:
                talk = call.advertiser, closes_sales
                talks[talk] = max(talks[talk], call.time_ms)
    return [
        one
        for one in sorted(owed, key=lambda one: (one.since_ms, one.call_id))
        if one.since_ms >= talks[one.advertiser, _is_to_sales(one.call, departments)]
    ]


def overdue_callbacks(
    persons: Iterable[tuple[str, Sequence[ToldCall]]],
    tags: Tags,
    departments: Departments,
    *,
    hours: float,
    now_ms: int,
) -> list[tuple[str, OpenCallback]]:
    """Who has been waiting for a call for more than ``hours``, longest first.

    Args:
        persons: roots, each with the person's calls.
        tags: of the catalogue.
        departments: of the catalogue.
        hours: the limit; a call-back that is exactly as old is not overdue.
        now_ms: the present, Unix ms.
    """
    waiting = [
        (root, owed)
        for root, calls in persons
        for owed in open_callbacks(calls, tags, departments)
        if now_ms - owed.since_ms > hours * HOUR_MS
    ]
    return sorted(waiting, key=lambda one: (one[1].since_ms, one[0], one[1].call_id))


def ads_paused_until_ms(
    calls: Sequence[ToldCall], advertiser: str, tags: Tags, departments: Departments, now_ms: int
) -> int | None:
    """Until when the person gets no ads of the advertiser; None: there is no pause.

    Args:
        calls: the person's.
        advertiser: whose ads; a pause with one advertiser is none with another.
        tags: of the catalogue; a tag that opens a call-back pauses only until it is done.
        departments: of the catalogue.
        now_ms: the present, Unix ms.
    """
    mine = [call for call in calls if call.advertiser == advertiser]
    pausing = [(call, tag) for call in mine for tag in tags_of(call, tags) if tag.pauses_ads_hours]
    if not pausing:
        return None
    still_owed = {owed.call_id for owed in open_callbacks(mine, tags, departments)}
    ends_ms = [
        call.time_ms + tag.pauses_ads_hours * HOUR_MS
        for call, tag in pausing
        if not tag.opens_callback or call.call_id in still_owed
    ]
    latest_ms = max(ends_ms, default=0)
    return latest_ms if latest_ms > now_ms else None
