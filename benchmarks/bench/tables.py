"""A report's figures as tables for people; the JSON file has all of them."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

__all__ = ["show_identity", "show_origin", "show_streams", "spread", "table_of"]

GIGABYTE: Final = 1e9


def show_streams(report: dict[str, Any], console: Console) -> None:
    """Prints one table for each part that was run."""
    plain = msgspec.to_builtins(report)
    for part, show in _SHOWN.items():
        if part in plain:
            show(plain[part], console)
    show_origin(plain, console)


def show_identity(report: dict[str, Any], console: Console) -> None:
    """Prints the operations, a block for each number of persons."""
    plain = msgspec.to_builtins(report)
    table = table_of(
        "identity, for one operation", "persons", "operation", "commands", "rounds",
        "Redis us (spread)", "client us (spread)",
    )  # fmt: skip
    for persons, operations in plain["by_persons"].items():
        for name, cost in operations.items():
            table.add_row(
                f"{int(persons):,}", name, f"{cost['commands']:.1f}", f"{cost['rounds']:.1f}",
                spread(cost["redis_us"], cost["redis_us_spread"]),
                spread(cost["client_us"], cost["client_us_spread"]),
            )  # fmt: skip
    console.print(table)
    show_origin(plain, console)


def table_of(title: str, *columns: str) -> Table:
    """An empty table."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def spread(value: float, ends: list[float]) -> str:
    """A figure, and between which ends its repeats were."""
    return f"{value:.1f} ({ends[0]:.1f} to {ends[1]:.1f})"


def show_origin(plain: dict[str, Any], console: Console) -> None:
    """What was measured, and with what."""
    engines = ", ".join(f"{name} {value}" for name, value in plain["versions"].items())
    console.print(f"commit {plain['commit'][:12]}, seed {plain['seed']}, {engines}")


_COSTS: Final = ("worker us (spread)", "Redis us (spread)", "broker us")


def _costs_of(case: dict[str, Any]) -> tuple[str, str, str]:
    median = case["median"]
    broker = median["broker_us"]
    return (
        spread(median["worker_us"], case["worker_us_spread"]),
        spread(median["redis_us"], case["redis_us_spread"]),
        "elsewhere" if broker is None else f"{broker:.1f}",
    )


def _show_growth(part: dict[str, Any], console: Console) -> None:
    table = table_of("CPU per event, by persons", "persons", "events known of each", *_COSTS)
    for case in part["cases"]:
        table.add_row(f"{case['persons']:,}", f"{case['events']:,}", *_costs_of(case))
    console.print(table)
    console.print(f"largest to smallest: {part['largest_to_smallest']:.2f}")


def _show_merges(part: dict[str, Any], console: Console) -> None:
    table = table_of("CPU per event, by share of merges", "merges, %", *_COSTS)
    for percent, case in part["by_merge_percent"].items():
        table.add_row(percent, *_costs_of(case))
    console.print(table)
    in_events = part["merge_in_plain_events"]
    console.print(
        f"a merge costs {in_events['worker']:.1f} plain events in the worker, "
        f"{in_events['redis']:.1f} in Redis"
    )


def _show_stages(part: dict[str, Any], console: Console) -> None:
    table = table_of("CPU per event by stage, us", "stage", "apart", "in the worker")
    worker = part["worker"]
    for stage, apart in part["apart_us"].items():
        inside = worker["stages_us"].get(stage)
        table.add_row(stage, f"{apart:.2f}", "" if inside is None else f"{inside:.2f}")
    outside = part["worker_outside_its_stages_us"]
    table.add_row("outside the loop", "", f"{outside:.2f}")
    table.add_row("worker, whole", "", f"{worker['worker_us']:.2f}")
    console.print(table)


def _show_memory(part: dict[str, Any], console: Console) -> None:
    measured = part["measured"]
    table = table_of("Redis memory per person, bytes", "kind of key", "keys", "bytes")
    for kind, size in measured["by_kind"].items():
        table.add_row(kind, f"{measured['keys_by_kind'][kind]:.2f}", f"{size:.0f}")
    for step in measured["growth"]:
        name = f"all of Redis, persons {step['from_persons']:,} to {step['to_persons']:,}"
        table.add_row(name, "", f"{step['bytes_per_person']:.0f}")
    console.print(table)
    console.print(
        f"100 million persons: {measured['hundred_million_bytes'] / GIGABYTE:.0f} GB, without "
        "replicas and fragmentation"
    )


def _show_load(part: dict[str, Any], console: Console) -> None:
    rate = f"{part['offered_per_second']:,.0f} events/s"
    table = table_of(f"event to visible at {rate}", "canary", "sent", "p50 ms", "p99 ms", "most ms")
    for kind, seen in part["event_to_visible"].items():
        times = (f"{seen[name]:.1f}" for name in ("p50_ms", "p99_ms", "max_ms"))
        table.add_row(kind, f"{seen['canaries']:,}", *times)
    console.print(table)
    hot = part["hot_identifier"]
    console.print(
        f"one identifier with all of {hot['events']:,} events: "
        f"{hot['alone']['worker_us']:.1f} us an event"
    )
    table = table_of("lag over time, records", "case", "most", "last", "every half second")
    for name, points in (
        ("plain", part["plain_lag"]),
        (f"hot identifier, {hot['share']:.0%}", hot["lag"]),
        ("merge storm", part["merge_storm"]["lag"]),
    ):
        lags = [point["lag_records"] for point in points]
        table.add_row(name, f"{max(lags):,}", f"{lags[-1]:,}", " ".join(map(str, lags)))
    console.print(table)


def _show_workers(part: dict[str, Any], console: Console) -> None:
    table = table_of("workers on four partitions", "workers", "events/s", "worker us", "shares")
    for count, case in part.items():
        shares = " ".join(f"{share:.0f}" for share in case["shares"])
        table.add_row(
            count, f"{case['events_per_second']:,.0f}", f"{case['cost']['worker_us']:.1f}", shares
        )
    console.print(table)
    for count, case in part.items():
        if killed := case.get("one_killed"):
            most_ms = max(seen["max_ms"] for seen in killed["event_to_visible"].values())
            console.print(
                f"one of {count} killed at {killed['offered_per_second']:,.0f} events/s: of "
                f"{killed['events']:,} events with {killed['merges']:,} merges {killed['lost']} "
                f"lost, {killed['doubled']} counted twice; records of "
                f"{killed['redelivered']:,} identifiers were redelivered; event to visible at "
                f"most {most_ms / 1000:.1f} s"
            )


_SHOWN: Final[dict[str, Callable[[dict[str, Any], Console], None]]] = {
    "growth": _show_growth, "merges": _show_merges, "stages": _show_stages,
    "memory": _show_memory, "load": _show_load, "workers": _show_workers,
}  # fmt: skip
