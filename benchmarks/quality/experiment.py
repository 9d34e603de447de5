"""Resolvers side by side in worlds of several seeds, with all noise and with each noise alone."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Self

import msgspec

from benchmarks.quality.baselines import Resolver, last_sign_in, naive_union, right_links_only
from benchmarks.quality.cards import RUNS_PER_WORLD, judge_cards
from benchmarks.quality.metrics import Agreement, judge_shared
from benchmarks.quality.noise import NOISE_KINDS, NoiseRates
from benchmarks.quality.world import World, make_world
from models.errors import InvalidFieldError

__all__ = [
    "ALL_NOISE",
    "METRICS",
    "MOST_SEEDS",
    "NO_NOISE",
    "SHARED_PAIRS",
    "SHARED_RIGHT",
    "Estimate",
    "Findings",
    "count_runs",
    "measure",
]

ALL_NOISE: Final = "all noise"
NO_NOISE: Final = "no noise"

METRICS: Final = (
    "precision", "recall", "f1", "b_cubed_precision", "b_cubed_recall", "exact_match_rate",
    "over_merge_rate", "mixed_person_rate", "reach_inflation",
)  # fmt: skip
"""What is reported of an :class:`Agreement`."""

SHARED_RIGHT: Final = "shared_right_rate"
SHARED_PAIRS: Final = "shared_pair_precision"
"""What is reported of the nodes that several persons use: :class:`SharedVerdicts`."""

T_975: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045,
)  # fmt: skip
"""Student's t: 97.5 % quantiles for 1 to 29 degrees of freedom."""

MOST_SEEDS: Final = len(T_975) + 1


class Estimate(msgspec.Struct, frozen=True):
    """A metric over worlds of several seeds.

    Attributes:
        mean: over the worlds.
        half_width: of the 95 % interval of the mean; None where there is one world.
        values: of each world, in the order of the seeds.
    """

    mean: float
    half_width: float | None
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Estimates from one value a world.

        Raises:
            ValueError: no value, or more than ``MOST_SEEDS``.
        """
        count = len(values)
        if not 1 <= count <= MOST_SEEDS:
            raise ValueError(f"{count} values; an estimate takes 1 to {MOST_SEEDS}")
        half_width = (
            T_975[count - 2] * statistics.stdev(values) / math.sqrt(count) if count > 1 else None
        )
        return cls(statistics.fmean(values), half_width, tuple(values))

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference, world by world: what the seeds have in common falls out."""
        return Estimate.of([a - b for a, b in zip(self.values, other.values, strict=True)])

    @property
    def is_finding(self) -> bool:
        """Whether the interval leaves zero out; a gap within the spread is no finding."""
        return self.half_width is not None and abs(self.mean) > self.half_width


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the experiment came to.

    Attributes:
        seeds: of the worlds.
        persons: in each.
        events, nodes, shared_nodes: in the worlds with all noise, on average.
        rates: of the noise.
        scores: noise to resolver to metric; the noise is ``ALL_NOISE``, ``NO_NOISE`` or a kind.
            ``CARD_METRICS`` are among those of ``ALL_NOISE`` alone.
    """

    seeds: tuple[int, ...]
    persons: int
    events: float
    nodes: float
    shared_nodes: float
    rates: NoiseRates
    scores: Mapping[str, Mapping[str, Mapping[str, Estimate]]]


def measure(
    kinbid: Resolver,
    *,
    seed: int,
    seeds: int,
    persons: int,
    rates: NoiseRates,
    advance: Callable[[str], None],
) -> Findings:
    """Runs all resolvers in all worlds.

    Args:
        kinbid: the resolver under test.
        seed: the first; the others follow it.
        seeds: how many worlds of each kind, 1 to ``MOST_SEEDS``.
        persons: in each world.
        rates: what goes wrong in the worlds with all noise; each noise alone has its rate, as has
            the noise that it puts right.
        advance: called with the noise before each world.

    Raises:
        InvalidFieldError: ``seeds`` or ``persons`` is out of range.
    """
    if not 1 <= seeds <= MOST_SEEDS:
        raise InvalidFieldError("seeds", seeds, f"from 1 to {MOST_SEEDS}")
    scores: dict[str, dict[str, dict[str, Estimate]]] = {}
    sizes: list[tuple[int, int, int]] = []
    for noise, used in _noises(rates).items():
        found = []
        for number in range(seed, seed + seeds):
            advance(noise)
            world = make_world(number, persons, used)
            found.append(_scores_in(world, kinbid, with_cards=noise == ALL_NOISE))
            if noise == ALL_NOISE:
                nodes = len(world.owned) + len(world.shared)
                sizes.append((len(world.events), nodes, len(world.shared)))
        scores[noise] = {
            resolver: {
                name: Estimate.of([one[resolver][name] for one in found]) for name in metrics
            }
            for resolver, metrics in found[0].items()
        }
    events, nodes_mean, shared = (statistics.fmean(column) for column in zip(*sizes, strict=True))
    return Findings(
        seeds=tuple(range(seed, seed + seeds)), persons=persons, events=events, nodes=nodes_mean,
        shared_nodes=shared, rates=rates, scores=scores,
    )  # fmt: skip


def count_runs(rates: NoiseRates, seeds: int) -> int:
    """How often :func:`measure` asks the resolver under test."""
    return seeds * (len(_noises(rates)) + RUNS_PER_WORLD)


def _noises(rates: NoiseRates) -> dict[str, NoiseRates]:
    alone: dict[str, NoiseRates] = {
        kind: rates.alone(kind) for kind in NOISE_KINDS if rates.of(kind)
    }
    return {ALL_NOISE: rates, NO_NOISE: rates.only(), **alone}


def _scores_in(world: World, kinbid: Resolver, *, with_cards: bool) -> dict[str, dict[str, float]]:
    resolvers: dict[str, Resolver] = {
        "kinbid": kinbid,
        "last sign-in": last_sign_in,
        "naive union": naive_union,
        "right links only": partial(right_links_only, owned=world.owned),
    }
    found = {}
    for resolver, resolve in resolvers.items():
        resolved = resolve(world.events)
        agreement = Agreement.of(resolved, world.owned)
        shared = judge_shared(resolved, world.owned, world.shared)
        found[resolver] = {name: getattr(agreement, name) for name in METRICS}
        found[resolver][SHARED_RIGHT] = shared.right_rate
        found[resolver][SHARED_PAIRS] = shared.pair_precision
        if with_cards:
            found[resolver] |= judge_cards(world, resolve, resolved)
    return found
