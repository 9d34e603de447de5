import asyncio

import pytest

from benchmarks.bench import memory
from benchmarks.bench.memory import growth_of
from runtime.redis_link import RedisLink


def test_what_the_first_person_costs_along_is_not_in_the_growth_between_sizes() -> None:
    fixed, each = 580_000, 2_240
    used = [(0, 1_000), *((count, 1_000 + fixed + each * count) for count in (400, 4_000))]
    whole, between = growth_of(used)
    assert (between.from_persons, between.to_persons, between.bytes_per_person) == (
        400,
        4_000,
        each,
    )
    assert (whole.from_persons, whole.to_persons) == (0, 4_000)
    assert whole.bytes_per_person == each + fixed / 4_000


def test_buffers_of_connections_and_replicas_are_nobodys_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = {
        "used_memory": "5000000", "mem_clients_normal": "100", "mem_clients_slaves": "20",
        "mem_replication_backlog": "1000000", "mem_cluster_links": "3",
    }  # fmt: skip

    async def told(*_: object) -> list[dict[str, str]]:
        return [server, server]

    monkeypatch.setattr(memory, "info", told)
    assert asyncio.run(memory.used_memory(RedisLink("redis://nowhere"))) == 2 * 3_999_877
