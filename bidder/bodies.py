"""The bodies of one worker's bid requests and answers, with and without their content coding."""

from typing import Final

from bidder import metrics
from bidder.content_coding import GZIP_FROM_BYTES, Refused, accepts_gzip, gzipped, plain
from bidder.http1 import HttpCall
from bidder.http_answers import gzipped_json, response
from bidder.metrics import Counters

__all__ = ["Bodies"]

INFLATED: Final = metrics.slot("bidder_inflated_requests")
GZIPPED: Final = metrics.slot("bidder_gzip_answers")
REFUSALS: Final = {
    why: (metrics.slot("bidder_http_refusals", why.value), response(status))
    for why, status in {Refused.CODING: 415, Refused.BROKEN: 400, Refused.TOO_LARGE: 413}.items()
}


class Bodies:
    """Undoes the coding of requests and codes answers, and counts both."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def uncoded(self, call: HttpCall) -> bytes | None:
        """The request's plain body; None where that cannot be had, which is then answered.

        Only a request that says so is inflated: what merely looks like gzip is malformed JSON.
        """
        found = plain(call.body, call.header(b"content-encoding"))
        if isinstance(found, Refused):
            place, answer = REFUSALS[found]
            self._counters.add(place)
            call.respond(answer)
            return None
        if found is not call.body:
            self._counters.add(INFLATED)
        return found

    def answer(self, call: HttpCall, body: bytes) -> bytes:
        """The whole response with this JSON, in gzip where the client takes it and it pays."""
        if (
            len(body) < GZIP_FROM_BYTES
            or not call.may_mention(b"gzip")
            or not accepts_gzip(call.header(b"accept-encoding"))
        ):
            return response(200, body)
        self._counters.add(GZIPPED)
        return gzipped_json(gzipped(body))
