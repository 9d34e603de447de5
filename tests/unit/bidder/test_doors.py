"""Who answers before the catalogue is there."""

from bidder.doors import Doors
from bidder.http1 import HttpCall, HttpConnection, response
from bidder.metrics import Counters
from tests.unit.bidder.test_http1 import FakeTransport, new_connections, post


def test_h5_without_a_catalogue_a_bid_request_gets_204_and_a_notice_comes_again(
    counters: Counters,
) -> None:
    doors, transport = Doors(counters), FakeTransport()
    connection = HttpConnection(doors.handle, new_connections())
    connection.connection_made(transport)
    connection.data_received(post(b"/openrtb2/anybody/bid?dc=east", b"{"))
    connection.data_received(b"GET /notice/billing?t=x HTTP/1.1\r\n\r\n")
    assert transport.written == [response(204), response(503)]
    assert counters.value("bidder_no_bids", "no_catalog") == 1
    assert counters.value("bidder_bid_requests") == 1


def test_connections_that_were_there_before_follow_when_the_doors_open(
    counters: Counters,
) -> None:
    doors, transport = Doors(counters), FakeTransport()
    connection = HttpConnection(doors.handle, new_connections())
    connection.connection_made(transport)
    seen: list[HttpCall] = []
    doors.open(seen.append)
    connection.data_received(post(b"/openrtb2/north/bid", b"{}"))
    assert [call.target for call in seen] == [b"/openrtb2/north/bid"]
    assert doors.handle == seen.append
