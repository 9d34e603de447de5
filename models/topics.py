"""Every Kafka topic of kinbid: name, key, partitions, retention, encoding.

``docs/topics.md`` lists them for people; a test compares the two.
"""

from typing import Final, Literal

import msgspec

from models.matches import LONGEST_MATCH_DAYS
from models.units import DAY_MS

__all__ = ["ALL_TOPICS", "Topic", "Topics"]

FIREHOSE_PARTITIONS: Final = 4
SEGMENTS: Final = 12
"""Of what is kept for a time, or more: so much longer than that a record may stay."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic's contract.

    Attributes:
        suffix: the name without the owner.
        key, value: what they are, for people.
        partitions: how many.
        cleanup: whether records go by age, or once there is a newer one of their key.
        retention_ms: None keeps records for ever; of a compacted topic the latest of each key.
        compact_within_ms: so long a record may stay after a newer one of its key, if a compacted
            topic holds what an erasure takes out; None leaves that to the broker, which may take
            for ever.
    """

    suffix: str
    key: str
    value: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    compact_within_ms: int | None = None

    def name(self, owner: str) -> str:
        """The topic's full name for one data owner."""
        return f"{owner}.{self.suffix}"

    def configs(self) -> dict[str, str]:
        """The topic's broker settings."""
        retention = -1 if self.retention_ms is None else self.retention_ms
        configs = {"cleanup.policy": self.cleanup, "retention.ms": str(retention)}
        if self.retention_ms is not None:
            # A broker deletes whole segments, by their newest record: by default of a week each.
            configs["segment.ms"] = str(min(self.retention_ms // SEGMENTS, DAY_MS))
        if self.compact_within_ms is not None:
            # No broker compacts the segment that it writes to: it has to begin another one in time.
            within = str(self.compact_within_ms)
            configs |= {"max.compaction.lag.ms": within, "segment.ms": within}
        return configs


class Topics:
    """The topics; a version closes each name."""

    EVENTS: Final = Topic(
        suffix="events.v1", key="node id", value="models.events.Event, JSON",
        partitions=FIREHOSE_PARTITIONS, cleanup="delete", retention_ms=None,
    )  # fmt: skip
    OUTCOMES: Final = Topic(
        suffix="outcomes.v1", key="node id", value="models.events.Outcome, JSON",
        partitions=FIREHOSE_PARTITIONS, cleanup="delete", retention_ms=None,
    )  # fmt: skip
    MATCHES: Final = Topic(
        suffix="matches.v1", key="node id", value="models.matches.Match, JSON",
        partitions=FIREHOSE_PARTITIONS, cleanup="delete",
        retention_ms=LONGEST_MATCH_DAYS * DAY_MS,
    )  # fmt: skip
    INVENTORY: Final = Topic(
        suffix="inventory.v1", key="record key", value="Flight or Product as its source sent it",
        partitions=1, cleanup="delete", retention_ms=7 * DAY_MS,
    )  # fmt: skip
    OFFERS: Final = Topic(
        suffix="offers.v1", key="record key",
        value="validated Flight or Product, or LineState, JSON",
        partitions=1, cleanup="compact", retention_ms=None,
    )  # fmt: skip
    CATALOG: Final = Topic(
        suffix="catalog.v1", key="record key",
        value="Advertiser, Exchange, Segment, Campaign, Creative, CallTag, Department or Rates, "
        "JSON",
        partitions=1, cleanup="compact", retention_ms=None,
    )  # fmt: skip
    SPEND: Final = Topic(
        suffix="spend.v1", key="kind and ids", value="models.spend_records.SpendRecord, JSON",
        partitions=1, cleanup="compact", retention_ms=None,
    )  # fmt: skip
    DEAD_LETTERS: Final = Topic(
        suffix="dead-letters.v1", key="key of the record", value="the bytes; reason in headers",
        partitions=1, cleanup="delete", retention_ms=30 * DAY_MS,
    )  # fmt: skip
    EVIDENCE: Final = Topic(
        suffix="evidence.v1", key="pair of node ids",
        value="models.link_records.EvidenceRecord, JSON",
        partitions=1, cleanup="compact", retention_ms=None, compact_within_ms=DAY_MS,
    )  # fmt: skip
    LINK_HISTORY: Final = Topic(
        suffix="link-history.v1", key="pair of node ids, kind@ms",
        value="models.link_records.ToldRecord, JSON",
        partitions=1, cleanup="compact", retention_ms=None, compact_within_ms=DAY_MS,
    )  # fmt: skip
    QUARANTINE: Final = Topic(
        suffix="quarantine.v1", key="pair of node ids",
        value="models.link_records.QuarantineRecord, JSON",
        partitions=1, cleanup="compact", retention_ms=None, compact_within_ms=DAY_MS,
    )  # fmt: skip
    VERDICTS: Final = Topic(
        suffix="verdicts.v1", key="pair of node ids",
        value="models.link_records.VerdictRecord, JSON",
        partitions=1, cleanup="compact", retention_ms=None, compact_within_ms=DAY_MS,
    )  # fmt: skip
    RECEIPTS: Final = Topic(
        suffix="receipts.v1", key="receipt id", value="models.receipts.Receipt, JSON",
        partitions=4, cleanup="delete", retention_ms=7 * DAY_MS,
    )  # fmt: skip
    WATCHES: Final = Topic(
        suffix="watches.v1", key="kind and id", value="models.watches.Watch, JSON",
        partitions=1, cleanup="delete", retention_ms=DAY_MS,
    )  # fmt: skip
    ERASURES: Final = Topic(
        suffix="erasures.v1", key="node id",
        value="models.erasure_records.ErasureRecord, JSON",
        partitions=1, cleanup="compact", retention_ms=None,
    )  # fmt: skip


ALL_TOPICS: Final = (
    Topics.EVENTS,
    Topics.OUTCOMES,
    Topics.MATCHES,
    Topics.INVENTORY,
    Topics.OFFERS,
    Topics.CATALOG,
    Topics.SPEND,
    Topics.DEAD_LETTERS,
    Topics.EVIDENCE,
    Topics.LINK_HISTORY,
    Topics.QUARANTINE,
    Topics.VERDICTS,
    Topics.ERASURES,
    Topics.RECEIPTS,
    Topics.WATCHES,
)
