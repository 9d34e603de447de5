"""A real Redis for the whole session, and a store of each kind for one suite."""

from collections.abc import Iterator

import pytest

from kinbid.engines import RedisCluster, RedisEngine
from tests.contract.stores import FakeStore, RealStore, Store


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisEngine]:
    with RedisEngine.start(tmp_path_factory.mktemp("redis")) as engine:
        yield engine


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster.start(tmp_path_factory.mktemp("redis-cluster")) as engine:
        yield engine


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis_server", marks=pytest.mark.integration),
        pytest.param("redis_cluster", marks=pytest.mark.integration),
    ]
)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each store, empty: other suites use the same servers and leave there what they wrote.

    The servers start only where they are asked for.
    """
    if request.param == "memory":
        yield FakeStore()
        return
    real = RealStore(request.getfixturevalue(request.param).url)
    try:
        real.empty()
        yield real
    finally:
        real.close()
