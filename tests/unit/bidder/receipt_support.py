"""A bid path that keeps receipts, and what it kept."""

from bidder.metrics import Counters
from bidder.path import BidPath
from bidder.receipt_outbox import Outbox
from bidder.receipts import Receipts
from models.catalog import Catalog
from models.profile import Person
from models.receipts import Receipt, decode_receipt
from models.watches import Watch, Watches, WatchTarget
from runtime.settings import Settings
from tests.unit.bidder.support import (
    COOKIE,
    NORTH,
    NOW_MS,
    SETTINGS,
    MemoryRedis,
    bid_request,
    catalog,
    person,
)

CODE = "test+0"
ELAPSED_NS = 250_000


class Kept(Outbox):
    """An outbox from which nothing is shipped."""

    @property
    def values(self) -> list[bytes]:
        return [one.value for one in self._waiting]

    @property
    def receipts(self) -> list[Receipt]:
        return [decode_receipt(value) for value in self.values]

    @property
    def only(self) -> Receipt:
        (receipt,) = self.receipts
        return receipt


class Case:
    """A bid path with receipts, and a Redis that knows one person."""

    def __init__(
        self,
        counters: Counters,
        who: Person | None = None,
        what: Catalog | None = None,
        *,
        settings: Settings = SETTINGS,
        sample_percent: float = 100,
        full_percent: float = 100,
    ) -> None:
        self.counters = counters
        self.redis = MemoryRedis()
        self.who = person() if who is None else who
        self.redis.put(self.who, v=b"17")
        self.catalog = what or catalog()
        self.path = BidPath(settings, self.catalog, counters)
        self.outbox = Kept(settings, counters, self.path.worker)
        self.watches = Watches()
        self.receipts = Receipts(
            self.outbox, counters, self.watches, code=CODE, public_url=settings.public_url,
            as_of=self.catalog.as_of,
            sample_percent=sample_percent, full_percent=full_percent,
        )  # fmt: skip
        self.path.receipts = self.receipts

    def watch(self, target: WatchTarget, *names: str, until_ms: int = NOW_MS + 1) -> None:
        self.watches.learn(Watch(target=target, names=names, until_ms=until_ms))
        self.receipts.refresh(NOW_MS)

    def bid(
        self, *slots: dict[str, object], is_sent: bool = True, **fields: object
    ) -> bytes | None:
        """Answers a request of the known person's, and closes its receipt."""
        request = bid_request(*slots, **({"user": {"buyeruid": COOKIE}} | fields))
        answer = self.redis.run(self.path.answer(request, NORTH, NOW_MS))
        if answer.receipt is not None:
            answer.receipt.close(is_sent=is_sent, elapsed_ns=ELAPSED_NS)
        return answer.body

    def count(self, name: str, value: str = "") -> int:
        return self.counters.value(name, value)
