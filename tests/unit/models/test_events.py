import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import EventError
from models.events import (
    CrmCard,
    Event,
    FlightSearch,
    Outcome,
    decode_event,
    decode_outcome,
    encode,
)
from models.facets import decode_facet, encode_facet
from models.profile import header_of
from models.touches import timeline
from tests.fakes.records import NODES, events, folded, outcomes

EVENT: dict[str, Any] = {
    "type": "flight_search", "event_id": "1", "ids": [NODES[0], NODES[1]], "event_time_ms": 1,
    "channel": "web", "advertiser": "air", "origin": "JFK", "destination": "LAX",
    "depart_date": "2026-01-31",
}  # fmt: skip
ORDER: dict[str, Any] = {
    "type": "order", "event_id": "1", "ids": [NODES[0]], "event_time_ms": 1, "advertiser": "air",
    "order_id": "o", "revenue_micros": 1, "margin_micros": 1, "told_ms": 1,
}  # fmt: skip
BILLING: dict[str, Any] = {
    "type": "billing", "node": NODES[0], "nonce": "n", "campaign": "C", "creative": "R",
    "exchange": "E", "clearing_cpm_micros": 1, "notice_time_ms": 1, "personal": True,
}  # fmt: skip


CONTACT: dict[str, Any] = {
    "type": "contact", "event_id": "1", "ids": [NODES[0]], "event_time_ms": 1, "advertiser": "air",
    "channel": "push", "action": "opened",
}  # fmt: skip
CONSENT: dict[str, Any] = {
    "type": "consent", "event_id": "1", "ids": [NODES[0]], "event_time_ms": 1, "source": "cmp",
    "granted": ["email"],
}  # fmt: skip
CARD: dict[str, Any] = {
    "type": "crm_card", "event_id": "1", "ids": [NODES[0]], "event_time_ms": 1, "channel": "crm",
    "city": "Rome", "tier": "gold",
}  # fmt: skip
REFUND: dict[str, Any] = {
    "type": "refund", "event_id": "1", "ids": [NODES[0]], "event_time_ms": 1, "advertiser": "air",
    "order_id": "o", "refunded_micros": 1, "told_ms": 1,
}  # fmt: skip
FORM: dict[str, Any] = {
    "type": "form_answers", "event_id": "1", "ids": [NODES[0]], "event_time_ms": 1,
    "advertiser": "air", "kind": "quiz", "form": "sofa", "answers": {"size": "corner"},
}  # fmt: skip


@given(events)
def test_an_event_survives_its_encoding(event: Event) -> None:
    assert decode_event(encode(event)) == event


@given(outcomes)
def test_an_outcome_survives_its_encoding(outcome: Outcome) -> None:
    assert decode_outcome(encode(outcome)) == outcome


@given(st.binary(max_size=40))
def test_noise_is_refused_and_nothing_else_is_raised(payload: bytes) -> None:
    with pytest.raises(EventError):
        decode_event(payload)
    with pytest.raises(EventError):
        decode_outcome(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.sampled_from([EVENT, ORDER, CONTACT, CONSENT, CARD, REFUND, FORM]), st.data())
def test_what_is_accepted_can_be_kept(record: dict[str, Any], data: st.DataObject) -> None:
    """Any field of any value is refused, or goes into a facet's encoding and out of it again."""
    field = data.draw(st.sampled_from(sorted(record)))
    try:
        event = decode_event(json.dumps({**record, field: data.draw(json_values)}).encode())
    except EventError:
        return
    facet = decode_facet(encode_facet(folded([event])))
    assert facet == folded([event])
    timeline(facet.touches)
    header_of(facet, ())


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        (EVENT, "type", "flight_serch"),
        (EVENT, "event_id", 7),
        (EVENT, "ids", "abc"),
        (EVENT, "ids", []),
        (EVENT, "ids", list(NODES) * 2),
        (EVENT, "ids", ["short"]),
        (EVENT, "ids", ["z" + "a" * 22]),
        (EVENT, "ids", ["k" + "ä" * 22]),
        (EVENT, "ids", ["k@1" + "a" * 20]),
        (EVENT, "ids", ["k}{" + "a" * 20]),
        (EVENT, "event_time_ms", 0),
        (EVENT, "event_time_ms", -1),
        (EVENT, "event_time_ms", 1.5),
        (EVENT, "event_time_ms", 1_700_000_000_000_000),
        (EVENT, "event_time_ms", 10**30),
        (EVENT, "channel", "telepathy"),
        (EVENT, "depart_date", "2026-02-30"),
        (EVENT, "depart_date", "31.01.2026"),
        (EVENT, "depart_date", "20260131"),
        (EVENT, "depart_date", "2026-W05-6"),
        (ORDER, "revenue_micros", 10**30),
        (ORDER, "revenue_micros", "12"),
        (ORDER, "margin_micros", -(10**16)),
        (ORDER, "items", [1]),
        (ORDER, "told_ms", -1),
        (EVENT, "depart_date", "1969-12-31"),
        (EVENT, "depart_date", "2149-01-01"),
        (EVENT, "origin", "NINE-CHARS"),
        (EVENT, "adults", 10),
        (EVENT, "cabin", "hold"),
        (EVENT, "filters", ["f"] * 9),
        (EVENT, "sort", "s" * 33),
        (ORDER, "order_id", "o" * 65),
        (ORDER, "items", ["i" * 65]),
        (ORDER, "items", ["i"] * 201),
        (ORDER, "advertiser", "a" * 65),
        (ORDER, "seat", "roof"),
        (CONTACT, "channel", "web"),
        (CONTACT, "action", "eaten"),
        (CONSENT, "withdrawn", ["email"]),
        (CONSENT, "granted", []),
        (CONSENT, "granted", ["everything"]),
        (CONSENT, "source", "two words"),
        (CARD, "birthday", "29.02.1980"),
        (CARD, "miles", -1),
        (CARD, "sizes", {"a b": "1"}),
        (CARD, "city", "c" * 65),
        (REFUND, "refunded_micros", -1),
        (REFUND, "told_ms", 10**13),
        ({**REFUND, "type": "refusal"}, "told_ms", -1),
        (REFUND, "refunded_margin_micros", 10**16),
        (FORM, "answers", {}),
        (FORM, "form", "a/b"),
    ],
)
def test_an_event_that_is_wrong_names_its_field(
    record: dict[str, Any], field: str, value: object
) -> None:
    with pytest.raises(EventError, match=field if field != "type" else "flight_serch"):
        decode_event(json.dumps({**record, field: value}).encode())


@pytest.mark.parametrize("field", sorted(EVENT.keys() - {"channel"}))
def test_an_event_that_lacks_a_field_names_it(field: str) -> None:
    record = {name: value for name, value in EVENT.items() if name != field}
    with pytest.raises(EventError, match=field):
        decode_event(json.dumps(record).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("node", "short"),
        ("node", "k@" + "a" * 21),
        ("clearing_cpm_micros", -1),
        ("clearing_cpm_micros", 10**30),
        ("notice_time_ms", 0),
        ("notice_time_ms", 10**14),
        ("personal", "yes"),
        ("nonce", None),
    ],
)
def test_an_outcome_that_is_wrong_names_its_field(field: str, value: object) -> None:
    with pytest.raises(EventError, match=field):
        decode_outcome(json.dumps({**BILLING, field: value}).encode())


COOKIE, IFA, SESSION, EID, PERSON, EMAIL, CRM = (letter + "a" * 22 for letter in "kisxyec")


def sign_in(*ids: str) -> bytes:
    return json.dumps({"type": "sign_in", "event_id": "1", "ids": ids, "event_time_ms": 1,
                       "advertiser": "air"}).encode()  # fmt: skip


@pytest.mark.parametrize(
    "ids",
    [
        (COOKIE, EMAIL), (COOKIE, IFA, EMAIL, CRM), (IFA, SESSION, EMAIL), (SESSION, EMAIL),
        (EID, EMAIL), (COOKIE,), (SESSION,),
    ],
)  # fmt: skip
def test_a_sign_in_begins_with_the_device_or_with_a_session_of_an_unknown_one(
    ids: tuple[str, ...],
) -> None:
    assert decode_event(sign_in(*ids)).ids == ids


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ((EMAIL, COOKIE), "email, cookie"),
        ((CRM, EMAIL), "crm, email"),
        ((PERSON, EMAIL), "person_eid, email"),
        ((SESSION, EMAIL, COOKIE), "session, email, cookie"),
    ],
)
def test_a_sign_in_whose_device_is_not_first_is_refused_with_what_it_should_be(
    ids: tuple[str, ...], named: str
) -> None:
    """Presence at a device is kept under the first identifier: it would be nobody's."""
    with pytest.raises(EventError, match=rf"^ids: .*\({named}\).* first comes the device"):
        decode_event(sign_in(*ids))


def test_a_record_of_fewer_fields_still_decodes() -> None:
    """What producers wrote before a kind grew: the new fields have their defaults."""
    search, card = decode_event(json.dumps(EVENT).encode()), decode_event(json.dumps(CARD).encode())
    assert isinstance(search, FlightSearch)
    assert (search.cabin, search.adults, search.children, search.filters) == ("", 1, 0, ())
    assert isinstance(card, CrmCard)
    assert (card.city, card.birthday, card.sizes, card.miles) == ("Rome", "", {}, None)


def test_an_impression_may_be_nobodys() -> None:
    assert decode_outcome(json.dumps({**BILLING, "node": ""}).encode()).node == ""


def test_a_producer_may_say_more_than_we_read() -> None:
    assert decode_event(json.dumps({**EVENT, "new_field": 1}).encode()).ids == tuple(NODES[:2])
