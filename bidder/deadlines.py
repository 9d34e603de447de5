"""How much time a bid request has: its limit less what the network takes of it.

The limit is the request's own ``tmax``, which includes the network both ways (OpenRTB 2.6 section
3.2.1). What the network takes is configured for each exchange and measured: the kernel knows the
round trip of every connection. The larger of both is left to it.
"""

from math import ceil
from typing import Final

from models.catalog_records import Exchange

__all__ = ["SWEEP_MS", "Deadlines", "NetworkTime", "limit_ms"]

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


class Deadlines:
    """The time limits of every exchange, as its connections are now."""

    def __init__(self) -> None:
        self._networks: dict[str, NetworkTime] = {}

    def network(self, exchange: Exchange) -> NetworkTime:
        """What is known of an exchange's network."""
        found = self._networks.get(exchange.id)
        if found is None:
            found = self._networks[exchange.id] = NetworkTime()
        return found

    def budget_ms(self, tmax: int | None, exchange: Exchange) -> int:
        """The time for one request from its last byte to its answer, in ms.

        Args:
            tmax: the request's own limit, or None; zero and less count as None.
            exchange: who asks.

        Returns:
            Zero or less where the network alone takes longer than the limit.
        """
        return limit_ms(tmax, exchange) - self.network(exchange).share_ms(exchange)

    def patience_ms(self, exchange: Exchange) -> int:
        """How long after its budget an answer may leave and still come in time, in ms."""
        network = self.network(exchange)
        return network.share_ms(exchange) - ceil(network.rtt_us / 1000)
