"""What ads have cost, as the billing notices in Kafka tell: of each campaign, since a time."""

from collections import Counter
from typing import Any

from aiokafka import TopicPartition

from models.errors import EventError
from models.events import Billing, read_outcome
from models.topics import Topics
from models.units import CampaignId
from runtime import kafka
from runtime.settings import Settings

__all__ = ["spend_micros"]


async def spend_micros(settings: Settings, since_ms: int) -> Counter[CampaignId]:
    """The money of all billed impressions, those shown to nobody in particular included.

    A profile keeps a sum only, without campaigns and times, so the notices themselves are read.

    Args:
        settings: where Kafka is.
        since_ms: notices that came before do not count, Unix ms.

    Raises:
        KafkaDownError: no broker answers.
    """
    spent: Counter[CampaignId] = Counter()
    counted: set[str] = set()

    def add(record: Any) -> None:  # noqa: ANN401 - untyped library
        try:
            notice = read_outcome(record.key, record.value, record.timestamp)
        except EventError:
            return  # streams has put it among the dead letters
        if not isinstance(notice, Billing) or notice.notice_time_ms < since_ms:
            return
        if notice.nonce not in counted:  # exchanges repeat themselves
            counted.add(notice.nonce)
            spent[notice.campaign] += notice.cost_micros

    topic = Topics.OUTCOMES.name(settings.owner)
    parts = [TopicPartition(topic, number) for number in range(Topics.OUTCOMES.partitions)]
    async with kafka.consuming(settings) as reader:
        reader.assign(parts)
        await kafka.replay(reader, parts, add)
    return spent
