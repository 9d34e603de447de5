"""The abilities of call tracking that others name, by the row of the table of features.

Each test goes the whole way of its row: events in, person, bid or report out.
"""

import itertools
from collections.abc import Sequence

import msgspec
import pytest

from bidder.decide import Fate, Loss
from models.call_report import attributed, conversions_by, cost_per_conversion_micros
from models.call_tags import (
    conversions_of,
    open_callbacks,
    overdue_callbacks,
    tag_of,
)
from models.calls import CallHistory, ToldCall
from models.catalog_records import CallTag
from models.commands import Steps
from models.events import Call, Event, NumberLease, SignIn
from models.evidence import DEFAULT_LIMITS, Limits, pair_of
from models.facets import Facet
from models.forest import find, settle
from models.identifiers import Namespace, NodeId, Pepper
from models.keys import Keys
from models.profile import Person, header_of, person_of
from models.units import HOUR_MS, MICROS
from models.value.lines import line_factor
from streams.stages.calls import (
    Linked,
    SoftLink,
    apply_soft_link,
    join_number,
    measure_lines,
    news_of,
    phone_events,
)
from streams.stages.persons import KnownLinks, digest_events, look_around
from tests.fakes.headers import showing
from tests.fakes.memory_store import MemoryStore, run
from tests.fakes.phone_calls import (
    AIR,
    DEPARTMENTS,
    MINUTE_MS,
    START_MS,
    TAGS,
    a_call,
    a_lease,
    a_told_call,
    at_ms,
    cookie,
    phone,
)
from tests.unit.bidder.support import NODE, NOW_MS, SEATS, catalog, decision_of, searched

KEYS = Keys("o")
CRM_1, CRM_2 = NodeId("c" + "x" * 22), NodeId("c" + "y" * 22)


class Installation:
    """Streams in memory: events go in one by one, persons come out."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.store, self._limits = MemoryStore(), limits
        self._known = KnownLinks()
        self._tokens = itertools.count()
        self._offset = itertools.count()

    def tell(self, *events: Event) -> list[Linked]:
        """Folds and links events, each as a batch of its own; what became of soft links."""
        linked: list[Linked] = []
        for event in events:
            entries = [(next(self._offset), event)]
            node = event.ids[0]
            steps = digest_events(
                KEYS, node, 1, entries,
                known=self._known, next_token=self._token, limits=self._limits,
            )  # fmt: skip
            touched = run(self.store, steps)
            run(self.store, look_around(KEYS, [touched], self._token, limits=self._limits))
            news = news_of(phone_events([event]))
            linked += [run(self.store, self._apply(soft)) for soft in news.told]
            for number, told in news.by_number.items():
                joins = join_number(KEYS, number, told, now_ms=at_ms(10**6), apply=self._apply)
                linked += run(self.store, joins).linked
        return linked

    def _apply(self, soft: SoftLink) -> Steps[Linked]:
        return apply_soft_link(KEYS, soft, self._token, limits=self._limits)

    def _token(self) -> str:
        return f"t{next(self._tokens)}"

    def facet(self, node: NodeId) -> Facet:
        """The profile of the node's person."""
        return person_of(run(self.store, settle(KEYS, node)))[0]

    def are_one(self, *nodes: NodeId) -> bool:
        """Whether all are one person's."""
        return len({run(self.store, find(KEYS, node)) for node in nodes}) == 1


def signed_in(*ids: NodeId) -> SignIn:
    return SignIn(event_id="s", ids=ids, event_time_ms=START_MS, advertiser=AIR)


def history_of(*events: Call | NumberLease) -> CallHistory:
    """The call history of the one person who did all this."""
    here = Installation()
    here.tell(*events)
    return here.facet(events[0].ids[0]).phone


def conversions(calls: Sequence[ToldCall], tags: dict[str, CallTag] = TAGS) -> int:
    return len(conversions_of(calls, tags, DEPARTMENTS))


def worth(sale_micros: int, calls: Sequence[ToldCall]) -> int:
    """What these calls of one person are worth."""
    return sum(one.value_micros(sale_micros) for one in conversions_of(calls, TAGS, DEPARTMENTS))


def bids_on_seats(calls: Sequence[ToldCall], shift_ms: int = 0) -> Loss | None:
    """What becomes of a personal ad for somebody with these calls; None: it is bid."""
    moved = tuple(
        msgspec.structs.replace(call, time_ms=call.time_ms - START_MS + NOW_MS - shift_ms)
        for call in calls
    )
    who = Person(NODE, NODE, showing(searches=(searched(),), calls=moved))
    fates: list[Fate] = []
    decision_of(None, who, catalog(*TAGS.values()), fates=fates)
    lost = [fate.lost.reason for fate in fates if fate.campaign == SEATS]
    return lost[0] if lost else None


def test_row_21_a_missed_call_back_is_reported_after_n_hours_and_ads_pause_meanwhile() -> None:
    here = Installation()
    here.tell(a_call("lost", 0, missed=True, missed_reason="lines_full"))
    calls = here.facet(phone("a")).phone.calls
    persons = [("root", calls)]

    def overdue(age_ms: int) -> list[str]:
        found = overdue_callbacks(persons, TAGS, hours=2, now_ms=START_MS + age_ms)
        return [owed.call_id for _, owed in found]

    assert overdue(2 * HOUR_MS) == []
    assert overdue(2 * HOUR_MS + 1) == ["lost"]
    assert bids_on_seats(calls, shift_ms=3 * HOUR_MS) is Loss.CALL_PAUSE
    here.tell(a_call("we called", 200, is_outbound=True))
    persons = [("root", here.facet(phone("a")).phone.calls)]
    assert overdue(9 * HOUR_MS) == []


def test_row_47_a_call_joins_the_session_that_saw_the_number() -> None:
    here = Installation()
    here.tell(a_lease("l", 0, 30, "a"), a_call("c", 10, caller="a"))
    assert here.are_one(phone("a"), cookie("a"))


def test_row_47_leases_that_overlap_join_nobody() -> None:
    here = Installation()
    here.tell(a_lease("l", 0, 30, "a"), a_lease("m", 5, 30, "b"), a_call("c", 10, caller="a"))
    assert not here.are_one(phone("a"), cookie("a"))
    assert not here.are_one(phone("a"), cookie("b"))


def test_row_47_a_late_call_joins_the_lease_that_ended_not_long_ago() -> None:
    here = Installation()
    here.tell(a_call("c", 40, caller="a"), a_lease("l", 0, 30, "a"))
    assert here.are_one(phone("a"), cookie("a"))
    here.tell(a_call("much later", 300, caller="b"))
    assert not here.are_one(phone("b"), cookie("a"))


def test_row_47_a_reused_number_joins_its_newest_lease() -> None:
    here = Installation()
    linked = here.tell(
        a_lease("l", 0, 10, "a"), a_lease("m", 12, 40, "b"), a_call("c", 20, caller="a")
    )
    assert here.are_one(phone("a"), cookie("b"))
    assert not here.are_one(phone("a"), cookie("a"))
    assert [one.soft.confidence for one in linked] == [0.7]


def test_row_47_an_ip_address_alone_never_links() -> None:
    """There is no identifier that an address could become, so no event can name one."""
    assert not {space for space in Namespace if "IP" in space.name.split("_")}
    here = Installation()
    here.tell(a_call("c", caller="a"), a_lease("l", 300, 330, "a"))
    assert not here.are_one(phone("a"), cookie("a"))


def test_row_48_a_phone_number_is_one_identifier_however_it_is_written() -> None:
    pepper = Pepper("a pepper for tests", phone_region="RU")
    spellings = ["8 912 345-67-89", "+7 912 345-67-89", "+7(912)3456789", "+79123456789"]
    nodes = {pepper.node(Namespace.PHONE, text) for text in spellings}
    assert len(nodes) == 1
    (node,) = nodes
    assert node is not None
    here = Installation()
    here.tell(msgspec.structs.replace(a_call("c"), ids=(node,)), signed_in(cookie("a"), node))
    assert [call.call_id for call in here.facet(cookie("a")).phone.calls] == ["c"]


def test_row_49_calls_are_split_by_campaign_keyword_and_hour_and_lower_the_cost() -> None:
    told = history_of(
        a_lease("paid", 0, 30, campaign="spring", keyword="cheap flights"), a_call("c", 10),
        a_lease("free", 100, 130), a_call("d", 110), a_call("e", 400, called_number=""),
    )  # fmt: skip
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "campaign") == {
        "spring": 1, "free": 1, "unjoined": 1,
    }  # fmt: skip
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "keyword")["cheap flights"] == 1
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "hour") == {
        "00": 1,
        "01": 1,
        "06": 1,
    }
    spend = 30 * MICROS
    without = cost_per_conversion_micros(spend, 2, 0)
    counted = cost_per_conversion_micros(spend, 2, 3)
    assert (without, counted) == (15 * MICROS, 6 * MICROS)
    assert cost_per_conversion_micros(spend, 0, 0) is None


def test_row_50_call_conversions_are_split_by_the_sessions_device() -> None:
    told = history_of(
        a_lease("l", 0, 30, device_type="phone"), a_call("c", 10), a_call("d", 12),
        a_lease("m", 200, 230, device_type="desktop"), a_call("e", 210),
    )  # fmt: skip
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "device_type") == {
        "phone": 2,
        "desktop": 1,
    }


@pytest.mark.parametrize(("score", "value"), [(0, 0), (50, 5 * MICROS), (100, 10 * MICROS)])
def test_row_52_the_operators_score_weighs_the_calls_value(score: int, value: int) -> None:
    told = history_of(a_call("c"), a_call("c", score=score, told_ms=at_ms(60)))
    assert worth(10 * MICROS, told.calls) == value


def test_row_53_a_burst_of_busy_lines_lowers_bids_until_calls_get_through() -> None:
    store = MemoryStore()

    def factor(minute: int, *calls: Call) -> float:
        now_ms = at_ms(minute)
        state = run(store, measure_lines(KEYS, AIR, calls, now_ms=now_ms))
        return line_factor(state.minutes, now_ms) if state else 1.0

    def burst(name: str, minute: int, **more: object) -> list[Call]:
        return [a_call(f"{name}{n}", minute, caller="abcd"[n % 4], **more) for n in range(12)]

    calm = factor(0, *burst("calm", 0))
    busy = factor(2, *burst("busy", 2, missed=True, missed_reason="lines_full"))
    better = factor(3, *burst("better", 3))
    assert calm == 1
    assert busy < 0.7 < better < 1
    assert factor(30, a_call("later", 30)) == 1


def test_row_54_call_back_pauses_ads_and_full_lines_set_it_by_themselves() -> None:
    for call in (
        a_told_call("tagged", tag="call_back"), a_told_call("lost", missed_reason="lines_full")
    ):  # fmt: skip
        assert len(open_callbacks([call], TAGS)) == 1
        assert bids_on_seats([call]) is Loss.CALL_PAUSE
        assert bids_on_seats([call], shift_ms=24 * HOUR_MS) is None
        assert conversions([call]) == 0
    assert bids_on_seats([a_told_call("busy", missed_reason="no_answer")]) is None


def test_row_54_not_a_customer_is_no_conversion_and_no_value_and_pauses_nothing() -> None:
    call = a_told_call(tag="not_a_customer", score=90)
    assert conversions([call]) == 0
    assert worth(MICROS, [call]) == 0
    assert bids_on_seats([call]) is None


def test_row_54_a_repeat_is_counted_once_and_links_the_two_phones() -> None:
    here = Installation()
    linked = here.tell(
        a_call("first", 0, caller="a"),
        a_call("again", 60, caller="b", tag="repeat", repeat_of=phone("a")),
    )
    assert [one.soft.kind for one in linked] == ["repeat_call"]
    assert here.are_one(phone("a"), phone("b"))
    calls = here.facet(phone("b")).phone.calls
    assert len(calls) == 2
    assert conversions(calls) == 1
    assert bids_on_seats(calls) is None


def test_row_54_a_repeat_counts_where_no_call_before_it_did() -> None:
    """Once for each person, whichever of their calls was heard and led to sales."""
    lost = a_told_call("first", 0, missed_reason="lines_full")
    served = a_told_call("first", 0, department="service")
    again = a_told_call("again", 30, tag="repeat", score=40)
    and_again = a_told_call("and again", 60, tag="repeat")
    for first in (lost, served):
        assert conversions([first, again, and_again]) == 1
        assert worth(10 * MICROS, [and_again, again, first]) == 4 * MICROS
    heard = a_told_call("first", 0, score=90)
    assert worth(10 * MICROS, [heard, again]) == 9 * MICROS
    elsewhere = a_told_call("first", 0, advertiser="shop")
    assert conversions([elsewhere, again]) == 2


@pytest.mark.parametrize(
    "owed",
    [
        a_call("owed", tag="call_back"),
        a_call("owed", missed=True, missed_reason="lines_full"),
        a_call("owed", missed=True, missed_reason="no_answer", tag="call_back"),
    ],
    ids=["promised", "lines full", "tagged by hand"],
)
def test_row_21_a_call_back_is_due_however_many_calls_nobody_takes(owed: Call) -> None:
    in_vain = [
        a_call(f"try{n}", 1 + n, is_outbound=True, tag="not_reached", missed=True)
        for n in range(20)
    ]
    in_vain += [
        a_call(f"call{n}", 30 + n, missed=True, missed_reason="no_answer") for n in range(20)
    ]
    told = history_of(owed, *in_vain)
    assert [one.call_id for one in open_callbacks(told.known_calls, TAGS)] == ["owed"]
    assert bids_on_seats(header_of(Facet(phone=told), ()).calls) is Loss.CALL_PAUSE
    done = history_of(owed, a_call("we called", 1, is_outbound=True), *in_vain)
    assert open_callbacks(done.known_calls, TAGS) == []


def test_row_54_more_tags_are_configuration() -> None:
    tags = TAGS | {"vip": CallTag(id="vip", pauses_ads_hours=2)}
    call = a_told_call(tag="vip")
    assert conversions([call]) == 0  # as long as nobody has said what it means
    assert conversions([call], tags) == 1
    assert tag_of(call, tags) == tags["vip"]


@pytest.mark.parametrize(("min_confidence", "is_linked"), [(50, False), (45, True)])
def test_row_59_the_form_names_another_phone_than_the_caller(
    min_confidence: int, *, is_linked: bool
) -> None:
    """By the session: the form's phone is the cookie's, the caller dialled the session's number.

    Half the confidence is left, which is a link if somebody wants it; else it waits for approval.
    """
    here = Installation(Limits(min_confidence=min_confidence))
    form = signed_in(cookie("a"), phone("f"))
    *_, made = here.tell(form, a_lease("l", 0, 30, "a"), a_call("c", 10, caller="a"))
    assert made.made.resettled is not None
    refused = {} if is_linked else {pair_of(cookie("a"), phone("a")): "other_phone"}
    assert made.made.resettled.plan.refused == refused
    assert here.are_one(phone("f"), cookie("a"))
    assert here.are_one(phone("a"), cookie("a")) is is_linked


def test_row_59_the_deal_names_another_phone_than_the_caller() -> None:
    here = Installation()
    (linked,) = here.tell(a_call("c", 10, caller="a", form_phone=phone("f")))
    assert linked.soft.kind == "form_phone"
    assert 0 < linked.soft.confidence < 1
    assert here.are_one(phone("a"), phone("f"))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_row_59_a_family_line_does_not_fuse_people(order: tuple[int, ...]) -> None:
    """Two customers of the CRM call from one line and name each other's phones."""
    here = Installation()
    told: list[Event] = [
        signed_in(phone("a"), CRM_1),
        signed_in(phone("b"), CRM_2),
        a_call("c", 10, caller="a", form_phone=phone("b")),
    ]
    here.tell(*(told[place] for place in order))
    assert not here.are_one(CRM_1, CRM_2)


def test_row_60_calls_to_service_are_never_sales() -> None:
    told = history_of(
        a_call("to sales", 0, department="sales"), a_call("to service", 5, department="service"),
        a_call("to nobody", 9, department="corporate"),
    )  # fmt: skip
    calls = told.calls
    assert len(calls) == 3
    assert conversions(calls) == 1
    spend = 10 * MICROS
    assert cost_per_conversion_micros(spend, 1, conversions(calls)) == 5 * MICROS


def test_what_the_bidder_knows_of_calls_comes_with_the_profile() -> None:
    here = Installation()
    here.tell(a_lease("l", 0, 30, "a"), a_call("c", 10, caller="a", tag="call_back"))
    header = header_of(here.facet(cookie("a")), ())
    assert [(call.call_id, call.tag) for call in header.calls] == [("c", "call_back")]
    assert bids_on_seats(header.calls, shift_ms=10 * MINUTE_MS) is Loss.CALL_PAUSE
