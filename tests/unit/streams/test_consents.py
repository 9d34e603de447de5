"""A consent's way through the firehose to every identifier that its event names."""

import asyncio
from collections.abc import Awaitable

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from models.events import CarriedConsent, Consent, Event, decode_event, read_event
from models.facets import Facet
from models.forest import settle
from models.identifiers import NodeId
from models.profile import decode_header, person_of
from models.topics import Topics
from models.units import DAY_MS
from runtime import clock
from streams.consents import ConsentCarrier
from tests.fakes.memory_store import run
from tests.unit.streams.test_firehose import (
    ANNA,
    BORIS,
    DEVICE,
    EVENTS,
    KEYS,
    SETTINGS,
    Broker,
    Record,
    Worker,
    events,
    sign_in,
    worker,
)

__all__ = ["worker"]

TOPIC = Topics.EVENTS.name("o")
NOW_MS = 1_790_000_000_000
WITHDRAWN = Consent(
    event_id="w", ids=(DEVICE, ANNA), event_time_ms=5, source="account_page",
    withdrawn=("personal_ads",),
)  # fmt: skip
SHARED = sign_in(1, ANNA), sign_in(2, BORIS)


def carried(broker: Broker) -> list[Event]:
    return [decode_event(value or b"") for _, value in broker.taken.get(TOPIC, [])]


def come_back(worker: Worker, broker: Broker) -> Broker:
    """What was told to the events topic is read by the worker, as from its own partition."""
    records = [
        Record(key or b"", value or b"", offset)
        for offset, (key, value) in enumerate(broker.taken[TOPIC], 100)
    ]
    return worker.work({EVENTS: records})


def facet_of(worker: Worker, node: NodeId) -> Facet:
    return person_of(run(worker.redis.store, settle(KEYS, node)))[0]


def is_personal_ok(worker: Worker, node: NodeId) -> bool:
    view = worker.redis.store.hash(KEYS.bid_view(node).encode())
    return decode_header(view[b"h"]).personal_ok


def test_a_withdrawal_told_at_a_shared_device_reaches_the_account_that_it_names(
    worker: Worker,
) -> None:
    broker = worker.work(events(*SHARED, WITHDRAWN))
    assert worker.person(DEVICE) == {DEVICE}
    again = come_back(worker, broker)
    assert not is_personal_ok(worker, ANNA)
    assert not is_personal_ok(worker, DEVICE)
    assert not facet_of(worker, BORIS).consents
    assert carried(again) == [], "it would go round for ever"


def test_a_later_grant_told_there_undoes_it(worker: Worker) -> None:
    granted = msgspec.structs.replace(
        WITHDRAWN, event_id="g", event_time_ms=6, withdrawn=(), granted=("personal_ads",)
    )
    # Told in the other order, too: the newest word stands.
    come_back(worker, worker.work(events(*SHARED, granted, WITHDRAWN)))
    assert is_personal_ok(worker, ANNA)


@pytest.mark.parametrize("refusals", [1, 2, 3])
def test_a_word_that_kafka_refuses_is_told_again_before_its_batch_is_committed(
    worker: Worker, refusals: int
) -> None:
    broker = worker.work(events(*SHARED, WITHDRAWN), refusals=refusals, refused=TOPIC)
    assert worker.count("batch_retries", dependency="kafka") == refusals
    assert not broker.committed_while_refusing
    assert broker.offsets[EVENTS] == 3
    assert [one.ids for one in carried(broker)] == [(ANNA,)]


def test_a_word_that_is_told_twice_counts_as_one(worker: Worker) -> None:
    broker = worker.work(events(*SHARED, WITHDRAWN))
    come_back(worker, broker)
    once = facet_of(worker, ANNA)
    broker.taken[TOPIC] *= 3
    come_back(worker, broker)
    twice = facet_of(worker, ANNA)
    assert (twice.consents, twice.counts) == (once.consents, once.counts) == (once.consents, {})


@pytest.mark.parametrize(("erased_ms", "is_void"), [(4, False), (5, True), (6, True)])
def test_an_account_that_was_erased_meanwhile_does_not_come_back_by_it(
    worker: Worker, erased_ms: int, is_void: bool
) -> None:
    broker = worker.work(events(*SHARED, WITHDRAWN))
    worker.redis.store.execute(("FCALL", "kinbid_v1_erase", 1, KEYS.parent(ANNA), erased_ms))
    come_back(worker, broker)
    assert (facet_of(worker, ANNA).consents == {}) == is_void


class Producer:
    """Keeps what it is told, or has no broker."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down
        self.sent: list[tuple[bytes, bytes, int]] = []

    async def send(
        self, topic: str, *, key: bytes, value: bytes, timestamp_ms: int
    ) -> Awaitable[None]:
        assert topic == TOPIC
        self.sent.append((key, value, timestamp_ms))
        return self._acknowledge()

    async def _acknowledge(self) -> None:
        if self.is_down:
            raise KafkaConnectionError("no broker")


def carry(producer: Producer, *told: Event, is_replay: bool = False) -> None:
    carrier = ConsentCarrier(SETTINGS, producer, is_replay=lambda: is_replay)
    asyncio.run(carrier.carry(told))


def test_of_old_records_nothing_is_carried_since_that_stands_in_kafka() -> None:
    producer = Producer()
    carry(producer, WITHDRAWN, is_replay=True)
    assert producer.sent == []
    carry(producer, WITHDRAWN)
    assert len(producer.sent) == 1


def test_a_word_that_kafka_does_not_acknowledge_is_for_the_caller_to_tell_again() -> None:
    with pytest.raises(KafkaConnectionError):
        carry(Producer(is_down=True), WITHDRAWN)


@pytest.mark.parametrize("ahead_ms", [-DAY_MS, 0, 60_000, 3_600_000])
def test_a_carried_word_keeps_its_time_however_fast_its_producers_clock(
    monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)
    producer = Producer()
    carry(producer, msgspec.structs.replace(WITHDRAWN, event_time_ms=NOW_MS + ahead_ms))
    ((key, value, stamp_ms),) = producer.sent
    read = read_event(key, value, stamp_ms)
    assert isinstance(read, CarriedConsent)
    assert read.event_time_ms == NOW_MS + ahead_ms
    # No further ahead than the record of its event can have been: the broker took that.
    assert stamp_ms == max(NOW_MS, NOW_MS + ahead_ms - 60_000)
