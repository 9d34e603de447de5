import datetime as dt

import pytest

from benchmarks.world import World
from models.identifiers import Pepper

START_MS = int(dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC).timestamp()) * 1000
"""A Friday morning in New York."""


@pytest.fixture(scope="session")
def pepper() -> Pepper:
    return Pepper("a pepper for tests")


@pytest.fixture(scope="session")
def start_ms() -> int:
    return START_MS


@pytest.fixture(scope="session")
def world(pepper: Pepper) -> World:
    """A small world; nothing in it changes after it is made."""
    return World(seed=7, persons=100, start_ms=START_MS, pepper=pepper)
