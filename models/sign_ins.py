"""Sign-ins at a shared device, as far as they count: not those whose link somebody has rejected.

Who signed in stands in the device's facet, which nobody but its owner writes; what was decided
about a link stands in the evidence. They meet when a bid view is written.
"""

from collections.abc import Collection, Mapping

import msgspec

from models.commands import Command, Steps
from models.forest import find
from models.header import Shown
from models.identifiers import NodeId
from models.keys import Keys
from models.verdicts import verdict_in

__all__ = ["count_verdict", "only_at_shared"]


def only_at_shared(
    keys: Keys, facets: Mapping[NodeId, Shown], shared: Collection[NodeId]
) -> Steps[list[Shown]]:
    """What shows of a person's facets, with such sign-ins only of which presence is worked out.

    Args:
        keys: the owner's key names.
        facets: what shows, by identifier.
        shared: their devices that other CRM persons use too.
    """
    told = [
        (device, account)
        for device in shared
        for account in sorted(facets[device].sign_ins if device in facets else ())
    ]
    verdicts: list[bytes | None] = []
    if told:
        verdicts = yield [
            ("HGET", keys.evidence(device), f"x:{account}") for device, account in told
        ]
    counting = {
        pair
        for pair, verdict in zip(told, verdicts, strict=True)
        if verdict_in(verdict) != "rejected"
    }
    return [
        msgspec.structs.replace(
            shown, sign_ins={a: ms for a, ms in shown.sign_ins.items() if (node, a) in counting}
        )
        for node, shown in facets.items()
    ]


def count_verdict(keys: Keys, devices: Collection[NodeId]) -> Steps[None]:
    """Raises the version of shared devices' views, once a verdict on a link of theirs stands.

    Whoever has read the verdict's absence has a lower version, and so never replaces the view of
    somebody who has read the verdict. One who finds the device's person merged away or split
    meanwhile reads it, too: that was after the verdict.
    """
    counts: list[Command] = []
    for device in sorted(devices):
        root = yield from find(keys, device)
        counts.append(("HINCRBY", keys.person(root), "y", 1))
    if counts:
        yield counts
