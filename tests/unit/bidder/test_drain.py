"""How a worker leaves its clients."""

import asyncio

from bidder.drain import drain


class Client:
    """Leaves after so many looks, if it is told that it may."""

    def __init__(self, connections: "set[Client]", looks: int) -> None:
        self._connections = connections
        self._looks = looks
        self.is_closed = False
        connections.add(self)

    def retire(self) -> None:
        self._looks -= 1
        if self._looks == 0:
            self._connections.discard(self)

    def close(self) -> None:
        self.is_closed = True


def test_whoever_leaves_by_themselves_is_not_closed() -> None:
    connections: set[Client] = set()
    clients = [Client(connections, looks) for looks in (1, 3)]
    assert asyncio.run(drain(connections, grace_seconds=30)) == 0
    assert not any(client.is_closed for client in clients)


def test_whoever_says_nothing_is_closed_when_the_grace_is_over() -> None:
    connections: set[Client] = set()
    leaving, silent = Client(connections, 1), Client(connections, -1)
    assert asyncio.run(drain(connections, grace_seconds=0.1)) == 1
    assert (leaving.is_closed, silent.is_closed) == (False, True)


def test_whoever_comes_while_others_leave_is_told_too() -> None:
    connections: set[Client] = set()

    class Late(Client):
        def retire(self) -> None:
            if not late:
                late.append(Client(connections, 2))
            super().retire()

    late: list[Client] = []
    Late(connections, 2)
    assert asyncio.run(drain(connections, grace_seconds=30)) == 0
    assert late
    assert connections == set()


def test_without_clients_nobody_is_waited_for() -> None:
    assert asyncio.run(asyncio.wait_for(drain(set()), timeout=10)) == 0
