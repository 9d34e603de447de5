"""What is counted for each exchange: rows in the worker's shared memory, named by the worker.

The catalogue says which exchanges there are, so the labels are a closed list, but one that is not
known when the memory is laid out: a row is taken at an exchange's first request.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["ROWS_BYTES", "ExchangeRows"]

MOST_ROWS: Final = 64
NAME_BYTES: Final = 64
"""As long as an exchange's id may be."""

OTHERS: Final = "(others)"
"""What comes after the last row is full; no exchange can have this id."""

_COUNTS: Final = (
    ("bidder_exchange_requests", "Bid requests of an exchange."),
    ("bidder_exchange_late", "Requests of an exchange whose time was over before the decision."),
    ("bidder_exchange_overdue", "Answers that an exchange had probably ceased to wait for."),
)
REQUESTS, LATE, OVERDUE, _NETWORK = range(len(_COUNTS) + 1)
_ROW: Final = _NETWORK + 1
_NAMES_BYTES: Final = MOST_ROWS * NAME_BYTES
ROWS_BYTES: Final = _NAMES_BYTES + MOST_ROWS * _ROW * 8
_MICROS: Final = 1e6


class ExchangeRows:
    """The rows of one process.

    Args:
        memory: of :data:`ROWS_BYTES`, all zero at first.
    """

    def __init__(self, memory: memoryview) -> None:
        self._names = memory[:_NAMES_BYTES]
        self._values = memory[_NAMES_BYTES:].cast("q")
        self._rows: dict[str, int] = {}

    def row(self, exchange: str) -> int:
        """The first place of an exchange's row; its counts are at fixed distances from it."""
        found = self._rows.get(exchange)
        return self._take(exchange) if found is None else found

    def _take(self, exchange: str) -> int:
        number = min(len(self._rows), MOST_ROWS - 1)
        name = (exchange if number < MOST_ROWS - 1 else OTHERS).encode()
        self._names[number * NAME_BYTES : number * NAME_BYTES + len(name)] = name
        self._rows[exchange] = number * _ROW
        return number * _ROW

    def add(self, row: int, what: int, amount: int = 1) -> None:
        """Counts for the exchange of a row."""
        self._values[row + what] += amount

    def set_network_us(self, row: int, network_us: int) -> None:
        """Notes how much of its time limit an exchange's network takes."""
        self._values[row + _NETWORK] = network_us

    def named(self) -> Iterator[tuple[str, Sequence[int]]]:
        """Each exchange that has a row, and its values."""
        for number in range(MOST_ROWS):
            name = bytes(self._names[number * NAME_BYTES : (number + 1) * NAME_BYTES])
            if not name[0]:
                return
            yield name.rstrip(b"\0").decode(), self._values[number * _ROW : (number + 1) * _ROW]

    def absorb(self, ended: "ExchangeRows") -> None:
        """Adds the counts of a process that has ended."""
        for name, values in ended.named():
            row = self.row(name)
            for place in range(_NETWORK):
                self._values[row + place] += values[place]
            self._values[row + _NETWORK] = values[_NETWORK]

    @staticmethod
    def families(processes: Iterable["ExchangeRows"]) -> Iterator[Metric]:
        """The rows of several processes as Prometheus reads them; the last one's network times."""
        totals: dict[str, list[int]] = {}
        for rows in processes:
            for name, values in rows.named():
                total = totals.setdefault(name, [0] * _ROW)
                for place in range(_NETWORK):
                    total[place] += values[place]
                total[_NETWORK] = values[_NETWORK] or total[_NETWORK]
        for place, (family, text) in enumerate(_COUNTS):
            counter = CounterMetricFamily(family, text, labels=["exchange"])
            for name, total in totals.items():
                counter.add_metric([name], total[place])
            yield counter
        network = GaugeMetricFamily(
            "bidder_network_seconds", "Round trip to an exchange, as measured.",
            labels=["exchange"],
        )  # fmt: skip
        for name, total in totals.items():
            network.add_metric([name], total[_NETWORK] / _MICROS)
        yield network
