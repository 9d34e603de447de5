"""``kinbid import``: impressions on channels where we do not bid, into the same caps.

A file has one JSON object a line, as another system exports it::

    {
        "id": "i-1",
        "who": "email:anna@mail.example",
        "source": "direct",
        "advertiser": "airline",
        "time": "2026-11-30T10:15:00Z",
        "campaign": "air-seats",
        "cost": "0.002",
    }

``campaign`` and ``cost`` may be left out. A file may be sent again, whole: an impression
counts once for its source, advertiser and id.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kinbid.nodes import node_named
from models.errors import EventError, KinbidError
from models.events import encode
from models.outcomes import ImportedImpression, decode_outcome
from models.topics import Topics
from models.units import AdvertiserId, CampaignId, parse_money
from runtime import kafka
from runtime.settings import Settings

__all__ = ["ImportFileError", "read_impressions", "send_impressions"]


class ImportFileError(KinbidError):
    """A file that cannot be imported; the text names the line, the field and the fix."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    who: str
    source: str
    advertiser: str
    time: dt.datetime
    campaign: str = ""
    cost: str = "0"


def read_impressions(settings: Settings, path: Path) -> list[ImportedImpression]:
    """Reads and checks a whole file: nothing is sent of one with a mistake.

    Raises:
        ImportFileError: anything that is wrong with it.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ImportFileError(f"{path}: cannot be read ({error.strerror})") from error
    found: list[ImportedImpression] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_impression(settings, line))
            except (msgspec.MsgspecError, UnicodeDecodeError, KinbidError) as error:
                raise ImportFileError(f"{path}: line {number}: {error}") from error
    return found


def _impression(settings: Settings, line: bytes) -> ImportedImpression:
    told = msgspec.json.decode(line, type=_Line)
    if told.time.tzinfo is None:
        raise EventError("time: it has no time zone; write 2026-11-30T10:15:00Z")
    made = ImportedImpression(
        node=node_named(settings, told.who),
        impression_id=told.id,
        source=told.source,
        advertiser=AdvertiserId(told.advertiser),
        campaign=CampaignId(told.campaign),
        cost_micros=parse_money(told.cost, "cost"),
        shown_time_ms=round(told.time.timestamp() * 1000),
    )
    decode_outcome(encode(made))  # as streams will
    return made


async def send_impressions(settings: Settings, impressions: Sequence[ImportedImpression]) -> None:
    """Sends them to the outcomes topic; returns when every replica has them.

    Raises:
        KafkaDownError: no broker answers.
    """
    topic = Topics.OUTCOMES.name(settings.owner)
    async with kafka.producing(settings, linger_ms=5) as producer:
        with kafka.failures_told(f"not all of it was taken by topic {topic}: send it again"):
            async with kafka.patience() as moved:
                sent = []
                for one in impressions:
                    key = one.node.encode()
                    sent.append(await producer.send(topic, key=key, value=encode(one)))
                    moved()
                await asyncio.gather(*sent)
