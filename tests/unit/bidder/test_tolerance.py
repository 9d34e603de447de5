"""Types that deviate: taken as what they mean, told by name, and never mistaken for permission."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder import openrtb_context
from bidder.errors import MalformedRequestError
from bidder.openrtb import DEVIATIONS, BidRequest, Imp, decode_request, deviation
from bidder.openrtb_context import Deal
from tests.unit.bidder.support import imp, thorough

BROKEN_OBJECTS: list[object] = [5, "text", True, [], [1], [[]], 1.5, ["x"]]
"""Where an object is due."""


def read(fields: dict[str, Any]) -> tuple[BidRequest, list[str]]:
    told: list[str] = []
    body = json.dumps({"id": "a", "imp": [imp()]} | fields).encode()
    return decode_request(body, told.append), told


def deal_of(**fields: object) -> Deal:
    request, _ = read({"imp": [imp(pmp={"deals": [{"id": "d"} | fields]})]})
    pmp = request.imp[0].pmp
    assert pmp is not None
    assert pmp.deals is not None
    return pmp.deals[0]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, []),
        ({"tmax": None, "device": None, "cur": None}, []),
        ({"unknown": "5", "ext": {"any": [1, {"thing": None}]}}, []),
        ({"tmax": "120"}, ["tmax"]),
        ({"at": 1.0}, ["at"]),
        ({"test": True}, ["test"]),
        ({"cur": "EUR"}, ["cur"]),
        ({"cur": ["EUR", None, 5]}, ["cur", "cur"]),
        ({"device": []}, ["device"]),
        ({"device": {"geo": {"country": 5, "region": None}}}, ["device.geo.country"]),
        ({"user": {"eids": [{"uids": [{"atype": "1"}, 7]}]}},
         ["user.eids.uids.atype", "user.eids.uids"]),
        ({"imp": [imp(bidfloor="1.5", secure=True, id=7)]},
         ["imp.id", "imp.bidfloor", "imp.secure"]),
        ({"imp": [imp(), {"banner": {}}]}, ["imp"]),
        ({"imp": imp()}, ["imp"]),
        ({"imp": [imp(banner={"w": "300", "h": 250})]}, ["imp.banner.w"]),
    ],
)  # fmt: skip
def test_p4_each_deviation_is_told_by_its_path_and_nothing_else_is(
    fields: dict[str, Any], told: list[str]
) -> None:
    """P4: harmless deviations are read, and counted; null and unknown fields are none (P1, P2)."""
    assert sorted(read(fields)[1]) == sorted(told)


def test_the_metrics_labels_are_a_closed_list_that_holds_every_path() -> None:
    paths = ["tmax", "device.geo.country", "imp", "imp.id", "imp.banner.format.w", "ext.schain"]
    wanted = ["tmax", "device", "imp", "imp_id", "imp_banner", "ext"]
    assert [deviation(path) for path in paths] == wanted
    assert set(wanted) <= set(DEVIATIONS)
    assert len(set(DEVIATIONS)) == len(DEVIATIONS)


@pytest.mark.parametrize("broken", BROKEN_OBJECTS, ids=repr)
@pytest.mark.parametrize("name", ["banner", "pmp", "qty", "ext"])
def test_p5_a_broken_object_in_one_slot_leaves_the_other_slots_alone(
    name: str, broken: object
) -> None:
    """P5: the broken slot is left out, or has no such object; the other one is whole."""
    request, told = read({"imp": [imp(id="bad", **{name: broken}), imp(id="good")]})
    good = request.imp[-1]
    assert good == read({"imp": [imp(id="good")]})[0].imp[0]
    bad = [one for one in request.imp if one.id == "bad"]
    assert all(getattr(one, name) is None for one in bad)
    assert told or broken == []


NESTED = [
    {"banner": {"format": 5}}, {"banner": {"format": [5, {"w": "x"}]}}, {"banner": {"w": {}}},
    {"pmp": {"deals": 5}}, {"pmp": {"deals": [5, {"id": None}, {"bidfloor": 1}]}},
    {"pmp": {"deals": {"id": "d"}}}, {"secure": []}, {"exp": {}}, {"instl": "x"}, {"tagid": {}},
    {"ext": {"gpid": {}, "rwdd": "x"}}, {"qty": {"multiplier": ""}},
]  # fmt: skip


@pytest.mark.parametrize("broken", NESTED, ids=json.dumps)
def test_p5_what_is_broken_further_inside_a_slot_costs_no_slot(broken: dict[str, Any]) -> None:
    """P5: nor does it cost the slot itself, where nothing that was lost can forbid a bid."""
    request, _ = read({"imp": [imp(id="bad", **broken), imp(id="good")]})
    assert [slot.id for slot in request.imp] == ["bad", "good"]


@pytest.mark.parametrize("value", [{"a": 1}, "soon", [1], [{"a": 1}], [None, "x"]], ids=repr)
@pytest.mark.parametrize("name", ["bidfloor", "qty"])
def test_a_floor_that_cannot_be_read_leaves_the_slot_out(name: str, value: object) -> None:
    """P5, A5: it is never taken for no floor."""
    fields = {name: {"multiplier": value} if name == "qty" else value}
    request, _ = read({"imp": [imp(id="bad", **fields), imp(id="good")]})
    assert [slot.id for slot in request.imp] == ["good"]


@pytest.mark.parametrize("value", [{"a": 1}, "x", [1, "x"], [[1]], [{"a": 1}]], ids=repr)
@pytest.mark.parametrize("name", ["battr", "btype"])
def test_a_block_that_cannot_be_read_takes_its_banner_along(name: str, value: object) -> None:
    """P5, B4: it is never taken for no block."""
    request, _ = read({"imp": [imp(id="bad", banner={"w": 300, "h": 250, name: value})]})
    assert request.imp[0].banner is None


@pytest.mark.parametrize("value", [{"a": 1}, "maybe", [1]], ids=repr)
def test_a_private_auction_that_cannot_be_read_is_not_taken_for_an_open_one(value: object) -> None:
    """P5, D1: the slot is left out."""
    pmp = {"private_auction": value, "deals": [{"id": "d"}]}
    request, _ = read({"imp": [imp(id="bad", pmp=pmp), imp(id="good")]})
    assert [slot.id for slot in request.imp] == ["good"]


@pytest.mark.parametrize("name", [n for n in Deal.__struct_fields__ if n not in ("id", "guar")])
def test_a_deal_with_a_rule_that_cannot_be_read_is_left_out(name: str) -> None:
    """P5, D4, D5: the other deals of the slot stay."""
    deals = [{"id": "bad", name: [{"a": [1]}]}, {"id": "good"}]
    request, _ = read({"imp": [imp(pmp={"private_auction": 1, "deals": deals})]})
    pmp = request.imp[0].pmp
    assert pmp is not None
    assert [deal.id for deal in pmp.deals or ()] in (["good"], ["bad", "good"])
    if name != "durfloors":  # an entry of it is an object: the entry's own rules decide
        assert [deal.id for deal in pmp.deals or ()] == ["good"]


def test_a_deals_floor_by_duration_that_cannot_be_read_takes_the_deal_along() -> None:
    """A6: a range without its limits would be another range."""
    floors = [{"mindur": 5, "maxdur": "long", "bidfloor": 1.0}]
    request, _ = read({"imp": [imp(pmp={"deals": [{"id": "bad", "durfloors": floors}]})]})
    pmp = request.imp[0].pmp
    assert pmp is not None
    assert pmp.deals == []


@pytest.mark.parametrize("value", ["", [], {}, [None], [""]], ids=repr)
@pytest.mark.parametrize("name", ["bidfloor", "bidfloorcur", "pmp", "qty"])
def test_p4_an_empty_value_means_unknown(name: str, value: object) -> None:
    """P4: exchanges write "" where they know nothing."""
    request, _ = read({"imp": [imp(id="a", **{name: value})]})
    assert [slot.id for slot in request.imp] == ["a"]


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e400"])
def test_p6_a_number_in_words_that_is_none_is_not_read(value: str) -> None:
    """P6: neither as a floor that everybody meets nor as one that breaks arithmetic."""
    request, _ = read({"imp": [imp(id="bad", bidfloor=value), imp(id="good")]})
    assert [slot.id for slot in request.imp] == ["good"]


@pytest.mark.parametrize("fields", [{"cur": {"a": 1}}, {"test": "yes"}, {"cattax": "IAB"}])
def test_a_limit_of_the_whole_request_that_cannot_be_read_is_malformed(
    fields: dict[str, Any],
) -> None:
    """H3, A8, A12, B1: a test that might not be one would be billed."""
    with pytest.raises(MalformedRequestError, match="limit"):
        read(fields)


def test_p4_deals_are_read_with_their_deviations() -> None:
    """P4, D5: one domain is a list of one, an id may be a number."""
    deal = deal_of(id=17, at="3", bidfloor="2.5", wadomain="air.example", guar=True, wseat=512)
    assert (deal.id, deal.at, deal.bidfloor, deal.guar) == ("17", 3, 2.5, 1)
    assert (deal.wadomain, deal.wseat) == (["air.example"], ["512"])


STRUCTS = [
    one
    for one in vars(openrtb_context).values()
    if isinstance(one, type) and issubclass(one, msgspec.Struct)
] + [Imp]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_hot_types_have_no_dict(kind: type[msgspec.Struct]) -> None:
    assert kind.__dictoffset__ == 0


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "w", "deals", "uids", "schain", "a"]), inner)
    ),
    max_leaves=8,
)


@thorough
@given(st.dictionaries(st.sampled_from(Imp.__struct_fields__[1:]), values, max_size=3))
def test_p5_whatever_one_slot_holds_the_other_is_read_whole(broken: dict[str, Any]) -> None:
    """P5, as a property."""
    request, _ = read({"imp": [imp(id="bad") | broken, imp(id="good")]})
    assert request.imp[-1].id == "good"
    assert request.imp[-1].banner is not None
    assert {slot.id for slot in request.imp} <= {"bad", "good"}


@thorough
@given(st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_the_tolerant_reading_of_a_body_without_deviations_is_the_strict_one(
    extension: dict[str, Any],
) -> None:
    """P1, P3: a deviation somewhere else changes nothing about what is as it should be."""
    fields: dict[str, Any] = {
        "imp": [imp(bidfloor=1, secure=1, pmp={"deals": [{"id": "d", "at": 1}]}, ext=extension)],
        "device": {"ua": "x", "geo": {"country": "USA"}}, "badv": ["a.example"], "at": 1,
    }  # fmt: skip
    extension.pop("gpid", None)
    extension.pop("rwdd", None)
    plain, told = read(fields)
    assert told == []
    deviating, _ = read(fields | {"tmax": "100"})
    assert msgspec.structs.replace(deviating, tmax=None) == plain


@pytest.mark.parametrize("body", [b"{}", b"[]", b"5", b'{"id":"a"}', b'{"id":{},"imp":5}'])
def test_a_body_that_is_refused_tells_no_deviation_that_cannot_be_counted(body: bytes) -> None:
    """H3: the answer is 400, and no error of ours."""
    told: list[str] = []
    with pytest.raises(MalformedRequestError):
        decode_request(body, told.append)
    assert {deviation(path) for path in told} <= set(DEVIATIONS)


@thorough
@given(
    st.dictionaries(st.sampled_from(BidRequest.__struct_fields__), values, max_size=5),
    st.dictionaries(st.sampled_from(Imp.__struct_fields__), values, max_size=3),
)
def test_every_deviation_has_its_place_among_the_counters(
    fields: dict[str, Any], slot: dict[str, Any]
) -> None:
    """P4: whatever comes, in whichever field."""
    told: list[str] = []
    for slots in ([slot], [imp(), slot], slot):
        body = json.dumps({"id": "a"} | fields | {"imp": slots}).encode()
        with contextlib.suppress(MalformedRequestError):
            decode_request(body, told.append)
    assert {deviation(path) for path in told} <= set(DEVIATIONS)
