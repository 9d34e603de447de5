"""How much time a bid request has: its limit less what the network takes of it.

The limit is the request's own ``tmax``, which includes the network both ways (OpenRTB 2.6 section
3.2.1). What the network takes is configured for each exchange and measured: the kernel knows the
round trip of every connection. The larger of both is left to it.
"""

from collections.abc import Callable
from math import ceil
from typing import Final

from models.catalog_records import Exchange

__all__ = ["SWEEP_MS", "Deadlines", "NetworkTime", "Terms", "limit_ms"]

LONGEST_TMAX_MS: Final = 5_000
"""The longest of public sample requests; more is taken for this."""

SWEEP_MS: Final = 10
"""An answer may leave so late: requests whose time is over are looked for once in this time."""

RISE: Final = 1 / 8
FALL: Final = 1 / 64
"""Nine of ten connections are then no slower than what is taken for the exchange's."""


def limit_ms(tmax: int | None, exchange: Exchange) -> int:
    """The time until the exchange wants its answer; a limit that makes no sense is absent."""
    return min(tmax, LONGEST_TMAX_MS) if tmax is not None and tmax > 0 else exchange.default_tmax_ms


class NetworkTime:
    """What of an exchange's time limits the network takes."""

    __slots__ = ("rtt_us",)

    def __init__(self) -> None:
        self.rtt_us = 0.0

    def observe(self, rtt_us: int) -> None:
        """Learns the round trip of one connection, in microseconds."""
        distance = rtt_us - self.rtt_us
        # Unknown until now: the first connection's is the best guess.
        self.rtt_us += distance * (RISE if distance > 0 else FALL) if self.rtt_us else distance

    def share_ms(self, exchange: Exchange) -> int:
        """What is left to the network, at least as configured, in ms."""
        return max(exchange.network_margin_ms, ceil(self.rtt_us / 1000) + SWEEP_MS)


class Terms:
    """What holds for an exchange's requests now: worked out when its network changes, not for each.

    Attributes:
        exchange: as the catalogue has it.
        row: where it is counted.
        share_ms: what the network is left of a limit.
        patience_ms: how long after its budget an answer may leave and still come in time.
        usual_budget_ms: that of the request that was read last; the best guess for one unread.
    """

    __slots__ = (
        "_above_us", "_up_to_us", "exchange", "network", "patience_ms", "row", "share_ms",
        "usual_budget_ms",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, row: int, network: NetworkTime) -> None:
        self.exchange = exchange
        self.row = row
        self.network = network
        self._work_out()
        self.usual_budget_ms = self.budget_ms(None)

    def observe(self, rtt_us: int) -> None:
        """Learns the round trip of one connection, in microseconds."""
        network = self.network
        network.observe(rtt_us)
        if not self._above_us < network.rtt_us <= self._up_to_us:
            self._work_out()

    def _work_out(self) -> None:
        """All of it goes by the millisecond that the network has begun to take."""
        begun_ms = ceil(self.network.rtt_us / 1000)
        self._above_us, self._up_to_us = (begun_ms - 1) * 1000, begun_ms * 1000
        self.share_ms = self.network.share_ms(self.exchange)
        self.patience_ms = self.share_ms - begun_ms

    def budget_ms(self, tmax: int | None) -> int:
        """The time for one request from its last byte to its answer, in ms.

        Args:
            tmax: the request's own limit, or None; zero and less count as None.

        Returns:
            Zero or less where the network alone takes longer than the limit.
        """
        if tmax is not None and 0 < tmax <= LONGEST_TMAX_MS:  # as nearly all are
            return tmax - self.share_ms
        return limit_ms(tmax, self.exchange) - self.share_ms


class Deadlines:
    """The terms of every exchange, as its connections are now.

    Args:
        row_of: where an exchange is counted, by its id.
    """

    def __init__(self, row_of: Callable[[str], int]) -> None:
        self._row_of = row_of
        self._terms: dict[str, Terms] = {}

    def terms(self, exchange: Exchange) -> Terms:
        """An exchange's terms; a changed record keeps what is known of the network."""
        found = self._terms.get(exchange.id)
        if found is None or found.exchange is not exchange:
            network = NetworkTime() if found is None else found.network
            found = Terms(exchange, self._row_of(exchange.id), network)
            self._terms[exchange.id] = found
        return found
