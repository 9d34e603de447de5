"""What phone calls mean, and how the lines are doing."""

from typing import Final

from models.catalog_records.record import Record, nameable
from models.errors import InvalidFieldError
from models.events import MissedReason
from models.units import AdvertiserId

__all__ = ["CallTag", "Department", "LineState"]

MAX_PAUSE_HOURS: Final = 30 * 24


class CallTag(Record, frozen=True, kw_only=True, tag="call_tag"):
    """What an operator's judgement of a call means.

    Attributes:
        id: what the telephony or the CRM writes as a call's ``tag``.
        name: what people read.
        is_conversion: such a call counts as one.
        counts_value: such a call adds value.
        is_repeat: it repeats an earlier call, and counts only where none before it has counted.
        opens_callback: we owe the customer a call, until an answered one follows.
        pauses_ads_hours: so long they get no ads of the advertiser, or until the call-back is done.
        automatic_for: given by itself to calls that were missed for such a reason, beside the
            operator's tag; not where that opens a call-back, or is neither conversion nor value
            nor pause.
    """

    id: str
    name: str = ""
    is_conversion: bool = True
    counts_value: bool = True
    is_repeat: bool = False
    opens_callback: bool = False
    pauses_ads_hours: int = 0
    automatic_for: tuple[MissedReason, ...] = ()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"call_tag {self.id}: "
        nameable("call_tag", self.id)
        if not 0 <= self.pauses_ads_hours <= MAX_PAUSE_HOURS:
            wanted = f"from 0 to {MAX_PAUSE_HOURS} (30 days)"
            raise InvalidFieldError(where + "pauses_ads_hours", self.pauses_ads_hours, wanted)
        if "" in self.automatic_for:
            wanted = "a list of reasons for which calls are missed"
            raise InvalidFieldError(where + "automatic_for", self.automatic_for, wanted)


class Department(Record, frozen=True, kw_only=True, tag="department"):
    """Where a phone menu leads.

    Attributes:
        id: what the telephony writes as a call's ``department``.
        is_sales: its calls can be conversions; False for service, complaints, suppliers.
    """

    id: str
    name: str = ""
    is_sales: bool

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        nameable("department", self.id)


class LineState(Record, frozen=True, kw_only=True, tag="line_state"):
    """How an advertiser's phone lines have been doing, by the minute; streams works it out.

    Attributes:
        minutes: (minute since 1970, inbound calls, of them lost to full lines), oldest first.
        updated_ms: version: the newest call's time.
    """

    advertiser: AdvertiserId
    minutes: tuple[tuple[int, int, int], ...]
    updated_ms: int

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        for minute, calls, lost in self.minutes:
            if not 0 <= lost <= calls:
                where = f"line_state {self.advertiser}: minutes: lost in {minute}"
                raise InvalidFieldError(
                    where, lost, f"from 0 to the calls of that minute ({calls})"
                )
