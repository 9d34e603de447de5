"""``kinbid up``: the whole system on this machine, loaded with the demo's catalogue and flights."""

import asyncio
import signal
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from typing import Any, Final

from benchmarks.world import World
from bidder.catalog_feed import load_catalog
from kinbid.catalog_file import read_catalog_file
from kinbid.publish import publish_catalog, publish_offers
from kinbid.stack import Options, Stack, StackError
from models.catalog_records import CatalogRecord, Offer, record_key
from runtime import clock, kafka
from runtime.pepper import pepper_of
from runtime.settings import Settings

__all__ = ["demo_catalog", "interruptible", "load_demo_catalog", "run_up"]

POLL_SECONDS: Final = 0.5


def demo_catalog() -> list[CatalogRecord]:
    """The demo's advertisers, exchanges, segments, campaigns and creatives."""
    with as_file(files("kinbid").joinpath("demo.toml")) as path:
        return read_catalog_file(path)


def load_demo_catalog(settings: Settings) -> None:
    """Creates the topics, and publishes what of the demo's catalogue is not there yet."""

    async def load() -> None:
        await kafka.ensure_topics(settings)
        present = (await load_catalog(settings)).records()
        missing = [record for record in demo_catalog() if record_key(record) not in present]
        await publish_catalog(settings, missing)

    asyncio.run(load())


def interruptible() -> None:
    """Has SIGTERM, SIGHUP and Ctrl-C end everything in order, in the background too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)


def run_up(
    options: Options, base: Settings, seed: int, on_ready: Callable[[dict[str, Any]], None]
) -> None:
    """Runs the stack until it is told to stop.

    Args:
        options: engines and port.
        base: settings from file and environment.
        seed: of the demo's fares, seats and products.
        on_ready: called with the addresses when everything is ready.

    Raises:
        KinbidError: something did not start, or ended.
    """
    with Stack.start_engines(options, base) as stack:
        load_demo_catalog(stack.settings)
        stack.start_parts()
        asyncio.run(publish_offers(stack.settings, _offers(stack.settings, seed)))
        on_ready(stack.addresses)
        while True:
            time.sleep(POLL_SECONDS)
            ended = stack.ended_part()
            if ended is not None:
                raise StackError(ended)


def _offers(settings: Settings, seed: int) -> list[Offer]:
    pepper = pepper_of(settings)
    return World(seed=seed, persons=1, start_ms=clock.now_ms(), pepper=pepper).offers()
