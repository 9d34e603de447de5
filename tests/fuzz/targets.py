"""What is fuzzed: from any bytes to an answer that makes sense, or an AssertionError."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from bidder.bodies import Bodies
from bidder.connections import Connections, HttpLimits
from bidder.content_coding import MAX_INFLATED_BYTES
from bidder.errors import MalformedRequestError
from bidder.http1 import HttpCall, HttpConnection
from bidder.http_answers import CONTINUE, response
from bidder.metrics import Counters, open_memory
from bidder.openrtb import BidRequest, decode_request
from bidder.path import BidPath
from tests.unit.bidder.support import NORTH, NOW_MS, SETTINGS, MemoryRedis, catalog, person
from tests.unit.bidder.test_http1 import FakeTransport

__all__ = ["TARGETS", "http_input"]

with open_memory() as _memory:
    COUNTERS: Final = Counters(_memory.fileno())
BODIES: Final = Bodies(COUNTERS)
CONNECTIONS: Final = Connections(HttpLimits(connections=10**9), COUNTERS)
PATH: Final = BidPath(SETTINGS, catalog(), COUNTERS)


# -- HTTP ---------------------------------------------------------------------------------------


def http_input(stream: bytes, *places: int) -> bytes:
    """The fuzzer's input for a stream that is cut at these places."""
    return bytes([len(places)]) + b"".join(p.to_bytes(2, "big") for p in places) + stream


def read_http(data: bytes) -> None:
    """A stream of requests, whole and cut, as one connection reads, inflates and answers it."""
    count = data[0] % 9 if data else 0
    places = [int.from_bytes(data[1 + 2 * n : 3 + 2 * n]) for n in range(count)]
    stream = data[1 + 2 * count :]
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    whole = _answers([stream])
    assert _answers([stream[a:b] for a, b in pairwise(edges)]) == whole, (
        "the cut makes a difference"
    )


def _answers(pieces: list[bytes]) -> tuple[bytes, bool, list[bytes]]:
    """What the client is sent, whether the connection is over, and what was asked."""
    asked: list[bytes] = []

    def handle(call: HttpCall) -> None:
        body = BODIES.uncoded(call)
        if body is not None:
            assert len(body) <= MAX_INFLATED_BYTES
            asked.append(b"%b %b %b %b" % (call.method, call.target, call.header(b"accept"), body))
            call.respond(BODIES.answer(call, body))

    transport = FakeTransport()
    connection = HttpConnection(handle, CONNECTIONS)
    connection.connection_made(transport)
    for piece in pieces:
        connection.data_received(piece)
    # A 100 is due to who sends the body later, and not to who has sent it.
    sent = [one for one in transport.written if one != CONTINUE]
    is_over = transport.ended
    connection.connection_lost(None)
    return b"".join(sent), is_over, asked


# -- OpenRTB ------------------------------------------------------------------------------------


def read_openrtb(data: bytes) -> None:
    """A body, from its bytes to the response's."""
    try:
        request = decode_request(data)
    except MalformedRequestError:
        return
    redis = MemoryRedis()
    redis.put(person())
    answer = redis.run(PATH.answer(request, NORTH, NOW_MS))
    PATH.release(answer.reserved)
    if answer.body is not None:
        assert response(200, answer.body)
        _check(request, json.loads(answer.body.decode(), parse_constant=_refuse))


def _check(request: BidRequest, answer: dict[str, Any]) -> None:
    """O1, O2, A2, A11, P7: ids as they came, prices that are numbers above zero."""
    assert answer["id"] == request.id
    bids = [bid for seat in answer["seatbid"] for bid in seat["bid"]]
    assert bids
    for bid in bids:
        assert bid["impid"] in {imp.id for imp in request.imp}
        assert math.isfinite(bid["price"])
        assert bid["price"] > 0


def _refuse(literal: str) -> None:
    raise AssertionError(f"{literal} is no JSON")


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {"http": read_http, "openrtb": read_openrtb}
