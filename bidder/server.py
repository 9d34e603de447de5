"""Routes and deadlines: from a whole HTTP request to the bid path or the notices, and back.

Every bid request is answered within its time: those whose time is over get a 204 from a sweep,
and their bids, if they still come, are not sent and hold no cap. What has waited too long before
it was read is answered unread (:mod:`bidder.backlog`).
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import Final

import msgspec

from bidder import exchange_rows, metrics
from bidder.backlog import MOST_IN_FLIGHT, Backlog, Pressure, look_at
from bidder.bodies import Bodies
from bidder.deadlines import SWEEP_MS, Deadlines, Terms
from bidder.departures import Departures
from bidder.errors import MalformedRequestError, NoBidReason
from bidder.http1 import HttpCall
from bidder.http_answers import method_refused, response
from bidder.metrics import Counters
from bidder.notices import Notices, caller_of
from bidder.openrtb import BidRequest, decode_request
from bidder.path import Answer, BidPath
from bidder.publisher import Publisher
from bidder.syncs import Syncs
from models.commands import Steps
from models.keys import Keys
from models.notices import NOTICE_KINDS, NoticeKind
from runtime import clock
from runtime.link import Link, Walk

__all__ = ["Server", "exchange_of"]

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = SWEEP_MS / 1000
MS_IN_NS: Final = 1_000_000
MOST_SLOTS: Final = 64
"""Of one request. Each is 0.1 ms of work, whoever else waits: the thousands that a body has room
for would stop the worker for a second. Public sample requests have four at most."""

BID_PREFIX: Final = b"/openrtb2/"
BID_SUFFIX: Final = b"/bid"
NOTICE_PREFIX: Final = b"/notice/"
SYNC_PREFIX: Final = b"/sync/"

REQUESTS = metrics.slot("bidder_bid_requests")
MALFORMED = metrics.slot("bidder_malformed_requests")
UNKNOWN_PATHS = metrics.slot("bidder_unknown_paths")
LATE = metrics.slot("bidder_no_bids", NoBidReason.LATE.value)
OVERLOAD = metrics.slot("bidder_no_bids", NoBidReason.OVERLOAD.value)
PASSED_OVER = metrics.slot("bidder_slots_passed_over")
SHED_QUEUE = metrics.slot("bidder_shed", "queue")
SHED_IN_FLIGHT = metrics.slot("bidder_shed", "in_flight")
INTERNAL = metrics.slot("bidder_no_bids", NoBidReason.INTERNAL_ERROR.value)

NO_BID: Final = response(204)
UNAVAILABLE: Final = response(503)
KINDS: Final[dict[str, NoticeKind]] = {kind: kind for kind in NOTICE_KINDS}
NOTICE_METHOD_REFUSED: Final = method_refused(b"GET, POST")
SYNC_METHOD_REFUSED: Final = method_refused(b"GET")


def exchange_of(target: bytes) -> bytes | None:
    """The exchange whose bid requests go to a target, or None; a query tells us nothing."""
    if b"?" in target:
        target = target.partition(b"?")[0]
    if target.startswith(BID_PREFIX) and target.endswith(BID_SUFFIX):
        return target[len(BID_PREFIX) : -len(BID_SUFFIX)]
    return None


class _Pending(Walk):
    """A bid request in flight: its generator on its way to the answer.

    Attributes:
        terms: its exchange's.
        started_ns: when it was read.
        deadline_ns: when its answer must leave.
    """

    __slots__ = ("_server", "call", "deadline_ns", "request", "started_ns", "terms")

    def __init__(  # noqa: PLR0917 - made for every request: keywords cost 0.1 us
        self,
        server: "Server",
        link: Link,
        steps: Steps[Answer],
        call: HttpCall,
        request: BidRequest,
        terms: Terms,
        started_ns: int,
        deadline_ns: int,
    ) -> None:
        self._link = link
        self._steps = steps
        self._server = server
        self.call = call
        self.request = request
        self.terms = terms
        self.started_ns = started_ns
        self.deadline_ns = deadline_ns

    def ended(self, result: Answer) -> None:
        """Has the answer sent."""
        self._server.finish(self, result)

    def failed(self, error: Exception) -> None:
        """Has the fault answered."""
        self._server.fail(self, error)


class Server:
    """One worker's requests."""

    def __init__(
        self,
        path: BidPath,
        notices: Notices,
        redis: Link,
        keys: Keys,
        counters: Counters,
        *,
        syncs: Syncs,
    ) -> None:
        self._path = path
        self._notices = notices
        self._syncs = syncs
        self._redis = redis
        self._keys = keys
        self._counters = counters
        self._slots = counters.slots
        self._rows = counters.exchanges
        self._backlog = Backlog()
        self._deadlines = Deadlines(self._rows.row)
        self._bodies = Bodies(counters)
        self._departures = Departures()
        self._publisher = Publisher(redis, keys, path.own)
        self._at_target: dict[bytes, Terms] = {}
        """Of the exchanges that have asked, by where they do."""
        self._in_flight: deque[_Pending] = deque()
        self._starting: list[_Pending] = []
        self._sweep_is_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether no bid request is in flight."""
        return not self._in_flight

    # -- routes ----------------------------------------------------------------------------

    def handle(self, call: HttpCall) -> None:
        """Routes one whole request; a fault of ours is a no-bid, and logged."""
        try:
            terms = self._at_target.get(call.target)
            if terms is not None and call.method == b"POST" and self._holds(terms):
                self._bid(call, terms)
            else:
                self._route(call)
        except Exception:
            self._counters.add(INTERNAL)
            logger.exception("request_failed")
            call.respond(NO_BID)

    def _holds(self, terms: Terms) -> bool:
        """Whether the exchange's record is still the catalogue's."""
        exchange = terms.exchange
        return self._path.catalog.exchanges.get(exchange.id) is exchange

    def _route(self, call: HttpCall) -> None:
        target = call.target
        exchange_id = exchange_of(target)
        if exchange_id is not None:
            self._enter(call, exchange_id)
        elif target.startswith(NOTICE_PREFIX):
            self._notice(call, target[len(NOTICE_PREFIX) :])
        elif target.startswith(SYNC_PREFIX):
            self._sync(call, target[len(SYNC_PREFIX) :])
        elif target[:8].lower().startswith((b"http://", b"https://")):
            call.target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
            self._route(call)
        else:
            self._unknown(call, response(404))

    def _enter(self, call: HttpCall, exchange_id: bytes) -> None:
        """A request to where an exchange's bid requests go, unless there is no such exchange."""
        exchange = self._path.catalog.exchanges.get(exchange_id.decode("latin-1"))
        if exchange is None:
            self._unknown(call, response(404))
        elif call.method != b"POST":
            self._unknown(call, response(405))
        else:
            terms = self._deadlines.terms(exchange)
            if b"?" not in call.target:  # a query may be another one each time
                self._at_target[call.target] = terms
            self._bid(call, terms)

    def _unknown(self, call: HttpCall, answer: bytes) -> None:
        self._counters.add(UNKNOWN_PATHS)
        call.respond(answer)

    def _notice(self, call: HttpCall, target: bytes) -> None:
        name, _, query = target.decode("latin-1").partition("?")
        kind = KINDS.get(name)
        if kind is None:
            self._unknown(call, response(404))
        elif call.method not in {b"GET", b"POST"}:
            self._unknown(call, NOTICE_METHOD_REFUSED)
        else:
            caller = caller_of(call.header, call.peer)
            self._reply(call, self._notices.answer(kind, query, caller, clock.now_ms()))

    def _sync(self, call: HttpCall, target: bytes) -> None:
        exchange_id, _, query = target.decode("latin-1").partition("?")
        if call.method != b"GET":
            self._unknown(call, SYNC_METHOD_REFUSED)
            return
        caller = caller_of(call.header, call.peer)
        self._reply(call, self._syncs.answer(exchange_id, query, caller, clock.now_ms()))

    def _reply(self, call: HttpCall, answer: Coroutine[None, None, bytes]) -> None:
        task = asyncio.get_running_loop().create_task(_respond(call, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- bids ------------------------------------------------------------------------------

    def _bid(self, call: HttpCall, terms: Terms) -> None:
        started_ns = time.monotonic_ns()
        self._slots[REQUESTS] += 1
        self._rows.add(terms.row, exchange_rows.REQUESTS)
        waited_ms = 0
        if not self._backlog.is_calm(started_ns):
            waited_ms = self._waited_ms(call, terms, started_ns)
        cause = self._overload(waited_ms, terms)
        if cause is not None:
            self._counters.add(cause)
            self._counters.add(OVERLOAD)
            call.respond(NO_BID)
            return
        request = self._request_of(call)
        if request is not None:
            if len(request.imp) > MOST_SLOTS:
                request = self._shortened(request)
            self._begin(call, request, terms, started_ns, waited_ms)

    def _shortened(self, request: BidRequest) -> BidRequest:
        """The request with as many of its slots as are looked at, the first ones."""
        self._counters.add(PASSED_OVER, len(request.imp) - MOST_SLOTS)
        return msgspec.structs.replace(request, imp=request.imp[:MOST_SLOTS])

    def _request_of(self, call: HttpCall) -> BidRequest | None:
        """Reads the body; None where that cannot be done, and the call has been answered."""
        body = call.body
        if not body.startswith(b"{"):  # no JSON object as it stands, so it may be coded
            uncoded = self._bodies.uncoded(call)
            if uncoded is None:
                return None
            body = uncoded
        try:
            return decode_request(body, self._path.count_deviation)
        except MalformedRequestError as error:
            self._counters.add(MALFORMED)
            if logger.isEnabledFor(logging.DEBUG):
                version = call.header(b"x-openrtb-version").decode("latin-1")
                logger.debug(
                    "malformed_request", extra={"reason": str(error), "openrtb_version": version}
                )
            call.respond(response(400))
            return None

    def _begin(
        self, call: HttpCall, request: BidRequest, terms: Terms, started_ns: int, waited_ms: int
    ) -> None:
        """Sends a request on its way, unless there is no time left for it."""
        usual_ms = terms.usual_budget_ms = terms.budget_ms(request.tmax)
        steps = self._path.answer(
            request, terms.exchange, clock.now_ms(),
            known_only=self._backlog.is_for_known_only(waited_ms, usual_ms),
        )  # fmt: skip
        deadline_ns = started_ns + (usual_ms - waited_ms) * MS_IN_NS
        pending = _Pending(
            self, self._redis, steps, call, request, terms, started_ns, deadline_ns
        )  # fmt: skip
        if deadline_ns <= started_ns:
            self._late(pending, started_ns)
            self._path.note_late(request, terms.exchange, clock.now_ms())
            return
        self._in_flight.append(pending)
        if not self._sweep_is_due:
            self._sweep_is_due = True
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        if not self._starting:
            self._redis.at_end_of_tick(self._start)
        self._starting.append(pending)

    def _start(self) -> None:
        """Begins all requests that came in this tick, turn by turn."""
        starting, self._starting = self._starting, []
        turns = self._redis.turns
        turns.open()
        try:
            for pending in starting:
                pending.begin()
        finally:
            turns.close()

    def _waited_ms(self, call: HttpCall, terms: Terms, now_ns: int) -> int:
        """How long a request has waited, as the kernel knows; and how far its exchange is."""
        look = look_at(call.socket)
        if look is None:
            return 0
        self._backlog.observe(look.waited_ms, now_ns)
        terms.observe(look.rtt_us)
        self._rows.set_network_us(terms.row, int(terms.network.rtt_us))
        return look.waited_ms

    def _overload(self, waited_ms: int, terms: Terms) -> int | None:
        """The cause for which a request is answered unread, or None."""
        if len(self._in_flight) >= MOST_IN_FLIGHT:
            return SHED_IN_FLIGHT
        if waited_ms and self._backlog.gives_up(waited_ms, terms.usual_budget_ms):
            return SHED_QUEUE
        return None

    def finish(self, pending: _Pending, answer: Answer) -> None:
        """Sends a request's answer, if its time is not over, and writes what that leaves."""
        now_ns = time.monotonic_ns()
        elapsed_ns = now_ns - pending.started_ns
        call, body = pending.call, answer.body
        is_sent = now_ns <= pending.deadline_ns and call.settle(
            NO_BID if body is None else self._bodies.answer(call, body)
        )
        if is_sent:
            self._departures.add(call, now_ns)
        if answer.receipt is not None:
            answer.receipt.close(is_sent=is_sent, elapsed_ns=elapsed_ns)
        if not is_sent:
            self._path.release(answer.reserved)
            if now_ns > pending.deadline_ns:
                self._late(pending, now_ns)
            return
        self._counters.observe_latency(elapsed_ns)
        for held in answer.reserved:
            if not held.is_written:
                self._publisher.publish(held.root)
        if answer.expired_at is not None and self._backlog.pressure is Pressure.NONE:
            key = self._keys.bid_view(answer.expired_at)
            expired_ms = clock.now_ms() - self._path.folds.behind_ms
            self._redis.send([("FCALL", "kinbid_v1_sweep", 1, key, expired_ms)])

    def fail(self, pending: _Pending, error: Exception) -> None:
        """Answers a request for which we failed."""
        self._counters.add(INTERNAL)
        logger.error("bid_failed", exc_info=error)
        pending.call.respond(NO_BID)
        self._path.note_fault(pending.request, pending.terms.exchange, clock.now_ms(), error)

    def _late(self, pending: _Pending, now_ns: int) -> None:
        """Answers a request whose time is over, unless that has been done."""
        if not pending.call.respond(NO_BID):
            return
        self._counters.add(LATE)
        self._rows.add(pending.terms.row, exchange_rows.LATE)
        if now_ns > pending.deadline_ns + pending.terms.patience_ms * MS_IN_NS:
            self._rows.add(pending.terms.row, exchange_rows.OVERDUE)
        self._counters.observe_latency(now_ns - pending.started_ns)

    # -- deadlines -------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Answers the requests whose time is over; comes again while any is in flight."""
        now_ns = time.monotonic_ns()
        for _ in range(len(self._in_flight)):
            pending = self._in_flight.popleft()
            if pending.call.answer is not None:
                continue
            if pending.deadline_ns > now_ns:
                self._in_flight.append(pending)
            else:
                self._late(pending, now_ns)
        self._sweep_is_due = bool(self._in_flight)
        if self._sweep_is_due:
            asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    async def drain(self) -> None:
        """Waits until every request in flight and every notice has its answer."""
        while self._tasks or any(  # noqa: ASYNC110 - the sweep is the event
            pending.call.answer is None for pending in self._in_flight
        ):
            await asyncio.sleep(SWEEP_SECONDS)


async def _respond(call: HttpCall, answer: Coroutine[None, None, bytes]) -> None:
    """Answers what waits for Kafka or the disk; a fault of ours asks for it again."""
    reply = UNAVAILABLE
    try:
        reply = await answer
    except Exception:
        logger.exception("notice_failed")
    call.respond(reply)
