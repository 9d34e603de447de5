"""The store in memory and a real Redis give the same replies and come to the same state."""

import random
from typing import Any

import msgspec
import pytest

from models.caps import CapLedger, decode_ledger, encode_ledger
from models.commands import Command, Steps
from models.evidence import Evidence, Verdict, encode_evidence
from models.identifiers import NodeId
from models.identity import Apply, fold
from models.keys import Keys
from models.links import Linked, link
from models.profile import publish
from models.reservations import Reservation, decode_reservations, encode_reservations
from models.verdicts import encode_verdict
from runtime.redis_link import RedisReplyError
from tests.contract.stores import FakeStore, Store, just
from tests.fakes.memory_store import HANDLERS

KEYS = Keys("contract")
NODE, OTHER, THIRD = NodeId("k" + "n" * 22), NodeId("k" + "o" * 22), NodeId("c" + "t" * 22)
NOW_MS = 1_700_000_000_000


def call(name: str, keys: list[str], *arguments: str | bytes | int) -> Command:
    return ("FCALL", f"kinbid_v1_{name}", len(keys), *keys, *arguments)


def ask(store: Store, *commands: Command) -> list[Any]:
    replies: list[Any] = store.run(just(*commands))
    return replies


def fields(store: Store, key: str) -> dict[bytes, bytes]:
    (flat,) = ask(store, ("HGETALL", key))
    return dict(zip(flat[::2], flat[1::2], strict=True))


# -- plain commands -------------------------------------------------------------------------

COMMANDS: list[tuple[Command, Any]] = [
    (("GET", "s"), None),
    (("SET", "s", "1"), b"OK"),
    (("GET", "s"), b"1"),
    (("SET", "s", 2), b"OK"),
    (("SET", "expires", "x", "PXAT", 4_000_000_000_000), b"OK"),
    (("GET", "expires"), b"x"),
    (("INCR", "s"), 3),
    (("GET", "s"), b"3"),
    (("INCR", "fresh"), 1),
    (("MGET", "s", "absent", "fresh"), [b"3", None, b"1"]),
    (("HGET", "h", "f"), None),
    (("HGETALL", "h"), []),
    (("HSET", "h", "f", b"\x00\xff", "g", 7), 2),
    (("HSET", "h", "f", "again"), 0),
    (("HSET", "h", "f", "x", "new", "y"), 1),
    (("HGET", "h", "f"), b"x"),
    (("HMGET", "h", "f", "absent", "g"), [b"x", None, b"7"]),
    (("HSETNX", "h", "f", "other"), 0),
    (("HSETNX", "h", "n", "only"), 1),
    (("HGETALL", "h"), [b"f", b"x", b"g", b"7", b"new", b"y", b"n", b"only"]),
    (("MGET", "h", "s"), [None, b"3"]),
    (("HDEL", "h", "f", "absent", "g"), 2),
    (("HDEL", "h", "new", "n"), 2),
    (("HGETALL", "h"), []),
    (("HDEL", "h", "f"), 0),
    (("HINCRBY", "h", "count", 2), 2),
    (("HINCRBY", "h", "count", 1), 3),
    (("HDEL", "h", "count"), 1),
    (("EXPIRE", "h", 60), 0),
    (("EXPIRE", "s", 60), 1),
    (("UNLINK", "s"), 1),
    (("UNLINK", "s"), 0),
    (("GET", "s"), None),
]


def test_each_command_replies_the_same(store: Store) -> None:
    for command, reply in COMMANDS:
        assert ask(store, command) == [reply], command
    assert {command[0] for command, _ in COMMANDS} | {"FCALL"} == set(HANDLERS)


def test_the_commands_of_one_step_run_in_order(store: Store) -> None:
    assert ask(store, ("INCR", "n"), ("INCR", "n"), ("GET", "n")) == [1, 2, b"2"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("GET", "hash"), "WRONGTYPE"),
        (("INCR", "hash"), "WRONGTYPE"),
        (("HGET", "string", "f"), "WRONGTYPE"),
        (("HMGET", "string", "f"), "WRONGTYPE"),
        (("HSET", "string", "f", "v"), "WRONGTYPE"),
        (("HSETNX", "string", "f", "v"), "WRONGTYPE"),
        (("HDEL", "string", "f"), "WRONGTYPE"),
        (("HGETALL", "string"), "WRONGTYPE"),
        (("INCR", "string"), "not an integer"),
        (("HINCRBY", "hash", "f", 1), "not an integer"),
        (("HSET", "hash", "f"), "wrong number of arguments"),
        (("FCALL", "kinbid_v1_absent", 0), "Function not found"),
        (("NOSUCH", "x"), "unknown command"),
    ],
)
def test_what_redis_refuses_the_fake_refuses(store: Store, command: Command, text: str) -> None:
    ask(store, ("SET", "string", "text"), ("HSET", "hash", "f", "v"))
    with pytest.raises(RedisReplyError, match=text):
        ask(store, command)


def test_an_error_is_thrown_once_the_whole_step_has_run(store: Store) -> None:
    with pytest.raises(RedisReplyError):
        ask(store, ("SET", "s", "x"), ("INCR", "s"), ("SET", "after", "y"))
    assert ask(store, ("GET", "after")) == [b"y"]


def test_a_generator_may_catch_an_error_and_go_on(store: Store) -> None:
    def careful() -> Steps[bytes]:
        try:
            yield [("INCR", "s")]
        except RedisReplyError:
            yield [("SET", "s", "1")]
        (value,) = yield [("GET", "s")]
        assert isinstance(value, bytes)
        return value

    ask(store, ("SET", "s", "text"))
    assert store.run(careful()) == b"1"


# -- the functions --------------------------------------------------------------------------

PARENT, PERSON, VIEW = KEYS.parent(NODE), KEYS.person(NODE), KEYS.bid_view(NODE)
FROZEN, FROZEN_VIEW = KEYS.frozen_person(NODE, "t1"), KEYS.frozen_bid_view(NODE, "t1")
ROOT_KEYS = [PARENT, PERSON, VIEW]
DRAIN_KEYS = [PARENT, PERSON, FROZEN, VIEW, FROZEN_VIEW]


def test_mark_announces_a_merge_at_a_root_only(store: Store) -> None:
    assert ask(store, call("mark", ROOT_KEYS, "t1", OTHER, 0, 0)) == [1]
    marked = {b"m:t1": OTHER.encode()}
    assert fields(store, PERSON) == fields(store, VIEW) == marked
    ask(store, ("SET", PARENT, f">{THIRD}"))
    assert ask(store, call("mark", ROOT_KEYS, "t2", OTHER, 0, 0)) == [0]
    assert fields(store, PERSON) == fields(store, VIEW) == marked


@pytest.mark.parametrize("name", ["mark", "drain"])
def test_who_has_been_split_or_is_contested_is_merged_by_nobody(store: Store, name: str) -> None:
    def ask_for(splits: int, forced: int) -> list[Any]:
        if name == "mark":
            return ask(store, call("mark", ROOT_KEYS, "t1", OTHER, splits, forced))
        return ask(store, call("drain", DRAIN_KEYS, THIRD, "t1", NODE, splits, forced, 60))

    ask(store, ("HSET", PERSON, "g", 2, "!", "1"), ("SET", PARENT, ",2"))
    assert ask_for(1, 1) == [0]
    assert ask_for(2, 0) == [-1]
    assert fields(store, PERSON) == {b"g": b"2", b"!": b"1"}
    assert ask_for(2, 1) == [1]


def test_a_merge_keeps_the_splits_of_the_child_in_its_entry(store: Store) -> None:
    ask(store, ("HSET", PERSON, "g", 2), ("SET", PARENT, ",2"))
    ask(store, call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 2, 0, 60))
    assert ask(store, ("GET", PARENT)) == [f">{THIRD},2".encode()]


def test_an_announcement_that_is_taken_back_comes_to_nothing(store: Store) -> None:
    assert ask(store, call("kill", [PARENT, PERSON], "t1")) == [1]
    assert ask(store, call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 0, 1, 60)) == [0]
    assert fields(store, PERSON) == {}
    assert ask(store, call("drain", DRAIN_KEYS, THIRD, "t2", NODE, 0, 1, 60)) == [1]
    assert ask(store, call("kill", [PARENT, PERSON], "t2")) == [0]


def test_drop_removes_only_what_lies_at_a_person_of_others(store: Store) -> None:
    ask(store, ("HSET", PERSON, "f:o@1", "x", f"f:{NODE}@1", "y", "f:m@1", "z", "k:m", "1"))

    def drop(node: str) -> list[Any]:
        return ask(store, call("drop", [PARENT, PERSON], f"f:{node}@1", node, NODE))

    assert [drop("o"), drop("m"), drop(NODE)] == [[1], [0], [0]]
    ask(store, ("SET", PARENT, f">{OTHER}"))
    assert [drop("m"), drop(NODE)] == [[1], [1]]
    assert fields(store, PERSON) == {b"k:m": b"1"}


def test_a_mark_is_taken_away_by_whoever_set_it_last(store: Store) -> None:
    ask(store, ("HSET", PERSON, "!", "t2"))
    assert ask(store, call("calm", [PERSON], "t1"), call("calm", [PERSON], "t2")) == [0, 1]
    assert ask(store, call("calm", [PERSON], "t2")) == [0]


SPLIT_KEYS = [
    PARENT, PERSON, KEYS.frozen_person(NODE, "s1"), VIEW, KEYS.frozen_bid_view(NODE, "s1"),
]  # fmt: skip


def test_a_split_goes_from_closed_to_born_to_led(store: Store) -> None:
    close = call("close", SPLIT_KEYS, NODE, "s1", "plan", 0, 600)
    ask(store, ("HSET", PERSON, "f:x@1", "facet", "m:t", OTHER), ("HSET", VIEW, "h", "header"))
    assert ask(store, close) == [2]
    ask(store, ("HDEL", PERSON, "m:t"))
    assert ask(store, close, close) == [1, 0]
    assert ask(store, ("GET", PARENT)) == [b"!1@s1"]
    frozen = {b"f:x@1": b"facet", b">": b"s1", b"k:" + NODE.encode(): b"1", b"plan": b"plan"}
    assert fields(store, SPLIT_KEYS[2]) == frozen
    assert fields(store, SPLIT_KEYS[4]) == {b"h": b"header", b">": b"s1"}
    assert [fields(store, key) for key in (PERSON, VIEW)] == [{}, {b"!": b"s1"}]
    born = call("born", ROOT_KEYS, "s1", f"{NODE}|{NODE}", 1, "s1/n")
    assert ask(store, born, born) == [1, 1]
    begun = {b"m:s1/n": f"{NODE}|{NODE}".encode(), b"g": b"1"}
    assert fields(store, PERSON) == fields(store, VIEW) == begun
    led = call("repoint", [PARENT, VIEW], NODE, NODE, 1, "s1")
    assert ask(store, led, led, born) == [1, 0, 0]
    assert ask(store, ("GET", PARENT), close) == [b",1", 0]


def test_a_member_is_led_to_its_part_once_and_its_old_view_with_it(store: Store) -> None:
    ask(store, ("SET", PARENT, f">{THIRD}"), ("HSET", VIEW, ">", THIRD))
    led = call("repoint", [PARENT, VIEW], NODE, OTHER, 2, "s1")
    assert ask(store, led, led) == [1, 0]
    assert ask(store, ("GET", PARENT)) == [f">{OTHER},2".encode()]
    assert fields(store, VIEW) == {b">": OTHER.encode()}
    assert ask(store, call("repoint", [PARENT, VIEW], NODE, THIRD, 1, "s0")) == [0]


def test_a_split_of_the_past_leads_nobody_who_is_being_split_again(store: Store) -> None:
    ask(store, ("SET", PARENT, "!3@s3"))
    assert ask(store, call("repoint", [PARENT, VIEW], NODE, OTHER, 2, "s2")) == [0]
    assert ask(store, call("born", ROOT_KEYS, "s2", f"{OTHER}|{NODE}", 2, "s2/n")) == [0]


# -- evidence -------------------------------------------------------------------------------

EVIDENCE = KEYS.evidence(NODE)


def told(time_ms: int) -> bytes:
    return encode_evidence(Evidence("sign_in", time_ms))


def witness(other: str, time_ms: int, most: int = 2, erased_ms: int = 0) -> Command:
    return call("witness", [EVIDENCE, PARENT], other, told(time_ms), most, erased_ms)


def test_of_two_calls_the_one_with_more_confidence_stands(store: Store) -> None:
    calls = [encode_evidence(Evidence("call_session", *one)) for one in ((5, 30), (7, 90), (6, 50))]
    for evidence, kept in zip(calls, (calls[0], calls[1], calls[1]), strict=True):
        ask(store, call("witness", [EVIDENCE, PARENT], "a", evidence, 2, 0))
        assert fields(store, EVIDENCE) == {b"e:a": kept}


def test_of_evidence_of_one_kind_and_time_the_latest_confidence_stands(store: Store) -> None:
    found = [encode_evidence(Evidence("call_session", 5, percent)) for percent in (30, 70, 50)]
    for evidence in found:
        ask(store, call("witness", [EVIDENCE, PARENT], "a", evidence, 2, 0))
        assert fields(store, EVIDENCE) == {b"e:a": evidence}


def test_witness_tells_of_a_link_that_was_refused_before(store: Store) -> None:
    ask(store, ("HSET", EVIDENCE, "s:a", "weak"))
    assert ask(store, witness("a", 5), witness("b", 5, most=9)) == [-2, 3]
    assert fields(store, EVIDENCE)[b"e:a"] == told(5)
    ask(store, ("HDEL", EVIDENCE, "s:a"))
    assert ask(store, witness("a", 5)) == [2]


def test_witness_tells_of_a_session_that_called_from_one_phone_and_gave_another(
    store: Store,
) -> None:
    call_evidence = encode_evidence(Evidence("call_session", 5, 90))

    def called_from(phone: str, most: int = 9) -> Command:
        return call("witness", [EVIDENCE, PARENT], phone, call_evidence, most, 0)

    assert ask(store, called_from("p1"), called_from("p2"), witness("k", 5, most=9)) == [1, 2, 3]
    assert ask(store, witness("p3", 5, most=9), witness("e", 5, most=9)) == [-2, 5]
    assert ask(store, called_from("p1"), called_from("p1", most=4)) == [-2, 5]


def test_witness_tells_of_too_many_links_first(store: Store) -> None:
    """From an identifier that has too many, all of its links must be looked at."""
    ask(store, ("HSET", EVIDENCE, "s:a", "weak"), *[witness(name, 5) for name in "bcd"])
    assert ask(store, witness("a", 5)) == [4]


def test_withdraw_takes_only_that_evidence_back(store: Store) -> None:
    ask(store, witness("a", 5))
    assert ask(store, call("withdraw", [EVIDENCE], "a", told(6))) == [0]
    assert ask(store, call("withdraw", [EVIDENCE], "b", told(5))) == [0]
    assert ask(store, call("withdraw", [EVIDENCE], "a", told(5))) == [1]
    assert not fields(store, EVIDENCE)


def test_withdraw_takes_evidence_back_whatever_its_confidence(store: Store) -> None:
    kept, never = (encode_evidence(Evidence("call_session", 10**12, one)) for one in (90, 0))
    ask(store, ("HSET", EVIDENCE, "e:a", kept))
    assert ask(store, call("withdraw", [EVIDENCE], "a", never)) == [1]
    assert not fields(store, EVIDENCE)


def test_declare_keeps_the_greatest_words_and_says_whether_one_stands(store: Store) -> None:
    words = [declared("a", word, 3) for word in ("2@split", "1@c", "2@c", "3@c")]
    assert ask(store, *words[:2]) == [1, 0]
    assert fields(store, EVIDENCE) == {b"w:a": b"2@split,1@c"}
    assert ask(store, *words[2:]) == [0, 1]
    assert ask(store, words[-1]) == [0]
    assert fields(store, EVIDENCE) == {b"w:a": b"3@c,2@split,2@c"}


def declared(other: str, word: str | bytes, most: int = 9) -> Command:
    return call("declare", [EVIDENCE], other, word, most)


def test_witness_keeps_the_smallest_and_counts_links(store: Store) -> None:
    assert ask(store, witness("a", 5), witness("a", 7), witness("a", 3)) == [1, 1, 1]
    assert ask(store, witness("b", 1)) == [2]
    assert fields(store, EVIDENCE) == {b"e:a": told(3), b"e:b": told(1)}


def test_an_identifier_with_too_many_links_keeps_some_and_that_there_were_more(
    store: Store,
) -> None:
    replies = ask(store, *[witness(name, 1) for name in "abcdefgab"])
    assert replies == [1, 2, 3, 4, 5, 6, 6, 5, 5]
    kept = {b"e:" + name.encode() for name in "abcde"}
    assert fields(store, EVIDENCE).keys() == {*kept, b"+"}
    ask(store, *(call("disown", [EVIDENCE], name, 9) for name in "abcd"))
    assert ask(store, witness("e", 1)) == [3], "still one too many, for good"


@pytest.mark.parametrize("seed", range(20))
def test_of_too_many_links_the_strongest_and_earliest_are_kept_whatever_the_order(
    store: Store, seed: int
) -> None:
    """And of all others the strongest and earliest is known, also where one came later as such."""
    choose = random.Random(seed)
    told = [
        (name, Evidence(choose.choice(["sign_in", "seen_with"]), choose.randint(1, 3)))
        for name in choose.choices("abcdefgh", k=16)
    ]
    best = sorted(
        (min(encode_evidence(one) for name, one in told if name == other), other)
        for other in {name for name, _ in told}
    )
    ask(store, *(
        call("witness", [EVIDENCE, PARENT], name, encode_evidence(one), 1, 0) for name, one in told
    ))  # fmt: skip
    held = fields(store, EVIDENCE)
    assert held.pop(b"+", None) == (best[3][0] if len(best) > 3 else None)
    links = {name: one for name, one in held.items() if name.startswith(b"e:")}
    assert links == {b"e:" + other.encode(): evidence for evidence, other in best[:3]}


def test_a_link_that_makes_room_for_a_stronger_one_leaves_no_note_behind(store: Store) -> None:
    ask(store, witness("a", 5, most=0), ("HSET", EVIDENCE, "s:a", "weak"))
    assert ask(store, witness("b", 4, most=0)) == [2]
    assert fields(store, EVIDENCE) == {b"e:b": told(4), b"+": told(5)}


def judged(other: str, verdict: Verdict, at_ms: int) -> Command:
    return ("HSET", EVIDENCE, f"x:{other}", encode_verdict(verdict, at_ms))


def test_a_link_that_was_rejected_still_counts_unless_nobody_told_of_it(store: Store) -> None:
    ask(store, *[witness(name, 1, most=4) for name in "abc"])
    ask(store, *(judged(name, "rejected", 9) for name in "abx"))
    assert ask(store, witness("a", 1, most=4), witness("d", 1, most=4)) == [-1, 4]
    assert ask(store, witness("x", 1, most=4)) == [5], "one too many: others are to be parted"
    assert ask(store, witness("a", 1, most=4), witness("a", 1, most=5)) == [5, -1]


def test_an_approved_link_of_which_nobody_told_does_not_count(store: Store) -> None:
    ask(store, judged("x", "approved", 9), witness("a", 1))
    assert ask(store, witness("b", 1), witness("x", 1)) == [2, 3]


def test_evidence_is_kept_beside_a_verdict(store: Store) -> None:
    ask(store, witness("a", 5), judged("a", "rejected", 9))
    assert ask(store, witness("a", 3), witness("a", 6)) == [-1, -1]
    assert fields(store, EVIDENCE) == {b"x:a": encode_verdict("rejected", 9), b"e:a": told(3)}
    ask(store, judged("a", "approved", 10))
    assert ask(store, witness("a", 4)) == [2]
    assert ask(store, call("withdraw", [EVIDENCE], "a", told(3))) == [1]
    assert fields(store, EVIDENCE) == {b"x:a": encode_verdict("approved", 10)}


def test_a_link_that_was_rejected_before_one_of_the_two_was_erased_is_like_any_other(
    store: Store,
) -> None:
    ask(store, judged("a", "rejected", 5))
    assert ask(store, witness("a", 7), witness("a", 7, erased_ms=5)) == [-1, 2]
    ask(store, call("erase", [PARENT], 5))
    assert ask(store, witness("a", 7)) == [2]
    ask(store, judged("a", "rejected", 6))
    assert ask(store, witness("a", 7)) == [-1]


def test_an_erased_identifier_keeps_no_evidence_that_is_not_newer(store: Store) -> None:
    ask(store, witness("a", 5), call("erase", [PARENT], 5))
    assert ask(store, witness("a", 3), witness("a", 5), witness("a", 7)) == [-3, -3, 1]
    assert fields(store, EVIDENCE) == {b"e:a": told(7)}


def test_evidence_about_an_erased_other_counts_as_none(store: Store) -> None:
    ask(store, witness("a", 5))
    assert ask(store, witness("a", 7, erased_ms=6)) == [1]
    assert fields(store, EVIDENCE) == {b"e:a": told(7)}


def test_disown_forgets_old_evidence_verdicts_and_notes(store: Store) -> None:
    ask(store, witness("a", 5), judged("a", "approved", 6), ("HSET", EVIDENCE, "s:a", "weak"))
    ask(store, witness("b", 7), judged("c", "approved", 6))
    old, new = b"%013d@c" % 5, b"%013d@c" % 7
    ask(store, declared("a", old), declared("b", old), declared("b", new))
    ask(store, *(call("disown", [EVIDENCE], name, 6) for name in "abc"))
    assert fields(store, EVIDENCE) == {b"e:b": told(7), b"w:b": new}


def test_disown_leaves_a_newer_verdict_and_its_note_whatever_was_told_before(store: Store) -> None:
    note, verdict = {b"s:a": b"rejected"}, {b"x:a": encode_verdict("rejected", 8)}
    ask(store, witness("a", 7), judged("a", "rejected", 8), ("HSET", EVIDENCE, "s:a", "rejected"))
    ask(store, call("disown", [EVIDENCE], "a", 6))
    assert fields(store, EVIDENCE) == {b"e:a": told(7)} | verdict | note
    ask(store, call("disown", [EVIDENCE], "a", 7))
    assert fields(store, EVIDENCE) == verdict | note
    ask(store, call("disown", [EVIDENCE], "a", 8))
    assert not fields(store, EVIDENCE)


@pytest.mark.parametrize("entry", [None, ",3", f">{THIRD}", f">{THIRD},3", "!3@t1"])
def test_an_erasure_stands_behind_the_entry_and_only_rises(store: Store, entry: str | None) -> None:
    if entry is not None:
        ask(store, ("SET", PARENT, entry))
    erasures = [call("erase", [PARENT], ms) for ms in (7, 5, 7, 9)]
    assert ask(store, *erasures) == [1, 0, 0, 1]
    assert ask(store, ("GET", PARENT)) == [f"{entry or ',0'}^9".encode()]


def test_an_erasure_outlives_merges_and_splits(store: Store) -> None:
    ask(store, call("erase", [PARENT], 7), call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 0, 0, 60))
    assert ask(store, ("GET", PARENT)) == [f">{THIRD},0^7".encode()]
    view = KEYS.bid_view(NODE)
    assert ask(store, call("repoint", [PARENT, view], NODE, THIRD, 1, "t2")) == [1]
    assert ask(store, ("GET", PARENT)) == [f">{THIRD},1^7".encode()]
    assert ask(store, call("repoint", [PARENT, view], NODE, NODE, 2, "t3")) == [1]
    assert ask(store, ("GET", PARENT)) == [b",2^7"]
    ask(store, ("HSET", PERSON, "g", 2))
    frozen = KEYS.frozen_person(NODE, "t4"), KEYS.frozen_bid_view(NODE, "t4")
    close = call("close", [PARENT, PERSON, frozen[0], view, frozen[1]], NODE, "t4", "", 2, 60)
    assert ask(store, close) == [1]
    assert ask(store, ("GET", PARENT)) == [b"!3@t4^7"]
    born = call("born", [PARENT, PERSON, view], "t4", f"{NODE}|{NODE}", 3, f"t4/{NODE}")
    other = call("born", [PARENT, PERSON, view], "t5", f"{NODE}|{NODE}", 3, f"t5/{NODE}")
    assert ask(store, other, born) == [0, 1]
    assert ask(store, call("repoint", [PARENT, view], NODE, NODE, 3, "t4")) == [1]
    assert ask(store, ("GET", PARENT)) == [b",3^7"]


def test_drain_links_and_freezes_and_only_once(store: Store) -> None:
    ask(store, ("HSET", PERSON, "f:x@1", "facet"), ("HSET", VIEW, "h", "header"))
    assert ask(store, call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 0, 0, 60)) == [1]
    state = {
        "n": ask(store, ("GET", PARENT))[0],
        "p": fields(store, PERSON),
        "q": fields(store, FROZEN),
        "b": fields(store, VIEW),
        "z": fields(store, FROZEN_VIEW),
    }
    assert state == {
        "n": f">{THIRD}".encode(),
        "p": {},
        "q": {b"f:x@1": b"facet", b">": b"t1", b"k:" + NODE.encode(): b"1"},
        "b": {b">": THIRD.encode()},
        "z": {b"h": b"header", b">": b"t1"},
    }
    assert ask(store, call("drain", DRAIN_KEYS, OTHER, "t2", NODE, 0, 0, 60)) == [0]
    assert fields(store, FROZEN) == state["q"]
    assert ask(store, ("GET", PARENT)) == [state["n"]]


def test_drain_freezes_a_person_of_whom_nothing_is_known(store: Store) -> None:
    assert ask(store, call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 0, 0, 60)) == [1]
    assert fields(store, FROZEN) == {b">": b"t1", b"k:" + NODE.encode(): b"1"}
    assert fields(store, FROZEN_VIEW) == {b">": b"t1"}


def test_a_frozen_copy_keeps_no_time_to_live_of_its_past(store: Store) -> None:
    ask(
        store,
        ("HSET", PERSON, "f:x@1", "facet"),
        call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 0, 0, 60),
    )
    assert ask(store, ("EXPIRE", FROZEN, 60), ("EXPIRE", KEYS.person(OTHER), 60)) == [1, 0]


def test_a_view_that_leads_on_stays_a_minute_unless_its_node_is_a_root_again(store: Store) -> None:
    ask(
        store, call("drain", DRAIN_KEYS, THIRD, "t1", NODE, 0, 0, 60), ("HSET", VIEW, "r:w", "held")
    )
    assert store.seconds_left(VIEW) == 60
    born = call("born", ROOT_KEYS, "s1", f"{THIRD}|{NODE}", 1, f"s1/{NODE}")
    assert ask(store, born) == [1]
    assert fields(store, VIEW).keys() == {b"r:w", b"m:s1/" + NODE.encode(), b"g"}
    assert store.seconds_left(VIEW) is None


def test_absorb_takes_a_child_in_once(store: Store) -> None:
    ask(
        store,
        call("mark", ROOT_KEYS, "t1", OTHER, 0, 0),
        ("HSET", PERSON, "f:o@2", "stray", "g", 2),
    )
    absorb = call(
        "absorb", ROOT_KEYS, "t1", OTHER, 4,
        "f:o@1", "older", "f:o@2", "newer", f"k:{OTHER}", "1", "g", 3,
        "r:w~t1", "held", "m:t0", THIRD,
    )  # fmt: skip
    assert ask(store, absorb) == [1]
    person = {
        b"f:o@1": b"older", b"f:o@2": b"newer", b"k:" + OTHER.encode(): b"1", b"g": b"3",
        b"j:t1": OTHER.encode(),
    }  # fmt: skip
    assert fields(store, PERSON) == person
    view = {b"m:t1": OTHER.encode(), b"r:w~t1": b"held", b"m:t0": THIRD.encode()}
    assert fields(store, VIEW) == view
    ask(store, ("HDEL", PERSON, "f:o@1"))
    assert ask(store, absorb) == [0]
    assert fields(store, PERSON) == {name: v for name, v in person.items() if name != b"f:o@1"}


def test_absorb_leaves_a_root_alone_that_has_been_merged_itself(store: Store) -> None:
    ask(
        store,
        call("mark", ROOT_KEYS, "t1", OTHER, 0, 0),
        call("drain", DRAIN_KEYS, THIRD, "t9", NODE, 0, 0, 60),
    )
    assert ask(store, call("absorb", ROOT_KEYS, "t1", OTHER, 1, "f:o@1", "facet")) == [0]
    assert fields(store, PERSON) == {}


def test_shorten_moves_a_link_that_has_not_changed(store: Store) -> None:
    ask(store, ("SET", PARENT, f">{OTHER}"))
    shorten = call("shorten", [PARENT], f">{OTHER}", f">{THIRD}")
    assert ask(store, shorten, ("GET", PARENT)) == [1, f">{THIRD}".encode()]
    assert ask(store, shorten, ("GET", PARENT)) == [0, f">{THIRD}".encode()]
    absent = KEYS.parent(OTHER)
    assert ask(store, call("shorten", [absent], "x", "y"), ("GET", absent)) == [0, None]


def test_publish_keeps_the_newest_version(store: Store) -> None:
    keys = ROOT_KEYS
    assert ask(store, call("publish", keys, 0, 9, "h9", "c9")) == [1]
    assert ask(store, call("publish", keys, 0, 10, "h10", "c10")) == [1]
    assert ask(store, call("publish", keys, 0, 9, "late", "late")) == [1]
    newest = {b"v": b"10", b"h": b"h10", b"c": b"c10"}
    assert fields(store, VIEW) == newest
    assert ask(store, call("publish", keys, 0, 10, "same", "c10")) == [1]
    assert fields(store, VIEW) == {**newest, b"h": b"same"}


@pytest.mark.parametrize("version", [3, 5])
def test_publish_removes_the_markers_of_the_tokens_named(store: Store, version: int) -> None:
    keys = ROOT_KEYS
    ask(store, call("publish", keys, 0, 4, "h", "c"), ("HSET", PERSON, "j:1", OTHER, "j:2", THIRD))
    ask(store, ("HSET", VIEW, "m:1", OTHER, "m:2", THIRD, "r:w", OTHER))
    assert ask(store, call("publish", keys, 0, version, "h", "c", "1", "3")) == [1]
    assert fields(store, PERSON) == {b"j:2": THIRD.encode()}
    assert fields(store, VIEW) == {
        b"v": b"%d" % max(4, version), b"h": b"h", b"c": b"c", b"m:2": THIRD.encode(),
        b"r:w": OTHER.encode(),
    }  # fmt: skip


def test_publish_leaves_a_person_alone_who_was_merged_or_split(store: Store) -> None:
    ask(store, ("SET", PARENT, f">{OTHER}"))
    assert ask(store, call("publish", ROOT_KEYS, 0, 9, "h", "c")) == [0]
    ask(store, ("SET", PARENT, ",1"), ("HSET", PERSON, "g", 1))
    assert ask(store, call("publish", ROOT_KEYS, 0, 9, "h", "c")) == [0]
    assert fields(store, VIEW) == {}


# -- the exact cap --------------------------------------------------------------------------

WINDOW_MS = 60_000


def held(*entries: tuple[str, str, int]) -> bytes:
    return encode_reservations([Reservation(*entry, NOW_MS, "A") for entry in entries])


def reserve(
    packed: bytes, cap: int, *more: int, campaign: str = "C", advertiser: str = "A"
) -> Command:
    """One limit of the campaign, and further ones as they stand in the call."""
    whose = (NOW_MS, "r:me", packed, NOW_MS, 0, campaign, advertiser)
    return call("reserve", [PARENT, VIEW], *whose, 0, cap, WINDOW_MS, *more)


OPEN, OVER = NOW_MS + 1, NOW_MS
NEW = ("C", "new", OPEN)


@pytest.mark.parametrize(
    ("stands", "packed", "used"),
    [
        pytest.param({}, held(NEW), 1, id="nothing but the new one"),
        pytest.param({"c": {"C": {"a": NOW_MS, "b": NOW_MS - 1}}}, held(NEW), 3, id="billed"),
        pytest.param(
            {"c": {"C": {"a": NOW_MS - WINDOW_MS, "b": NOW_MS - WINDOW_MS + 1}}}, held(NEW), 2,
            id="billed before the window",
        ),
        pytest.param({"c": {"D": {"a": NOW_MS}}}, held(NEW), 1, id="billed for another campaign"),
        pytest.param({"c": {}}, held(NEW), 1, id="an empty ledger"),
        pytest.param({"c": {"C": {"new": NOW_MS}}}, held(NEW), 1, id="billed already"),
        pytest.param({"r:a": [("C", "x", OPEN)]}, held(NEW), 2, id="reserved by another"),
        pytest.param(
            {"r:a": [("C", "x", OVER), ("C", "y", OPEN)]}, held(NEW), 2, id="one has expired"
        ),
        pytest.param({"r:a": [("C", "x", OVER)]}, held(NEW), 1, id="all have expired"),
        pytest.param({"r:a": [("D", "x", OPEN)]}, held(NEW), 1, id="for another campaign"),
        pytest.param(
            {"r:me": [("C", "x", OPEN), ("C", "y", OPEN)]}, held(NEW), 1,
            id="the own field is what the caller says",
        ),
        pytest.param({}, held(("C", "x", OPEN), NEW), 2, id="two of the own"),
        pytest.param({}, held(("C", "x", OVER), ("D", "y", OPEN), NEW), 1, id="own of no account"),
        pytest.param(
            {"r:me~t1": [("C", "x", OPEN)]}, held(NEW), 2, id="the own under a merged root"
        ),
        pytest.param(
            {"c": {"C": {"x": NOW_MS}}, "r:a": [("C", "x", OPEN)], "r:b": [("C", "x", OPEN)]},
            held(NEW), 2, id="one nonce, billed and twice reserved",
        ),
    ],
)  # fmt: skip
def test_reserve_counts_each_bid_of_the_campaign_once(
    store: Store, stands: dict[str, Any], packed: bytes, used: int
) -> None:
    for field, value in stands.items():
        encoded = encode_ledger(CapLedger(1, value)) if field == "c" else held(*value)
        ask(store, ("HSET", VIEW, field, encoded))
    before = fields(store, VIEW)
    assert ask(store, reserve(packed, cap=used - 1)) == [0]
    assert fields(store, VIEW) == before
    assert ask(store, reserve(packed, cap=used)) == [1]
    assert fields(store, VIEW) == {**before, b"r:me": packed}


@pytest.mark.parametrize(
    ("billed", "reserved", "campaign_used", "advertiser_used"),
    [
        pytest.param({}, [], 1, 1, id="nothing but the new one"),
        pytest.param({"C": {"a": NOW_MS}, "D": {"b": NOW_MS}}, [], 2, 3, id="of two campaigns"),
        pytest.param({"E": {"a": NOW_MS}}, [], 1, 1, id="of another advertiser"),
        pytest.param({"A/": {"~a": NOW_MS}}, [], 1, 2, id="imported for no campaign"),
        pytest.param({"D": {"a": NOW_MS - WINDOW_MS}}, [], 1, 1, id="before the window"),
        pytest.param({}, [("D", "x", OPEN)], 1, 2, id="reserved for the other campaign"),
        pytest.param({"D": {"x": NOW_MS}}, [("D", "x", OPEN)], 1, 2, id="billed and reserved"),
        pytest.param({}, [("D", "x", OVER)], 1, 1, id="expired"),
    ],
)
def test_reserve_counts_what_all_campaigns_of_the_advertiser_have_shown(
    store: Store,
    billed: dict[str, dict[str, int]],
    reserved: list[tuple[str, str, int]],
    campaign_used: int,
    advertiser_used: int,
) -> None:
    owned = {"A": ("A/", "C", "D"), "B": ("E",)}
    shown = {name: tuple(one for one in own if one in billed) for name, own in owned.items()}
    ledger = CapLedger(1, billed, advertisers=shown)
    ask(store, ("HSET", VIEW, "c", encode_ledger(ledger), "r:a", held(*reserved)))
    for cap, most, done in (
        (campaign_used, advertiser_used - 1, 0),
        (campaign_used - 1, advertiser_used, 0),
        (campaign_used, advertiser_used, 1),
    ):
        assert ask(store, reserve(held(NEW), cap, 1, most, WINDOW_MS)) == [done]


def test_every_window_holds(store: Store) -> None:
    billed = {"a": NOW_MS - WINDOW_MS, "b": NOW_MS - 1, "c": NOW_MS}
    ask(store, ("HSET", VIEW, "c", encode_ledger(CapLedger(1, {"C": billed}))))
    day, week = WINDOW_MS, WINDOW_MS + 1
    assert ask(store, reserve(held(NEW), 3, 0, 3, week)) == [0]
    assert ask(store, reserve(held(NEW), 2, 0, 4, week)) == [0]
    assert ask(store, reserve(held(NEW), 3, 0, 4, week, 0, 1, 1)) == [0], "spacing"
    assert ask(store, reserve(held(NEW), 3, 0, 4, week, 0, 2, day)) == [0]
    assert ask(store, reserve(held(NEW), 3, 0, 4, week)) == [1]


def test_a_ledger_and_reservations_of_an_earlier_kinbid_count_for_their_campaign(
    store: Store,
) -> None:
    ledger = msgspec.msgpack.encode((1, {"C": {"a": NOW_MS}}, 1, 5))
    old = b"%013d%b" % (OPEN, msgspec.msgpack.encode([("C", "x", OPEN, NOW_MS)]))
    ask(store, ("HSET", VIEW, "c", ledger))
    assert decode_ledger(ledger).of_campaign("C") == {"a": NOW_MS}
    assert ask(store, reserve(held(NEW), 1, 1, 1, WINDOW_MS)) == [0]
    assert ask(store, reserve(held(NEW), 2, 1, 1, WINDOW_MS)) == [1]
    assert decode_reservations(old, NOW_MS) == [Reservation("C", "x", OPEN, NOW_MS)]


def test_what_is_reserved_under_an_identifier_that_nobody_knows_expires(store: Store) -> None:
    """Nobody would ever remove it: memory would grow with every stranger."""
    packed = held(("C", "new", NOW_MS + 10_000))
    ask(store, hold(packed))
    assert store.seconds_left(VIEW) in (70 - 1, 70)
    ask(store, reserve(held(("C", "new", NOW_MS + 20_000)), 9))
    assert store.seconds_left(VIEW) in (80 - 1, 80)
    ask(store, hold(packed))
    assert store.seconds_left(VIEW) in (80 - 1, 80), "it is never made shorter"


@pytest.mark.parametrize("name", ["h", "m:t1", "!", "g"])
def test_nothing_that_streams_wrote_ever_expires_with_reservations(store: Store, name: str) -> None:
    ask(store, ("HSET", VIEW, name, "x"))
    ask(store, hold(held(NEW)), reserve(held(NEW), 9))
    assert store.seconds_left(VIEW) is None


def test_a_view_or_a_merge_in_which_reservations_stood_before_does_not_expire(
    store: Store,
) -> None:
    ask(store, hold(held(NEW)), call("mark", [PARENT, PERSON, VIEW], "t1", OTHER, 0, 0))
    assert store.seconds_left(VIEW) is None
    ask(store, ("UNLINK", VIEW), hold(held(NEW)))
    assert store.seconds_left(VIEW)
    ask(store, call("publish", [PARENT, PERSON, VIEW], 0, 1, "header", "ledger"))
    assert store.seconds_left(VIEW) is None


def test_reserve_is_certain_of_nothing_while_a_merge_is_under_way(store: Store) -> None:
    ask(store, ("HSET", VIEW, "m:t1", OTHER))
    assert ask(store, reserve(held(NEW), cap=9)) == [-1]
    ask(store, ("HDEL", VIEW, "m:t1"), ("SET", PARENT, f">{OTHER}"))
    assert ask(store, reserve(held(NEW), cap=9)) == [-1]
    assert fields(store, VIEW) == {}


def test_reserve_is_certain_of_nothing_where_the_person_was_split_since(store: Store) -> None:
    ask(store, ("HSET", VIEW, "g", 1))
    assert ask(store, reserve(held(NEW), cap=9)) == [-1]
    assert fields(store, VIEW) == {b"g": b"1"}


def test_reserve_tells_of_an_erasure_since_the_bid_was_made(store: Store) -> None:
    ask(store, ("SET", PARENT, f",0^{NOW_MS}"))
    assert ask(store, reserve(held(NEW), cap=9)) == [NOW_MS]
    assert fields(store, VIEW) == {}
    ask(store, ("SET", PARENT, f",0^{NOW_MS - 1}"))
    assert ask(store, reserve(held(NEW), cap=9)) == [1]


def hold(packed: bytes) -> Command:
    return call("hold", [PARENT, VIEW], "r:me", packed, NOW_MS, NOW_MS)


@pytest.mark.parametrize(
    ("entry", "is_written"),
    [
        ("", True),
        (",3", True),
        (f",0^{NOW_MS - 1}", True),
        (f",0^{NOW_MS}", False),
        (f"!2@t1^{NOW_MS}", False),
        ("!2@t1", True),
        (f">{OTHER}", False),
        (f">{OTHER},2^{NOW_MS}", False),
    ],
)
def test_hold_writes_where_somebody_reads_it_who_was_not_erased_since(
    store: Store, entry: str, *, is_written: bool
) -> None:
    if entry:
        ask(store, ("SET", PARENT, entry))
    assert ask(store, hold(held(NEW))) == [entry.encode()]
    assert fields(store, VIEW) == ({b"r:me": held(NEW)} if is_written else {})


def test_unreserve_removes_what_was_made_up_to_a_time_and_leaves_what_is_newer(
    store: Store,
) -> None:
    old, new = (Reservation("C", f"{ms}", OPEN, ms) for ms in (NOW_MS, NOW_MS + 1))
    ask(
        store,
        ("HSET", VIEW, "r:a", encode_reservations([old]), "r:b~t1", encode_reservations([new])),
        ("HSET", VIEW, "r:c", encode_reservations([old, new, old]), "h", "header", "c", "ledger"),
    )
    assert ask(store, call("unreserve", [VIEW], NOW_MS)) == [2]
    assert fields(store, VIEW) == {
        b"r:b~t1": encode_reservations([new]), b"r:c": encode_reservations([new]),
        b"h": b"header", b"c": b"ledger",
    }  # fmt: skip
    assert ask(store, call("unreserve", [VIEW], NOW_MS)) == [0]
    assert ask(store, call("unreserve", [KEYS.bid_view(OTHER)], NOW_MS)) == [0]


def test_sweep_removes_what_has_wholly_expired(store: Store) -> None:
    ask(
        store,
        ("HSET", VIEW, "r:a", held(("C", "x", OVER)), "r:b", held(("C", "x", OVER), NEW)),
        ("HSET", VIEW, "r:c", held(), "h", "header", "c", "ledger"),
    )
    assert ask(store, call("sweep", [VIEW], NOW_MS)) == [2]
    assert fields(store, VIEW).keys() == {b"r:b", b"h", b"c"}
    assert ask(store, call("sweep", [VIEW], NOW_MS)) == [0]
    assert ask(store, call("sweep", [KEYS.bid_view(OTHER)], NOW_MS)) == [0]


def test_a_swept_view_of_reservations_only_is_gone(store: Store) -> None:
    ask(store, ("HSET", VIEW, "r:a", held(("C", "x", OVER))))
    assert ask(store, call("sweep", [VIEW], NOW_MS), ("EXPIRE", VIEW, 60)) == [1, 0]


def test_an_epoch_begins_where_it_may_and_rises_where_it_has_begun(store: Store) -> None:
    key = KEYS.epoch("o.events.v1", 0)
    assert ask(store, call("own", [key], 0), ("GET", key)) == [0, None]
    assert ask(store, call("own", [key], 1), call("own", [key], 0)) == [1, 2]
    assert ask(store, call("own", [key], 1), ("GET", key)) == [3, b"3"]


# -- whole algorithms -----------------------------------------------------------------------


def state_after(store: Store, seed: int) -> dict[str, Any]:
    """Random links, folds and publications, then everything that stands under any key."""
    chance = random.Random(seed)
    nodes = [
        NodeId(letter + digest * 22) for letter, digest in zip("kkkkcc", "abcdef", strict=True)
    ]
    results: list[Linked] = []
    tokens = iter(range(1000))
    for offset in range(40):
        node, other = chance.sample(nodes, 2)
        if chance.random() < 0.4:
            store.run(fold(KEYS, node, "c", 1 + offset // 20, one_more(offset)))
        else:
            results.append(
                store.run(
                    link(KEYS, node, other, Evidence("sign_in", offset), lambda: f"t{next(tokens)}")
                )
            )
        store.run(publish(KEYS, node))
    found: dict[str, Any] = {"results": results}
    for node in nodes:
        found[KEYS.parent(node)] = ask(store, ("GET", KEYS.parent(node)))
        for key in (
            KEYS.person(node), KEYS.bid_view(node), KEYS.evidence(node),
            *(KEYS.frozen_person(node, f"t{token}") for token in range(100)),
            *(KEYS.frozen_bid_view(node, f"t{token}") for token in range(100)),
        ):  # fmt: skip
            found[key] = fields(store, key)
    return found


def one_more(offset: int) -> Apply:
    def apply(encoded: bytes | None, _: int) -> bytes:
        ledger = CapLedger() if encoded is None else decode_ledger(encoded)
        impressions = {**ledger.campaigns.get("C", {}), f"n{offset}": offset + 1}
        return encode_ledger(CapLedger(offset, {"C": impressions}))

    return apply


@pytest.mark.parametrize("seed", range(5))
def test_the_same_work_comes_to_the_same_state(store: Store, seed: int) -> None:
    assert state_after(store, seed) == state_after(FakeStore(), seed)
