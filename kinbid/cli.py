"""The command line. Results go to standard output; 0 is done, 1 failed, 2 wrongly asked.

A command imports what it needs when it runs, so that none waits for the imports of the others:
streams, bidder and benchmarks each bring in more than all that a small command does.
"""

import asyncio
import datetime as dt
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from kinbid import links
from kinbid.bench_group import bench_group
from kinbid.budgets import budgets
from kinbid.command import (
    Config,
    Json,
    check_json,
    check_writable,
    client_settings,
    running_settings,
    write_file,
    write_json,
)
from kinbid.receipts import receipts_app
from kinbid.segments import segments_app
from models.call_report import Split
from models.catalog_records import record_key
from models.errors import DownError, InvalidFieldError, KinbidError, UnknownNameError
from models.units import parse_money
from runtime import run_file
from runtime.settings import SettingsError, load, masked, require_secrets

__all__ = ["main"]

app = typer.Typer(
    name="kinbid",
    help="Identity resolution and real-time bidding: one customer is one person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(segments_app, name="segments")
app.add_typer(receipts_app, name="receipts")
app.command()(budgets)
app.add_typer(bench_group, name="bench")

ReadyFd = Annotated[int | None, typer.Option("--ready-fd", hidden=True)]


def main() -> None:
    """Runs a command; what goes wrong on purpose is a sentence, not a traceback."""
    # The client library's own complaints come before our sentence and say less.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except (SettingsError, UnknownNameError, InvalidFieldError) as error:
        _fail(error, 2)
    except DownError as error:
        _fail(KinbidError(f"{error}\n{_where_set(error.setting, error)}"), 1)
    except KinbidError as error:
        _fail(error, 1)


def _where_set(setting: str, error: KinbidError) -> str:
    """Where the address of what is down was to be set, and what runs here instead."""
    said = f"Set KINBID_{setting.upper()}, or {setting} in the file of --config."
    found = run_file.read()
    if found is None:
        return f"{said} Nothing runs here that I know of: `kinbid up` starts it."
    url = str(found.settings.get(setting, ""))
    address = url.rpartition("://")[2].rpartition("@")[2].partition("/")[0]
    if address in str(error):
        return said
    return (
        f"{said} `kinbid up` runs here with {masked(setting, url)}: where nothing is set, commands "
        "take that from it, but `kinbid streams` and `kinbid bidder` never do"
    )


def _fail(error: KinbidError, code: int) -> None:
    sys.stderr.write(f"kinbid: {error}\n")
    sys.exit(code)


def _tell(ready_fd: int | None) -> Any:  # noqa: ANN401 - a callback
    def tell(ready: dict[str, Any]) -> None:
        if ready_fd is not None:
            os.write(ready_fd, msgspec.json.encode(ready) + b"\n")
            os.close(ready_fd)

    return tell


@app.command()
def streams(config: Config = None, ready_fd: ReadyFd = None) -> None:
    """Run one streams worker: Kafka in, persons and profiles in Redis out."""
    from streams import app as streams_app

    settings = load(config).settings
    streams_app.run(settings, _tell(ready_fd))


@app.command()
def bidder(
    config: Config = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on the port.")] = None,
    bidder_port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    ready_fd: ReadyFd = None,
) -> None:
    """Run the bidder: its workers share one port, each with an admin port of its own."""
    from bidder import supervisor

    settings = load(config).settings
    require_secrets(settings)
    if workers is not None:
        settings = msgspec.structs.replace(settings, bidder_workers=workers)
    if bidder_port is not None:
        settings = msgspec.structs.replace(settings, bidder_port=bidder_port)
    supervisor.run(settings, _tell(ready_fd))


Kafka = Annotated[
    str | None,
    typer.Option(
        help="HOST:PORT of a Kafka that runs elsewhere; if it was used before, with its Redis."
    ),
]
Redis = Annotated[str | None, typer.Option(help="URL of a Redis that runs elsewhere.")]
BidderPort = Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same world.")]


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long customers browse.")] = 60,
    seed: Seed = 7,
    persons: Annotated[int, typer.Option(min=1, max=23_570, help="Customers.")] = 2000,
    kafka: Kafka = None,
    redis: Redis = None,
    bidder_port: BidderPort = 0,
    config: Config = None,
    json: Json = None,
) -> None:
    """Run everything here with simulated customers and exchanges, and watch it live."""
    from kinbid import up
    from kinbid.demo import DemoOptions, run_demo, violations
    from kinbid.scoreboard import Scoreboard
    from kinbid.stack import Options

    stack = Options(kafka=kafka, redis=redis, bidder_port=bidder_port)
    check_json(json)
    options = DemoOptions(seconds=seconds, seed=seed, persons=persons, stack=stack)
    board = Scoreboard()
    up.interruptible()
    try:
        report = run_demo(options, load(config).settings, board)
    except KeyboardInterrupt:
        board.say("stopped")
        sys.exit(130)
    finally:
        board.close()
    write_json(json, report)
    wrong = violations(report)
    board.summary(report, wrong)
    if wrong:
        sys.exit(1)


@app.command("up")
def up_command(
    seed: Seed = 7,
    kafka: Kafka = None,
    redis: Redis = None,
    bidder_port: BidderPort = 8080,
    config: Config = None,
    json: Json = None,
) -> None:
    """Run everything here until Ctrl-C, loaded with the demo's catalogue and flights."""
    from kinbid import show, up
    from kinbid.stack import Options

    check_json(json)
    stack = Options(kafka=kafka, redis=redis, bidder_port=bidder_port)

    def ready(addresses: dict[str, Any]) -> None:
        write_json(json, addresses)
        for name, value in addresses.items():
            show.console.print(
                f"{name}: {masked('redis_url', value) if name == 'redis' else value}"
            )
        show.console.print("ready; Ctrl-C ends everything")

    up.interruptible()
    try:
        up.run_up(stack, load(config).settings, seed, ready)
    except KeyboardInterrupt:
        show.console.print("stopped")


@app.command("config")
def config_command(config: Config = None) -> None:
    """Print every setting, where it came from, secrets masked."""
    from kinbid.show import show_settings

    show_settings(running_settings(config))


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="TOML: advertisers, segments, campaigns ...")],
    config: Config = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,  # noqa: FBT002
) -> None:
    """Check a catalogue file, show what it changes, and publish that."""
    from bidder.catalog_feed import load_catalog
    from kinbid.catalog_file import changes, check_references, read_catalog_file
    from kinbid.publish import publish_catalog
    from kinbid.show import console

    records = read_catalog_file(file)
    settings = running_settings(config).settings
    before = asyncio.run(load_catalog(settings)).records()
    check_references({**before, **{record_key(record): record for record in records}})
    changed = changes(before, records)
    for record in changed:
        sign = "change" if record_key(record) in before else "add"
        console.print(f"{sign} {record_key(record)}")
    if not changed:
        console.print("nothing to change")
    elif not dry_run:
        asyncio.run(publish_catalog(settings, changed))
        console.print(f"published {len(changed)} of {len(records)} records")


@app.command()
def withdraw(
    keys: Annotated[list[str], typer.Argument(help="KIND/ID, such as campaign/air-brand.")],
    config: Config = None,
    dry_run: Annotated[bool, typer.Option(help="Only say whether they can go.")] = False,  # noqa: FBT002
) -> None:
    """Take records of the catalogue back for good; is_active = false only pauses a campaign."""
    from bidder.catalog_feed import load_catalog
    from kinbid.catalog_file import without
    from kinbid.publish import withdraw_records
    from kinbid.show import console

    settings = running_settings(config).settings
    marketing = asyncio.run(load_catalog(settings)).marketing()
    without({record_key(record): record for record in marketing}, keys)
    if not dry_run:
        asyncio.run(withdraw_records(settings, keys))
    console.print(f"{'could withdraw' if dry_run else 'withdrew'} {', '.join(keys)}")


@app.command("import")
def import_impressions(
    file: Annotated[Path, typer.Argument(help="JSON lines: id, who, source, advertiser, time ...")],
    config: Config = None,
    dry_run: Annotated[bool, typer.Option(help="Only check the file.")] = False,  # noqa: FBT002
) -> None:
    """Count impressions on channels where we do not bid under the same caps."""
    from kinbid.imports import read_impressions, send_impressions
    from kinbid.show import console

    settings = running_settings(config).settings
    impressions = read_impressions(settings, file)
    if not dry_run:
        asyncio.run(send_impressions(settings, impressions))
    console.print(f"{'read' if dry_run else 'sent'} {len(impressions)} impressions")


History = Annotated[bool, typer.Option("--history", help="Print which links made them, and when.")]


@app.command()
def person(
    identifier: Annotated[
        str, typer.Argument(help="cookie:, ifa:, email:, phone:, crm:VALUE ..., or a node.")
    ],
    history: History = False,  # noqa: FBT002
    config: Config = None,
    json: Json = None,
) -> None:
    """Print a person: identifiers, what was seen, segments, caps; or how they came to be."""
    from kinbid.inspect import person_report
    from kinbid.link_history import history_report
    from kinbid.show_links import show_history
    from kinbid.show_person import show_person

    check_json(json)
    if history:
        told = asyncio.run(history_report(client_settings(config), identifier))
        write_json(json, told)
        show_history(told)
        return
    report = asyncio.run(person_report(client_settings(config), identifier))
    write_json(json, report)
    show_person(report)


@app.command()
def calls(
    older_than: Annotated[
        float, typer.Option(min=0, help="Only call-backs that have been open for more hours.")
    ] = 0.0,
    by: Annotated[Split, typer.Option(help="How calls are grouped.")] = "campaign",
    sale_value: Annotated[
        str | None, typer.Option(help="What a perfect call is worth, such as 250.00.")
    ] = None,
    advertiser: Annotated[str | None, typer.Option(help="Only what is this one's.")] = None,
    since: Annotated[
        float | None,
        typer.Option(min=0, help="Only calls, orders and money of so many days up to now."),
    ] = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """List who waits for a call, oldest first; count calls, and tell what one that counts costs."""
    from kinbid.calls import calls_report
    from kinbid.show_calls import show_calls

    check_json(json)
    sale_micros = None if sale_value is None else parse_money(sale_value, "--sale-value")
    settings = running_settings(config).settings
    report = asyncio.run(
        calls_report(
            settings,
            older_than_hours=older_than,
            split=by,
            sale_micros=sale_micros,
            advertiser=advertiser,
            since_days=since,
        )
    )
    write_json(json, report)
    show_calls(report, older_than)


@app.command()
def explain(
    file: Annotated[Path | None, typer.Argument(help="A bid request's JSON.")] = None,
    exchange: Annotated[
        str | None,
        typer.Option(help="Which exchange would send it: north. Of an auction id, whose it is."),
    ] = None,
    receipt: Annotated[
        str | None,
        typer.Option(
            help="Instead: a decision that was made, by its receipt's or "
            "bid's id, or the exchange's auction id."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="About when an auction was: 2026-11-20T15:04:05, UTC.")
    ] = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Print every factor of the price for a bid request, and why every other campaign lost."""
    from kinbid.inspect import explain_request
    from kinbid.show import show_explanation

    if (file is None) == (not receipt):
        raise SettingsError("say the FILE of a request, or --receipt ID")
    if file is None:
        _explain_receipt(receipt or "", at, exchange, config, json)
        return
    try:
        body = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from error
    report = asyncio.run(explain_request(client_settings(config), body, exchange or "north"))
    write_json(json, report)
    show_explanation(report)


def _explain_receipt(
    name: str, at: str | None, exchange: str | None, config: Path | None, json: Path | None
) -> None:
    """A decision that was made; exit code 1 where it comes out otherwise now."""
    from kinbid.explain_receipt import explain_receipt
    from kinbid.show_receipt import show_receipt

    check_json(json)
    at_ms = None if at is None else _time_ms(at)
    settings = running_settings(config).settings
    report = asyncio.run(explain_receipt(settings, name, at_ms, exchange))
    write_json(json, report)
    show_receipt(report)
    if report["recomputed"]["is_equal"] is False:
        sys.exit(1)


def _time_ms(text: str) -> int:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        wanted = "a time such as 2026-11-20T15:04:05"
        raise InvalidFieldError("--at", text, wanted) from None
    return int((time if time.tzinfo else time.replace(tzinfo=dt.UTC)).timestamp() * 1000)


@app.command()
def export(
    out: Annotated[Path | None, typer.Option(help="Write to this file, not to the output.")] = None,
    config: Config = None,
) -> None:
    """Write all persons in canonical form: equal systems give equal bytes."""
    from kinbid.export import export_persons

    check_writable("--out", out)
    found = asyncio.run(export_persons(running_settings(config).settings))
    if out is None:
        sys.stdout.buffer.write(found.body)
        sys.stdout.flush()
    else:
        write_file("--out", out, found.body)
    # Beside the lines, the summary would spoil them.
    told = sys.stderr if out is None else sys.stdout
    told.write(
        f"persons: {len(found.lines)}\nidentifiers: {found.identifier_count}\n"
        f"impressions: {found.impression_count}\nsha256: {found.digest}\n"
    )


links.register(app)


Lossy = Annotated[
    bool, typer.Option("--lossy", help="Go on although topics have lost their oldest records.")
]


@app.command("rebuild")
def rebuild_command(
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,  # noqa: FBT002
    lossy: Lossy = False,  # noqa: FBT002
) -> None:
    """Remove this owner's keys from Redis and work them out again from Kafka."""
    from kinbid.lost_records import lost_records, told_of
    from kinbid.rebuild import rebuild
    from kinbid.show import console

    settings = running_settings(config).settings
    where = f"owner {settings.owner!r} in {masked('redis_url', settings.redis_url)}"
    if not yes:
        lost = asyncio.run(lost_records(settings))
        raise SettingsError(
            f"this removes every key of {where} and folds all records of Kafka again; meanwhile "
            "bidders know nobody, and if it breaks off, streams does not start until the same "
            "command has finished. "
            + (f"{told_of(lost)}. Say --yes --lossy to do it" if lost else "Say --yes to do it")
        )

    def progress(done: int, total: int) -> None:
        console.print(f"{done:,} of {total:,} records folded")

    done = asyncio.run(rebuild(settings, progress, is_lossy=lossy))
    console.print(
        f"rebuilt {where}: {done.removed_keys:,} keys removed, {done.records:,} records folded"
    )


@app.command("rotate")
def rotate_command(
    old_owner: Annotated[str, typer.Argument(help="The KINBID_OWNER whose records to copy.")],
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,  # noqa: FBT002
    lossy: Lossy = False,  # noqa: FBT002
) -> None:
    """Copy an owner's records to KINBID_OWNER, hashed under the pepper's newest secret too."""
    from kinbid.rotate import rotate
    from kinbid.show import console

    settings = running_settings(config).settings
    if not yes:
        raise SettingsError(
            f"this copies all records of owner {old_owner!r} to owner {settings.owner!r}, hashed "
            "once more; producers, bidders and streams must stand still. Say --yes to do it"
        )

    def progress(topic: str, done: int, total: int) -> None:
        console.print(f"{topic}: {done:,} of {total:,} records")

    done = asyncio.run(rotate(settings, old_owner, progress, is_lossy=lossy))
    for topic, count in done.copied.items():
        console.print(f"copied {count:,} records of {topic}")
    if done.left_out:
        console.print(
            f"left out {done.left_out:,} that streams had refused: see {old_owner}.dead-letters.v1"
        )
    flags = "--yes --lossy" if lossy else "--yes"
    console.print(
        f"next: `kinbid rebuild {flags}` for the new owner, then streams, bidders and producers"
    )


@app.command()
def erase(
    identifier: Annotated[str, typer.Argument(help="cookie:, ifa:, email:, phone:, crm:VALUE ...")],
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,  # noqa: FBT002
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for streams, if it is behind.")
    ] = 30.0,
    unseen: Annotated[  # noqa: FBT002
        bool, typer.Option("--unseen", help="Erase what no event ever named, too.")
    ] = False,
    json: Json = None,
) -> None:
    """Forget a person for good, with all their identifiers, and print a certificate."""
    from kinbid.erase import erase_person, held_of
    from kinbid.show_erased import show_certificate, show_erased

    settings = client_settings(config)
    if not yes:
        held = asyncio.run(held_of(settings, identifier))
        show_erased(held)
        if len(held) == 1 and not held[0].is_known:
            raise SettingsError(
                f"nothing is known of {identifier}: no event named it, or it was erased (kinbid "
                "person tells). Say --yes --unseen to erase it for good all the same"
            )
        raise SettingsError("this would be erased for good, in Redis and Kafka. Say --yes to do it")
    check_json(json)
    done = asyncio.run(erase_person(settings, identifier, wait_seconds=wait, may_be_unseen=unseen))
    write_json(json, done)
    show_certificate(done)
