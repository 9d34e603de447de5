"""Records after the pepper was rotated."""

import typing
from functools import partial
from typing import get_args

import msgspec
import pytest
from hypothesis import given

from models.erasure_records import ErasureRecord, encode_erasure
from models.errors import EventError
from models.events import Call, Event, Outcome, SignIn, decode_event, decode_outcome, encode
from models.evidence import Evidence
from models.identifiers import NodeId, rehash
from models.link_records import (
    VerdictRecord,
    decode_told,
    decode_verdict,
    encode_link_record,
    pair_key,
    told_key,
    told_record,
)
from models.matches import Match, encode_match, read_match
from models.rotation import ROTATED, _node_fields, rotate_event
from models.topics import ALL_TOPICS, Topics
from models.units import DAY_MS, AdvertiserId
from tests.fakes.records import NODES, events, outcomes

again = partial(rehash, secret="a newer secret")
A, B = NODES[:2]
NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize("record", [*get_args(Event), *get_args(Outcome), ErasureRecord])
def test_every_field_that_may_hold_a_node_is_known(record: type[msgspec.Struct]) -> None:
    hints = typing.get_type_hints(record)
    assert _node_fields(record) == tuple(n for n, hint in hints.items() if "NodeId" in str(hint))


@given(events)
def test_an_event_says_the_same_of_the_nodes_that_its_own_become(event: Event) -> None:
    key, value = rotate_event(event.ids[0].encode(), encode(event), NOW_MS, again)
    assert key == again(event.ids[0]).encode()
    names = _node_fields(type(event))
    held = {name: getattr(event, name) for name in names}
    turned = {
        name: tuple(map(again, one)) if isinstance(one, tuple) else again(one)
        for name, one in held.items()
        if one is not None
    }
    assert decode_event(value or b"") == msgspec.structs.replace(event, **turned)


@given(outcomes)
def test_an_outcome_counts_under_the_node_that_its_own_becomes(outcome: Outcome) -> None:
    key, value = ROTATED[Topics.OUTCOMES](outcome.node.encode(), encode(outcome), NOW_MS, again)
    assert key == again(outcome.node).encode()
    assert decode_outcome(value or b"") == msgspec.structs.replace(
        outcome, node=again(outcome.node)
    )


def test_a_match_leads_from_and_to_the_nodes_that_its_own_become() -> None:
    user, cookie = NodeId("u" + "a" * 22), NodeId("k" + "b" * 22)
    match = Match(node=user, cookie=cookie, matched_ms=NOW_MS, expires_ms=NOW_MS + DAY_MS)
    key, value = ROTATED[Topics.MATCHES](user.encode(), encode_match(match), NOW_MS, again)
    turned = read_match(key, value, NOW_MS)
    assert (turned.node, turned.cookie) == (again(user), again(cookie))
    assert turned.expires_ms == match.expires_ms


def test_the_other_phones_of_a_call_are_turned_too() -> None:
    call = Call(
        event_id="c", ids=(NodeId("p" * 23),), event_time_ms=NOW_MS, advertiser=AdvertiserId("air"),
        call_id="c", duration_seconds=1, repeat_of=NodeId("p" + "q" * 22),
    )  # fmt: skip
    _, value = rotate_event(call.ids[0].encode(), encode(call), NOW_MS, again)
    turned = decode_event(value or b"")
    assert isinstance(turned, Call)
    assert turned.repeat_of == again(NodeId("p" + "q" * 22))
    assert turned.form_phone is None


def test_what_this_version_does_not_know_stays() -> None:
    event = SignIn(event_id="s", ids=(A, B), event_time_ms=NOW_MS, advertiser=AdvertiserId("air"))
    told = msgspec.json.encode({**msgspec.json.decode(encode(event)), "new_field": 7})
    _, value = rotate_event(A.encode(), told, NOW_MS, again)
    assert msgspec.json.decode(value or b"")["new_field"] == 7


def test_an_impression_of_nobody_stays_nobodys() -> None:
    value = (
        b'{"type":"win","node":"","nonce":"n","campaign":"c","creative":"r","exchange":"x",'
        b'"clearing_cpm_micros":1,"notice_time_ms":1790000000000,"personal":false}'
    )
    assert ROTATED[Topics.OUTCOMES](None, value, NOW_MS, again) == (None, value)


def test_a_pair_stands_in_its_order_again() -> None:
    for a, b in ((A, B), (NODES[2], NODES[3]), (NODES[4], NODES[5])):
        record = VerdictRecord(a=a, b=b, verdict="rejected", at_ms=NOW_MS, by="ann")
        turned = ROTATED[Topics.VERDICTS](pair_key(a, b), encode_link_record(record), NOW_MS, again)
        assert turned[0] == pair_key(again(a), again(b))
        read = decode_verdict(turned[0], turned[1] or b"")
        assert (read.verdict, read.by, {read.a, read.b}) == (
            "rejected",
            "ann",
            {again(a), again(b)},
        )
        assert ROTATED[Topics.EVIDENCE](pair_key(a, b), None, NOW_MS, again) == (turned[0], None)


def test_the_history_of_a_pair_goes_on_under_its_new_nodes() -> None:
    record = told_record(A, B, Evidence("sign_in", NOW_MS), withdrawn_ms=NOW_MS + 1)
    rotate, value = ROTATED[Topics.LINK_HISTORY], encode_link_record(record)
    key, rotated = rotate(told_key(record), value, NOW_MS, again)
    turned = told_record(again(A), again(B), Evidence("sign_in", NOW_MS), withdrawn_ms=NOW_MS + 1)
    assert decode_told(key, rotated or b"") == turned
    assert rotate(told_key(record), None, NOW_MS, again) == (key, None)


def test_an_erasure_keeps_its_time_and_its_request() -> None:
    record = ErasureRecord(node=A, erased_ms=NOW_MS, open_request="r")
    key, value = ROTATED[Topics.ERASURES](A.encode(), encode_erasure(record), NOW_MS, again)
    assert key == again(A).encode()
    assert value == encode_erasure(msgspec.structs.replace(record, node=again(A)))


@pytest.mark.parametrize(
    ("key", "value", "recorded_ms"),
    [
        (A.encode(), b"{", NOW_MS), (A.encode(), None, NOW_MS), (B.encode(), "event", NOW_MS),
        (None, "event", NOW_MS), (A.encode(), "event", NOW_MS - DAY_MS - 1),
    ],
)  # fmt: skip
def test_what_streams_refuses_is_refused(
    key: bytes | None, value: bytes | str | None, recorded_ms: int
) -> None:
    event = SignIn(event_id="s", ids=(A, B), event_time_ms=NOW_MS, advertiser=AdvertiserId("air"))
    with pytest.raises(EventError):
        rotate_event(key, encode(event) if isinstance(value, str) else value, recorded_ms, again)


def test_every_topic_is_rotated_or_left_out_on_purpose() -> None:
    # What was spent is counted again, from the outcomes; receipts stay where they are for a week.
    left_out = {
        Topics.INVENTORY, Topics.DEAD_LETTERS, Topics.SPEND, Topics.RECEIPTS, Topics.WATCHES,
    }  # fmt: skip
    assert {*ROTATED, *left_out} == set(ALL_TOPICS)
