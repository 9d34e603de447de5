"""Bidders under load: a generator that can be believed, and what it says of kinbid and others."""

from benchmarks.load.bid_path import run_bid_path
from benchmarks.load.corpus import Corpus
from benchmarks.load.latency import run_latency
from benchmarks.load.plan import FULL_LOAD, QUICK_LOAD, LoadPlan
from benchmarks.load.schedule import Arrivals
from benchmarks.load.tables import show_bid_path, show_latency, show_target
from benchmarks.load.target import Mode, requests_for, run_target

__all__ = [
    "FULL_LOAD", "QUICK_LOAD", "Arrivals", "Corpus", "LoadPlan", "Mode", "requests_for",
    "run_bid_path", "run_latency", "run_target", "show_bid_path", "show_latency", "show_target",
]  # fmt: skip
