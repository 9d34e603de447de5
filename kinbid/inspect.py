"""What is known of a person, and why a request would get the bid that it gets.

The same generators and the same ``decide`` as the live bidder, driven once.
"""

from typing import Any

import msgspec

from bidder.allowed_use import AllowedUse
from bidder.bids import Bid, Fate, Policy
from bidder.caps import cap_room
from bidder.catalog_feed import load_catalog, load_market
from bidder.decide import decide
from bidder.identify import nodes_of
from bidder.lookup import Found, fetch_person, is_exchange_user, through_match
from bidder.openrtb import decode_request
from bidder.path import presence_rule
from bidder.privacy import Privacy
from kinbid.nodes import node_named
from kinbid.person_summary import segments_of
from kinbid.profile_report import profile_report, time_text
from models.call_tags import open_callbacks
from models.card_words import fetch_survivors
from models.catalog import Catalog
from models.catalog_records import Campaign, Segment
from models.commands import Steps
from models.dealings import Intent
from models.errors import UnknownNameError
from models.facets import decode_facet
from models.forest import Settled, erased_in, settle
from models.identifiers import NodeId, namespace_of
from models.keys import Keys
from models.profile import Header, Person, header_of, newest_fields, person_of, shared_devices
from models.touches import CHANNEL_OF
from models.units import SECOND_MS, format_money
from runtime import clock
from runtime.pepper import pepper_of
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["explain_request", "person_report"]

NO_FIELD = b""


async def person_report(settings: Settings, identifier: str) -> dict[str, Any]:
    """A person by any identifier, as ``kinbid person`` prints it.

    Args:
        settings: where Redis and Kafka are.
        identifier: ``cookie:abc``, ``email:...``, ``phone:...``, ``crm:...``, ``ifa:...`` and
            all others of ``docs/identifiers.md``, or a node.

    Raises:
        KinbidError: the identifier cannot be read, or Redis or Kafka cannot be used.
    """
    node = node_named(settings, identifier)
    catalog = await load_catalog(settings)
    settled, found, survivors, erased = await _read(settings, node)
    facet, ledger = person_of(settled)
    header = header_of(facet, shared_devices(settled))
    facets = newest_fields(settled, b"f")
    return {
        "person": settled.root,
        "known": bool(facets) or bool(ledger.campaigns),
        "identifiers": [
            {
                "node": one,
                "namespace": namespace_of(one).name.lower(),
                "shared": one in header.shared,
                "survivor": survivors.get(one),
                "erased": erased.get(one),
            }
            for one in sorted({*settled.members, *facets})
        ],
        "facets": {one: _facet(encoded) for one, encoded in sorted(facets.items())},
        **profile_report(facet, catalog),
        **_dealings(catalog, header),
        "segments": segments_of(catalog, header, clock.now_ms()),
        "caps": _caps(catalog, header, found.person),
        "impressions": ledger.billed_count,
        "spend": format_money(ledger.spend_micros),
    }


def _dealings(catalog: Catalog, header: Header) -> dict[str, Any]:
    """What the bidder sees of the person."""
    dealings = header.dealings.items()
    return {
        "personal_ads": header.personal_ok,
        "searches": [_intent(one) for name, known in dealings for one in known.searches(name)],
        "products": [_intent(one) for name, known in dealings for one in known.products(name)],
        "orders": {
            name: msgspec.structs.asdict(known.buyer) for name, known in dealings if known.buyer
        },
        "call_backs": [
            {"advertiser": owed.advertiser, "call": owed.call_id, "since": time_text(owed.since_ms)}
            for owed in open_callbacks(header.calls, catalog.call_tags, catalog.departments)
        ],
    }


async def _read(
    settings: Settings, node: NodeId
) -> tuple[Settled, Found, dict[NodeId, NodeId], dict[NodeId, str]]:
    """The person, their bid view, their merged cards, and who of them was erased and until when."""
    link = link_to(settings.redis_url, name="kinbid-person")
    await link.connect()
    keys = Keys(settings.owner)

    def whole() -> Steps[tuple[Settled, Found, dict[NodeId, NodeId], dict[NodeId, str]]]:
        settled = yield from settle(keys, node)
        found = yield from fetch_person(keys, [node], clock.now_ms(), NO_FIELD)
        survivors = yield from fetch_survivors(keys, settled.members)
        entries = yield [("GET", keys.parent(one)) for one in settled.members]
        times_ms = zip(settled.members, map(erased_in, entries), strict=True)
        erased = {one: time_text(erased_ms) for one, erased_ms in times_ms if erased_ms}
        return settled, found, survivors, erased

    try:
        return await link.run(whole())
    finally:
        await link.close()


def _facet(encoded: bytes) -> dict[str, Any]:
    facet = decode_facet(encoded)
    channels = {CHANNEL_OF[letter]: time_text(s * 1000) for letter, s in facet.channels.items()}
    return {**msgspec.structs.asdict(facet), "channels": channels}


def _intent(intent: Intent) -> dict[str, Any]:
    return {
        "advertiser": intent.advertiser, "key": intent.key, "seen": time_text(intent.seen_ms),
        "in_cart": intent.in_cart,
    }  # fmt: skip


def _caps(catalog: Catalog, header: Header, person: Person) -> list[dict[str, Any]]:
    rows = []
    mine = segments_of(catalog, header, clock.now_ms())
    for campaign in catalog.campaigns.values():
        segment = next((catalog.segments[s] for s in campaign.segments if s in mine), None)
        if segment is None:
            continue
        advertiser = catalog.advertisers.get(campaign.advertiser)
        if advertiser is None:
            continue
        room = cap_room(
            person, campaign, advertiser, segment,
            reserved=person.reservations, picked=(), now_ms=clock.now_ms(),
        )  # fmt: skip
        rows.append(
            {
                "campaign": campaign.id,
                "segment": segment.id,
                "billed": _billed(person, campaign, segment),
                "reserved": sum(r.campaign == campaign.id for r in person.reservations),
                "limits": [msgspec.structs.asdict(limit) for limit in room.limits],
                "left": [limit.text() for limit in (*room.limits, *room.pressure)],
                "silent": room.lost.reason.value if room.lost else None,
            }
        )
    return rows


def _billed(person: Person, campaign: Campaign, segment: Segment) -> int:
    """The campaign's impressions within the window of the segment's first cap."""
    since_ms = clock.now_ms() - segment.caps[0].window_seconds * SECOND_MS
    billed = person.ledger.of_campaign(campaign.id).values()
    return sum(billed_ms > since_ms for billed_ms in billed)


async def explain_request(settings: Settings, body: bytes, exchange_id: str) -> dict[str, Any]:
    """Why a bid request would be answered as it would be now.

    Args:
        settings: where Redis and Kafka are.
        body: the request's JSON.
        exchange_id: who would send it.

    Raises:
        KinbidError: the request or the exchange cannot be used.
    """
    request = decode_request(body)
    catalog, allowances = await load_market(settings)
    exchange = catalog.exchanges.get(exchange_id)
    if exchange is None:
        raise UnknownNameError("exchange", exchange_id, catalog.exchanges)
    use = Privacy(settings.tcf_vendor).use_of(request)
    nodes = nodes_of(request, exchange_id, pepper_of(settings)) if use.personal else []
    found = await _find(settings, nodes or [])
    fates: list[Fate] = []
    policy = Policy(
        seat=settings.seat,
        currency=settings.currency,
        is_secure=settings.public_url.startswith("https://"),
        private_ratio=presence_rule(settings).private_ratio,
    )
    decision = decide(
        request,
        found.person,
        exchange,
        catalog,
        policy=policy,
        now_ms=clock.now_ms(),
        fates=fates,
        allowances=allowances.of,
    )
    return {
        "request": request.id,
        "exchange": exchange_id,
        "identifiers": nodes or [],
        "privacy": _privacy_text(use, is_crowded=nodes is None),
        "allowed_use": {
            "personal": use.personal,
            "ids": use.ids,
            "precise_geo": use.precise_geo,
            "refusals": [one.value for one in use.refusals],
        },
        "person": found.person.root,
        "person_known": found.is_known,
        "shared_device": found.is_shared,
        "consent_withdrawn": found.withdrawn,
        "presence_ratio": found.person.presence_ratio,
        "reason": decision.reason.value if decision.reason else None,
        "bids": [_bid(bid) for bid in decision.bids],
        "lost": [
            {
                "imp": fate.imp_id,
                "deal": fate.deal_id,
                "campaign": fate.campaign,
                "reason": fate.lost.reason.value,
                "detail": fate.lost.detail,
            }
            for fate in fates
        ],
    }


def _privacy_text(use: AllowedUse, *, is_crowded: bool) -> str:
    if is_crowded:
        return "too_many_identifiers"
    if use.personal:
        return "personal data may be used"
    return ", ".join(one.value for one in use.refusals)


async def _find(settings: Settings, nodes: list[NodeId]) -> Found:
    if not nodes:
        return Found(Person())
    link = link_to(settings.redis_url, name="kinbid-explain")
    await link.connect()
    try:
        rule = presence_rule(settings)
        keys = Keys(settings.owner)
        if is_exchange_user(nodes[0]):
            nodes = await link.run(through_match(keys, nodes))
        return await link.run(fetch_person(keys, nodes, clock.now_ms(), NO_FIELD, rule))
    finally:
        await link.close()


def _bid(bid: Bid) -> dict[str, Any]:
    factors = msgspec.structs.asdict(bid.factors) if bid.factors else {}
    if bid.factors:
        factors["target_cpa_micros"] = format_money(bid.factors.target_cpa_micros)
    return {
        "imp": bid.imp_id,
        "deal": bid.deal_id,
        "campaign": bid.campaign.id,
        "creative": bid.creative.id,
        "segment": bid.segment.id if bid.segment else None,
        "offer": bid.offer.id if bid.offer else None,
        "format": bid.creative.format,
        "size": f"{bid.fitted.width}x{bid.fitted.height}",
        "factors": factors,
        "limits": [limit.text() for limit in (*bid.limits, *bid.pressure)],
        "value_cpm": format_money(bid.value_cpm_micros),
        "floor_cpm": format_money(bid.floor_cpm_micros),
        "bid_cpm": format_money(bid.bid_cpm_micros),
    }
