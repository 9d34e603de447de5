"""The bare handler: parse HTTP, decode the request, answer 204. What everything else is held to.

It has the stack of a bidder worker (uvloop, ``HttpConnection``, ``decode_request``) and nothing of
the bidder: no person, no catalogue, no counters. So it is the least that a bidder in this stack
can cost. Run as ``python -m benchmarks.load.bare``; it writes its address when it listens.
"""

import asyncio
import gc
import signal
import socket
import sys
from typing import Final

import uvloop

from bidder.connections import Connections, HttpLimits
from bidder.errors import MalformedRequestError
from bidder.http1 import HttpCall, HttpConnection
from bidder.http_answers import response
from bidder.metrics import Counters, open_memory
from bidder.openrtb import decode_request

__all__ = ["main"]

NO_BID: Final = response(204)
MALFORMED: Final = response(400)


def answer(call: HttpCall) -> None:
    """Reads the request and bids nothing."""
    try:
        decode_request(call.body)
    except MalformedRequestError:
        call.respond(MALFORMED)
        return
    call.respond(NO_BID)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    with open_memory() as memory:
        connections = Connections(HttpLimits(), Counters(memory.fileno()))
    server = await loop.create_server(lambda: HttpConnection(answer, connections), sock=listener)
    gc.collect()
    gc.freeze()
    print("http://{}:{}".format(*listener.getsockname()), flush=True)
    await stopping.wait()
    server.close()


def main() -> int:
    """Serves until SIGTERM; returns the exit code."""
    uvloop.run(_serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
