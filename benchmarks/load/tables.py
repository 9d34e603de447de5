"""The bid benchmarks' reports as tables for people; the JSON file has all of them."""

from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.bench.tables import show_origin, spread, table_of
from benchmarks.load.histogram import PERCENTILES

__all__ = ["show_bid_path", "show_latency", "show_target"]

MEGABYTE: Final = 1e6
NAMES: Final = ("p50", "p90", "p99", "p99.9", "most, us")


def show_bid_path(report: dict[str, Any], console: Console) -> None:
    """Sizes, then stages."""
    plain = msgspec.to_builtins(report)
    console.print(_sizes(plain))
    growth, generator = plain["growth"], plain["generator"]
    console.print(
        f"largest to smallest, with Redis: campaigns {growth['campaigns']:.2f}, "
        f"persons {growth['persons']:.2f}"
    )
    console.print(_stages(plain))
    console.print(
        f"the generator alone: {generator['generator_us']:.1f} us a request, so "
        f"{generator['times_bare']:.2f} times as fast as the bare handler; it sent "
        f"{generator['most_per_second']:,.0f} a second"
    )
    console.print(f"bids for a person: {plain['personal_share']:.0%}, the others for nobody")
    _show_end(plain, console)


def _sizes(plain: dict[str, Any]) -> Table:
    table = table_of(
        "CPU of a bid, by size", "campaigns", "persons", "bidder us (spread)", "Redis us (spread)",
        "bare us", "times bare", "bids/s", "worker MB", "GC over 1 ms",
    )  # fmt: skip
    for row in plain["cases"]:
        table.add_row(
            f"{row['campaigns']:,}", f"{row['persons']:,}",
            spread(row["bidder_us"], row["bidder_us_spread"]),
            spread(row["redis_us"], row["redis_us_spread"]),
            f"{row['bare_us']:.1f}", f"{row['times_bare']:.1f}", f"{row['per_second']:,.0f}",
            f"{sum(row['resident_bytes']) / MEGABYTE:.0f}", _long_pauses(row["pauses"]),
        )  # fmt: skip
    return table


def _long_pauses(pauses: dict[str, float]) -> str:
    """Collections that stopped the worker for more than a millisecond, of all."""
    name = "bidder_gc_pause_seconds"
    many = pauses[f"{name}_count"]
    short = pauses[name + '_bucket{le="0.001"}']
    return f"{many - short:,.0f} of {many:,.0f}"


def _stages(plain: dict[str, Any]) -> Table:
    base = plain["cases"][0]
    table = table_of(
        f"CPU of a bid by stage, {base['campaigns']:,} campaigns", "stage", "us", "what it is"
    )
    for name, what in plain["stages"].items():
        table.add_row(name, f"{plain['stages_us'][name]:.2f}", what)
    table.add_row("sum", f"{plain['stages_us']['sum']:.2f}", "each apart, caches hot")
    table.add_row("kernel", f"{plain['kernel_us']:.2f}", "sockets, waiting and waking")
    table.add_row("rest", f"{plain['rest_us']:.2f}", "event loop, server, link, cold caches")
    table.add_row("worker, whole", f"{base['bidder_us']:.2f}", "")
    return table


def show_latency(report: dict[str, Any], console: Console) -> None:
    """A block for each rate."""
    plain = msgspec.to_builtins(report)
    for rate in plain["rates"]:
        table = table_of(
            f"latency at {rate['offered_per_second']:,.0f} a second, from when a request was due",
            "server", *NAMES, "CPU us", "generator late, p99 us",
        )  # fmt: skip
        for name in ("kinbid", "bare"):
            seen = rate[name]
            cpu = " + ".join(f"{value:.1f}" for value in seen["cpu_us"].values())
            latencies = [f"{seen[one]:,.0f}" for one in PERCENTILES]
            table.add_row(name, *latencies, cpu, f"{seen['lateness_p99_us']:,.0f}")
        console.print(table)
        console.print(f"p99 against the bare handler's: {rate['times_bare_p99']:.2f}")
    if (capacity := plain["capacity_per_second"]) is not None:
        console.print(f"capacity, by search: {capacity:,.0f} a second")
    _show_end(plain, console)


def show_target(report: dict[str, Any], console: Console) -> None:
    """A row for each rate, or one for the closed loop."""
    plain = msgspec.to_builtins(report)
    table = table_of(
        plain["settings"]["target"], "offered/s", "answers/s", "CPU us by process", "all", "bids",
        *NAMES,
    )  # fmt: skip
    for run in plain["runs"]:
        offered = run["offered_per_second"]
        cpu = ", ".join(f"{pid}: {value:.1f}" for pid, value in run["cpu_us"].items())
        table.add_row(
            "closed loop" if offered is None else f"{offered:,.0f}", f"{run['per_second']:,.0f}",
            cpu or "no --pid", f"{run['all_cpu_us']:.1f}", f"{run['bid_share']:.0%}",
            *(f"{run['latency'][one]:,.0f}" for one in PERCENTILES),
        )  # fmt: skip
    console.print(table)
    _show_end(plain, console)


def _show_end(plain: dict[str, Any], console: Console) -> None:
    for text in plain["objections"]:
        console.print(f"INVALID: {text}", style="bold red")
    if plain["settings"]["cores"]["server"] == plain["settings"]["cores"]["generator"]:
        console.print("one core for all: the generator takes its time from the server")
    corpus = plain["settings"]["corpus"]
    console.print(
        f"{corpus['requests']:,} requests of {corpus['mean_bytes']:,.0f} bytes, "
        f"SHA-256 {corpus['sha256'][:12]}"
    )
    show_origin(plain, console)
