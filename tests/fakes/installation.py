"""Streams without Kafka: records go in one by one, persons and bid views come out."""

import itertools
from collections.abc import Iterable
from typing import Final

from models.caps import CapLedger
from models.commands import Steps
from models.event_base import MAX_TIME_MS
from models.events import Billing, Event
from models.evidence import DEFAULT_LIMITS, Limits
from models.facets import Facet
from models.forest import find, settle
from models.identifiers import NodeId
from models.keys import Keys
from models.profile import person_of, publish_all
from models.splits import note
from streams.stages.calls import (
    Linked,
    SoftLink,
    apply_soft_link,
    join_number,
    link_told,
    news_of,
    phone_events,
)
from streams.stages.persons import (
    KnownLinks,
    Touched,
    digest_events,
    digest_outcomes,
    look_around,
)
from tests.contract.stores import FakeStore, Store

__all__ = ["Installation"]

EPOCH: Final = 1
KEYS: Final = Keys("o")


class Installation:
    """One streams worker; each record is a batch of its own, worked off as the firehose does.

    Args:
        store: where persons are kept; one in memory unless another is given.
        keys: the owner's.
        limits: of links.
    """

    def __init__(
        self, store: Store | None = None, *, keys: Keys = KEYS, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.store = store or FakeStore()
        self.keys = keys
        self._limits = limits
        self._known = KnownLinks()
        self._tokens = itertools.count()
        self._offset = itertools.count()

    def tell(self, *events: Event) -> list[Linked]:
        """Links, folds and publishes events; what became of the soft links of calls."""
        linked: list[Linked] = []
        for event in events:
            steps = digest_events(
                self.keys, event.ids[0], EPOCH, [(next(self._offset), event)],
                known=self._known, next_token=self._token, limits=self._limits,
            )  # fmt: skip
            touched = [self.store.run(steps)]
            looking = look_around(self.keys, touched, self._token, limits=self._limits)
            touched = self.store.run(looking)
            called = self._follow_calls(event)
            touched += [Touched(one.soft.caller, one.root, (one.made,)) for one in called]
            self._publish(touched)
            linked += called
        return linked

    def bill(self, *billings: Billing) -> None:
        """Counts and publishes billed impressions."""
        for billing in billings:
            notices = [(next(self._offset), billing)]
            steps = digest_outcomes(self.keys, billing.node, EPOCH, notices)
            self._publish([self.store.run(steps)])

    def facet(self, node: NodeId) -> Facet:
        """The profile of the node's person."""
        return person_of(self.store.run(settle(self.keys, node)))[0]

    def ledger(self, node: NodeId) -> CapLedger:
        """The billed impressions of the node's person."""
        return person_of(self.store.run(settle(self.keys, node)))[1]

    def are_one(self, *nodes: NodeId) -> bool:
        """Whether all are one person's."""
        return len({self.store.run(find(self.keys, node)) for node in nodes}) == 1

    def _follow_calls(self, event: Event) -> list[Linked]:
        news = news_of(phone_events([event]))
        joins = [
            *(link_told(soft, self._apply) for soft in news.told),
            *(
                join_number(self.keys, number, told, now_ms=MAX_TIME_MS, apply=self._apply)
                for number, told in news.by_number.items()
            ),
        ]
        return [one for steps in joins for one in self.store.run(steps).linked]

    def _apply(self, soft: SoftLink) -> Steps[Linked]:
        return apply_soft_link(self.keys, soft, self._token, limits=self._limits)

    def _publish(self, touched: Iterable[Touched]) -> None:
        for one in touched:
            if one.is_view_new:
                self.store.run(publish_all(self.keys, [one.node, *sorted(one.others)]))
            for link in one.links:
                if link.resettled is not None:
                    self.store.run(note(self.keys, link.resettled))

    def _token(self) -> str:
        return f"t{next(self._tokens)}"
