"""Exchanges that keep their connections: threads that send one request after another."""

import http.client
import threading
import time
from contextlib import closing
from typing import Final, Self

__all__ = ["KeepAliveLoad"]

PAUSE_SECONDS: Final = 0.002
"""Between two requests of a thread: enough to leave the bidder some of two cores."""


class KeepAliveLoad:
    """So many clients, each with a connection that it keeps for as long as the bidder does.

    Args:
        host, port: of the bidder.
        target: the path.
        body: of every request.
        clients: threads.

    Attributes:
        answers: status to how often it came.
        failures: what clients met in place of an answer.
        reconnects: how often a client was told that its connection ends, and opened another.
    """

    def __init__(self, host: str, port: int, target: str, body: bytes, clients: int = 6) -> None:
        self._address = host, port
        self._target = target
        self._body = body
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: dict[int, int] = {}
        self.failures: list[Exception] = []
        self.reconnects = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        """How many requests have an answer."""
        with self._lock:
            return sum(self.answers.values())

    def _run(self) -> None:
        with closing(http.client.HTTPConnection(*self._address, timeout=30)) as client:
            while not self._over.is_set():
                try:
                    client.request("POST", self._target, self._body)
                    response = client.getresponse()
                    response.read()
                except (OSError, http.client.HTTPException) as error:
                    client.close()
                    with self._lock:
                        self.failures.append(error)
                else:
                    with self._lock:
                        self.answers[response.status] = self.answers.get(response.status, 0) + 1
                        self.reconnects += client.sock is None
                time.sleep(PAUSE_SECONDS)
