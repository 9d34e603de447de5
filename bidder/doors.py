"""Who answers before the catalogue is there: every bid request gets a 204, and notices come again.

A successor of a worker that died has clients in its queue. While Kafka is away it cannot know the
catalogue, and to let them wait would cost the exchange's patience for nothing.
"""

from collections.abc import Callable
from typing import Final

from bidder import metrics
from bidder.errors import NoBidReason
from bidder.http1 import HttpCall, response
from bidder.metrics import Counters
from bidder.server import exchange_of

__all__ = ["Doors"]

REQUESTS: Final = metrics.slot("bidder_bid_requests")
NO_CATALOG: Final = metrics.slot("bidder_no_bids", NoBidReason.NO_CATALOG.value)


class Doors:
    """Where requests come in; :meth:`open` says who takes them from then on.

    Attributes:
        handle: for connections that come from now on; those that are there follow.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._inside: Callable[[HttpCall], None] | None = None
        self.handle: Callable[[HttpCall], None] = self._receive

    def open(self, handle: Callable[[HttpCall], None]) -> None:
        """Lets requests through."""
        self._inside = self.handle = handle

    def _receive(self, call: HttpCall) -> None:
        if self._inside is not None:
            self._inside(call)
        elif exchange_of(call.target) is not None:
            self._counters.add(REQUESTS)
            self._counters.add(NO_CATALOG)
            call.respond(response(204))
        else:
            call.respond(response(503))
