"""Redis is a read model: removed and rebuilt from Kafka, it says the same to the byte."""

import asyncio
import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import redis
from aiokafka import TopicPartition

from kinbid import rebuild as rebuild_module
from kinbid.inspect import person_report
from kinbid.progress import records_behind
from kinbid.stack import StackError
from models.errors import KinbidError
from models.events import Call, CrmCard, CrmMerge, CrmSplit, LoyaltyStatus, NumberLease, encode
from models.identifiers import Namespace, NodeId
from models.keys import Keys
from models.topics import Topics
from models.units import DAY_MS
from runtime import kafka
from runtime.kafka import KafkaDownError
from tests.system.client import AIRLINE, SHOP, Client
from tests.system.story import check, make_story

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

OTHER_OWNER = b"another:n:{kept}"


def kinbid(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "kinbid", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def tell_a_story(client: Client) -> None:
    """Merges, orders, impressions, and two CRM persons who share a device; each has two cards."""
    owner = client.settings.owner
    events, outcomes = make_story(client, random.Random(9))
    client.produce_raw(Topics.EVENTS.name(owner), [(e.ids[0].encode(), encode(e)) for e in events])
    billed = [(o.node.encode(), encode(o)) for o in outcomes]
    client.produce_raw(Topics.OUTCOMES.name(owner), billed)
    tablet = client.node(Namespace.COOKIE, "the family's tablet")
    for name in ("anna", "boris"):
        email = client.node(Namespace.EMAIL, f"{name}@family.example")
        card = client.node(Namespace.CRM, name)
        linked = CrmCard(
            event_id=name, ids=(card, email), event_time_ms=client.now_ms(), city="Oslo",
            tier="gold",
        )  # fmt: skip
        client.produce(linked, client.sign_in(tablet, email))
        twin = client.node(Namespace.CRM, f"{name} again")
        at_ms = client.now_ms()
        client.produce(CrmMerge(event_id="m", ids=(card, twin), event_time_ms=at_ms))
        for programme, tier in ((AIRLINE, "silver"), (SHOP, "bronze")):
            member = LoyaltyStatus(
                event_id="l", ids=(card,), event_time_ms=at_ms, advertiser=programme, tier=tier
            )
            client.produce(member)
        if name == "boris":
            client.produce(CrmSplit(event_id="s", ids=(twin, card), event_time_ms=at_ms + 1))
    call_for_days(client)
    check(client, events, outcomes)


def call_for_days(client: Client) -> None:
    """One number, a visitor and a call each day, for longer than its book is kept."""
    number, start_ms = "+12127365000", client.now_ms() - 20 * DAY_MS
    for day in range(6):
        caller, visitor = caller_of(client, day), client.node(Namespace.COOKIE, f"visitor-{day}")
        at_ms = start_ms + day * DAY_MS
        client.produce(
            a_lease(visitor, f"lease-{day}", number, at_ms),
            a_call(caller, f"call-{day}", number, at_ms + 60_000),
        )
        client.until(partial(members_of, client, caller), lambda found: len(found) == 2)


def caller_of(client: Client, day: int) -> NodeId:
    return client.node(Namespace.PHONE, f"+1212736{5001 + day}")


def a_lease(visitor: NodeId, lease_id: str, number: str, at_ms: int) -> NumberLease:
    """The number on a visitor's screen for ten minutes."""
    return NumberLease(
        event_id=lease_id, lease_id=lease_id, ids=(visitor,), advertiser=AIRLINE,
        event_time_ms=at_ms, expires_ms=at_ms + 600_000, number=number,
    )  # fmt: skip


def a_call(caller: NodeId, call_id: str, number: str, at_ms: int) -> Call:
    return Call(
        event_id=call_id, call_id=call_id, ids=(caller,), advertiser=AIRLINE, event_time_ms=at_ms,
        called_number=number, duration_seconds=9,
    )  # fmt: skip


def tiers_of(client: Client, node: NodeId) -> dict[str, str]:
    """As ``kinbid person`` prints them."""
    report = asyncio.run(person_report(client.settings, node))
    return {
        one["name"]: one["value"] for one in report["attributes"] if one["name"].startswith("tier")
    }


def members_of(client: Client, node: NodeId) -> list[str]:
    report = asyncio.run(person_report(client.settings, node))
    return [one["node"] for one in report["identifiers"]]


def test_row_62_a_rebuilt_redis_gives_an_equal_export(client: Client, tmp_path: Path) -> None:
    tell_a_story(client)
    tiers = {"tier": "gold", f"tier/{AIRLINE}": "silver", f"tier/{SHOP}": "bronze"}
    anna = client.node(Namespace.CRM, "anna")
    client.until(lambda: tiers_of(client, anna), lambda found: found == tiers)
    first, second, third = (tmp_path / f"{name}.jsonl" for name in "abc")
    before = client.until(
        lambda: kinbid("export", "--out", first).stdout, lambda told: "sha256" in told
    )
    body = first.read_bytes()
    assert b'"shared":["' in body, "nobody shares a device"

    refused = kinbid("rebuild", "--yes", code=1)
    assert "stop every `kinbid streams`" in refused.stderr
    kinbid("export", "--out", second)
    assert second.read_bytes() == body, "a refused rebuild changed something"
    # The embedded broker never lets anybody into a group again whose last member left before it
    # had heard that another one did: here streams, of the rebuild. By then it has.
    time.sleep(client.settings.kafka_session_timeout_ms / 1000)

    user, keys = client.match("north", "theirs", "a browser"), Keys(client.settings.owner)
    with redis.Redis.from_url(client.settings.redis_url) as store:
        client.until(lambda: store.exists(keys.match(user)), bool)
        cookie, until_ms = store.get(keys.match(user)), store.pexpiretime(keys.match(user))

    client.stack.stop_part("streams")
    asked = kinbid("rebuild", code=2)
    assert "--yes" in asked.stderr
    with redis.Redis.from_url(client.settings.redis_url) as store:
        store.flushall()
        store.set(OTHER_OWNER, b"1")
        done = kinbid("rebuild", "--yes")
        assert store.get(OTHER_OWNER) == b"1"
        assert store.get(keys.match(user)) == cookie, "a match is read again, too"
        assert store.pexpiretime(keys.match(user)) == until_ms
    assert "records folded" in done.stdout
    assert kinbid("export", "--out", third).stdout == before
    assert third.read_bytes() == body

    # A second time, over persons that stand: the keys are removed first, so nothing counts twice.
    kinbid("rebuild", "--yes")
    assert kinbid("export", "--out", third).stdout == before
    client.stack.restart_part("streams")


CASES = ("both old", "call new", "lease new", "both new", "new lease contradicts")


class Callers:
    """A caller for each case: what of a call and its lease streams had folded, and what came later.

    Args:
        client: the stack.
        first: of five numbers that nobody else calls.
    """

    def __init__(self, client: Client, first: int) -> None:
        self._client, self._first, self._now_ms = client, first, client.now_ms()

    def tell_old(self) -> None:
        """What streams folds."""
        for case in ("both old", "new lease contradicts"):
            self._client.produce(self._lease(case), self._call(case))
        self._client.produce(self._lease("call new"), self._call("lease new"))
        self._client.until(self.joined, lambda found: sum(found.values()) == 2)

    def tell_new(self) -> None:
        """What comes while streams is away."""
        self._client.produce(
            self._call("call new"),
            self._lease("lease new"),
            self._lease("both new"),
            self._call("both new"),
            self._lease("new lease contradicts", "somebody else"),
        )

    def joined(self) -> dict[str, bool]:
        """Whether the caller is the visitor who saw the number."""
        return {case: len(members_of(self._client, self._caller(case))) == 2 for case in CASES}

    def _number(self, case: str) -> str:
        return f"+1212736{self._first + CASES.index(case)}"

    def _caller(self, case: str) -> NodeId:
        return self._client.node(Namespace.PHONE, f"+1312736{self._first + CASES.index(case)}")

    def _lease(self, case: str, visitor: str = "the visitor") -> NumberLease:
        cookie = self._client.node(Namespace.COOKIE, f"{visitor} of {self._number(case)}")
        lease_id = cookie[:8]
        return a_lease(cookie, lease_id, self._number(case), self._now_ms - 60_000)

    def _call(self, case: str) -> Call:
        caller = self._caller(case)
        return a_call(caller, caller[:8], self._number(case), self._now_ms)


def behind(client: Client) -> int:
    return asyncio.run(records_behind(client.settings, 0))


def test_a_partition_ends_after_all_records_of_its_last_batch(client: Client) -> None:
    """Which is where a rebuild is done; the embedded broker by itself tells an offset before it."""

    async def write_and_read() -> tuple[int, int]:
        producer = await kafka.producer(client.settings, linger_ms=50)
        consumer = await kafka.consumer(client.settings)
        part = TopicPartition(Topics.DEAD_LETTERS.name(client.settings.owner), 0)
        try:
            sent = [await producer.send(part.topic, value=b"x", partition=0) for _ in range(9)]
            written = await asyncio.gather(*sent)
            consumer.assign([part])
            ends = await kafka.true_ends(consumer, [part])
            return ends[part], written[-1].offset + 1
        finally:
            await consumer.stop()
            await producer.stop()

    told, wanted = asyncio.run(write_and_read())
    assert told == wanted


def test_calls_that_streams_had_not_folded_are_joined_as_it_would_have_done(client: Client) -> None:
    restarted, rebuilt = Callers(client, 6100), Callers(client, 6200)
    for callers in (restarted, rebuilt):
        callers.tell_old()
    client.until(lambda: behind(client), lambda left: not left)
    client.stack.stop_part("streams")
    restarted.tell_new()
    client.stack.restart_part("streams")
    client.until(lambda: behind(client), lambda left: not left)
    client.stack.stop_part("streams")
    rebuilt.tell_new()
    with redis.Redis.from_url(client.settings.redis_url) as store:
        store.flushall()
    kinbid("rebuild", "--yes")
    wanted = {case: case != "new lease contradicts" for case in CASES}
    assert restarted.joined() == wanted
    assert rebuilt.joined() == wanted
    client.stack.restart_part("streams")


def test_a_rebuild_that_breaks_off_keeps_streams_away_until_it_has_been_done(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = Callers(client, 6300)
    call_for_days(client)
    callers.tell_old()
    client.until(lambda: behind(client), lambda left: not left)
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    kinbid("export", "--out", first)
    client.stack.stop_part("streams")

    async def lose_power(*_: object) -> int:
        raise KafkaDownError("no power")

    with monkeypatch.context() as patch:
        patch.setattr(rebuild_module, "suppress", lose_power)
        with pytest.raises(KinbidError, match="broke off: no power") as broken:
            asyncio.run(rebuild_module.rebuild(client.settings, lambda *_: None))
    assert "the same command" in str(broken.value)
    with pytest.raises(StackError, match="kinbid rebuild --yes"):
        client.stack.restart_part("streams")

    kinbid("rebuild", "--yes")
    kinbid("export", "--out", second)
    assert second.read_bytes() == first.read_bytes()
    client.stack.restart_part("streams")
    callers.tell_new()
    client.until(lambda: callers.joined()["call new"], bool)


def test_a_redis_that_is_emptied_ends_streams_and_a_rebuild_mends_it(
    client: Client, tmp_path: Path
) -> None:
    """It would go on with persons who lack all their past, consent withdrawn included."""
    client.stack.restart_part("streams")
    call_for_days(client)
    client.until(lambda: behind(client), lambda left: not left)
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    kinbid("export", "--out", first)
    with redis.Redis.from_url(client.settings.redis_url) as store:
        store.flushall()
    ended = client.until(client.stack.ended_part, bool)
    assert ended is not None
    for said in ("streams ended with exit code 1", "Redis has lost its data", "kinbid rebuild"):
        assert said in ended
    # However often it is started, and though no record comes.
    for _ in range(2):
        with pytest.raises(StackError, match="Redis has lost its data"):
            client.stack.restart_part("streams")

    kinbid("rebuild", "--yes")
    client.stack.restart_part("streams")
    kinbid("export", "--out", second)
    assert second.read_bytes() == first.read_bytes()
