"""Benchmarks of identity and streams on real engines; docs/benchmarks.md explains them."""

from benchmarks.bench.identity import run_identity
from benchmarks.bench.plan import FULL, QUICK, Plan
from benchmarks.bench.site import BenchError, Site
from benchmarks.bench.streams import PARTS, run_streams
from benchmarks.bench.tables import show_identity, show_streams

__all__ = [
    "FULL",
    "PARTS",
    "QUICK",
    "BenchError",
    "Plan",
    "Site",
    "run_identity",
    "run_streams",
    "show_identity",
    "show_streams",
]
