"""The bid path as one generator, driven by hand; every failure in its declared mode."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from bidder.allowed_use import Refusal
from bidder.billing_delays import ENOUGH
from bidder.identify import MAX_NODES
from bidder.metrics import Counters
from bidder.path import BURST_MS, Answer, BidPath
from models.catalog import Catalog
from models.catalog_records import Campaign, Exchange, Rates
from models.fold_clock import USUAL_MS
from models.identifiers import Namespace, eid, scoped
from models.limits import Cap, Limit
from models.notices import NoticeSigner, NoticeToken
from models.profile import Person
from models.reservations import Reservation, decode_reservations, encode_reservations
from models.spend_records import FoldMark
from models.topics import Topics
from runtime.redis_link import RedisDownError, RedisReplyError
from runtime.settings import Settings
from tests.fakes.answers import creative_of
from tests.fakes.consent_strings import Restricted, Told, gpp_string, tc_string, us_section
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    COOKIE,
    ITEMS,
    KEYS,
    NODE,
    NORTH,
    NOW_MS,
    PROSPECT,
    SEATS,
    SETTINGS,
    MemoryRedis,
    bid_request,
    catalog,
    creative,
    imp,
    node,
    person,
    searched,
    segment,
    viewed,
)

ME: dict[str, object] = {"buyeruid": COOKIE}
VENDOR = 712
IN_EUROPE = msgspec.structs.replace(SETTINGS, tcf_vendor_id=VENDOR, tcf_features="1,2")
SOME_DEVICE = "8f5a3b6c-1d2e-4f60-8123-456789abcdef"
LAST_IMPRESSION = catalog(segment(PROSPECT, caps=(Cap(1, 86_400),)))
LOOKED_AT_BOTH = showing(searches=(searched(),), products=(viewed(),))


class Case:
    """A bid path, its counters and a Redis that knows one person."""

    def __init__(
        self,
        counters: Counters,
        who: Person | None = None,
        what: Catalog | None = None,
        exchange: Exchange = NORTH,
        settings: Settings = SETTINGS,
    ) -> None:
        self.counters = counters
        self.exchange = exchange
        self.redis = MemoryRedis()
        self.who = person() if who is None else who
        self.redis.put(self.who)
        self.path = BidPath(settings, what or catalog(), counters)

    def answer(self, *slots: dict[str, object], **fields: object) -> Answer:
        request = bid_request(*slots, **({"user": ME} | fields))
        return self.redis.run(self.path.answer(request, self.exchange, NOW_MS))

    def count(self, name: str, value: str = "") -> int:
        return self.counters.value(f"bidder_{name}", value)


def bids_of(answer: Answer) -> list[dict[str, Any]]:
    if answer.body is None:
        return []
    (seatbid,) = json.loads(answer.body)["seatbid"]
    bids: list[dict[str, Any]] = seatbid["bid"]
    return bids


def campaigns(answer: Answer) -> list[str]:
    return [bid["cid"] for bid in bids_of(answer)]


def token_of(bid: dict[str, Any]) -> NoticeToken:
    signed = parse_qs(urlsplit(bid["burl"]).query)["t"][0]
    return NoticeSigner(SETTINGS.notice_secret).verify(signed, "billing")


# -- who it is for ------------------------------------------------------------------------------


def test_a_known_persons_search_becomes_a_bid_whose_notices_name_them(counters: Counters) -> None:
    case = Case(counters)
    (bid,) = bids_of(case.answer())
    token = token_of(bid)
    assert (bid["cid"], creative_of(bid)) == (SEATS, "seats-prospect")
    assert "JFK-LAX 199.00 150" in bid["adm"]
    assert (token.node, token.nonce, token.campaign) == (NODE, bid["id"], SEATS)
    assert (token.creative, token.exchange, token.is_test) == ("seats-prospect", "north", False)
    assert token.bid_cpm_micros == round(bid["price"] * 1e6)
    assert (token.auction, token.imp, token.source) == ("auction-1", "slot-1", "burl")
    assert token.expires_ms == NOW_MS + SETTINGS.notice_window_seconds * 1000
    assert (case.count("persons_known"), case.count("bids")) == (1, 1)


def consenting(**told: object) -> dict[str, object]:
    """A user under the GDPR; whatever they consent to, ``told`` says."""
    said = msgspec.structs.replace(Told(vendors=[VENDOR], disclosed=[VENDOR]), **told)
    return {"regs": {"gdpr": 1}, "user": ME | {"consent": tc_string(said)}}


OPTED_OUT = us_section("1111112122" + "0" * 24, version=2)
OPTED_IN = us_section("1111112222" + "0" * 24, version=2)
EVERYTHING_LEFT_ON = {
    "regs": {
        "coppa": 0, "gdpr": 1, "us_privacy": "1YNN", "gpp": gpp_string({7: OPTED_IN}),
        "gpp_sid": [7], "ext": {"gdpr": 1, "gpc": "0"},
    },
    "device": {"lmt": 0, "dnt": 0, "geo": {"country": "DEU"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("coppa", {"regs": {"coppa": 1}}),
        ("tcf_unreadable", {"regs": {"gdpr": 1}, "user": {"buyeruid": COOKIE, "consent": "CPX"}}),
        ("tcf_missing", {"regs": {"ext": {"gdpr": 1}}}),
        ("tcf_vendor", consenting(vendors=[VENDOR + 1])),
        ("tcf_vendor", consenting(disclosed=[VENDOR + 1])),
        ("tcf_storage", consenting(consents=[2, 3, 4, 7])),
        ("tcf_basic_ads", consenting(consents=[1, 3, 4, 7])),
        ("tcf_profiles", consenting(consents=[1, 2, 7])),
        ("tcf_measurement", consenting(consents=[1, 2, 3, 4])),
        ("tcf_profiles", consenting(restrictions=[Restricted(4, 0, ((1, 65_535),))])),
        ("gdpr_unknown", {"user": {"buyeruid": COOKIE, "geo": {"country": "DEU"}}}),
        ("us_privacy", {"regs": {"us_privacy": "1YYN"}}),
        ("gpp_missing", {"regs": {"gpp_sid": [7]}}),
        ("gpp_opt_out", {"regs": {"gpp": gpp_string({7: OPTED_OUT}), "gpp_sid": [7]}}),
        ("gpp_unknown_section", {"regs": {"gpp": gpp_string({99: OPTED_IN}), "gpp_sid": [99]}}),
        ("gpc", {"regs": {"ext": {"gpc": "1"}}}),
        ("lmt_or_dnt", {"device": {"lmt": 1, "ifa": "8F5A3B6C-1D2E-4F60-8123-456789ABCDEF"}}),
        ("lmt_or_dnt", {"device": {"dnt": 1}}),
    ],
)
def test_r12_where_privacy_forbids_nothing_at_all_is_asked_of_redis(
    counters: Counters, reason: str, fields: dict[str, object]
) -> None:
    """R1, R2, R3, R6, R7, R8, R9, R10, R12: no command, no node in a notice, the reason counted."""
    case = Case(counters, settings=IN_EUROPE)
    answer = case.answer(**fields)
    assert case.redis.commands == []
    assert campaigns(answer) == [BRAND]
    assert token_of(bids_of(answer)[0]).node == ""
    assert (answer.reserved, answer.expired_at) == ((), None)
    assert case.path.own._open == {}
    assert (case.count("persons_refused"), case.count("privacy_refusals", reason)) == (1, 1)
    assert sum(case.count("privacy_refusals", one.value) for one in Refusal) == 1


@pytest.mark.parametrize(
    "fields", [consenting(), EVERYTHING_LEFT_ON | {"user": consenting()["user"]}]
)
def test_r3_r12_with_consent_the_person_is_looked_up_and_named_in_the_notices(
    counters: Counters, fields: dict[str, object]
) -> None:
    """R3, R7, R12: decoded strings open what they say is open."""
    case = Case(counters, settings=IN_EUROPE)
    answer = case.answer(**fields)
    assert case.redis.commands != []
    assert campaigns(answer) == [SEATS]
    assert token_of(bids_of(answer)[0]).node == NODE
    assert len(answer.reserved) == 1
    assert sum(case.count("privacy_refusals", one.value) for one in Refusal) == 0


@pytest.mark.parametrize(
    "settings", [SETTINGS, msgspec.structs.replace(SETTINGS, tcf_vendor_id=VENDOR)]
)
def test_r3_r4_without_an_entry_in_the_vendor_list_consent_opens_nothing(
    counters: Counters, settings: Settings
) -> None:
    """R3, R4: neither without an id nor without the features declared."""
    case = Case(counters, settings=settings)
    assert campaigns(case.answer(**consenting())) == [BRAND]
    assert case.redis.commands == []


@pytest.mark.parametrize(
    ("agreed", "exp", "seconds"),
    [
        (None, None, SETTINGS.notice_window_seconds),
        (None, 10, SETTINGS.notice_window_seconds),
        (None, 90_000, 90_000),
        (120, None, 120),
        (120, 600, 600),
        (None, 10**12, 30 * 86_400),
    ],
)
def test_a_notice_may_come_as_late_as_the_exchange_and_the_slot_say(
    counters: Counters, agreed: int | None, exp: int | None, seconds: int
) -> None:
    """N7, A15: server-side insertion and DOOH bill long after the bid."""
    exchange = msgspec.structs.replace(NORTH, notice_window_seconds=agreed, bills_on="pixel")
    case = Case(counters, what=catalog(exchange), exchange=exchange)
    (bid,) = bids_of(case.answer(imp(exp=exp)))
    token = token_of(bid)
    assert (token.window_seconds, token.source) == (seconds, "pixel")


USER_ID = "their-id"


def test_an_exchanges_user_id_leads_to_our_cookie_where_a_sync_has_told_so(
    counters: Counters,
) -> None:
    """U2, R13: its own node where nobody has, and never another exchange's."""
    case = Case(counters)
    user = node(Namespace.EXCHANGE_USER, scoped("north", USER_ID))
    fields = {"user": {"id": USER_ID}}
    assert campaigns(case.answer(**fields)) == [BRAND]
    case.redis.parents[KEYS.match(user)] = NODE.encode()
    (bid,) = bids_of(case.answer(**fields))
    assert (bid["cid"], token_of(bid).node) == (SEATS, NODE)
    assert case.count("persons_matched") == 1


def test_a_request_with_our_own_cookie_asks_for_no_match(counters: Counters) -> None:
    case = Case(counters)
    case.answer(user={"buyeruid": COOKIE, "id": USER_ID})
    assert [str(command[1]) for command in case.redis.named("GET")] == []


def test_without_identifiers_nothing_is_asked_of_redis(counters: Counters) -> None:
    case = Case(counters)
    assert campaigns(case.answer(user={}, device={"ifa": "0"})) == [BRAND]
    assert case.redis.commands == []


def test_an_unknown_person_and_a_shared_device_get_no_personal_ad(counters: Counters) -> None:
    case = Case(counters, person(showing(searches=(searched(),), shared=(NODE,))))
    answer = case.answer()
    assert campaigns(answer) == [BRAND]
    assert token_of(bids_of(answer)[0]).node == ""
    assert campaigns(case.answer(user={"buyeruid": "somebody-else"})) == [BRAND]
    assert (case.count("shared_devices"), case.count("persons_unknown")) == (1, 1)


def test_who_has_withdrawn_consent_gets_no_personal_ad_from_the_next_bid_on(
    counters: Counters,
) -> None:
    case = Case(counters)
    case.redis.put(person(showing(searches=(searched(),))))
    assert BRAND not in campaigns(case.answer())
    case.redis.put(person(showing(searches=(searched(),), personal_ok=False)))
    answer = case.answer()
    assert campaigns(answer) == [BRAND]
    assert token_of(bids_of(answer)[0]).node == ""
    assert (answer.reserved, case.count("persons_withdrawn")) == ((), 1)


def test_a_request_with_too_many_identifiers_is_nobodys_since_one_may_have_withdrawn(
    counters: Counters,
) -> None:
    case = Case(counters)
    case.redis.put(person(showing(searches=(searched(),))))
    uids = [{"id": f"id-{n}", "atype": 1} for n in range(MAX_NODES)]
    answer = case.answer(user={**ME, "eids": [{"source": "ids.example", "uids": uids}]})
    assert campaigns(answer) == [BRAND]
    assert token_of(bids_of(answer)[0]).node == ""
    assert (answer.reserved, case.redis.commands) == ((), [])
    assert case.count("persons_crowded") == 1


def test_a_withdrawal_counts_whichever_of_a_requests_identifiers_leads_to_it(
    counters: Counters,
) -> None:
    last = f"id-{MAX_NODES - 1}"
    case = Case(counters)
    case.redis.put(person(showing(searches=(searched(),))))
    withdrawn = node(*eid("ids.example", last, 1))
    case.redis.put(Person(None, withdrawn, showing(personal_ok=False)))
    uids = [{"id": one, "atype": 1} for one in (*(f"id-{n}" for n in range(MAX_NODES - 2)), last)]
    answer = case.answer(user={**ME, "eids": [{"source": "ids.example", "uids": uids}]})
    assert campaigns(answer) == [BRAND]
    assert case.count("persons_withdrawn") == 1


def test_a_disagreement_of_identifiers_is_counted(counters: Counters) -> None:
    case = Case(counters)
    ifa = node(Namespace.IFA, SOME_DEVICE)
    case.redis.put(Person(None, ifa, showing(searches=(searched(),))))
    case.answer(device={"ifa": SOME_DEVICE})
    assert case.count("identity_disagreements") == 1


# -- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [RedisDownError("gone"), RedisReplyError("ERR")])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_redis_failure_at_any_step_gives_a_contextual_answer_and_never_a_personal_one(
    counters: Counters, step: int, failure: Exception
) -> None:
    """Steps: parents, bid view, then the exact reservation of the cap's last impression."""
    case = Case(counters, person(LOOKED_AT_BOTH), LAST_IMPRESSION)
    case.redis = MemoryRedis(fail_at=step, failure=failure)
    case.redis.put(case.who)
    answer = case.answer()
    assert len(case.redis.steps) == step + 1
    assert campaigns(answer) == [BRAND]
    assert token_of(bids_of(answer)[0]).node == ""
    assert case.count("dependency_failures", "redis") == 1
    assert (case.path.own._open, answer.reserved) == ({}, ())


def behind(case: Case, behind_ms: int) -> None:
    """Streams has folded what was told until so long ago, and what is usual."""
    for partition in range(Topics.OUTCOMES.partitions):
        folded_ms = NOW_MS - USUAL_MS - behind_ms
        case.path.folds.learn(FoldMark(partition=partition, folded_ms=folded_ms))
    case.path.folds.move_to(NOW_MS)


def test_while_streams_is_behind_reservations_outlast_it(counters: Counters) -> None:
    """What was billed in their time may not be counted yet; of others and of this worker."""
    expired = tuple(
        Reservation(SEATS, f"n{number}", NOW_MS - 1_000, NOW_MS - 9_000, "airline")
        for number in range(3)
    )
    case = Case(counters, person(LOOKED_AT_BOTH), LAST_IMPRESSION)
    case.redis.put(case.who, **{"r:other": encode_reservations(expired)})
    assert campaigns(case.answer()) == [SEATS]
    case = Case(counters, person(LOOKED_AT_BOTH), LAST_IMPRESSION)
    case.redis.put(case.who, **{"r:other": encode_reservations(expired)})
    behind(case, 1_001)
    assert campaigns(case.answer()) != [SEATS]


def test_when_streams_is_too_far_behind_no_cap_can_be_checked_and_nobody_is_bid_for(
    counters: Counters,
) -> None:
    case = Case(counters)
    behind(case, SETTINGS.streams_patience_seconds * 1000 + 1)
    answer = case.answer()
    assert (campaigns(answer), case.redis.commands) == ([BRAND], [])
    assert case.count("dependency_failures", "streams") == 1
    behind(case, 0)
    assert campaigns(case.answer()) == [SEATS]


def test_a_record_in_redis_that_cannot_be_read_is_an_error_and_not_an_empty_profile(
    counters: Counters,
) -> None:
    case = Case(counters)
    case.redis.put(case.who, h=b"\xc1broken")
    with pytest.raises(msgspec.MsgspecError):
        case.answer()


# -- reservations -------------------------------------------------------------------------------


def test_far_from_the_cap_a_bid_is_reserved_in_memory_and_written_afterwards(
    counters: Counters,
) -> None:
    case = Case(counters)
    answer = case.answer()
    (held,) = answer.reserved
    assert case.redis.named("FCALL") == []
    assert not held.is_written
    assert held.reservation.nonce == bids_of(answer)[0]["id"]
    assert held.reservation.expires_ms == NOW_MS + NORTH.reservation_seconds * 1000
    assert case.path.own.of(NODE, NOW_MS) == (held.reservation,)


def test_near_the_cap_a_bid_is_checked_and_reserved_in_one_step(counters: Counters) -> None:
    case = Case(counters, person(billed=1))
    (held,) = case.answer().reserved
    assert held.is_written
    assert len(case.redis.named("FCALL")) == 1
    written = case.redis.hashes[KEYS.bid_view(NODE)][case.path.own.field]
    assert decode_reservations(written, NOW_MS) == [held.reservation]
    assert case.count("exact_reservations") == 1


def test_in_a_burst_only_the_first_bid_of_a_worker_is_written_afterwards(
    counters: Counters,
) -> None:
    case = Case(counters, person(billed=0))
    (first,), (second,) = (case.answer().reserved for _ in range(2))
    assert (first.is_written, second.is_written) == (False, True)
    written = case.redis.hashes[KEYS.bid_view(NODE)][case.path.own.field]
    assert decode_reservations(written, NOW_MS) == [first.reservation, second.reservation]


@pytest.mark.parametrize(("age_ms", "is_burst"), [(BURST_MS - 1, True), (BURST_MS, False)])
def test_a_burst_is_what_any_worker_bid_within_a_second(
    counters: Counters, age_ms: int, is_burst: bool
) -> None:
    case = Case(counters)
    made_ms = NOW_MS - age_ms
    others = Reservation(BRAND, "n", NOW_MS + 1_000, made_ms, AIR)
    case.redis.put(case.who, **{"r:other": encode_reservations([others])})
    (held,) = case.answer().reserved
    assert held.is_written is is_burst


@pytest.mark.parametrize("reply", [0, -1])
def test_where_redis_refuses_the_next_best_campaign_bids_and_nothing_stays_reserved(
    counters: Counters, reply: int
) -> None:
    case = Case(counters, person(LOOKED_AT_BOTH), LAST_IMPRESSION)
    case.redis.reserve_replies = [reply]
    answer = case.answer()
    assert campaigns(answer) == [ITEMS]
    assert [one.reservation.campaign for one in answer.reserved] == [ITEMS]
    assert case.path.own.of(NODE, NOW_MS) == (answer.reserved[0].reservation,)
    assert case.count("cap_refusals") == 1


def test_one_refusal_frees_the_other_slots_of_the_request_to_be_decided_again(
    counters: Counters,
) -> None:
    case = Case(counters, person(billed=3))
    case.redis.reserve_replies = [1, 0]
    answer = case.answer(imp(), imp(id="slot-2"))
    assert campaigns(answer) == [BRAND, BRAND]
    assert case.path.own._open == {}


def test_after_too_many_refusals_a_request_is_still_answered_for_its_context(
    counters: Counters,
) -> None:
    what = catalog(segment(PROSPECT, caps=(Cap(1, 86_400),)))
    twin = what.campaigns[SEATS]
    for n in range(5):
        name = f"air-{n}"
        what.apply(msgspec.structs.replace(twin, id=name))
        what.apply(msgspec.structs.replace(what.creatives[SEATS][1], id=name, campaign=name))
    case = Case(counters, person(LOOKED_AT_BOTH), what)
    case.redis.reserve_replies = [0] * 20
    answer = case.answer()
    assert campaigns(answer) == [BRAND]
    assert token_of(bids_of(answer)[0]).node == ""
    assert case.path.own._open == {}


def test_two_slots_of_one_request_cannot_pass_the_cap_and_both_are_written(
    counters: Counters,
) -> None:
    case = Case(counters, person(billed=3))
    answer = case.answer(*(imp(id=str(n)) for n in range(4)))
    assert campaigns(answer) == [SEATS, SEATS, BRAND, BRAND]
    written = case.redis.hashes[KEYS.bid_view(NODE)][case.path.own.field]
    assert {entry.nonce for entry in decode_reservations(written, NOW_MS)} == {
        one.reservation.nonce for one in answer.reserved
    }


def test_requests_of_one_tick_see_each_other_before_redis_has_heard_of_either(
    counters: Counters,
) -> None:
    case = Case(counters, person(billed=0))
    case.redis.reserve_replies = [1] * 9
    answers = [case.answer() for _ in range(7)]
    assert [campaigns(answer) for answer in answers] == [[SEATS]] * 5 + [[BRAND]] * 2


def test_o13_the_same_request_twice_gives_two_bids_with_ids_of_their_own(
    counters: Counters,
) -> None:
    case = Case(counters)
    one, other = (bids_of(case.answer())[0] for _ in range(2))
    assert one["id"] != other["id"]
    assert (one["impid"], one["crid"]) == (other["impid"], other["crid"])


@pytest.mark.parametrize("test", [1, True, "1"])
def test_a12_a_test_is_answered_and_reserves_nothing(counters: Counters, test: object) -> None:
    case = Case(counters, person(billed=4))
    answer = case.answer(test=test)
    (bid,) = bids_of(answer)
    assert (bid["cid"], token_of(bid).is_test) == (SEATS, True)
    assert (answer.reserved, case.redis.named("FCALL")) == ((), [])
    assert case.path.own._open == {}


def test_a_released_reservation_frees_its_place(counters: Counters) -> None:
    case = Case(counters, person(billed=4))
    answer = case.answer()
    case.path.release(answer.reserved)
    assert campaigns(case.answer()) == [SEATS]


# -- the answer ---------------------------------------------------------------------------------


def test_h2_no_bid_has_no_body_and_its_reason_is_counted(counters: Counters) -> None:
    case = Case(counters)
    assert case.answer(cur=["EUR"]).body is None
    assert case.count("no_bids", "currency") == 1
    assert case.count("bids") == 0


def test_o1_the_response_echoes_the_requests_id(counters: Counters) -> None:
    body = Case(counters).answer(id=' "Id"\n').body
    assert body is not None
    assert json.loads(body)["id"] == ' "Id"\n'


def test_expired_reservations_are_told_for_the_sweep(counters: Counters) -> None:
    case = Case(counters)
    case.redis.hashes[KEYS.bid_view(NODE)][b"r:gone"] = b"%013d\x90" % (NOW_MS - 1)
    assert case.answer().expired_at == NODE


def test_the_last_impression_of_a_first_segment_is_not_the_last_of_the_next(
    counters: Counters,
) -> None:
    who = person(billed=5)
    assert campaigns(Case(counters, who).answer()) == [BRAND]
    raised = catalog(segment(PROSPECT, caps=(Cap(6, 86_400),)))
    assert campaigns(Case(counters, who, raised).answer()) == [SEATS]


# -- terms ----------------------------------------------------------------------------------------


def answered_by(case: Case, exchange: Exchange, **fields: object) -> Answer:
    request = bid_request(**({"user": ME} | fields))
    return case.redis.run(case.path.answer(request, exchange, NOW_MS))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"wseat": ["other"]}, "seat_blocked"),
        ({"cur": ["XXX"]}, "currency"),
        ({"bcat": [{"a": 1}]}, "invalid_request"),
        ({"device": {"ua": "Mozilla/5.0 (compatible; Googlebot/2.1)"}}, "crawler"),
    ],
)
def test_a_request_that_nobody_may_bid_on_costs_no_look_up(
    counters: Counters, fields: dict[str, Any], reason: str
) -> None:
    """A8, A13, B9: what the request itself forbids is known before anything is read."""
    case = Case(counters)
    assert case.answer(**fields).body is None
    assert case.redis.commands == []
    assert (case.count("no_bids", reason), case.count("persons_known")) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "nbr"),
    [({"wseat": ["other"]}, 0), ({"bcat": [{"a": 1}]}, 2), ({"imp": [imp(bidfloor=1e9)]}, 0),
     ({"device": {"ua": "Googlebot/2.1"}}, 3)],
)  # fmt: skip
def test_o11_an_exchange_that_asks_hears_why_and_others_get_no_body(
    counters: Counters, fields: dict[str, Any], nbr: int
) -> None:
    """O11, O1: ``nbr`` in a no-bid alone, with the request's id."""
    case = Case(counters)
    asks = msgspec.structs.replace(NORTH, no_bid_body=True)
    odd = 'a "quoted" \u00fc id'
    body = answered_by(case, asks, id=odd, **fields).body
    assert body is not None
    assert json.loads(body) == {"id": odd, "nbr": nbr}
    assert answered_by(case, NORTH, **fields).body is None
    bid = answered_by(case, asks).body
    assert bid is not None
    assert "nbr" not in json.loads(bid)


def test_deviations_of_lists_are_counted_with_each_request(counters: Counters) -> None:
    """P4: also where the lists are remembered."""
    case = Case(counters)
    for _ in range(3):
        assert bids_of(case.answer(badv="x.example", bapp=[7]))
    assert case.count("request_deviations", "badv") == 3
    assert case.count("request_deviations", "bapp") == 3
    case.path.count_deviation("imp.banner.w")
    assert case.count("request_deviations", "imp_banner") == 1


def test_o8_o9_what_an_exchange_calls_things_stands_in_the_bids(counters: Counters) -> None:
    """O8, O9, A13, A17: its seat, its billing ids, its currency; each bid wins alone."""
    case = Case(counters, what=catalog(Rates(base="USD", date="2026-11-20",
                                             units={"EUR": Decimal("0.5")})))  # fmt: skip
    south = msgspec.structs.replace(NORTH, seat="512", cids={"*": "billing-0", SEATS: "billing-1"})
    body = answered_by(case, south, cur=["EUR"], at=2).body
    assert body is not None
    response = json.loads(body)
    assert response["cur"] == "EUR"
    (seatbid,) = response["seatbid"]
    assert seatbid["seat"] == "512"
    assert "group" not in seatbid
    (bid,) = seatbid["bid"]
    assert bid["cid"] == "billing-1"
    plain = bids_of(Case(counters).answer(at=2))[0]
    assert bid["price"] == pytest.approx(plain["price"] / 2, abs=1e-6)
    assert south.cid_of(ITEMS) == "billing-0"
    assert NORTH.cid_of(ITEMS) == ITEMS


@pytest.mark.parametrize(("exp", "seconds"), [(None, 10), (5, 10), (300, 300), (10**9, 3_600)])
def test_a15_the_bid_says_how_long_its_place_is_kept(
    counters: Counters, exp: int | None, seconds: int
) -> None:
    """A15: as long as the slot says that billing may take, an hour at most."""
    case = Case(counters)
    answer = case.answer(imp(exp=exp))
    assert bids_of(answer)[0]["exp"] == seconds
    (held,) = answer.reserved
    assert held.reservation.expires_ms == NOW_MS + seconds * 1000


def test_o6_o7_what_is_known_of_the_ad_is_told(counters: Counters) -> None:
    """O6, O7: attributes, language and, for an app, its store id."""
    app = Campaign(id=BRAND, advertiser=AIR, goal="contextual", contextual_cpm_micros=10**8,
                   uncapped_contextual=True, app_bundle="com.air")  # fmt: skip
    what = catalog(app, creative("brand", BRAND, attributes=(4, 13), language="en"))
    (bid,) = bids_of(Case(counters, what=what).answer())
    assert (bid["attr"], bid["language"], bid["bundle"]) == ([4, 13], "en", "com.air")
    (plain,) = bids_of(Case(counters).answer())
    assert plain["attr"] == []
    assert not {"language", "bundle", "dealid", "ext"} & plain.keys()


def test_a8_a_bid_in_another_currency_is_signed_in_both(counters: Counters) -> None:
    """A8, N9: so that its notices need no rate."""
    rates = Rates(base="USD", date="2026-11-20", units={"JPY": Decimal("155.42")})
    case = Case(counters, what=catalog(rates))
    body = answered_by(case, NORTH, cur=["JPY"]).body
    assert body is not None
    (bid,) = json.loads(body)["seatbid"][0]["bid"]
    token = token_of(bid)
    assert token.price_micros == round(bid["price"] * 1e6)
    assert token.bid_cpm_micros == pytest.approx(token.price_micros / 155.42, abs=1)
    assert token.in_own_money(token.price_micros) == token.bid_cpm_micros
    (plain,) = bids_of(Case(counters).answer())
    assert token_of(plain).price_micros == 0


def test_a_notice_brings_the_limits_of_its_bid(counters: Counters) -> None:
    """C 4: by them streams tells an impression beyond a cap."""
    what = catalog(segment(PROSPECT, caps=(Cap(5, 86_400), Cap(9, 604_800)), spacing_seconds=1))
    (bid,) = bids_of(Case(counters, person(billed=2), what).answer())
    token = token_of(bid)
    assert token.limits == (
        Limit(5, 86_400, used=2), Limit(9, 604_800, used=2), Limit(1, 1, of_advertiser=True),
    )  # fmt: skip
    assert (token.advertiser, token.reserved_seconds) == (AIR, NORTH.reservation_seconds)


def test_an_ad_for_nobody_has_no_limits(counters: Counters) -> None:
    (bid,) = bids_of(Case(counters).answer(user={}, device={"ifa": "0"}))
    token = token_of(bid)
    assert (token.limits, token.advertiser, token.reserved_seconds) == ((), "", 0)


def test_what_was_measured_of_an_exchange_stands_in_for_what_its_slots_say(
    counters: Counters,
) -> None:
    """As long as billing takes there, imp.exp until that is known."""
    case = Case(counters, what=catalog(segment(PROSPECT, caps=(Cap(64, 86_400),))))
    (unknown,) = bids_of(case.answer(imp(exp=3_000)))
    assert token_of(unknown).reserved_seconds == 3_000
    for _ in range(ENOUGH):
        case.path.delays.add("north", 30_000)
    (known,) = bids_of(case.answer(imp(exp=3_000)))
    assert 32 <= token_of(known).reserved_seconds <= 37


def test_all_limits_of_a_bid_are_asked_at_once(counters: Counters) -> None:
    what = catalog(
        segment(PROSPECT, caps=(Cap(5, 86_400), Cap(9, 604_800)), spacing_seconds=60),
        msgspec.structs.replace(catalog().advertisers[AIR], pressure_caps=(Cap(7, 3_600),)),
    )
    case = Case(counters, what=what)
    case.answer()
    (command,) = case.redis.called("kinbid_v1_reserve")
    assert command[12:] == (
        0, 5, 86_400_000, 0, 9, 604_800_000, 1, 1, 60_000, 1, 7, 3_600_000,
    )  # fmt: skip
