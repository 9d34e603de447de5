"""How we turned to a person, from events to what a bid view keeps."""

import random

from hypothesis import given
from hypothesis import strategies as st

from models.approaches import Approaches
from models.events import Call, Contact, Event
from models.facets import merge
from models.header import decode_header, encode_header, header_of
from models.identifiers import NodeId
from models.limits import MAX_MESSAGES
from models.person_events import Action
from models.units import AdvertiserId
from tests.fakes.records import NODES, START_MS, folded

PHONE = NodeId("p" + "a" * 22)


def message(
    name: str, *, at_s: int = 0, advertiser: str = "air", topic: str = "", action: Action = "sent",
    channel: str = "email",
) -> Contact:  # fmt: skip
    return Contact(
        event_id=name, ids=(NODES[0],), event_time_ms=START_MS + at_s * 1000, action=action,
        advertiser=AdvertiserId(advertiser), topic=topic, channel=channel,  # type: ignore[arg-type]
    )  # fmt: skip


def call(name: str, *, at_s: int = 0, is_outbound: bool = True) -> Call:
    return Call(
        event_id=name, call_id=name, ids=(PHONE,), event_time_ms=START_MS + at_s * 1000,
        advertiser=AdvertiserId("air"), channel="call", is_outbound=is_outbound, duration_seconds=1,
    )  # fmt: skip


def approaches(*events: Event, advertiser: str = "air") -> Approaches:
    header = header_of(folded(events), ())
    return decode_header(encode_header(header)).approaches.get(advertiser, Approaches())


def test_mails_sms_pushes_and_calls_of_ours_count_together() -> None:
    """Table C 14: one pressure limit over mail, SMS, push and calls."""
    found = approaches(
        message("1", at_s=1), message("2", at_s=2, channel="sms"),
        message("3", at_s=3, channel="push"), call("4", at_s=4),
    )  # fmt: skip
    assert found.count_since(0) == 4
    assert found.count_since(START_MS + 2_000) == 2, "the beginning of a window is outside"


def test_what_the_customer_did_and_what_was_told_twice_does_not_count() -> None:
    found = approaches(
        message("1"), message("1"), message("2", action="received"),
        message("1", action="opened"), call("3", is_outbound=False),
    )  # fmt: skip
    assert found.count_since(0) == 1


def test_advertisers_are_told_apart() -> None:
    events = [message("1"), message("1", advertiser="shop"), message("2", advertiser="shop")]
    assert approaches(*events).count_since(0) == 1
    assert approaches(*events, advertiser="shop").count_since(0) == 2


def test_the_latest_message_on_a_topic_is_known_by_what_became_of_it() -> None:
    found = approaches(
        message("1", at_s=1, topic="abandoned_cart"),
        message("2", at_s=5, topic="abandoned_cart", channel="sms"),
        message("2", at_s=9, topic="abandoned_cart", channel="sms", action="opened"),
        message("3", at_s=7, topic="news"),
    )
    assert found.last_ms("sent", "abandoned_cart") == START_MS + 5_000
    assert found.last_ms("opened", "abandoned_cart") == START_MS + 9_000
    assert found.last_ms("sent", "") == START_MS + 7_000
    assert found.last_ms("sent", "win_back") == found.last_ms("clicked", "") == 0


@given(st.lists(st.integers(0, 10**6), max_size=40), st.integers(0, 10**6))
def test_counts_are_exact_up_to_the_most_that_a_cap_may_be(
    times_s: list[int], since_s: int
) -> None:
    found = approaches(*(message(str(n), at_s=at_s) for n, at_s in enumerate(times_s)))
    truth = sum(at_s > since_s for at_s in times_s)
    assert found.count_since(START_MS + since_s * 1000) == min(truth, MAX_MESSAGES)
    assert len(found.gaps_s) <= MAX_MESSAGES


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(0, 2**32))
def test_it_is_the_same_however_messages_were_spread_over_identifiers(
    times_s: list[int], seed: int
) -> None:
    events: list[Event] = [message(str(n), at_s=at_s) for n, at_s in enumerate(times_s)]
    events += [call(f"c{n}", at_s=at_s) for n, at_s in enumerate(times_s[:5])]
    chance = random.Random(seed)
    parts: list[list[Event]] = [[], [], []]
    for event in events:
        chance.choice(parts).append(event)
    merged = header_of(merge(folded(part) for part in parts), ())
    assert merged.approaches == header_of(folded(events), ()).approaches


def test_a_person_without_messages_pays_no_byte() -> None:
    assert len(encode_header(header_of(folded([]), ()))) == 2
    one = encode_header(header_of(folded([message("1", topic="news")]), ()))
    many = [message(str(n), at_s=n * 3600, topic="news") for n in range(40)]
    assert len(one) <= 40
    assert len(encode_header(header_of(folded(many), ()))) <= 90
