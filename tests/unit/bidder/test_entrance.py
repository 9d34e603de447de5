"""How connections are let in: many each time the loop comes round."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
import uvloop

from bidder.entrance import Entrance

CROWD = 128


def test_h15_a_crowd_waits_for_few_turns_of_the_loop_not_for_one_each() -> None:
    """H15: under load a turn is long, and a request waits with its connection."""

    async def turns_for_a_crowd() -> int:
        turns = 0
        let_in: list[asyncio.BaseTransport] = []

        class Client(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                let_in.append(transport)

        with ExitStack() as stack:
            listener = socket.create_server(("127.0.0.1", 0), backlog=CROWD)
            address = listener.getsockname()
            for _ in range(CROWD):
                stack.enter_context(socket.create_connection(address))
            entrance = Entrance(listener, Client)
            await entrance.open()
            while len(let_in) < CROWD and turns < 10 * CROWD:
                turns += 1
                await asyncio.sleep(0)
            entrance.close()
            for transport in let_in:
                transport.close()
            await asyncio.sleep(0.01)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address).close()
        assert len(let_in) == CROWD
        return turns

    turns = uvloop.run(turns_for_a_crowd())
    assert turns < CROWD / 4
