"""kinbid, broken on purpose: ``python -m tests.system.broken FAULT ROLE ...``.

The demo's world must notice each fault by itself, from what it is shown.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

import bidder.contest
import bidder.path
import bidder.worker
import streams.stages.offers
import streams.stages.persons
from bidder import worker_slot
from bidder.caps import CapRoom
from kinbid.cli import main
from models.catalog_records import Offer
from models.commands import Steps
from models.identifiers import NodeId, is_device
from models.keys import Keys
from models.limits import MAX_CAP, Limit
from streams.stages.offers import OfferGate
from streams.stages.persons import Entry, _Made

FAULT = "TEST_FAULT"


def ignore_caps() -> None:
    """The bidder believes that nobody has seen anything yet, and does not ask Redis."""

    def believe(*_: object, **__: object) -> Steps[bool]:
        yield from ()
        return True

    room = CapRoom((Limit(MAX_CAP, 1),))
    bidder.contest.cap_room = lambda *_, **__: room  # type: ignore[attr-defined]
    bidder.path.reserve_exactly = believe  # type: ignore[attr-defined]


def link_strangers() -> None:
    """Streams also links each device to the last one that made a link."""
    last: list[NodeId] = []
    follow = streams.stages.persons._follow

    def follow_wrongly(
        keys: Keys,
        node: NodeId,
        entries: Sequence[Entry],
        **others: Any,  # noqa: ANN401
    ) -> Steps[_Made]:
        wrong: list[Entry] = []
        for offset, event in entries:
            is_link = is_device(node) and len(event.ids) > 1
            ids = (*event.ids, *last) if is_link else event.ids
            wrong.append((offset, msgspec.structs.replace(event, ids=ids)))
            last[:] = [node] if is_link else last
        return follow(keys, node, wrong, **others)

    streams.stages.persons._follow = follow_wrongly


def keep_stale_seats() -> None:
    """Streams loses the news that a flight has sold out or that an item is out of stock."""
    gate = streams.stages.offers.OfferGate
    admit = gate.admit
    seen: set[bytes | None] = set()

    def forget(
        self: OfferGate, key: bytes | None, value: bytes | None
    ) -> tuple[str, Offer | None] | None:
        admitted = admit(self, key, value)
        offer = admitted[1] if admitted else None
        gone = getattr(offer, "seats_left", 1) == 0 or getattr(offer, "stock", 1) == 0
        is_news = key in seen
        seen.add(key)
        return None if gone and is_news else admitted

    gate.admit = forget  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "ignore_caps": ignore_caps,
    "link_strangers": link_strangers,
    "keep_stale_seats": keep_stale_seats,
}


if __name__ == "__main__":
    if FAULT in os.environ:  # a bidder worker, started by the supervisor below
        FAULTS[os.environ[FAULT]]()
        sys.exit(bidder.worker.main())
    fault = sys.argv.pop(1)
    FAULTS[fault]()
    os.environ[FAULT] = fault
    worker_slot.WORKER_MODULE = "tests.system.broken"  # type: ignore[misc]
    main()
