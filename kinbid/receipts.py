"""``kinbid receipts``: what is watched, so that all of its decisions are kept in full."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from kinbid.command import Config, client_settings, running_settings
from models.units import SECOND_MS
from runtime.settings import SettingsError

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
    asyncio.run(_switch(context.obj, campaign, exchange, person, minutes))


@receipts_app.command("off")
def receipts_off(
    context: typer.Context,
    campaign: CampaignName = None,
    exchange: ExchangeName = None,
    person: PersonName = None,
) -> None:
    """End it before its time."""
    asyncio.run(_switch(context.obj, campaign, exchange, person, 0))


async def _switch(
    config: Path | None,
    campaign: str | None,
    exchange: str | None,
    person: str | None,
    minutes: float,
) -> None:
    from kinbid.show_receipt import show_watches
    from kinbid.watching import publish_watch, read_watches, watch_of, watch_of_person
    from runtime import clock

    if sum(one is not None for one in (campaign, exchange, person)) != 1:
        raise SettingsError("say one of --campaign, --exchange and --person")
    until_ms = clock.now_ms() + round(minutes * 60 * SECOND_MS) if minutes else 0
    if person is not None:
        settings = client_settings(config)
        watch = await watch_of_person(settings, person, until_ms)
    else:
        settings = running_settings(config).settings
        name = campaign or exchange or ""
        watch = await watch_of(
            settings, "exchange" if campaign is None else "campaign", name, until_ms
        )
    await publish_watch(settings, watch)
    show_watches(await read_watches(settings))
