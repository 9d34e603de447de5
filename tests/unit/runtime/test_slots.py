"""Hash slots and what a cluster says instead of an answer."""

import hiredis
import pytest
import redis.crc
from hypothesis import given
from hypothesis import strategies as st

from models.commands import Command
from models.errors import InvalidFieldError
from models.identifiers import NodeId
from models.keys import Keys
from runtime.redirects import Ask, Moved, Redirect, Refusal, redirect_of
from runtime.redis_cluster import ClusterLink
from runtime.redis_link import RedisLink
from runtime.redis_url import link_to
from runtime.slots import Address, SlotRange, key_of, ranges_of, slot_of

ASKED = Address("10.0.0.9", 7000)


@given(st.binary(max_size=40) | st.text("{}ab", max_size=12).map(str.encode))
def test_a_slot_is_what_redis_py_takes_it_for(key: bytes) -> None:
    assert slot_of(key) == redis.crc.key_slot(key)


def test_the_slot_of_the_specifications_example() -> None:
    assert slot_of("123456789") == 0x31C3 % 16384


def test_all_keys_of_a_node_share_a_slot() -> None:
    keys, node = Keys("demo"), NodeId("k" + "n" * 22)
    names = [make(node) for make in (keys.parent, keys.person, keys.bid_view, keys.evidence)]
    names += [make(node, "t") for make in (keys.frozen_person, keys.frozen_bid_view)]
    assert {slot_of(name) for name in names} == {slot_of(node)}


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "k"), "k"),
        (("HSET", b"k", "f", "v"), b"k"),
        (("FCALL", "kinbid_v1_sweep", 1, "k", 0), "k"),
        (("FCALL", "kinbid_v1_absent", 0), None),
        (("PING",), None),
    ],
)
def test_a_command_runs_where_its_first_key_is(command: Command, key: str | bytes | None) -> None:
    assert key_of(command) == key


def test_a_node_that_does_not_know_its_address_is_where_it_was_asked() -> None:
    reply = [[0, 5, [b"10.0.0.1", 1, b"id"], [b"10.0.0.2", 2, b"id"]], [6, 9, [None, 3, b"id"]]]
    assert list(ranges_of(reply, ASKED)) == [
        SlotRange(0, 5, Address("10.0.0.1", 1)),
        SlotRange(6, 9, Address("10.0.0.9", 3)),
    ]


@pytest.mark.parametrize(
    ("text", "redirect"),
    [
        ("MOVED 3999 127.0.0.1:6381", Moved(Address("127.0.0.1", 6381))),
        ("MOVED 3999 :6381", Moved(Address("10.0.0.9", 6381))),
        ("ASK 3999 [::1]:6381", Ask(Address("::1", 6381))),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Refusal.AGAIN),
        ("CLUSTERDOWN The cluster is down", Refusal.DOWN),
        ("LOADING Redis is loading the dataset in memory", Refusal.DOWN),
        ("READONLY You can't write against a read only replica.", Refusal.DOWN),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", None),
    ],
)
def test_each_redirection_is_told_from_errors_of_the_command(
    text: str, redirect: Redirect | None
) -> None:
    assert redirect_of(hiredis.ReplyError(text), ASKED) == redirect


def test_a_value_that_looks_like_a_redirection_is_a_value() -> None:
    assert redirect_of(b"MOVED 3999 127.0.0.1:6381", ASKED) is None


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        ("redis://h:1/0", RedisLink, "h:1"),
        ("unix:///run/redis.sock", RedisLink, "/run/redis.sock"),
        ("redis+cluster://a:1,b:2,c", ClusterLink, "a:1,b:2,c:6379"),
        ("rediss+cluster://u:p%40@[::1]:7000,b:1/0", ClusterLink, "[::1]:7000,b:1"),
    ],
)
def test_the_url_chooses_the_link(url: str, kind: type, address: str) -> None:
    link = link_to(url)
    assert type(link) is kind
    assert link.address == address


@pytest.mark.parametrize(
    "url",
    ["http://h", "redis+cluster://", "redis+cluster://a:1,", "redis+cluster://:s3cret@a:x",
     "redis+cluster://:s3cret@a:1/3"],
)  # fmt: skip
def test_a_url_of_no_known_form_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InvalidFieldError, match=r"redis\+cluster://") as caught:
        link_to(url)
    assert "s3cret" not in str(caught.value)
