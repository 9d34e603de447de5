"""``kinbid bench``, whose commands are imported when one of them is wanted."""

from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

__all__ = ["bench_group"]


class _Benchmarks(TyperGroup):
    """Imports its commands when it is given something to do: their flags need the benchmarks."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own
        from kinbid import bench, bench_load, bench_quality

        bench_load.register(bench.bench_app)
        bench_quality.register(bench.bench_app)
        self.commands.update(get_group(bench.bench_app).commands)
        return super().parse_args(ctx, args)


bench_group = typer.Typer(
    cls=_Benchmarks,
    help="Measure identity, streams and bids on real engines.",
    no_args_is_help=True,
)
