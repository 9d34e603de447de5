"""An advertiser's phone lines: which calls found none free, by the minute. Pure.

Redis keeps one field for each telling of a call, ``CALL@TOLD_MS``, whose value is the call's start
and whether it was lost; fields never change, so workers need no lock and no order.
"""

from collections import Counter
from typing import Final

import msgspec

from models.calls import told_call
from models.catalog_records import LineState
from models.events import Call
from models.units import AdvertiserId
from models.value.lines import MINUTE_MS, WINDOW_MINUTES

__all__ = ["LINE_SECONDS", "MOST_LINE_CALLS", "line_entry", "read_lines"]

KEPT_MS: Final = WINDOW_MINUTES * MINUTE_MS
LINE_SECONDS: Final = 3_600
MOST_LINE_CALLS: Final = 1_000
"""Of a busier call centre the newest so many: they tell the share just as well."""


class LineCall(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An inbound call: its start, Unix ms, and whether it found no free line."""

    time_ms: int
    is_lost: bool


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(LineCall).decode


def line_entry(event: Call) -> tuple[bytes, bytes]:
    """The field and value that an inbound call adds."""
    call = told_call(event)
    value = LineCall(call.time_ms, call.missed_reason == "lines_full")
    return f"{call.call_id}@{call.told_ms:013d}".encode(), _encode(value)


def read_lines(
    advertiser: AdvertiserId, fields: dict[bytes, bytes], now_ms: int
) -> tuple[LineState, list[bytes]]:
    """The state of the lines, and the fields that it no longer needs.

    Of a call that was told several times the latest telling counts; the window ends with the
    newest call. One that begins after the present is some clock's mistake and does not count.
    """
    latest: dict[bytes, tuple[bytes, LineCall]] = {}
    for name in sorted(fields):
        latest[name.rpartition(b"@")[0]] = name, _decode(fields[name])
    credible = [one for one in latest.values() if one[1].time_ms <= now_ms + MINUTE_MS]
    newest_ms = max((call.time_ms for _, call in credible), default=0)
    by_time = sorted(credible, key=lambda one: (one[1].time_ms, one[0]))
    kept = [one for one in by_time if one[1].time_ms > newest_ms - KEPT_MS][-MOST_LINE_CALLS:]
    calls = Counter(call.time_ms // MINUTE_MS for _, call in kept)
    lost = Counter(call.time_ms // MINUTE_MS for _, call in kept if call.is_lost)
    minutes = tuple((minute, calls[minute], lost[minute]) for minute in sorted(calls))
    needed = {name for name, _ in kept}
    state = LineState(advertiser=advertiser, minutes=minutes, updated_ms=newest_ms)
    return state, sorted(fields.keys() - needed)
