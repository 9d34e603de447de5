"""``kinbid links`` and ``kinbid unlink``: what is held back, and people's word on it.

As in all of the command line, a command imports what it needs when it runs.
"""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kinbid.command import (
    Config,
    Json,
    check_json,
    client_settings,
    running_settings,
    write_json,
)
from kinbid.nodes import node_named, pair_of_names
from kinbid.told_link import seen_at, utc
from models.evidence import Reason
from models.identifiers import namespace_of
from models.link_records import QuarantineRecord
from models.topics import Topics

if TYPE_CHECKING:
    from kinbid.decide_link import Decision

__all__ = ["links_app", "register"]

WAIT_SECONDS: Final = 15.0
"""Twice the usual session timeout: time for another worker to take over from one that died."""
MOST_SHOWN: Final = 50

links_app = typer.Typer(
    help="List links that are not made, or decide about one.", invoke_without_command=True
)

A = Annotated[str, typer.Argument(help="cookie:, email:, crm:VALUE ..., or a node as printed.")]
B = Annotated[str, typer.Argument(help="The other identifier.")]
By = Annotated[str, typer.Option("--by", envvar="USER", help="Who decides.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for those who read it later.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds that streams may take to carry it out.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would follow.")]
Unseen = Annotated[bool, typer.Option("--unseen", help="Even if nothing was seen of the two.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to kinbid's."""
    app.add_typer(links_app, name="links")
    app.command()(unlink)


@links_app.callback()
def links(
    context: typer.Context,
    reason: Annotated[Reason | None, typer.Option(help="Only those with this reason.")] = None,
    identifier: Annotated[
        str | None, typer.Option(help="Only those of this one: cookie:, email:, crm:VALUE ...")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most links in the table.")] = MOST_SHOWN,
    config: Config = None,
    json: Json = None,
) -> None:
    """List links that are not made, newest first: between whom, why, and by which evidence."""
    from kinbid.show_links import show_quarantine

    context.obj = config
    if context.invoked_subcommand is not None:
        return
    check_json(json)
    found = _quarantine(config, reason, identifier)
    write_json(json, [_told(one) for one in found])
    show_quarantine(found, limit)


def _quarantine(
    config: Config, reason: Reason | None, identifier: str | None
) -> list[QuarantineRecord]:
    from kinbid.link_topics import read_quarantine

    settings = client_settings(config) if identifier else running_settings(config).settings
    node = node_named(settings, identifier) if identifier else None
    held = asyncio.run(read_quarantine(settings)).links.values()
    found = [
        one
        for one in held
        if (reason is None or one.reason == reason) and (node is None or node in {one.a, one.b})
    ]
    return sorted(found, key=lambda one: one.noted_ms, reverse=True)


def _told(one: QuarantineRecord) -> dict[str, str | None]:
    seen = seen_at(one.event_time_ms)
    return {
        "a": one.a, "a_namespace": namespace_of(one.a).name.lower(),
        "b": one.b, "b_namespace": namespace_of(one.b).name.lower(),
        "reason": one.reason, "kind": one.kind if seen else None,
        "seen": seen, "refused": utc(one.noted_ms),
    }  # fmt: skip


@links_app.command()
def approve(
    context: typer.Context, a: A, b: B, by: By = "", why: Why = "", unseen: Unseen = False,  # noqa: FBT002
    dry_run: DryRun = False,  # noqa: FBT002
    wait: Wait = WAIT_SECONDS, config: Config = None, json: Json = None,
) -> None:  # fmt: skip
    """Make a link that is held back or withdrawn; two CRM ids never become one person by it."""
    from kinbid.decide_link import Decision

    decision = Decision(
        verdict="approved", by=by, why=why, wait_seconds=wait, may_be_unseen=unseen,
        is_dry_run=dry_run,
    )  # fmt: skip
    _decide((a, b), decision, config or context.obj, json)


@links_app.command()
def reject(
    context: typer.Context, a: A, b: B, by: By = "", why: Why = "", unseen: Unseen = False,  # noqa: FBT002
    dry_run: DryRun = False,  # noqa: FBT002
    wait: Wait = WAIT_SECONDS, config: Config = None, json: Json = None,
) -> None:  # fmt: skip
    """Have a link never be made, whatever evidence comes; `approve` takes that back."""
    from kinbid.decide_link import Decision

    decision = Decision(
        verdict="rejected", by=by, why=why, wait_seconds=wait, may_be_unseen=unseen,
        is_dry_run=dry_run,
    )  # fmt: skip
    _decide((a, b), decision, config or context.obj, json)


def unlink(
    a: A, b: B, by: By = "", why: Why = "", dry_run: DryRun = False,  # noqa: FBT002
    wait: Wait = WAIT_SECONDS, config: Config = None, json: Json = None,
) -> None:  # fmt: skip
    """Withdraw a link as if it had never been seen: each gets their own back, counts included."""
    from kinbid.decide_link import Decision

    decision = Decision(verdict="rejected", by=by, why=why, wait_seconds=wait, is_dry_run=dry_run)
    _decide((a, b), decision, config, json)


def _decide(names: tuple[str, str], decision: "Decision", config: Config, json: Json) -> None:
    from kinbid.decide_link import NotCarriedOutError, decide_link
    from kinbid.show_links import show_decided, show_names

    check_json(json)
    settings = client_settings(config)
    pair = pair_of_names(settings, *names)
    show_names({name: node_named(settings, name) for name in names})
    decided = asyncio.run(decide_link(settings, pair, decision))
    write_json(json, decided)
    show_decided(decided, is_dry_run=decision.is_dry_run)
    if not decided.carried_out and not decision.is_dry_run:
        raise NotCarriedOutError(
            f"no streams worker has carried it out within {decision.wait_seconds:g} s: is "
            "`kinbid streams` running, and is it far behind? The verdict is kept in topic "
            f"{Topics.VERDICTS.name(settings.owner)} and will be carried out; "
            f"`kinbid person {pair[0]} --history` says when it is"
        )
