"""CPU by stage of the bid path: each stage in this process, many times, on what a bid gives it.

Replies are recorded from the real Redis first and then given again, so no time is spent waiting.
Hot caches make this the lower bound: in a worker the same stage costs more, and the event loop and
the kernel come on top.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import hiredis
import msgspec
from hiredis import pack_command

import bidder.path
from benchmarks.load.taps import (
    Call,
    Step,
    Tap,
    answered,
    micros,
    recorded,
    replayed,
    tapped,
)
from benchmarks.load.wares import EXCHANGE
from bidder.catalog_feed import load_market
from bidder.connections import Connections, HttpLimits
from bidder.http1 import HttpCall, HttpConnection
from bidder.http_answers import response
from bidder.metrics import Counters, open_memory
from bidder.openrtb import BidRequest, decode_request
from bidder.path import Answer, BidPath
from bidder.privacy import Privacy
from bidder.respond import Responder
from models.catalog_records import Exchange
from models.commands import Steps
from models.notices import NoticeSigner
from runtime import clock
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["STAGES", "StageCosts", "stages_of"]

SAMPLE: Final = 1000

STAGES: Final = {
    "http": "the request parsed, the answer's head written",
    "decode": "JSON to a request",
    "identify": "privacy signals, identifiers hashed",
    "lookup": "commands named, the person's view decoded",
    "decide": "segment, cap, offer, creative, price",
    "respond": "the response's bytes",
    "sign": "the notices' token",
    "path": "what is left of the path: reservation, counters, the generator itself",
    "wire": "all commands of a bid packed, their replies parsed",
}

_IDENTIFY: Final = (
    Tap(Privacy, "use_of"), Tap(bidder.path, "nodes_of"),
)  # fmt: skip
_LOOKUP: Final = Tap(bidder.path, "fetch_person")
_DECIDE: Final = (Tap(bidder.path, "prospects_of"), Tap(bidder.path, "best_bids"))
_RESPOND: Final = Tap(Responder, "body")
_SIGN: Final = Tap(NoticeSigner, "sign")
_TAPS: Final = (*_IDENTIFY, _LOOKUP, *_DECIDE, _RESPOND, _SIGN)


class _Bid(msgspec.Struct, frozen=True):
    """One request, and all that Redis was asked and told for it."""

    request: BidRequest
    tape: list[Step]


class _Recording(msgspec.Struct, frozen=True):
    """Bids as they were made, and the calls in them; look-ups with a tape of their own."""

    bids: list[_Bid]
    calls: dict[Tap, list[Call]]
    lookups: list[tuple[Call, list[Step]]]


class StageCosts(msgspec.Struct, frozen=True):
    """What stages cost, and what kind of bids they made.

    Attributes:
        micros: CPU of each of ``STAGES`` for one bid, and the ``sum`` of them.
        personal_share: of the requests, those with a bid for a person; others have a bid for
            nobody in particular, which is cheaper.
    """

    micros: dict[str, float]
    personal_share: float


async def stages_of(settings: Settings, messages: Sequence[bytes]) -> StageCosts:
    """Measures the stages.

    Args:
        settings: of a stand.
        messages: requests as they are sent.
    """
    messages = messages[:SAMPLE]
    bodies = [one.partition(b"\r\n\r\n")[2] for one in messages]
    catalog, allowances = await load_market(settings)
    with open_memory() as memory:
        made = BidPath(settings, catalog, Counters(memory.fileno()), allowances)
    path = _Path(made, catalog.exchanges[EXCHANGE])
    recording = await _recorded(settings, path, bodies)
    bids = recording.bids
    cost = _inside(path, recording)
    answers = [answer.body for one in bids if (answer := path.replay(one)).body is not None]
    cost["http"] = micros(_Client().send, messages) + micros(_written, answers)
    cost["decode"] = micros(decode_request, bodies)
    cost["wire"] = micros(_packed, bids) + micros(_parsed, [_raw(one.tape) for one in bids])
    found = {name: cost[name] for name in STAGES}
    decided = recording.calls[_DECIDE[-1]]
    personal = [call for call in decided if any(bid.segment for bid in call.result.bids)]
    return StageCosts({**found, "sum": sum(found.values())}, len(personal) / len(decided))


class _Path:
    """The bid path as a worker has it."""

    def __init__(self, path: BidPath, exchange: Exchange) -> None:
        self._path = path
        self._exchange = exchange
        self._now_ms = clock.now_ms()

    def steps(self, request: BidRequest) -> Steps[Answer]:
        """One request's generator."""
        return self._path.answer(request, self._exchange, self._now_ms)

    def replay(self, bid: _Bid) -> Answer:
        """One request once more, on the replies of before."""
        return self.released(replayed(self.steps(bid.request), bid.tape))

    def released(self, answer: Answer) -> Answer:
        """The answer; the worker's own reservations for it are taken back."""
        self._path.release(answer.reserved)
        return answer


async def _recorded(settings: Settings, path: _Path, bodies: Sequence[bytes]) -> _Recording:
    link = link_to(settings.redis_url, name="kinbid-bench")
    await link.connect()
    try:
        made = _Recording([_Bid(decode_request(body), []) for body in bodies], {}, [])
        with tapped(_TAPS) as calls:
            for bid in made.bids:
                path.released(await link.run(recorded(path.steps(bid.request), bid.tape)))
        made.calls.update(calls)
        for call in calls[_LOOKUP]:
            tape: list[Step] = []
            await link.run(recorded(call.again(), tape))
            made.lookups.append((call, tape))
    finally:
        await link.close()
    return made


def _inside(path: _Path, made: _Recording) -> dict[str, float]:
    """The stages within the path's generator."""

    def cost(tap: Tap) -> float:
        """Of a function for one bid, however often it is called for one."""
        return micros(Call.again, made.calls[tap]) * len(made.calls[tap]) / len(made.bids)

    signing = cost(_SIGN)
    return {
        "identify": sum(map(cost, _IDENTIFY)),
        "lookup": micros(lambda one: replayed(one[0].again(), one[1]), made.lookups),
        "decide": sum(map(cost, _DECIDE)),
        "respond": cost(_RESPOND) - signing,  # which happens within it
        "sign": signing,
        "path": _left(path, made),
    }


def _left(path: _Path, made: _Recording) -> float:
    """What is left of the path when all tapped functions give what they gave."""
    pairs = zip(made.bids, made.lookups, strict=True)
    rests = [_Bid(bid.request, bid.tape[len(tape) :]) for bid, (_, tape) in pairs]
    with answered({tap: calls for tap, calls in made.calls.items() if tap != _SIGN}):
        return micros(path.replay, rests)


# -- HTTP ------------------------------------------------------------------------------------------


class _Nowhere(asyncio.Transport):
    """A transport that takes everything and sends nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Takes it."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It has no buffer."""

    def is_closing(self) -> bool:
        """Never."""
        return False


class _Client:
    """One connection, whose requests are answered at once without a body."""

    def __init__(self) -> None:
        with open_memory() as memory:
            connections = Connections(HttpLimits(), Counters(memory.fileno()))
        self._connection = HttpConnection(_no_bid, connections)
        self._connection.connection_made(_Nowhere())

    def send(self, message: bytes) -> None:
        """Has a request parsed, handed on and answered."""
        self._connection.data_received(message)


def _no_bid(call: HttpCall) -> None:
    call.respond(NO_BID)


NO_BID: Final = response(204)


def _written(body: bytes) -> bytes:
    return response(200, body)


# -- Redis' protocol -------------------------------------------------------------------------------


def _packed(bid: _Bid) -> None:
    for step in bid.tape:
        for command in step.commands:
            pack_command(command)  # type: ignore[arg-type]  # as in RedisLink


_reader: Final = hiredis.Reader()


def _parsed(replies: list[bytes]) -> None:
    for raw in replies:
        _reader.feed(raw)
        while _reader.gets() is not False:
            pass


def _raw(tape: list[Step]) -> list[bytes]:
    """A bid's replies as they came, step by step."""
    return [b"".join(map(_resp, step.replies)) for step in tape]


def _resp(value: Any) -> bytes:  # noqa: ANN401 - whatever a reply can be
    """A value in Redis' protocol (RESP2)."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list):
        return b"*%d\r\n%b" % (len(value), b"".join(map(_resp, value)))
    return b"$%d\r\n%b\r\n" % (len(value), value)
