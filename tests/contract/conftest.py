"""A real Redis for the whole session, and a store of each kind for one suite."""

from collections.abc import Iterator

import pytest

from kinbid.engines import RedisEngine
from tests.contract.stores import FakeStore, RealStore, Store


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisEngine]:
    with RedisEngine.start(tmp_path_factory.mktemp("redis")) as engine:
        yield engine


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Either store, empty; the server starts only where it is asked for."""
    if request.param == "memory":
        yield FakeStore()
        return
    real = RealStore(request.getfixturevalue("redis_server").url)
    try:
        yield real
    finally:
        real.close()
