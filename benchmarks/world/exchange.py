"""The simulated exchanges: OpenRTB 2.6 requests out, bids in, first-price auctions, notices.

Source of the fields: IAB OpenRTB 2.6. An exchange knows raw identifiers only; what becomes of
them is the bidder's business.
"""

from typing import Final

import msgspec

from benchmarks.world.actions import Canary, Opportunity
from benchmarks.world.answers import check_answer
from benchmarks.world.devices import BROWSER, EID_SOURCE, Device
from benchmarks.world.imps import imp_part
from models.catalog_records import AdFormat
from models.units import MICROS, CampaignId, ExchangeId

__all__ = [
    "TMAX_MS",
    "Auction",
    "Bid",
    "bid_path",
    "bid_request",
    "canary_request",
    "read_bid",
    "settle",
    "with_price",
]

TMAX_MS: Final = 120
"""What a request says; an answer that comes later has lost."""

IMP_ID: Final = "1"
PRICE_MACRO: Final = "${AUCTION_PRICE}"

_encode: Final = msgspec.json.Encoder().encode


class Bid(msgspec.Struct, frozen=True):
    """A bid as it came in; only what the exchange and the referee read.

    Attributes:
        cid: the campaign.
        price: CPM in ``cur``, a decimal number.
        adm: the markup.
        mtype: its format.
    """

    id: str
    impid: str
    price: float
    adm: str = ""
    nurl: str = ""
    burl: str = ""
    mtype: int = 0
    cid: CampaignId = CampaignId("")
    crid: str = ""

    @property
    def bid_cpm_micros(self) -> int:
        """The price in micros."""
        return round(self.price * MICROS)


class _SeatBid(msgspec.Struct, frozen=True):
    bid: list[Bid] = []


class _Response(msgspec.Struct, frozen=True):
    id: str
    seatbid: list[_SeatBid] = []


class Auction(msgspec.Struct, frozen=True):
    """How a slot was sold: to ``winner`` at its own bid, or, with None, to a rival."""

    winner: Bid | None
    place: int = -1
    """Which of the slot's exchanges we won at."""


_decode_response: Final = msgspec.json.Decoder(_Response).decode


def bid_path(exchange: ExchangeId) -> str:
    """Where an exchange sends its requests."""
    return f"/openrtb2/{exchange}/bid"


def bid_request(slot: Opportunity, device: Device, place: int) -> tuple[str, bytes]:
    """The id and body of the request that one of the slot's exchanges sends.

    Args:
        slot: what is for sale.
        device: on which.
        place: which of the slot's exchanges.
    """
    request_id = f"{slot.request_id}-{slot.exchanges[place]}"
    seen: dict[str, object] = {"ua": device.user_agent, "ip": device.ip, "geo": {"country": "USA"}}
    wanted: dict[str, object] = {slot.format: imp_part(slot.format, slot.sizes)}
    body: dict[str, object] = _frame(request_id, wanted, slot.floor_cpm_micros)
    body["device"] = seen
    if slot.surface == "app":
        body["app"] = {"id": "app-1", "name": "Daily", "bundle": "com.example.daily"}
        seen["ifa"] = device.ifa
        return request_id, _encode(body)
    body["site"] = {"id": "site-1", "domain": "news.example", "page": "https://news.example/today"}
    user: dict[str, object] = {"buyeruid": device.cookie}
    if device.eid is not None:
        user["eids"] = [{"source": EID_SOURCE, "uids": [{"id": device.eid, "atype": BROWSER}]}]
    body["user"] = user
    return request_id, _encode(body)


def canary_request(canary: Canary, poll: int) -> tuple[str, bytes]:
    """The id and body of a probe's request number ``poll``: any size, no floor."""
    request_id = f"{canary.event.event_id}-{poll}"
    sizes = ((300, 250), (728, 90), (320, 50), (300, 600))
    body = _frame(request_id, {"banner": imp_part("banner", sizes)}, 0)
    body["device"] = {"ua": "Mozilla/5.0", "ip": "198.18.0.1", "geo": {"country": "USA"}}
    body["site"] = {"id": "site-1", "domain": "news.example", "page": "https://news.example/today"}
    body["user"] = {"buyeruid": canary.cookie}
    return request_id, _encode(body)


def _frame(request_id: str, wanted: dict[str, object], floor_cpm_micros: int) -> dict[str, object]:
    imp: dict[str, object] = {
        "id": IMP_ID,
        "bidfloor": floor_cpm_micros / MICROS,
        "bidfloorcur": "USD",
        "secure": 0,
    }
    imp.update(wanted)
    return {"id": request_id, "imp": [imp], "at": 1, "tmax": TMAX_MS, "cur": ["USD"]}


def read_bid(body: bytes, request_id: str, wanted: AdFormat = "banner") -> Bid | None:
    """The best valid bid of a response; None for a no-bid with body.

    Args:
        body: of the response.
        request_id: that it has to answer.
        wanted: the format of the slot.

    Raises:
        ValueError: not a bid response, one to another request or slot, or markup of another
            format or without what the slot requires.
    """
    response = _decode_response(body)
    if response.id != request_id:
        raise ValueError(f"the response answers {response.id!r}, not {request_id!r}")
    bids = [bid for seat in response.seatbid for bid in seat.bid]
    for bid in bids:
        if bid.impid != IMP_ID or not bid.price > 0:
            raise ValueError(f"bid {bid.id!r}: impid {bid.impid!r}, price {bid.price!r}")
        check_answer(bid.adm, bid.mtype, wanted)
    return max(bids, key=lambda bid: bid.price, default=None)


def settle(slot: Opportunity, bids: tuple[Bid | None, ...]) -> Auction:
    """Sells a slot: each exchange takes its highest bid, the page the highest of the exchanges.

    First price: the winner pays its own bid. Bids below the floor do not count; a tie goes to the
    rival.

    Args:
        slot: what is for sale.
        bids: ours, in the order of the slot's exchanges; None where there is none.
    """
    best_rival = max(slot.rival_cpm_micros)
    offered = [
        (bid.bid_cpm_micros, place)
        for place, bid in enumerate(bids)
        if bid is not None and bid.bid_cpm_micros >= slot.floor_cpm_micros
    ]
    bid_cpm_micros, place = max(offered, default=(0, -1))
    if bid_cpm_micros <= best_rival:
        return Auction(None)
    return Auction(bids[place], place)


def with_price(url: str, bid: Bid) -> str:
    """A notice's address with the clearing price, CPM, in place of the macro."""
    return url.replace(PRICE_MACRO, f"{bid.price:.6f}".rstrip("0").rstrip("."))
