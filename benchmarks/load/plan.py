"""Sizes of the bid benchmarks."""

from typing import Final

import msgspec

__all__ = ["FULL_LOAD", "QUICK_LOAD", "LoadPlan"]


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a run.

    Attributes:
        campaigns: catalogues for the growth with campaigns.
        persons: populations for the growth with persons.
        base_campaigns, base_persons: the size of what does not grow.
        requests: in the corpus, each for a person drawn at random.
        seconds: of one window.
        repeats: windows of each case, interleaved with the bare handler's.
        connections: of the closed loop.
        open_connections: of the open loop.
        generators: processes that share the load.
    """

    campaigns: tuple[int, ...] = (10, 1_000, 100_000)
    persons: tuple[int, ...] = (10_000, 1_000_000)
    base_campaigns: int = 1_000
    base_persons: int = 100_000
    requests: int = 50_000
    seconds: float = 5.0
    repeats: int = 5
    connections: int = 64
    open_connections: int = 128
    generators: int = 1

    @property
    def cases(self) -> list[tuple[int, int]]:
        """Campaigns and persons of each stand, the base first, none of them twice."""
        wanted = [(self.base_campaigns, self.base_persons)]
        wanted += [(campaigns, self.base_persons) for campaigns in self.campaigns]
        wanted += [(self.base_campaigns, persons) for persons in self.persons]
        return list(dict.fromkeys(wanted))


FULL_LOAD: Final = LoadPlan()
QUICK_LOAD: Final = LoadPlan(
    campaigns=(10, 100), persons=(1_000,), base_campaigns=100, base_persons=10_000, requests=5_000,
    seconds=1.0, repeats=3,
)  # fmt: skip
