"""``kinbid demo``: the whole system, simulated customers and three exchanges, watched live."""

import asyncio
import contextlib
from typing import Any, Final

import msgspec

from benchmarks.world import (
    Backfill,
    IdentityScore,
    Progress,
    Referee,
    Report,
    World,
    backfill,
    cap_rules_of,
    run,
)
from bidder.catalog_feed import load_catalog
from kinbid.monitor import Samples, cpu_ns, read_metrics, roots_of
from kinbid.scoreboard import Scoreboard
from kinbid.stack import Options, Stack, StackError
from kinbid.up import load_demo_catalog
from models.keys import Keys
from runtime import clock
from runtime.pepper import pepper_of
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["DemoOptions", "run_demo", "violations"]

LOAD_SECONDS: Final = 120.0
SETTLE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.25
GRACE_SECONDS: Final = 1.2
"""Evidence younger than a second is not asked for; after this all of it is older."""


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What can be chosen about a demo.

    Attributes:
        seconds: how long the live part is.
        seed: the same seed gives the same world.
        persons: customers in it.
        stack: engines and port.
    """

    seconds: float
    seed: int
    persons: int
    stack: Options


def run_demo(options: DemoOptions, base: Settings, board: Scoreboard) -> dict[str, Any]:
    """Runs the demo and returns its report, as ``--json`` writes it.

    Args:
        options: what was chosen.
        base: settings from file and environment.
        board: shows what happens.

    Raises:
        KinbidError: something did not start, or ended.
    """
    board.say("starting engines, streams and two bidder workers")
    with Stack.start_engines(options.stack, base) as stack:
        load_demo_catalog(stack.settings)
        stack.start_parts()
        board.say(f"ready: {stack.engines['kafka']}, {stack.engines['redis']}")
        return asyncio.run(_Demo(options, stack, board).play())


class _Demo:
    """One run against a stack that is ready."""

    def __init__(self, options: DemoOptions, stack: Stack, board: Scoreboard) -> None:
        self._options = options
        self._stack = stack
        self._board = board
        self._settings = stack.settings
        self._keys = Keys(stack.settings.owner)
        self._redis = link_to(stack.settings.redis_url, name="kinbid-demo")
        self._world = World(
            seed=options.seed,
            persons=options.persons,
            start_ms=clock.now_ms(),
            pepper=pepper_of(stack.settings),
        )
        self._metrics: Samples = {}
        self._persons = 0

    async def play(self) -> dict[str, Any]:
        """History first, then the live part, then the account."""
        await self._redis.connect()
        try:
            return await self._play()
        finally:
            await self._redis.close()

    async def _play(self) -> dict[str, Any]:
        settings = self._settings
        caps = cap_rules_of((await load_catalog(settings)).marketing())
        self._referee = Referee(self._world.owners(), caps)
        loaded = await self._load_history()
        before = self._cpu()
        requests_before = self._requests()
        watching = asyncio.create_task(self._watch())
        report = await run(
            self._world,
            bidder_url=self._stack.addresses["bidder"],
            bootstrap=settings.kafka_bootstrap,
            topics_owner=settings.owner,
            seconds=self._options.seconds,
            referee=self._referee,
            progress=self._show,
            idempotence=settings.kafka_idempotence,
        )
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        after = self._cpu()
        await self._caught_up(loaded.events + report.events + report.freshness_ms.probes)
        return await self._account(report, loaded, before, after, requests_before)

    async def _load_history(self) -> Backfill:
        self._board.say("loading history: CRM cards, orders, flights, products")
        loaded = await backfill(
            self._world,
            bootstrap=self._settings.kafka_bootstrap,
            topics_owner=self._settings.owner,
            referee=self._referee,
            idempotence=self._settings.kafka_idempotence,
        )
        if loaded.failures:
            raise StackError(f"history could not be produced: {loaded.failures}")
        await self._until(lambda: self._folded() >= loaded.events, LOAD_SECONDS, "history")
        await self._until(lambda: self._offers() >= loaded.offers, LOAD_SECONDS, "offers")
        self._board.say(
            f"{loaded.events:,} events of history and {loaded.offers:,} offers are in; "
            f"playing {self._options.seconds:g} s"
        )
        return loaded

    async def _until(self, is_done: Any, seconds: float, what: str) -> None:  # noqa: ANN401
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            await self._scrape()
            if is_done():
                return
            self._check_parts()
            if asyncio.get_running_loop().time() > deadline:
                raise StackError(f"{what} was not processed within {seconds:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def _caught_up(self, events: int) -> None:
        """Waits until streams has folded everything, canaries included, or says that it has not."""
        await asyncio.sleep(GRACE_SECONDS)
        await self._until(lambda: self._folded() >= events, SETTLE_SECONDS, "the last events")

    def _folded(self) -> float:
        return self._metrics.get("streams_events_total{topic=events}", 0.0)

    def _offers(self) -> float:
        kinds = ("flight", "product")
        return sum(self._metrics.get(f"streams_offers_total{{kind={k}}}", 0.0) for k in kinds)

    def _requests(self) -> float:
        return self._metrics.get("bidder_bid_requests_total", 0.0)

    def _merges(self) -> int:
        return int(self._metrics.get("streams_links_total{result=linked}", 0.0))

    async def _scrape(self) -> None:
        metrics = self._stack.addresses["metrics"]
        urls = [*metrics["bidder"], *metrics["streams"]]
        self._metrics = await asyncio.to_thread(read_metrics, urls)

    def _check_parts(self) -> None:
        ended = self._stack.ended_part()
        if ended is not None:
            raise StackError(ended)

    async def _watch(self) -> None:
        """Keeps the numbers that only the system itself has."""
        while True:
            await self._scrape()
            self._check_parts()
            roots = await roots_of(self._redis, self._keys, self._referee.nodes)
            self._persons = len(set(roots.values()))
            await asyncio.sleep(1)

    def _show(self, progress: Progress) -> None:
        self._check_parts()
        self._board.show(
            progress,
            persons=self._persons,
            merges=self._merges(),
            cap_checks=int(self._metrics.get("bidder_exact_reservations_total", 0.0)),
        )

    def _cpu(self) -> dict[str, int | None]:
        pids = self._stack.addresses["pids"]
        return {role: cpu_ns(pids.get(role, [])) for role in ("bidder", "redis", "streams")}

    async def _account(
        self,
        report: Report,
        loaded: Backfill,
        before: dict[str, int | None],
        after: dict[str, int | None],
        requests_before: float,
    ) -> dict[str, Any]:
        requests = self._requests() - requests_before
        roots = await roots_of(self._redis, self._keys, self._referee.nodes)
        identity = self._referee.identity_score(roots, clock.now_ms())
        return {
            **msgspec.to_builtins(report),
            "world_persons": report.persons,
            "persons": len(set(roots.values())),
            "merges": self._merges(),
            "identity": _identity(identity),
            "history_events": loaded.events,
            "bidder_cpu_us_per_request": _per_request("bidder", before, after, requests),
            "redis_cpu_us_per_request": _per_request("redis", before, after, requests),
            "streams_cpu_us_per_event": _per_request("streams", before, after, report.events),
            "engines": self._stack.engines,
        }


def _identity(score: IdentityScore) -> dict[str, Any]:
    return msgspec.structs.asdict(score)


def _per_request(
    role: str, before: dict[str, int | None], after: dict[str, int | None], count: float
) -> float | None:
    begin, end = before[role], after[role]
    if begin is None or end is None or not count:
        return None
    return round((end - begin) / 1000 / count, 1)


def violations(report: dict[str, Any]) -> list[str]:
    """What a run must not show; empty after a good one."""
    found = [
        f"{name} is {report[name]}, not 0"
        for name in ("over_cap_impressions", "sold_out_ads", "wrong_person_bids")
        if report[name]
    ]
    found += [
        f"identity {name} is {report['identity'][name]}, not 1"
        for name in ("precision", "recall_of_linkable")
        if report["identity"][name] != 1.0
    ]
    found += [
        f"{name} is 0: nothing was shown that could be judged"
        for name in ("bids", "personal_bids", "impressions")
        if not report[name]
    ]
    if report["freshness_ms"]["missed"]:
        found.append(f"{report['freshness_ms']['missed']} events were never seen in a bid")
    if report["failures"]:
        found.append(f"failures: {report['failures']}")
    return found
