"""Bid requests of the size and shape of real ones: 1.4 kB of JSON, one banner, four identifiers."""

import random
import uuid
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.load.audience import KNOWN_VENDOR, OTHER_VENDOR, PERSON_BASED, Audience

__all__ = ["requests_of"]

TMAX_MS: Final = 500
"""Long, since in the closed loop a request waits for all the others; what is late is not measured
but left out."""
_WEBKIT: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
AGENTS: Final = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {_WEBKIT} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_CHROME} Mobile Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
)
FORMATS: Final = (((300, 250), (300, 600)), ((320, 50), (300, 250)), ((728, 90), (970, 250)))
BLOCKED: Final = ["IAB7-39", "IAB8-5", "IAB8-18", "IAB25-3", "IAB26"]
COUNTRIES: Final = ("USA", "CAN", "AUS", "JPN", "BRA")


def requests_of(
    audience: Audience, persons: int, count: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Requests for persons drawn at random, each for one whom we know.

    Args:
        audience: whose identifiers.
        persons: how many of them there are.
        count: requests.
        seed: of the draws.
    """
    rng = random.Random(seed)
    for number in range(count):
        yield _request(rng, audience, rng.randrange(persons), number)


def _request(rng: random.Random, audience: Audience, person: int, number: int) -> dict[str, Any]:
    page = f"{rng.getrandbits(40):010x}"
    return {
        "id": f"{number:08d}-{rng.getrandbits(64):016x}",
        "imp": [_imp(rng)],
        "site": {
            "id": f"{rng.randrange(10**6):06d}", "domain": "news.example",
            "cat": ["IAB12", "IAB20"],
            "page": f"https://news.example/2026/travel/what-to-see-in-a-weekend-{page}.html",
            "ref": "https://search.example/?q=weekend+away", "mobile": 1,
            "publisher": {"id": f"pub-{rng.randrange(10**4):04d}", "name": "The Example News"},
        },
        "device": _device(rng, audience.ids(person).ifa),
        "user": _user(rng, audience, person),
        "regs": {"coppa": 0, "gdpr": 0, "us_privacy": "1YNN"},
        "at": 1, "tmax": TMAX_MS, "cur": ["USD"], "bcat": BLOCKED,
        "badv": ["rival.example", "casino.example"],
        "source": {"fd": 1, "tid": str(uuid.UUID(int=rng.getrandbits(128)))},
    }  # fmt: skip


def _imp(rng: random.Random) -> dict[str, Any]:
    formats = rng.choice(FORMATS)
    return {
        "id": "1", "tagid": f"top-{rng.randrange(100)}", "secure": 1, "instl": 0,
        "bidfloor": rng.randint(1, 5) / 100, "bidfloorcur": "USD",
        "banner": {
            "w": formats[0][0], "h": formats[0][1], "pos": 1, "battr": [1, 3, 8],
            "format": [{"w": w, "h": h} for w, h in formats], "topframe": 1, "api": [3, 5],
        },
    }  # fmt: skip


def _device(rng: random.Random, ifa: str) -> dict[str, Any]:
    return {
        "ua": rng.choice(AGENTS), "ip": f"203.0.113.{rng.randrange(256)}", "devicetype": 4,
        "make": "Apple", "model": "iPhone", "os": "iOS", "osv": "17.5", "language": "en", "js": 1,
        "dnt": 0, "lmt": 0, "connectiontype": 2, "w": 390, "h": 844, "ifa": ifa,
        "geo": {"country": rng.choice(COUNTRIES), "region": "NY", "type": 2},
    }  # fmt: skip


def _user(rng: random.Random, audience: Audience, person: int) -> dict[str, Any]:
    ids = audience.ids(person)
    return {
        "id": f"{rng.getrandbits(64):016x}",
        "buyeruid": ids.cookie,
        "eids": [
            {"source": KNOWN_VENDOR, "uids": [{"id": ids.known_eid, "atype": 1}]},
            {"source": OTHER_VENDOR, "uids": [{"id": ids.other_eid, "atype": PERSON_BASED}]},
        ],
    }
