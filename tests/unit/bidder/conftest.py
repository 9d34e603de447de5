from collections.abc import Iterator
from pathlib import Path

import pytest

import kinbid
from bidder.metrics import Counters, open_memory
from kinbid.catalog_file import read_catalog_file
from models.catalog import Catalog


@pytest.fixture
def demo_catalog() -> Catalog:
    """The catalogue that the demo publishes."""
    catalog = Catalog()
    for record in read_catalog_file(Path(kinbid.__file__).with_name("demo.toml")):
        catalog.apply(record)
    return catalog


@pytest.fixture
def counters() -> Iterator[Counters]:
    """One worker's counters, all zero."""
    with open_memory() as memory:
        yield Counters(memory.fileno())
