"""How well identity resolution recovers the truth, in worlds with declared noise.

All parts are pure but `resolve_on_redis`, which runs the code of production on a Redis.
"""

from benchmarks.quality.baselines import Resolver, last_sign_in, naive_union, right_links_only
from benchmarks.quality.cards import CARD_METRICS, judge_cards
from benchmarks.quality.experiment import (
    ALL_NOISE,
    METRICS,
    MOST_SEEDS,
    NO_NOISE,
    SHARED_PAIRS,
    SHARED_RIGHT,
    Estimate,
    Findings,
    count_runs,
    measure,
)
from benchmarks.quality.metrics import (
    Agreement,
    PairCounts,
    Partition,
    SharedVerdicts,
    judge_shared,
    pair_counts,
)
from benchmarks.quality.noise import NOISE_KINDS, PUTS_RIGHT, Luck, NoiseKind, NoiseRates
from benchmarks.quality.streams_path import Digesting, resolve_on_redis, share_out
from benchmarks.quality.tables import show_findings
from benchmarks.quality.world import FEWEST_PERSONS, World, make_world

__all__ = [
    "ALL_NOISE",
    "CARD_METRICS",
    "FEWEST_PERSONS",
    "METRICS",
    "MOST_SEEDS",
    "NOISE_KINDS",
    "NO_NOISE",
    "PUTS_RIGHT",
    "SHARED_PAIRS",
    "SHARED_RIGHT",
    "Agreement",
    "Digesting",
    "Estimate",
    "Findings",
    "Luck",
    "NoiseKind",
    "NoiseRates",
    "PairCounts",
    "Partition",
    "Resolver",
    "SharedVerdicts",
    "World",
    "count_runs",
    "judge_cards",
    "judge_shared",
    "last_sign_in",
    "make_world",
    "measure",
    "naive_union",
    "pair_counts",
    "resolve_on_redis",
    "right_links_only",
    "share_out",
    "show_findings",
]
