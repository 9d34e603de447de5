"""Reading bid requests: tolerant of what exchanges send, and never brought down by it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.errors import MalformedRequestError
from bidder.openrtb import BidRequest, decode_request
from tests.unit.bidder.support import bid_request, body, imp, thorough

GOOD = body()


def around(extra: bytes) -> bytes:
    """A good request with one more member."""
    return GOOD[:-1] + b"," + extra + b"}"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"imp":[{"id":"1"}]}',
        b'{"id":null,"imp":[{"id":"1"}]}',
        b'{"id":"","imp":[{"id":"1"}]}',
        b'{"id":{},"imp":[{"id":"1"}]}',
        b'{"id":true,"imp":[{"id":"1"}]}',
        b'{"id":"a"}',
        b'{"id":"a","imp":null}',
        b'{"id":"a","imp":[]}',
        b'{"id":"a","imp":[null]}',
        b'{"id":"a","imp":[{"banner":{"w":1,"h":1}}]}',
        b'{"id":"a","imp":"none"}',
        GOOD[:-1],
        GOOD + b"x",
        GOOD + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        around(b'"tmax":NaN'),
        around(b'"x":Infinity'),
        around(b'"user":{"id":"\xff"}'),
        around(b'"x":"\xff"'),
        around(b'"x":"\\ud800"'),
        around(b'"tmax":1e400'),
        around(b'"tmax":' + b"9" * 5_000),
        around(b'"x":' + b"[" * 100_000 + b"]" * 100_000),
        b"[" * 1_000_000,
        b'{"id":' * 100_000,
    ],
    ids=lambda payload: ascii(payload[:60]),
)
def test_h3_p6_what_is_no_bid_request_is_malformed_and_crashes_nothing(payload: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        decode_request(payload)


@pytest.mark.parametrize("extra", [b'"x":1e400', b'"x":' + b"9" * 5_000])
def test_p6_a_number_beyond_all_measure_in_a_field_that_nobody_reads_is_ignored(
    extra: bytes,
) -> None:
    assert decode_request(around(extra)).id == "auction-1"


@thorough
@given(st.binary(max_size=200))
def test_h3_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        request = decode_request(payload)
    except MalformedRequestError:
        return
    assert request.id
    assert request.imp


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
LIMITS = ("cur", "test", "cattax")
NAMES = st.sampled_from(
    [name for name in BidRequest.__struct_fields__ if name not in {"id", "imp", *LIMITS}] + ["zz"]
)


@thorough
@given(st.dictionaries(NAMES, JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=2))
def test_p1_p3_p4_no_value_of_an_optional_field_costs_the_request(
    fields: dict[str, Any], extension: dict[str, Any]
) -> None:
    payload = json.dumps({"id": "a", "imp": [imp(ext=extension)]} | fields)
    assert decode_request(payload.encode()).id == "a"


def test_p1_unknown_fields_and_unknown_values_are_ignored_everywhere() -> None:
    request = bid_request(
        imp(clickbrowser=1, banner={"w": 300, "h": 250, "pos": 99, "btype": [77]}),
        at=512, experiment={"deep": [1, {"er": None}]}, device={"ifa": "a-1", "geo": {"type": 99}},
        user={"eids": [{"source": "a.example", "uids": [{"id": "u", "atype": 501}], "mm": 9}]},
    )  # fmt: skip
    assert request.at == 512
    assert request.imp[0].banner is not None
    assert request.imp[0].banner.sizes() == {(300, 250)}


def test_p2_null_is_the_same_as_absent() -> None:
    names = [name for name in BidRequest.__struct_fields__ if name not in {"id", "imp"}]
    nulls = dict.fromkeys(names)
    absent = decode_request(b'{"id":"a","imp":[{"id":"1"}]}')
    assert decode_request(msgspec.json.encode({"id": "a", "imp": [{"id": "1"}]} | nulls)) == absent
    slot = {"id": "1", "banner": None, "pmp": None, "bidfloor": None, "secure": None}
    assert decode_request(msgspec.json.encode({"id": "a", "imp": [slot]})) == absent


@pytest.mark.parametrize("extension", [[], "x", 1, True, None, {"eids": 5}, [{"gdpr": 1}]])
def test_p3_ext_may_hold_anything(extension: object) -> None:
    request = bid_request(
        imp(ext=extension), ext=extension, user={"buyeruid": "me", "ext": extension},
        regs={"ext": extension}, device={"ext": extension},
    )  # fmt: skip
    assert request.user is not None
    assert request.user.buyeruid == "me"


@pytest.mark.parametrize(
    ("fields", "name", "read"),
    [
        ({"tmax": "120"}, "tmax", 120),
        ({"tmax": 120.0}, "tmax", 120),
        ({"tmax": "soon"}, "tmax", None),
        ({"tmax": 1.5}, "tmax", None),
        ({"test": True}, "test", 1),
        ({"at": "2"}, "at", 2),
        ({"cur": "EUR"}, "cur", ["EUR"]),
        ({"cur": [None, "EUR"]}, "cur", ["EUR"]),
        ({"cur": []}, "cur", []),
        ({"cattax": "2"}, "cattax", 2),
        ({"device": []}, "device", None),
    ],
)
def test_p4_harmless_deviations_in_type_are_read_as_what_they_mean(
    fields: dict[str, Any], name: str, read: object
) -> None:
    assert getattr(bid_request(**fields), name) == read


@pytest.mark.parametrize(
    ("fields", "name", "read"),
    [
        ({"bidfloor": "1.25"}, "bidfloor", 1.25),
        ({"bidfloor": ""}, "bidfloor", None),
        ({"bidfloor": 1}, "bidfloor", 1.0),
        ({"secure": True}, "secure", 1),
        ({"secure": "0"}, "secure", 0),
        ({"secure": "maybe"}, "secure", None),
        ({"id": 7}, "id", "7"),
    ],
)
def test_p4_deviations_within_a_slot_are_read_as_what_they_mean(
    fields: dict[str, Any], name: str, read: object
) -> None:
    assert getattr(bid_request(imp(**fields)).imp[0], name) == read


def test_p5_a_broken_slot_does_not_spoil_the_others() -> None:
    request = bid_request({"banner": {"w": 1, "h": 1}}, imp(id="good"), {"id": None})
    assert [slot.id for slot in request.imp] == ["good"]


@thorough
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_p7_ids_are_opaque(name: str) -> None:
    request = bid_request(imp(id=name), id=name, user={"id": name, "buyeruid": name})
    assert request.user is not None
    assert {request.id, request.imp[0].id, request.user.id, request.user.buyeruid} == {name}


def test_u4_malformed_extended_ids_are_skipped() -> None:
    uids: list[object] = [None, 5, {"id": "good"}, {"id": []}, {"atype": 1}, {"id": 17}]
    eids = [None, "x", {"source": 5, "uids": "x"}, {"source": "a.example", "uids": uids}]
    request = bid_request(user={"eids": eids})
    assert request.user is not None
    assert request.user.eids is not None
    found = [uid.id for eid in request.user.eids for uid in eid.uids or () if eid.source == "5"]
    assert found == []
    assert [uid.id for uid in request.user.eids[-1].uids or () if uid.id] == ["good", "17"]


@pytest.mark.parametrize(
    ("banner", "sizes"),
    [
        ({"w": 300, "h": 250}, {(300, 250)}),
        ({"format": [{"w": 300, "h": 250}, {"w": 728, "h": 90}]}, {(300, 250), (728, 90)}),
        ({"format": [{"w": 728, "h": 90}], "w": 300, "h": 250}, {(728, 90)}),
        ({"format": [], "w": 300, "h": 250}, {(300, 250)}),
        ({"format": [{"wratio": 16, "hratio": 9}], "w": 300, "h": 250}, {(300, 250)}),
        ({"format": [{"w": 0, "h": 250}]}, set()),
        ({"w": 300}, set()),
        ({}, set()),
    ],
)
def test_f1_sizes_are_the_union_of_the_formats_else_the_one_size(
    banner: dict[str, Any], sizes: set[tuple[int, int]]
) -> None:
    slot = bid_request(imp(banner=banner)).imp[0]
    assert slot.banner is not None
    assert slot.banner.sizes() == sizes
