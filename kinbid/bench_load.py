"""``kinbid bench bid-path`` and ``kinbid bench latency``: kinbid, or any server, under load."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from benchmarks.load.bid_path import run_bid_path
from benchmarks.load.corpus import Corpus
from benchmarks.load.latency import run_latency
from benchmarks.load.plan import FULL_LOAD, QUICK_LOAD, LoadPlan
from benchmarks.load.schedule import Arrivals
from benchmarks.load.tables import show_bid_path, show_latency, show_target
from benchmarks.load.target import Mode, requests_for, run_target
from kinbid import show, up
from kinbid.bench import NO_ENGINES, Quick, Seed, run_on_site
from kinbid.command import Json, check_json, write_json
from runtime.settings import SettingsError

__all__ = ["register"]

Campaigns = Annotated[
    list[int] | None,
    typer.Option(min=3, help="Campaigns of a catalogue; again for another size. First: the base."),
]
Persons = Annotated[
    list[int] | None,
    typer.Option(min=32, help="Persons in Redis; again for another size. First: the base."),
]
Seconds = Annotated[float | None, typer.Option(min=0.5, help="Of one window.")]
Repeats = Annotated[int | None, typer.Option(min=1, help="Windows of each case.")]
Connections = Annotated[int | None, typer.Option(min=1, max=2000, help="Keep-alive, at once.")]
Generators = Annotated[
    int | None, typer.Option(min=1, max=16, help="Processes that send, where cores are free.")
]
Target = Annotated[
    str | None, typer.Option("--target", help="URL that takes bid requests, instead of kinbid.")
]
Pids = Annotated[
    list[int] | None,
    typer.Option("--pid", help="A process of the target, whose CPU is measured; again for more."),
]
Requests = Annotated[
    Path | None,
    typer.Option("--requests", help="Bid requests for the target, JSON, one a line."),
]
Rates = Annotated[
    list[float] | None,
    typer.Option("--rate", min=1, help="Requests a second; again for more. Else 60 % of capacity."),
]
Kind = Annotated[
    Literal["poisson", "constant"], typer.Option("--arrivals", help="Of the schedule.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands to ``kinbid bench``."""
    app.command("bid-path")(bid_path)
    app.command("latency")(latency)


def bid_path(  # noqa: PLR0917 - a command's parameters are its flags, given by name
    quick: Quick = False,  # noqa: FBT002 - a flag
    campaigns: Campaigns = None,
    persons: Persons = None,
    seconds: Seconds = None,
    repeats: Repeats = None,
    connections: Connections = None,
    generators: Generators = None,
    target: Target = None,
    pid: Pids = None,
    requests: Requests = None,
    seed: Seed = 7,
    json: Json = None,
) -> None:
    """CPU of a bid in bidder and Redis, by stage and size, beside a handler that bids nothing."""
    plan = _plan(
        quick, campaigns, persons, seconds=seconds, repeats=repeats, connections=connections,
        generators=generators,
    )  # fmt: skip
    if target is not None:
        _measure_target(target, pid, requests, plan, mode="bid-path", seed=seed, json=json)
        return
    _refuse_without_target(pid, requests)
    report = run_on_site(NO_ENGINES, json, lambda site: run_bid_path(site, plan, seed))
    show_bid_path(report, show.console)
    _end(report)


def latency(  # noqa: PLR0917 - as above
    quick: Quick = False,  # noqa: FBT002 - a flag
    rate: Rates = None,
    arrivals: Kind = "poisson",
    campaigns: Campaigns = None,
    persons: Persons = None,
    seconds: Seconds = None,
    repeats: Repeats = None,
    connections: Connections = None,
    generators: Generators = None,
    target: Target = None,
    pid: Pids = None,
    requests: Requests = None,
    seed: Seed = 7,
    json: Json = None,
) -> None:
    """Latency at a rate that is offered whatever the server does, beside the bare handler's."""
    plan = _plan(
        quick, campaigns, persons, seconds=seconds, repeats=repeats, connections=connections,
        generators=generators,
    )  # fmt: skip
    rates = tuple(rate or ())
    if target is not None:
        _measure_target(
            target, pid, requests, plan, mode="latency", seed=seed, json=json, rates=rates,
            arrivals=arrivals,
        )  # fmt: skip
        return
    _refuse_without_target(pid, requests)
    report = run_on_site(
        NO_ENGINES, json, lambda site: run_latency(site, plan, seed, rates, arrivals)
    )
    show_latency(report, show.console)
    _end(report)


def _plan(
    quick: bool,  # noqa: FBT001 - a flag's value
    campaigns: list[int] | None,
    persons: list[int] | None,
    *,
    seconds: float | None,
    repeats: int | None,
    connections: int | None,
    generators: int | None,
) -> LoadPlan:
    """The sizes, with what was given in place of what stands there."""
    plan = QUICK_LOAD if quick else FULL_LOAD
    given: dict[str, Any] = {
        "seconds": seconds, "repeats": repeats, "connections": connections,
        "open_connections": connections, "generators": generators,
    }  # fmt: skip
    if campaigns:
        given |= {"campaigns": tuple(campaigns), "base_campaigns": campaigns[0]}
    if persons:
        given |= {"persons": tuple(persons), "base_persons": persons[0]}
    chosen = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(plan, **chosen)


def _refuse_without_target(pids: list[int] | None, requests: Path | None) -> None:
    if pids or requests is not None:
        raise SettingsError("--pid and --requests are of a server that --target names")


def _measure_target(
    url: str,
    pids: list[int] | None,
    requests: Path | None,
    plan: LoadPlan,
    *,
    mode: Mode,
    seed: int,
    json: Path | None,
    rates: tuple[float, ...] = (),
    arrivals: Arrivals = "poisson",
) -> None:
    if not url.startswith("http://"):
        raise SettingsError(f"--target {url}: wanted http://HOST:PORT/PATH")
    check_json(json)
    up.interruptible()
    corpus = requests_for(plan, seed) if requests is None else Corpus.read(requests)
    report = run_target(
        url, pids or [], corpus, plan, mode=mode, seed=seed, rates=rates, arrivals=arrivals
    )
    write_json(json, report)
    show_target(report, show.console)
    _end(report)


def _end(report: dict[str, Any]) -> None:
    """A run that may not be believed is no success."""
    if report["objections"]:
        raise typer.Exit(1)
