"""A seeded world with ground truth: people, inventory, exchanges, and a referee who counts.

The parts are pure; only `run` and `backfill` touch the network and read a clock.
"""

from benchmarks.world.cap_rules import CapRule, CapRules, cap_rules_of
from benchmarks.world.driver import backfill, run
from benchmarks.world.http_client import HttpError
from benchmarks.world.package_files import MissingDataError
from benchmarks.world.referee import Ad, Referee, Verdict
from benchmarks.world.report import Backfill, Freshness, Percentiles, Progress, Report
from benchmarks.world.schedule import AIRLINE
from benchmarks.world.scores import IdentityScore
from benchmarks.world.shop import SHOP
from benchmarks.world.slots import EXCHANGES
from benchmarks.world.story import World

__all__ = [
    "AIRLINE",
    "EXCHANGES",
    "SHOP",
    "Ad",
    "Backfill",
    "CapRule",
    "CapRules",
    "Freshness",
    "HttpError",
    "IdentityScore",
    "MissingDataError",
    "Percentiles",
    "Progress",
    "Referee",
    "Report",
    "Verdict",
    "World",
    "backfill",
    "cap_rules_of",
    "run",
]
