"""A target with a fault, so that a test can see the fuzzer find one."""

from bidder.http1 import HttpCall, HttpConnection
from tests.fuzz.targets import CONNECTIONS
from tests.unit.bidder.test_http1 import FakeTransport


def read(data: bytes) -> None:
    """Fails on what no seed has: a GET with a body."""

    def handle(call: HttpCall) -> None:
        if call.method == b"GET" and call.body:
            raise ZeroDivisionError

    connection = HttpConnection(handle, CONNECTIONS)
    connection.connection_made(FakeTransport())
    connection.data_received(data[1 + 2 * (data[0] % 9) :] if data else b"")
    connection.connection_lost(None)


TARGETS = {"http": read}
