"""What a demo shows while it runs: a live table on a terminal, plain lines elsewhere."""

from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.world import Progress
from models.units import format_money

__all__ = ["Scoreboard"]

LATE_SHARE: Final = 0.05
PLAIN_EVERY: Final = 5
"""Where there is no terminal, a line for every so many seconds."""


class Scoreboard:
    """Shows progress and the summary.

    Args:
        console: where to; None takes standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._seen = 0

    def say(self, text: str) -> None:
        """One line of what happens now."""
        self._console.print(text)

    def show(self, progress: Progress, *, persons: int, merges: int, cap_checks: int) -> None:
        """The state of the run, once a second."""
        rows = _rows(progress, persons, merges, cap_checks)
        self._seen += 1
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=4, transient=True)
                self._live.start()
            self._live.update(_table(rows))
        elif self._seen % PLAIN_EVERY == 0:
            line = "  ".join(f"{name} {value}" for name, value in rows)
            self._console.print(line)

    def close(self) -> None:
        """Ends the live table."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def summary(self, report: dict[str, Any], wrong: list[str]) -> None:
        """What the run came to, for people."""
        self.close()
        for title, rows in _summary(report):
            table = Table(title=title, title_justify="left", title_style="bold", box=None,
                          show_header=False, pad_edge=False)  # fmt: skip
            table.add_column(min_width=34)
            table.add_column()
            for name, value in rows:
                table.add_row(name, value)
            self._console.print(table)
        if report["late_sends"] > LATE_SHARE * report["bid_requests"]:
            self._console.print(
                f"\nThis machine could not keep up: {report['late_sends']:,} things happened late, "
                "so the latencies above say more of the simulation than of kinbid."
            )
        if wrong:
            self._console.print("\nNOT as it should be:")
            for line in [*wrong, *report["violations"]]:
                self._console.print(f"  {line}")
        else:
            self._console.print(
                "\nNobody saw an ad beyond the cap, for a sold-out offer, or meant for another."
            )


def _rows(p: Progress, persons: int, merges: int, cap_checks: int) -> list[tuple[str, str]]:
    latency = p.latency_ms
    return [
        ("seconds", f"{p.seconds:.0f}"),
        ("events", f"{p.events:,}"),
        ("persons", f"{persons:,}"),
        ("merges", f"{merges:,}"),
        ("bid requests", f"{p.bid_requests:,}"),
        ("bid rate", f"{p.bids / max(1, p.bid_requests):.0%}"),
        ("latency p50/p99 ms", f"{_ms(latency.p50)}/{_ms(latency.p99)}"),
        ("wins", f"{p.wins:,}"),
        ("impressions", f"{p.impressions:,}"),
        ("conversions", f"{p.conversions:,}"),
        ("spend", format_money(p.spend_micros // 10_000 * 10_000)),
        ("cap checks", f"{cap_checks:,}"),
        ("over cap", str(p.over_cap_impressions)),
        ("sold-out ads", str(p.sold_out_ads)),
        ("wrong person", str(p.wrong_person_bids)),
    ]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _table(rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(style="dim")
        table.add_column(justify="right", min_width=11)
    for start in range(0, len(rows), 3):
        cells = [cell for row in rows[start : start + 3] for cell in row]
        table.add_row(*cells)
    return table


def _summary(r: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    identity, fresh, latency = r["identity"], r["freshness_ms"], r["latency_ms"]
    return [
        (
            "\nidentity",
            [
                ("events (history + live)", f"{r['history_events']:,} + {r['events']:,}"),
                ("persons, merges", f"{r['persons']:,}, {r['merges']:,}"),
                ("pairs put together rightly", f"{identity['precision']:.4f}"),
                ("linkable pairs found", f"{identity['recall_of_linkable']:.4f}"),
                ("pairs that evidence links", f"{identity['linkable_share']:.1%} of all true ones"),
                (
                    "event to visible in a bid, p50/p99 ms",
                    f"{_ms(fresh['p50'])}/{_ms(fresh['p99'])}",
                ),
            ],
        ),
        (
            "\nbidding",
            [
                ("bid requests", f"{r['bid_requests']:,}"),
                ("bid requests a second", f"{r['bid_requests_per_s']:,.0f}"),
                ("bids, of them personal", f"{r['bids']:,}, {r['personal_bids']:,}"),
                ("bids by format", _formats(r["bids_by_format"])),
                ("wins, impressions", f"{r['wins']:,}, {r['impressions']:,}"),
                ("conversions", f"{r['conversions']:,}"),
                ("spend", f"{r['spend']:,.2f}"),
                ("latency ms p50, p99, p99.9", ", ".join(_ms(latency[p]) for p in latency)),
                ("CPU a request, bidder + Redis", _cpu(r)),
            ],
        ),
        (
            "\ncounted by the world, from what it was shown",
            [
                ("impressions over the cap", str(r["over_cap_impressions"])),
                ("ads for what was sold out", str(r["sold_out_ads"])),
                ("ads for the wrong person", str(r["wrong_person_bids"])),
            ],
        ),
    ]


def _formats(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _cpu(r: dict[str, Any]) -> str:
    parts = (r["bidder_cpu_us_per_request"], r["redis_cpu_us_per_request"])
    return " + ".join("not known" if part is None else f"{part:.0f} us" for part in parts)
