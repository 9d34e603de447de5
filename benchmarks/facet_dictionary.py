"""Trains the dictionary with which facets are compressed, from customers of made-up owners.

    python -m benchmarks.facet_dictionary models/facets-1.zdict

Each owner has names, airports and item numbers of its own, and its customers' histories are short
and long, of an hour and of a year, so the dictionary learns what facets look like and nobody's
words. A dictionary that is in use must never be overwritten: a new one needs a new name.
"""

import random
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

from models.events import (
    BookingStep,
    CartAdd,
    CartRemove,
    Consent,
    Contact,
    CrmCard,
    Event,
    FlightSearch,
    LoyaltyStatus,
    Order,
    PageView,
    ProductView,
    SignIn,
)
from models.facets import Facet, fold_event
from models.identifiers import NodeId
from models.units import DAY_MS, MICROS, AdvertiserId, date_of

__all__ = ["facets_of", "train"]

OWNERS: Final = 60
CUSTOMERS: Final = 12
DICTIONARY_BYTES: Final = 1024
"""Twice as many save 1 % more."""
SEED: Final = 1
YEAR_BEGIN_MS: Final = 1_767_225_600_000
BROWSING: Final = (30, 30, 20, 5, 8, 2, 5)
"""How often what browsers do is done, of a hundred events."""
NODE_LETTERS: Final = string.ascii_letters + string.digits + "-_"
ITEM_FORMS: Final = ("item-{}", "SKU{:06}", "{:08}", "p{}", "a-{:x}", "{:05}-{:02}")


class Owner:
    """A shop and an airline with their own words."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._shop, self._airline = AdvertiserId(self._word()), AdvertiserId(self._word())
        self._airports = [
            "".join(rng.choices(string.ascii_uppercase, k=3)) for _ in range(rng.randint(5, 60))
        ]
        self._pages = ["/", *(f"/{self._word()}/{self._word()}" for _ in range(20))]
        self._cities = [self._word().title() for _ in range(20)]
        self._form, self._most = rng.choice(ITEM_FORMS), rng.choice([200, 5_000, 10**6])

    def _word(self) -> str:
        return "".join(self._rng.choices(string.ascii_lowercase, k=self._rng.randint(3, 10)))

    def _item(self) -> str:
        return self._form.format(self._rng.randrange(self._most), self._rng.randrange(100))

    def node(self, letter: str) -> NodeId:
        """Anybody."""
        return NodeId(letter + "".join(self._rng.choices(NODE_LETTERS, k=22)))

    def event(self, node: NodeId, time_ms: int) -> Event:
        """Something that somebody does."""
        rng = self._rng
        at: dict[str, Any] = {"event_id": "e", "ids": (node,), "event_time_ms": time_ms}
        shop, airline = at | {"advertiser": self._shop}, at | {"advertiser": self._airline}
        day = time_ms // DAY_MS + rng.randrange(300)
        origin, destination = rng.sample(self._airports, 2)
        trip = f"{origin}-{destination}/{date_of(day)}"
        said: list[Event]
        if node[0] == "c":
            said = [
                CrmCard(**at, city=rng.choice(self._cities), tier=rng.choice(["", "gold"])),
                LoyaltyStatus(**airline, tier="gold", miles=rng.randrange(10**5)),
                self._order(shop, self._item()), self._order(airline, trip),
            ]  # fmt: skip
            return rng.choice(said)
        if node[0] == "e":
            said = [
                Contact(**shop, action=rng.choice(["sent", "opened", "clicked"]), topic="welcome"),
                Consent(**at, source="cmp", granted=("personal_ads", "email")),
                PageView(**shop, page=rng.choice(self._pages)),
                self._order(shop, self._item()),
            ]  # fmt: skip
            return rng.choice(said)
        said = [
            PageView(**shop, page=rng.choice(self._pages)),
            ProductView(**shop, item=self._item()),
            FlightSearch(
                **airline, origin=origin, destination=destination, depart_date=date_of(day),
                cabin=rng.choice(["", "economy", "business"]), adults=rng.randint(1, 3),
            ),
            BookingStep(**airline, item=trip, step=rng.randint(1, 5)),
            CartAdd(**shop, item=self._item()),
            CartRemove(**shop, item=self._item()),
            SignIn(event_id="s", ids=(node, self.node("e")), event_time_ms=time_ms,
                   advertiser=self._shop),
        ]  # fmt: skip
        return rng.choices(said, BROWSING)[0]

    def _order(self, at: dict[str, Any], item: str) -> Order:
        revenue_micros = self._rng.randrange(5, 500) * MICROS
        return Order(
            **at, order_id=str(self._rng.randrange(10**9)), revenue_micros=revenue_micros,
            margin_micros=revenue_micros // 5, items=(item,),
        )  # fmt: skip


def facets_of(seed: int, customers: int) -> Iterator[Facet]:
    """Facets of one owner's customers: a browser, an address and a card each."""
    rng = random.Random(seed)
    owner = Owner(rng)
    for _ in range(customers):
        nodes = [owner.node(letter) for letter in "kec"]
        weights, count = [8, 2, 1], rng.choice([5, 12, 25, 50, 100])
        span_ms = rng.choice([3_600_000, DAY_MS, 30 * DAY_MS, 300 * DAY_MS])
        begin_ms = YEAR_BEGIN_MS + rng.randrange(60 * DAY_MS)
        times_ms = sorted(begin_ms + rng.randrange(span_ms) for _ in range(count))
        facets: dict[NodeId, Facet] = {}
        offset = rng.randrange(10**8)
        for time_ms in times_ms:
            (node,) = rng.choices(nodes, weights)
            offset += rng.randrange(1, 10**4)
            before = facets.get(node, Facet())
            facets[node] = fold_event(before, owner.event(node, time_ms), offset)
        yield from facets.values()


def train() -> bytes:
    """The dictionary."""
    encode = msgspec.msgpack.Encoder().encode
    samples: list[bytes | bytearray | memoryview] = []
    for owner in range(OWNERS):
        samples += map(encode, facets_of(SEED + owner, CUSTOMERS))
    return zstandard.train_dictionary(DICTIONARY_BYTES, samples, level=1).as_bytes()


def main() -> int:
    """Writes the dictionary to the file that is named."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    path = Path(sys.argv[1])
    if path.exists():
        sys.stderr.write(f"{path} exists: facets may have been written with it; name another\n")
        return 1
    path.write_bytes(train())
    return 0


if __name__ == "__main__":
    sys.exit(main())
