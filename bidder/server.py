"""Routes and deadlines: from a whole HTTP request to the bid path or the notices, and back.

Every bid request is answered within its time: those whose time is over get a 204 from a sweep,
and their bids, if they still come, are not sent and hold no cap.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bidder import metrics
from bidder.errors import MalformedRequestError, NoBidReason
from bidder.http1 import HttpCall, response
from bidder.lookup import reserve
from bidder.metrics import Counters
from bidder.notices import Notices
from bidder.openrtb import BidRequest, decode_request
from bidder.path import Answer, BidPath, Reserved, tmax_of
from models.catalog_records import Exchange
from models.keys import Keys
from runtime import clock
from runtime.link import Link

__all__ = ["Server"]

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.01  # half of the network margin that every exchange is given
BID_PREFIX: Final = b"/openrtb2/"
BID_SUFFIX: Final = b"/bid"
NOTICE_PREFIX: Final = b"/notice/"

REQUESTS = metrics.slot("bidder_bid_requests")
MALFORMED = metrics.slot("bidder_malformed_requests")
UNKNOWN_PATHS = metrics.slot("bidder_unknown_paths")
LATE = metrics.slot("bidder_no_bids", NoBidReason.LATE.value)
INTERNAL = metrics.slot("bidder_no_bids", NoBidReason.INTERNAL_ERROR.value)

NO_BID: Final = response(204)


class _Pending:
    """A bid request in flight."""

    __slots__ = ("call", "deadline", "started_ns")

    def __init__(self, call: HttpCall, started_ns: int, budget_ms: int) -> None:
        self.call = call
        self.started_ns = started_ns
        self.deadline = started_ns + budget_ms * 1_000_000


class Server:
    """One worker's requests."""

    def __init__(
        self, path: BidPath, notices: Notices, redis: Link, keys: Keys, counters: Counters
    ) -> None:
        self._path = path
        self._notices = notices
        self._redis = redis
        self._keys = keys
        self._counters = counters
        self._in_flight: deque[_Pending] = deque()
        self._sweep_is_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    # -- routes ----------------------------------------------------------------------------

    def handle(self, call: HttpCall) -> None:
        """Routes one whole request."""
        target = call.target
        if target.startswith(BID_PREFIX) and target.endswith(BID_SUFFIX):
            self._bid(call, target[len(BID_PREFIX) : -len(BID_SUFFIX)])
        elif target.startswith(NOTICE_PREFIX):
            self._notice(call, target[len(NOTICE_PREFIX) :])
        else:
            self._unknown(call, 404)

    def _unknown(self, call: HttpCall, status: int) -> None:
        self._counters.add(UNKNOWN_PATHS)
        call.respond(response(status))

    def _notice(self, call: HttpCall, target: bytes) -> None:
        kind, _, query = target.decode("latin-1").partition("?")
        if kind not in metrics.NOTICE_KINDS:
            self._unknown(call, 404)
        elif call.method not in {b"GET", b"POST"}:
            self._unknown(call, 405)
        else:
            task = asyncio.get_running_loop().create_task(self._take_notice(call, kind, query))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take_notice(self, call: HttpCall, kind: str, query: str) -> None:
        status = 503
        try:
            status = await self._notices.take(kind, query, clock.now_ms())
        except Exception:
            logger.exception("notice_failed")
        call.respond(response(status))

    # -- bids ------------------------------------------------------------------------------

    def _bid(self, call: HttpCall, exchange_id: bytes) -> None:
        exchange = self._path.catalog.exchanges.get(exchange_id.decode("latin-1"))
        if exchange is None:
            self._unknown(call, 404)
            return
        if call.method != b"POST":
            self._unknown(call, 405)
            return
        started_ns = time.monotonic_ns()
        self._counters.add(REQUESTS)
        try:
            request = decode_request(call.body)
        except MalformedRequestError as error:
            self._counters.add(MALFORMED)
            logger.debug("malformed_request", extra={"reason": str(error)})
            call.respond(response(400))
            return
        pending = _Pending(call, started_ns, tmax_of(request, exchange))
        self._in_flight.append(pending)
        if not self._sweep_is_due:
            self._sweep_is_due = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        steps = self._path.answer(request, exchange, clock.now_ms())
        failed = self._failed(pending, request, exchange)
        self._redis.start(steps, self._answered(pending), failed)

    def _answered(self, pending: _Pending) -> Callable[[Answer], None]:
        def done(answer: Answer) -> None:
            sent = pending.call.respond(
                NO_BID if answer.body is None else response(200, answer.body)
            )
            elapsed_ns = time.monotonic_ns() - pending.started_ns
            if answer.receipt is not None:
                answer.receipt.close(is_sent=sent, elapsed_ns=elapsed_ns)
            if not sent:
                self._path.release(answer.reserved)
                return
            self._counters.observe_latency(elapsed_ns)
            for held in answer.reserved:
                self._publish(held)
            if answer.expired_at is not None:
                key = self._keys.bid_view(answer.expired_at)
                self._redis.send([("FCALL", "kinbid_v1_sweep", 1, key, clock.now_ms())])

        return done

    def _failed(
        self, pending: _Pending, request: BidRequest, exchange: Exchange
    ) -> Callable[[Exception], None]:
        def failed(error: Exception) -> None:
            self._counters.add(INTERNAL)
            logger.error("bid_failed", exc_info=error)
            pending.call.respond(NO_BID)
            self._path.note_fault(request, exchange, clock.now_ms(), error)

        return failed

    def _publish(self, held: Reserved) -> None:
        """Shows the other workers a reservation that Redis does not have yet."""
        if not held.is_written:
            steps = reserve(self._keys, held.root, self._path.own)
            self._redis.start(steps, _ignore, _ignore)

    # -- deadlines -------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Answers the requests whose time is over; comes again while any is in flight."""
        now_ns = time.monotonic_ns()
        for _ in range(len(self._in_flight)):
            pending = self._in_flight.popleft()
            if pending.call.answer is not None:
                continue
            if pending.deadline > now_ns:
                self._in_flight.append(pending)
            elif pending.call.respond(NO_BID):
                self._counters.add(LATE)
                self._counters.observe_latency(now_ns - pending.started_ns)
        self._sweep_is_due = bool(self._in_flight)
        if self._sweep_is_due:
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    async def drain(self) -> None:
        """Waits until every request in flight and every notice has its answer."""
        while self._tasks or any(  # noqa: ASYNC110 - the sweep is the event
            pending.call.answer is None for pending in self._in_flight
        ):
            await asyncio.sleep(SWEEP_SECONDS)


def _ignore(_: object) -> None:
    """A reservation that could not be written still counts here; other workers do not see it."""
