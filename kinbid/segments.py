"""``kinbid segments``: what a conversion may cost, and caps, listed and changed.

As in all of the command line, a command imports what it needs when it runs.
"""

import asyncio
from typing import Annotated

import msgspec
import typer

from kinbid.command import Config, running_settings
from models.catalog_records import Segment
from models.errors import UnknownNameError
from models.limits import read_cap, read_duration
from models.units import parse_money
from runtime.settings import SettingsError

__all__ = ["segments_app"]

segments_app = typer.Typer(
    help="List segments, or change one while everything runs.", invoke_without_command=True
)


@segments_app.callback()
def segments(context: typer.Context, config: Config = None) -> None:
    """List the segments: who is in them, what a conversion may cost, the frequency cap."""
    from bidder.catalog_feed import load_catalog
    from kinbid.show import show_segments

    context.obj = config
    if context.invoked_subcommand is None:
        catalog = asyncio.run(load_catalog(running_settings(config).settings))
        show_segments(list(catalog.segments.values()))


@segments_app.command("set")
def segments_set(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="ADVERTISER/NAME, as `kinbid segments` lists it.")],
    target_cpa: Annotated[
        str | None, typer.Option(help="What a conversion may cost: 12.50")
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(help="Impressions per person and window: 3/1d; again for further windows."),
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="At least so long between two ads: 30m; 0s is no limit.")
    ] = None,
) -> None:
    """Change a segment; every running bidder follows within a second."""
    from bidder.catalog_feed import load_catalog
    from kinbid.publish import publish_catalog
    from kinbid.show import show_segments

    settings = running_settings(context.obj).settings
    catalog = asyncio.run(load_catalog(settings))
    segment = _segment(name, catalog.segments)
    if target_cpa is None and not cap and spacing is None:
        raise SettingsError("nothing to set: give --target-cpa, --cap or --spacing")
    changed = msgspec.structs.replace(
        segment,
        target_cpa_micros=segment.target_cpa_micros
        if target_cpa is None
        else parse_money(target_cpa, "--target-cpa"),
        caps=tuple(map(read_cap, cap)) if cap else segment.caps,
        spacing_seconds=segment.spacing_seconds
        if spacing is None
        else read_duration("--spacing", spacing),
    )
    changed.check()
    asyncio.run(publish_catalog(settings, [changed]))
    show_segments([changed])


def _segment(name: str, segments: dict[str, Segment]) -> Segment:
    found = [one for one in segments if one == name or one.partition("/")[2] == name]
    if not found:
        raise UnknownNameError("segment", name, segments)
    if len(found) > 1:
        raise SettingsError(f"segment {name!r} is ambiguous; say {' or '.join(sorted(found))}")
    return segments[found[0]]
