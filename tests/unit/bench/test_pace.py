"""Lag: what was produced and not folded, whoever produced it."""

import asyncio

import pytest

from benchmarks.bench import pace
from benchmarks.bench.pace import LagPoint, Offered, watch_lag
from benchmarks.bench.site import BenchError


def lag_of(
    monkeypatch: pytest.MonkeyPatch, produced: int, folded: int
) -> list[LagPoint]:  # fmt: skip
    async def told(_: object) -> float:
        return float(folded + 100)

    async def main() -> list[LagPoint]:
        offered = Offered()
        offered.count = produced
        offer = asyncio.create_task(asyncio.sleep(0.01))
        return await watch_lag([], 100, offered, offer)

    monkeypatch.setattr(pace, "folded", told)
    monkeypatch.setattr(pace, "SAMPLE_SECONDS", 0.02)
    return asyncio.run(main())


def test_lag_is_what_was_produced_and_not_folded_since_the_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (point,) = lag_of(monkeypatch, produced=50, folded=20)
    assert (point.produced, point.lag_records) == (50, 30)


def test_more_folded_than_produced_is_an_error_and_not_a_lag_of_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BenchError, match="21 records were folded, and only 20 were produced"):
        lag_of(monkeypatch, produced=20, folded=21)
