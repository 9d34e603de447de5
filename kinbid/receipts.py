"""``kinbid receipts``: what is watched, so that all of its decisions are kept in full."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Final

import typer

from kinbid.command import Config, client_settings, running_settings
from models.units import SECOND_MS
from models.watches import Watch, WatchTarget
from runtime.settings import Settings, SettingsError

__all__ = ["receipts_app"]

LONGEST_MINUTES: Final = 24 * 60

receipts_app = typer.Typer(
    help="Keep all decisions of a campaign, an exchange or a person in full, for some minutes.",
    invoke_without_command=True,
)

CampaignName = Annotated[str | None, typer.Option("--campaign", help="A campaign's id.")]
ExchangeName = Annotated[str | None, typer.Option("--exchange", help="An exchange's id.")]
PersonName = Annotated[
    str | None, typer.Option("--person", help="cookie:, ifa:, email:, crm:VALUE ..., or a node.")
]


@receipts_app.callback()
def receipts(context: typer.Context, config: Config = None) -> None:
    """List what is watched now."""
    from kinbid.show_receipt import show_watches
    from kinbid.watching import read_watches

    context.obj = config
    if context.invoked_subcommand is None:
        show_watches(asyncio.run(read_watches(running_settings(config).settings)))


@receipts_app.command("on")
def receipts_on(
    context: typer.Context,
    campaign: CampaignName = None,
    exchange: ExchangeName = None,
    person: PersonName = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, max=LONGEST_MINUTES, help="It ends by itself after so many.")
    ] = 10.0,
) -> None:
    """Keep full receipts from now on; every running bidder follows within a second."""
    from kinbid.watching import watch_of, watch_of_person
    from runtime import clock

    target, name = _one_of(campaign, exchange, person)
    until_ms = clock.now_ms() + round(minutes * 60 * SECOND_MS)
    if target == "person":
        settings = client_settings(context.obj)
        _publish(settings, watch_of_person(settings, name, until_ms))
    else:
        settings = running_settings(context.obj).settings
        _publish(settings, watch_of(settings, target, name, until_ms))


@receipts_app.command("off")
def receipts_off(
    context: typer.Context,
    campaign: CampaignName = None,
    exchange: ExchangeName = None,
    person: PersonName = None,
) -> None:
    """End it before its time."""
    from kinbid.watching import end_of

    target, name = _one_of(campaign, exchange, person)
    settings = (client_settings if target == "person" else _of_run)(context.obj)
    _publish(settings, end_of(settings, target, name))


def _of_run(config: Path | None) -> Settings:
    return running_settings(config).settings


def _one_of(
    campaign: str | None, exchange: str | None, person: str | None
) -> tuple[WatchTarget, str]:
    named: dict[WatchTarget, str | None] = {
        "campaign": campaign, "exchange": exchange, "person": person
    }  # fmt: skip
    said = [(target, name) for target, name in named.items() if name is not None]
    if len(said) != 1:
        raise SettingsError("say one of --campaign, --exchange and --person")
    return said[0]


def _publish(settings: Settings, found: Coroutine[None, None, Watch]) -> None:
    """Publishes a watch, and shows what is watched then."""
    from kinbid.show_receipt import show_watches
    from kinbid.watching import publish_watch, read_watches

    async def publish() -> list[Watch]:
        await publish_watch(settings, await found)
        return await read_watches(settings)

    show_watches(asyncio.run(publish()))
