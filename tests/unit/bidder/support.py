"""A small catalogue, persons, requests and an in-memory Redis for the bidder's unit tests."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from hypothesis import settings

from bidder.auction import Terms, terms_of
from bidder.bids import Bid, Decision, Fate, Policy
from bidder.decide import decide
from bidder.openrtb import BidRequest, decode_request
from models.budgets import UNPACED, Allowance
from models.caps import CapLedger, encode_ledger
from models.catalog import Catalog
from models.catalog_records import (
    Advertiser,
    Campaign,
    CatalogRecord,
    Creative,
    Exchange,
    Flight,
    LineState,
    Offer,
    Product,
    Segment,
)
from models.commands import TURN, Command, Steps
from models.dealings import BuyerStats, Intent
from models.forest import erased_in
from models.identifiers import Namespace, NodeId, Pepper
from models.keys import Keys
from models.limits import Cap
from models.profile import Header, Person, encode_header
from models.reservations import Reservation
from models.units import (
    DAY_MS,
    HOUR_MS,
    MICROS,
    AdvertiserId,
    CampaignId,
    CreativeId,
    ExchangeId,
    SegmentId,
)
from runtime.redis_link import RedisDownError, RedisReplyError
from runtime.settings import Settings
from tests.fakes.headers import showing

T = TypeVar("T")

NOW_MS: Final = int(dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC).timestamp()) * 1000
DEPART_DATE: Final = "2026-12-01"
TRIP: Final = f"JFK-LAX/{DEPART_DATE}"
OTHER_TRIP: Final = f"EWR-SFO/{DEPART_DATE}"

SETTINGS: Final = Settings(
    identity_pepper="a pepper for tests",
    notice_secret="a secret for tests",
    public_url="https://bid.kinbid.example",
    cap_exact_margin=4,  # so that both ways to reserve are walked
)
PEPPER: Final = Pepper(SETTINGS.identity_pepper)
KEYS: Final = Keys(SETTINGS.owner)
POLICY: Final = Policy(seat="kinbid", currency="USD", is_secure=True)

AIR: Final = AdvertiserId("airline")
SHOP: Final = AdvertiserId("shop")
SEATS: Final = CampaignId("air-seats")
ITEMS: Final = CampaignId("shop-items")
BRAND: Final = CampaignId("air-brand")
PROSPECT: Final = SegmentId("airline/prospect")
CUSTOMER: Final = SegmentId("airline/customer")
NORTH: Final = Exchange(id=ExchangeId("north"))

COOKIE: Final = "a-browser"


def node(namespace: Namespace, value: str) -> NodeId:
    """A node that is no placeholder."""
    made = PEPPER.node(namespace, value)
    assert made is not None
    return made


NODE: Final = node(Namespace.COOKIE, COOKIE)

thorough: Final = settings(deadline=None, max_examples=100)


def flight(**changes: object) -> Flight:
    """A departure in eleven days with most of its seats left."""
    made = Flight(
        id=f"KB1/{DEPART_DATE}", advertiser=AIR, origin="JFK", destination="LAX",
        depart_date=DEPART_DATE, depart_ms=NOW_MS + 11 * DAY_MS, seats_total=180, seats_left=150,
        fare_micros=199 * MICROS, updated_ms=NOW_MS,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def product(**changes: object) -> Product:
    """An item in stock."""
    made = Product(
        id="sku-1", advertiser=SHOP, title="Kind of Blue", group="jazz", price_micros=12 * MICROS,
        margin_micros=4 * MICROS, stock=3, updated_ms=NOW_MS,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def segment(name: SegmentId, **changes: object) -> Segment:
    """A segment that its name says; the rule is for prospects unless told otherwise."""
    advertiser, _, kind = name.partition("/")
    is_customer = kind == "customer"
    made = Segment(
        id=name, advertiser=AdvertiserId(advertiser), min_orders=int(is_customer),
        max_orders=None if is_customer else 0,
        target_cpa_micros=(20 if is_customer else 12) * MICROS,
        caps=(Cap(8 if is_customer else 5, 86_400),), creative_set=kind,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def creative(name: str, campaign: CampaignId, **changes: object) -> Creative:
    """A creative for all; ``changes`` say what is different."""
    made = Creative(
        id=CreativeId(name), campaign=campaign, sizes=((300, 250), (728, 90)),
        html='<a href="{click_url}">{advertiser}</a>', click_url="https://air.example/",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


SEATS_HTML: Final = '<a href="{click_url}">{origin}-{destination} {fare} {seats_left}</a>'
SEATS_CLICK: Final = "https://air.example/book?trip={trip}"

RECORDS: Final = (
    Advertiser(id=AIR, name="Kinbid Air", domain="air.example", iab_categories=("IAB20-3",)),
    Advertiser(id=SHOP, name="Records & Co", domain="shop.example", iab_categories=("IAB22",)),
    NORTH,
    segment(PROSPECT),
    segment(CUSTOMER),
    segment(SegmentId("shop/prospect")),
    segment(SegmentId("shop/customer")),
    Campaign(id=SEATS, advertiser=AIR, goal="flight", segments=(PROSPECT, CUSTOMER)),
    Campaign(
        id=ITEMS, advertiser=SHOP, goal="product",
        segments=(SegmentId("shop/prospect"), SegmentId("shop/customer")),
    ),
    Campaign(
        id=BRAND, advertiser=AIR, goal="contextual", contextual_cpm_micros=400_000,
        uncapped_contextual=True,
    ),
    creative("seats-prospect", SEATS, creative_set="prospect", html=SEATS_HTML,
             click_url=SEATS_CLICK),
    creative("seats-customer", SEATS, creative_set="customer", html=SEATS_HTML,
             click_url=SEATS_CLICK),
    creative("items", ITEMS, html='<a href="{click_url}">{title} {price}</a>',
             click_url="https://shop.example/{item}"),
    creative("brand", BRAND),
    flight(),
    product(),
)  # fmt: skip


def catalog(*changes: CatalogRecord | Offer | LineState) -> Catalog:
    """The catalogue above; each of ``changes`` replaces the record of its key or is added."""
    made = Catalog()
    for record in (*RECORDS, *changes):
        made.apply(record)
    return made


def searched(trip: str = TRIP, age_ms: int = HOUR_MS, advertiser: str = AIR) -> Intent:
    """A flight search."""
    return Intent(advertiser, trip, NOW_MS - age_ms)


def viewed(item: str = "sku-1", age_ms: int = HOUR_MS, *, in_cart: bool = False) -> Intent:
    """A product view."""
    return Intent(SHOP, item, NOW_MS - age_ms, in_cart=in_cart)


def buyer(order_count: int = 1) -> BuyerStats:
    """Somebody who ordered, the first time half a year ago."""
    first_ms = NOW_MS - 180 * DAY_MS
    return BuyerStats(order_count, order_count - 1, first_ms, NOW_MS - DAY_MS, 250 * MICROS)


def person(
    header: Header | None = None,
    *,
    billed: int = 0,
    reserved: Sequence[Reservation] = (),
    campaign: str = SEATS,
) -> Person:
    """A person who searched a flight, unless ``header`` says otherwise."""
    impressions = {f"billed-{n}": NOW_MS - HOUR_MS + n for n in range(billed)}
    ledger = (
        CapLedger(campaigns={campaign: impressions}, advertisers={AIR: (campaign,)})
        if billed
        else CapLedger()
    )
    known = showing(searches=(searched(),)) if header is None else header
    return Person(NODE, NODE, known, ledger, tuple(reserved))


def imp(**changes: object) -> dict[str, object]:
    """A slot of 300x250."""
    return {"id": "slot-1", "banner": {"format": [{"w": 300, "h": 250}]}} | changes


def body(*slots: dict[str, object], **fields: object) -> bytes:
    """A bid request's JSON."""
    request = {"id": "auction-1", "imp": list(slots or (imp(),)), "at": 1, "cur": ["USD"]} | fields
    return msgspec.json.encode(request)


def bid_request(*slots: dict[str, object], **fields: object) -> BidRequest:
    """A bid request, decoded."""
    return decode_request(body(*slots, **fields))


def terms(
    request: BidRequest | None = None,
    what: Catalog | None = None,
    exchange: Exchange = NORTH,
    policy: Policy = POLICY,
) -> Terms:
    """The terms of a request that is not refused; of a plain one, unless told otherwise."""
    plain = bid_request() if request is None else request
    found = terms_of(plain, exchange, policy, catalog() if what is None else what, NOW_MS)
    assert isinstance(found, Terms), found
    return found


TERMS: Final = terms()


def decision_of(
    request: BidRequest | None = None,
    who: Person | None = None,
    what: Catalog | None = None,
    *,
    policy: Policy = POLICY,
    exchange: Exchange = NORTH,
    fates: list[Fate] | None = None,
    pending: tuple[Reservation, ...] = (),
    excluded: frozenset[str] = frozenset(),
    allowances: Mapping[str, Allowance] = UNPACED,
) -> Decision:
    """What ``decide`` says; a person who searched a flight, one slot, unless told otherwise."""
    return decide(
        bid_request() if request is None else request,
        person() if who is None else who,
        exchange,
        catalog() if what is None else what,
        policy=policy,
        now_ms=NOW_MS,
        pending=pending,
        excluded=excluded,
        fates=fates,
        allowances=allowances,
    )


def the_bid(decision: Decision) -> Bid:
    """The only bid of a decision."""
    (bid,) = decision.bids
    return bid


class MemoryRedis:
    """As much of Redis as the bid path uses, and every command that it was asked.

    Args:
        fail_at: from this step on (0 is the first) every step fails.
        failure: what a failing step raises.
    """

    def __init__(self, fail_at: int | None = None, failure: Exception | None = None) -> None:
        self.parents: dict[str, bytes] = {}
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.steps: list[list[Command]] = []
        self.reserve_replies: list[int] = []
        self._fail_at = fail_at
        self._failure = failure or RedisDownError("gone")

    @property
    def commands(self) -> list[Command]:
        """Every command of every step."""
        return [command for step in self.steps for command in step]

    def named(self, name: str) -> list[Command]:
        """The commands of one name."""
        return [command for command in self.commands if command[0] == name]

    def called(self, function: str) -> list[Command]:
        """The calls of one function."""
        return [command for command in self.named("FCALL") if command[1] == function]

    def put(self, who: Person, **fields: bytes) -> None:
        """Writes a person's bid view."""
        assert who.root is not None
        view = {b"h": encode_header(who.header), b"c": encode_ledger(who.ledger)}
        view |= {name.encode(): value for name, value in fields.items()}
        self.hashes[KEYS.bid_view(who.root)] = view

    def run(self, steps: Steps[T]) -> T:
        """Drives a generator to its end."""
        try:
            commands = next(steps)
            while True:
                if commands is TURN:
                    commands = steps.send([])
                    continue
                self.steps.append(commands)
                if self._fail_at is not None and len(self.steps) > self._fail_at:
                    commands = steps.throw(self._failure)
                else:
                    commands = steps.send([self.reply(command) for command in commands])
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # the generator's result

    def reply(self, command: Command) -> object:
        """The reply to one command."""
        name, *arguments = command
        match name:
            case "MGET":
                return [self.parents.get(str(key)) for key in arguments]
            case "GET":
                return self.parents.get(str(arguments[0]))
            case "HGETALL":
                fields = self.hashes.get(str(arguments[0]), {})
                return [part for pair in fields.items() for part in pair]
            case "HSET":
                key, field, value = arguments
                assert isinstance(field, bytes)
                assert isinstance(value, bytes)
                self.hashes.setdefault(str(key), {})[field] = value
                return 1
            case "HDEL":
                key, field = arguments
                assert isinstance(field, bytes)
                return int(self.hashes.get(str(key), {}).pop(field, None) is not None)
            case "FCALL":
                return (
                    self._hold(arguments)
                    if arguments[0] == "kinbid_v1_hold"
                    else self._reserve(arguments)
                )
            case _:
                raise RedisReplyError(f"ERR unknown command {name!r}")

    def _hold(self, arguments: list[str | bytes | int]) -> bytes:
        parent, view, field, value, oldest_ms, _now_ms = arguments[2:]
        assert isinstance(field, bytes)
        assert isinstance(value, bytes)
        entry = self.parents.get(str(parent), b"")
        if not entry.startswith(b">") and erased_in(entry) < int(oldest_ms):
            self.hashes.setdefault(str(view), {})[field] = value
        return entry

    def _reserve(self, arguments: list[str | bytes | int]) -> int:
        assert arguments[0] == "kinbid_v1_reserve"
        reply = self.reserve_replies.pop(0) if self.reserve_replies else 1
        view, field, value = arguments[3], arguments[5], arguments[6]
        assert isinstance(field, bytes)
        assert isinstance(value, bytes)
        if reply == 1:
            self.hashes.setdefault(str(view), {})[field] = value
        return reply
