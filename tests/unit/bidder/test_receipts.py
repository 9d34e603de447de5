"""Receipts: which are kept, what they hold and do not, and that decisions can be made again."""

import inspect
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.bids import Loss
from bidder.decide import decide
from bidder.identify import MAX_NODES
from bidder.metrics import Counters, open_memory
from bidder.openrtb import BidRequest, User
from bidder.path import MOST_ROUNDS
from bidder.receipts import Recomputed, keeper, recompute
from bidder.receipts.inputs import LEFT_OUT, Inputs
from bidder.receipts.keeper import MOST_FAULTS_PER_REFRESH, MOST_FULL_PER_REFRESH, threshold
from bidder.receipts.redact import REMOVED, SOMEBODY
from models.calls import ToldCall
from models.catalog import Catalog
from models.catalog_records import Campaign, Rates
from models.commands import Command
from models.header import Header
from models.identifiers import Namespace, NodeId
from models.nonces import parse_nonce
from models.profile import Person
from models.receipts import LONGEST_AUCTION, Receipt
from models.units import CampaignId, CreativeId
from models.watches import WatchTarget
from tests.unit.bidder.receipt_support import CODE, ELAPSED_NS, Case
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    COOKIE,
    NODE,
    NORTH,
    NOW_MS,
    SEATS,
    SETTINGS,
    bid_request,
    catalog,
    creative,
    imp,
    node,
    person,
)
from tests.unit.bidder.test_decide_targeting import markets, requests, visitors

SECRET = SETTINGS.notice_secret
REFUSED: dict[str, Any] = {"regs": {"coppa": 1}}


def again(receipt: Receipt) -> Recomputed:
    return recompute(receipt, SECRET)


# -- recomputed ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests, visitors(), markets(), st.sets(st.sampled_from([SEATS, BRAND]), max_size=1),
    st.booleans(), st.integers(0, 40),
)  # fmt: skip
def test_any_decision_made_again_from_its_receipt_is_equal_to_the_byte(
    request: BidRequest,
    who: Person,
    what: Catalog,
    paused: set[CampaignId],
    knows_person: bool,
    others: int,
) -> None:
    for name in paused:
        what.apply(msgspec.structs.replace(what.campaigns[name], is_active=False))
    for number in range(others):  # above 32 campaigns, a receipt has only those that were tried
        name = CampaignId(f"other-{number:02}")
        what.apply(Campaign(
            id=name, advertiser=AIR, goal="contextual", uncapped_contextual=True,
            contextual_cpm_micros=100_000 * number,
        ))  # fmt: skip
        if number % 2:
            what.apply(creative(f"of-{name}", name))
    user = User(buyeruid=COOKIE) if knows_person else None
    with open_memory() as memory:
        case = Case(Counters(memory.fileno()), who, what)
        steps = case.path.answer(msgspec.structs.replace(request, user=user), NORTH, NOW_MS)
        answer = case.redis.run(steps)
        assert answer.receipt is not None
        answer.receipt.close(is_sent=True, elapsed_ns=1)
        receipt = case.outbox.only
    found = again(receipt)
    assert found.differences == ()
    assert found.body == answer.body
    assert (answer.body is None) == (receipt.outcome == "no_bid")


def test_a_receipt_lists_what_decide_takes_whichever_that_is() -> None:
    """A new argument is kept from its first day; older receipts have its default."""
    parameters = inspect.signature(decide).parameters
    assert set(Inputs.__struct_fields__) == set(parameters) - LEFT_OUT
    assert set(parameters) >= LEFT_OUT


def test_a_decision_that_another_program_would_make_otherwise_is_told_with_the_difference(
    counters: Counters,
) -> None:
    case = Case(counters)
    case.bid()
    receipt = case.outbox.only
    dearer = ({**receipt.bids[0], "bid_cpm_micros": 1},)
    found = again(msgspec.structs.replace(receipt, bids=dearer, body="{}"))
    assert not found.is_equal
    (difference,) = found.differences
    assert difference.startswith("slot slot-1: bid_cpm_micros: 1 then, ")
    body = (receipt.body or "").replace("300", "301")
    (difference,) = again(msgspec.structs.replace(receipt, body=body)).differences
    assert difference.startswith("the answer from character ")
    other = recompute(receipt, "another secret")
    assert not other.is_equal
    assert "KINBID_NOTICE_SECRET" in other.differences[0]


def test_pending_reservations_and_refused_campaigns_are_inputs_too(counters: Counters) -> None:
    case = Case(counters)
    case.bid()
    case.bid()  # sees the reservation of the first
    case.redis.reserve_replies = [0]
    case.redis.put(person(billed=2))
    case.bid()  # is refused its place
    first, second, third = case.outbox.receipts
    assert [again(one).differences for one in (first, second, third)] == [(), (), ()]
    assert len(again(second).arguments["pending"]) == 1
    assert again(third).arguments["excluded"] == {SEATS}
    assert third.bids[0]["campaign"] == BRAND


def test_what_a_bid_sets_aside_of_a_budget_does_not_change_its_own_receipt(
    counters: Counters,
) -> None:
    what = catalog()
    what.apply(msgspec.structs.replace(what.campaigns[SEATS], daily_budget_micros=2_000_000))
    case = Case(counters, what=what)
    case.path.allowances.set_budget(what.campaigns[SEATS])
    case.path.allowances.is_current = True
    case.path.allowances.set_budget(what.campaigns[SEATS])
    before_micros = case.path.allowances.of[SEATS].left_micros
    for _ in range(3):
        case.bid()
    receipts = case.outbox.receipts
    assert [again(one).differences for one in receipts] == [()] * 3
    left = [again(one).arguments["allowances"][SEATS].left_micros for one in receipts]
    assert before_micros == left[0] > left[1] > left[2]


def paused(what: Catalog) -> None:
    what.apply(msgspec.structs.replace(what.campaigns[SEATS], is_active=False))


def cheaper(what: Catalog) -> None:
    segment = what.segments["airline/prospect"]
    what.apply(msgspec.structs.replace(segment, target_cpa_micros=1_000_000))


def moved(what: Catalog) -> None:
    what.apply(msgspec.structs.replace(what.advertisers[AIR], domain="moved.example"))


def dearer(what: Catalog) -> None:
    rates = Rates(base="USD", date="2026-11-20", units={"EUR": Decimal("1.5")})
    what.apply(rates)


@pytest.mark.parametrize("change", [paused, cheaper, moved, dearer])
@pytest.mark.parametrize("command", ["MGET", "FCALL"])
def test_a_catalogue_that_changes_while_redis_is_waited_for_changes_no_receipt(
    counters: Counters, change: Callable[[Catalog], None], command: str
) -> None:
    """The terms are from before the person is read, the decision from before its place is held."""
    case = Case(counters, person(billed=2))  # near the cap
    case.catalog.apply(Rates(base="USD", date="2026-11-20", units={"EUR": Decimal("0.9")}))
    reply = case.redis.reply

    def changing(asked: Command) -> object:
        if asked[0] == command:
            change(case.catalog)
        return reply(asked)

    case.redis.reply = changing  # type: ignore[method-assign,assignment]
    answer = case.bid(cur=["EUR"])
    assert case.redis.named("FCALL") or change is paused
    found = again(case.outbox.only)
    assert found.differences == ()
    assert found.body == answer


def test_runners_up_are_told_with_the_reason_for_which_each_lost(counters: Counters) -> None:
    case = Case(counters)
    case.bid()
    receipt = case.outbox.only
    assert receipt.others == (BRAND,)
    lost = {fate.campaign: fate.lost.reason for fate in again(receipt).fates}
    assert lost[BRAND] is Loss.OUTBID


# -- what is kept ----------------------------------------------------------------------------------


def test_a_summary_says_what_and_why_in_less_than_a_kilobyte(counters: Counters) -> None:
    case = Case(counters, full_percent=0)
    case.catalog.as_of |= {"catalog.v1": 40, "offers.v1": 1_000_000}
    case.bid()
    (value,) = case.outbox.values
    assert len(value) < 1_000
    receipt = case.outbox.only
    assert (receipt.outcome, receipt.why, receipt.exchange) == ("bid", "sample", "north")
    assert (receipt.auction, receipt.code) == ("auction-1", CODE)
    assert (receipt.time_ms, receipt.elapsed_us) == (NOW_MS, 250)
    assert receipt.catalog == {"catalog.v1": 40, "offers.v1": 1_000_000}
    assert receipt.person is not None
    assert (receipt.person.node, receipt.person.version) == (NODE, "17")
    (bid,) = receipt.bids
    assert (bid["campaign"], bid["segment"]) == (SEATS, "airline/prospect")
    assert bid["factors"]["target_cpa_micros"] == 12_000_000
    assert not receipt.is_full
    assert case.count("bidder_receipts", "summary") == 1


def test_a_bids_name_is_its_receipts_and_tells_worker_and_second(counters: Counters) -> None:
    case = Case(counters)
    answer = json.loads(case.bid(imp(), imp(id="slot-2")) or b"")
    names = {bid["id"] for bid in answer["seatbid"][0]["bid"]}
    receipt = case.outbox.only
    assert len(names) == 2
    assert receipt.names == names
    told = parse_nonce(receipt.id)
    assert told is not None
    assert (told.worker, told.second_ms) == (case.path.worker, NOW_MS)


def test_a_no_bid_has_a_receipt_with_a_name_of_its_own(counters: Counters) -> None:
    case = Case(counters)
    case.bid(bcat=["IAB20-3", "IAB22"])
    case.bid(wseat=["another"])
    blocked, seat = case.outbox.receipts
    assert (blocked.outcome, blocked.reason, blocked.bids) == ("no_bid", "no_campaign", ())
    assert (seat.outcome, seat.reason) == ("no_bid", "seat_blocked")
    assert blocked.id != seat.id
    assert parse_nonce(blocked.id) is not None
    assert again(blocked).differences == again(seat).differences == ()


def test_an_answer_that_came_too_late_is_told_as_late(counters: Counters) -> None:
    case = Case(counters)
    case.bid(is_sent=False)
    assert case.outbox.only.outcome == "late"


def test_the_sample_follows_from_the_auctions_id_alone(counters: Counters) -> None:
    kept = []
    for _ in range(2):
        case = Case(counters, sample_percent=10, full_percent=0)
        for number in range(300):
            case.bid(id=f"auction-{number}")
        kept.append({receipt.auction for receipt in case.outbox.receipts})
    assert kept[0] == kept[1]
    assert 10 < len(kept[0]) < 60


def test_more_of_the_sample_holds_all_of_less() -> None:
    assert threshold(0) == 0
    assert threshold(100) == 1 << 32
    assert threshold(1) < threshold(1.5)


def test_without_a_sample_and_without_a_watch_nothing_is_kept(counters: Counters) -> None:
    case = Case(counters, sample_percent=0, full_percent=0)
    case.bid()
    assert case.outbox.values == []


@pytest.mark.parametrize(
    ("target", "name", "other"),
    [
        ("exchange", "north", "south"),
        ("campaign", BRAND, "air-nothing"),
        ("campaign", SEATS, "air-nothing"),
        ("person", NODE, "b" * 23),
    ],
)
def test_what_is_watched_is_kept_in_full_until_the_watch_is_over(
    counters: Counters, target: WatchTarget, name: str, other: str
) -> None:
    case = Case(counters, sample_percent=0, full_percent=0)
    case.watch(target, other)
    case.bid()
    assert case.outbox.values == []
    case.watch(target, name)
    case.bid()
    receipt = case.outbox.only
    assert receipt.why == "watch"
    assert again(receipt).is_equal
    case.receipts.refresh(NOW_MS + 1)
    case.bid()
    assert len(case.outbox.values) == 1


def test_of_a_watched_campaign_the_sample_tells_why_it_was_not_tried(counters: Counters) -> None:
    what = catalog()
    for number in range(40):  # more than a receipt has all of
        name = CampaignId(f"other-{number:02}")
        what.apply(Campaign(id=name, advertiser=AIR, goal="contextual", uncapped_contextual=True,
                            contextual_cpm_micros=1))  # fmt: skip
    case = Case(counters, what=what, full_percent=0)
    case.watch("campaign", "shop-items")
    case.bid()
    lost = {fate.campaign: fate.lost.reason for fate in again(case.outbox.only).fates}
    assert lost["shop-items"] is Loss.NO_SEGMENT or lost["shop-items"] is Loss.NO_INTENT
    assert "other-00" not in lost


def test_of_what_is_watched_a_no_bid_that_nobody_decided_is_told_too(counters: Counters) -> None:
    case = Case(counters, sample_percent=0, full_percent=0)
    request = bid_request(user={"buyeruid": "somebody-else"})
    case.path.note_late(request, NORTH, NOW_MS)
    assert case.outbox.values == []
    case.watch("exchange", "north")
    answer = case.redis.run(case.path.answer(request, NORTH, NOW_MS, known_only=True))
    assert answer.receipt is not None
    answer.receipt.close(is_sent=True, elapsed_ns=ELAPSED_NS)
    case.path.note_late(request, NORTH, NOW_MS)
    shed, late = case.outbox.receipts
    assert (shed.outcome, shed.reason, shed.is_full) == ("no_bid", "overload", False)
    assert (late.outcome, late.reason, late.is_full) == ("late", "late", False)
    assert shed.why == late.why == "watch"


def all_refused(counters: Counters, *, sample_percent: float) -> Case:
    """Each place under a cap is refused, though another campaign asks each time."""
    what = catalog()
    for number in range(MOST_ROUNDS):
        name = CampaignId(f"{SEATS}-{number}")
        what.apply(msgspec.structs.replace(what.campaigns[SEATS], id=name))
        for one in what.creatives[SEATS]:
            renamed = CreativeId(f"{one.id}-{number}")
            what.apply(msgspec.structs.replace(one, id=renamed, campaign=name))
    always = msgspec.structs.replace(SETTINGS, cap_exact_margin=1_000)
    case = Case(counters, what=what, settings=always, sample_percent=sample_percent, full_percent=0)
    case.redis.reserve_replies = [0] * MOST_ROUNDS
    return case


@pytest.mark.parametrize(("target", "name"), [("person", NODE), ("campaign", SEATS)])
def test_what_is_watched_is_kept_although_the_bid_was_for_nobody_in_the_end(
    counters: Counters, target: WatchTarget, name: str
) -> None:
    """What is decided last knows no person, and tries none of their campaigns."""
    case = all_refused(counters, sample_percent=0)
    case.watch(target, name)
    case.bid()
    receipt = case.outbox.only
    assert receipt.is_full
    assert SEATS in receipt.others
    assert again(receipt).differences == ()
    assert len(again(receipt).arguments["excluded"]) == MOST_ROUNDS
    assert again(receipt).arguments["person"] == Person()


def nodes(count: int) -> dict[str, Any]:
    uids = [{"source": "id.example", "uids": [{"id": f"number-{n}"}]} for n in range(count)]
    return {"user": {"eids": uids}}


@pytest.mark.parametrize(
    ("fields", "failing_step", "absent"),
    [
        ({"user": {}}, None, "no_identifier"),
        (nodes(MAX_NODES + 1), None, "crowded"),
        ({}, 0, "redis"),
        ({}, 2, "caps_unchecked"),
        ({}, None, ""),
        (REFUSED, None, ""),
    ],
)
def test_a_receipt_tells_why_a_bid_was_for_nobody(
    counters: Counters, fields: dict[str, Any], failing_step: int | None, absent: str
) -> None:
    case = Case(counters, person(billed=2), full_percent=0)
    case.redis._fail_at = failing_step
    case.bid(**fields)
    receipt = case.outbox.only
    assert receipt.person is not None
    assert receipt.person.absent == absent


def test_a_receipt_tells_that_every_place_under_a_cap_was_refused(counters: Counters) -> None:
    case = all_refused(counters, sample_percent=100)
    case.bid()
    receipt = case.outbox.only
    assert receipt.person is not None
    assert receipt.person.absent == "caps"


def test_of_a_watched_campaign_that_was_not_tried_the_budget_is_an_input(
    counters: Counters,
) -> None:
    what = catalog()
    for number in range(40):  # more than a receipt has all of
        name = CampaignId(f"other-{number:02}")
        what.apply(Campaign(id=name, advertiser=AIR, goal="contextual", uncapped_contextual=True,
                            contextual_cpm_micros=1))  # fmt: skip
    case = Case(counters, what=what, full_percent=0)
    untried = msgspec.structs.replace(what.campaigns[CampaignId("shop-items")],
                                      daily_budget_micros=1_000_000)  # fmt: skip
    what.apply(untried)
    case.path.allowances.set_budget(untried)
    case.watch("campaign", untried.id)
    case.bid()
    receipt = case.outbox.only
    assert untried.id not in receipt.others
    assert set(again(receipt).arguments["allowances"]) == {untried.id}


def test_faults_are_limited_in_number(counters: Counters) -> None:
    """What always fails would fill the topic, a third of a kilobyte a request."""
    case = Case(counters)
    for _ in range(MOST_FAULTS_PER_REFRESH + 2):
        case.path.note_fault(bid_request(), NORTH, NOW_MS, ValueError())
    assert case.count("bidder_receipts", "fault") == MOST_FAULTS_PER_REFRESH
    assert case.count("bidder_receipts_dropped", "rate") == 2
    case.receipts.refresh(NOW_MS)
    case.path.note_fault(bid_request(), NORTH, NOW_MS, ValueError())
    assert case.count("bidder_receipts", "fault") == MOST_FAULTS_PER_REFRESH + 1


def test_full_receipts_are_limited_in_number_and_become_summaries_of_the_sample(
    counters: Counters,
) -> None:
    case = Case(counters)
    for _ in range(MOST_FULL_PER_REFRESH + 2):
        case.bid()
    assert case.count("bidder_receipts", "full") == MOST_FULL_PER_REFRESH
    assert case.count("bidder_receipts", "summary") == 2
    assert case.count("bidder_receipts_dropped", "rate") == 2
    case.receipts.refresh(NOW_MS)
    case.bid()
    assert case.count("bidder_receipts", "full") == MOST_FULL_PER_REFRESH + 1


def test_a_fault_is_always_kept_with_its_place_and_without_its_words(counters: Counters) -> None:
    case = Case(counters, sample_percent=0, full_percent=0)
    with pytest.raises(ValueError, match=COOKIE) as raised:
        int(COOKIE)
    case.path.note_fault(bid_request(), NORTH, NOW_MS, raised.value)
    receipt = case.outbox.only
    assert (receipt.outcome, receipt.why) == ("fault", "fault")
    assert receipt.reason is not None
    assert receipt.reason.startswith("ValueError test_receipts.py:")
    assert COOKIE.encode() not in case.outbox.values[0]


def test_a_receipt_that_cannot_be_written_harms_no_bid(
    counters: Counters, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> NoReturn:
        raise OverflowError

    monkeypatch.setattr(keeper, "full_of", broken)
    assert Case(counters).bid() is not None
    assert counters.value("bidder_receipts_dropped", "failed") == 1
    assert "receipt_failed" in caplog.text
    caplog.clear()


def test_a_receipt_that_kafka_would_not_take_is_kept_as_a_summary(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LARGEST_BYTES", 2_000)
    case = Case(counters)
    case.bid()
    assert not case.outbox.only.is_full
    assert case.count("bidder_receipts_dropped", "size") == 1
    assert case.count("bidder_receipts", "summary") == 1


def test_an_auction_id_of_any_length_makes_a_small_receipt(counters: Counters) -> None:
    case = Case(counters, full_percent=0)
    case.bid(id="x" * 100_000)
    assert len(case.outbox.only.auction) <= LONGEST_AUCTION
    assert len(case.outbox.values[0]) < 1_000


# -- what is not kept ------------------------------------------------------------------------------


MARKED = "mark3d"
MARKED_REQUEST: dict[str, Any] = {
    "user": {
        "id": f"{MARKED}-user", "buyeruid": f"{MARKED}-cookie", "consent": f"{MARKED}-consent",
        "eids": [{"source": "id.example", "uids": [{"id": f"{MARKED}-eid", "atype": 3}]}],
        "ext": {"eids": [{"source": "x.example", "uids": [{"id": f"{MARKED}-old"}]}],
                "consent": f"{MARKED}-consent-ext"},
        "keywords": MARKED, "data": [{"id": MARKED}],
    },
    "device": {
        "ifa": f"{MARKED}-ifa", "ip": f"{MARKED}-ip", "ipv6": f"{MARKED}-ip6", "ua": f"{MARKED}-ua",
        "didsha1": MARKED, "dpidmd5": MARKED, "lmt": 0, "dnt": 0, "devicetype": 4,
        "geo": {"country": "USA", "lat": 1.5, "zip": MARKED},
    },
    "regs": {"us_privacy": "1YNN", "gpp": "", "ext": {"us_privacy": "1YNN"}},
    "site": {"page": f"https://news.example/{MARKED}?email={MARKED}", "ref": MARKED},
}  # fmt: skip


@pytest.mark.parametrize("full_percent", [0, 100])
def test_no_identifier_in_clear_is_in_a_receipt(counters: Counters, full_percent: float) -> None:
    """P: identifiers appear as hashed nodes only; addresses and consent strings never."""
    who = person(
        Header(
            shared=(NodeId("c" * 23),), sign_ins=((NodeId("d" * 23), NOW_MS),),
            calls=(ToldCall("call-1", NOW_MS, NOW_MS, AIR, number="+12125550100"),),
        )
    )  # fmt: skip
    case = Case(counters, who, full_percent=full_percent)
    cookie = MARKED_REQUEST["user"]["buyeruid"]
    case.redis.parents[case.path._keys.parent(node(Namespace.COOKIE, str(cookie)))] = (
        f">{NODE}".encode()
    )
    case.bid(**MARKED_REQUEST)
    receipt = case.outbox.only
    value = case.outbox.values[0]
    for secret in (MARKED, "+12125550100", "c" * 23, "d" * 23, "1YNN"):
        assert secret.encode() not in value
    if full_percent:
        assert again(receipt).is_equal


def test_where_personal_use_is_refused_there_is_no_node(counters: Counters) -> None:
    case = Case(counters)
    case.bid(**REFUSED)
    receipt = case.outbox.only
    assert receipt.use is not None
    assert (receipt.use.personal, receipt.use.refusals) == (False, ("coppa",))
    assert receipt.person is not None
    assert receipt.person.node is None
    assert NODE.encode() not in case.outbox.values[0]
    assert again(receipt).is_equal


def test_where_identifiers_may_not_be_kept_somebody_stands_in_place_of_the_node(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(counters)
    real = case.path.privacy.use_of
    monkeypatch.setattr(
        case.path.privacy, "use_of", lambda r: msgspec.structs.replace(real(r), ids=False)
    )
    case.bid()
    receipt = case.outbox.only
    assert receipt.person is not None
    assert receipt.person.node is None
    assert NODE.encode() not in case.outbox.values[0]
    found = again(receipt)
    assert found.is_equal
    assert found.arguments["person"].root == SOMEBODY
    assert found.bids[0]["campaign"] == SEATS


KEPT_TEXTS = {
    "App.bundle", "App.domain", "App.keywords", "App.kwarray", "Audio.mimes", "Audio.podid",
    "Banner.mimes", "BidRequest.acat", "BidRequest.badv", "BidRequest.bapp", "BidRequest.bcat",
    "BidRequest.bseat", "BidRequest.cur", "BidRequest.id", "BidRequest.wlang", "BidRequest.wlangb",
    "BidRequest.wseat", "BrandVersion.brand", "Deal.bidfloorcur",
    "Deal.id", "Deal.wadomain", "Deal.wseat", "Device.os", "Device.ua", "Dooh.domain",
    "Dooh.keywords", "Dooh.kwarray", "Dsa.dsarequired", "Dsa.pubrender",
    "Geo.country", "Geo.region", "Imp.bidfloorcur",
    "Imp.displaymanager", "Imp.id", "Imp.tagid", "ImpExt.gpid", "Native.request", "Native.ver",
    "Publisher.id", "Site.domain", "Site.keywords", "Site.kwarray", "Site.page", "SupplyNode.asi",
    "SupplyNode.sid", "Video.mimes", "Video.podid",
}  # fmt: skip
"""Fields with texts that receipts keep: none says who somebody is; of a page its site alone, and
user agents of crawlers alone, are kept."""


def test_each_text_of_a_request_is_known_to_be_harmless_or_is_left_out() -> None:
    """Whoever adds a field decides: into ``REMOVED``, or into the list above."""
    assert set(_texts(BidRequest)) == KEPT_TEXTS


def _texts(struct: type[msgspec.Struct]) -> Iterator[str]:
    removed = REMOVED.get(struct, ())
    for field in msgspec.structs.fields(struct):
        if field.name not in removed:
            yield from _texts_of(msgspec.inspect.type_info(field.type), struct, field.name)


def _texts_of(kind: msgspec.inspect.Type, struct: type, name: str) -> Iterator[str]:
    match kind:
        case msgspec.inspect.Metadata():
            yield from _texts_of(kind.type, struct, name)
        case msgspec.inspect.UnionType():
            for one in kind.types:
                yield from _texts_of(one, struct, name)
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            yield from _texts_of(kind.item_type, struct, name)
        case msgspec.inspect.StructType():
            yield from _texts(kind.cls)
        case msgspec.inspect.StrType() | msgspec.inspect.AnyType() | msgspec.inspect.RawType():
            yield f"{struct.__name__}.{name}"
        case _:
            return


CARRIED = {
    "advertisers", "exchanges", "segments", "campaigns", "creatives", "flights", "products",
    "call_tags", "departments", "lines", "rates", "deals", "index", "as_of",
    "board",
}  # fmt: skip


def test_each_part_of_the_catalogue_that_decide_may_read_is_in_a_receipt() -> None:
    """Whoever adds one adds it to ``records_behind`` too, and here."""
    assert {name for name in vars(Catalog()) if not name.startswith("_")} == CARRIED
