"""The short way of a look-up finds what the long way finds, whatever stands in Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bidder.lookup
from bidder.lookup import Found, fetch_person
from models.caps import CapLedger, encode_ledger
from models.identifiers import Namespace, NodeId
from models.profile import Header, Person, encode_header
from models.reservations import Reservation, encode_reservations
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    AIR,
    KEYS,
    NOW_MS,
    SEATS,
    MemoryRedis,
    node,
    searched,
    thorough,
)

OWN: Final = b"r:me"
TOKEN: Final = b"t1"
NODES: Final = [node(Namespace.COOKIE, f"browser {n}") for n in range(3)] + [
    node(Namespace.CRM, f"{n}") for n in (41, 42)
]
"""An entry and a view lead to a later one only, so that no path goes in a circle."""


def reservation(ms: int) -> bytes:
    return encode_reservations([Reservation(SEATS, "n", NOW_MS + ms, NOW_MS, AIR)])


ledgers = st.integers(0, 2).map(
    lambda count: CapLedger(campaigns={SEATS: {f"{n}": NOW_MS - n for n in range(count)}})
)
headers = st.builds(
    lambda personal_ok, shared: showing(
        (searched(),), personal_ok=personal_ok, shared=tuple(shared)
    ),
    st.booleans(),
    st.sampled_from([(), (), NODES[:2], NODES[3:]]),
)
encoded_headers = headers.map(encode_header)
other_fields = {
    b"c": ledgers.map(encode_ledger),
    b"v": st.just(b"7"),
    OWN: st.just(reservation(5)),
    b"r:other": st.sampled_from([-5, 5]).map(reservation),
    b"r:third": st.sampled_from([-5, 5]).map(reservation),
}
plain_fields = st.one_of(
    st.fixed_dictionaries({b"h": encoded_headers}, optional=other_fields),
    st.fixed_dictionaries({b"h": encoded_headers}),
    st.fixed_dictionaries({}, optional=other_fields),
)


@st.composite
def views(draw: st.DrawFn, place: int) -> dict[bytes, bytes]:
    """A bid view; seldom one of somebody who merges or was split."""
    fields: dict[bytes, bytes] = draw(plain_fields)
    odd = draw(st.sampled_from([b"", b"", b"", b"", b">", b"g", b"!", b"m:" + TOKEN]))
    if odd == b">":
        above = NODES[place + 1 :]
        return {b">": draw(st.sampled_from(above)).encode()} if above else fields
    if odd == b"g":
        fields[odd] = b"1"
    elif odd == b"!":
        fields[odd] = TOKEN
    elif odd:
        fields[odd] = draw(st.sampled_from(NODES)).encode()
    return fields


@st.composite
def stores(draw: st.DrawFn) -> MemoryRedis:
    """Entries, views and frozen views."""
    redis = MemoryRedis()
    for place, one in enumerate(NODES):
        above = NODES[place + 1 :]
        is_linked = draw(st.booleans())
        if above and is_linked:
            redis.parents[KEYS.parent(one)] = b">" + draw(st.sampled_from(above)).encode()
        has_view, has_frozen = draw(st.booleans()), draw(st.booleans())
        if has_view:
            redis.hashes[KEYS.bid_view(one)] = draw(views(place))
        if has_frozen:
            frozen = draw(plain_fields)
            redis.hashes[KEYS.frozen_bid_view(one, TOKEN.decode())] = {**frozen, b">": TOKEN}
    return redis


def fetched(redis: MemoryRedis, nodes: list[NodeId]) -> Found:
    return redis.run(fetch_person(KEYS, nodes, NOW_MS, OWN))


@contextmanager
def the_long_way() -> Iterator[None]:
    with patch.object(bidder.lookup, "plain_person", lambda *_: None):
        yield


named = st.lists(st.sampled_from(NODES), min_size=1, max_size=4, unique=True)


@settings(thorough, max_examples=500)
@given(stores(), named)
def test_both_ways_find_the_same(redis: MemoryRedis, nodes: list[NodeId]) -> None:
    found = fetched(redis, nodes)
    with the_long_way():
        assert found == fetched(redis, nodes)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"v": b"1", OWN: b"ours", b"r:other": reservation(5)},
        {b"c": encode_ledger(CapLedger())},
    ],
)
def test_nearly_everybody_is_found_the_short_way(
    fields: dict[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the long way was taken")

    monkeypatch.setattr(bidder.lookup, "_any_person", refuse)
    cookie, other, crm = NODES[0], NODES[1], NODES[3]
    redis = MemoryRedis()
    redis.parents[KEYS.parent(cookie)] = b">" + crm.encode()
    header = encode_header(showing((searched(),)))
    redis.hashes[KEYS.bid_view(crm)] = {b"h": header, **fields}
    found = fetched(redis, [other, cookie])
    assert (found.person.node, found.person.root, found.is_known) == (cookie, crm, True)
    assert fetched(redis, [other]) == Found(Person(other, other, Header()))
