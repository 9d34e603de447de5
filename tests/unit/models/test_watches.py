"""Watches: the newest word stands, and each ends by itself."""

import pytest

from models.errors import EventError
from models.watches import Watch, Watched, Watches, decode_watch, encode_watch

ONE = Watch(target="campaign", names=("air-seats",), until_ms=100)
PERSON = Watch(target="person", names=("node-a", "node-b"), until_ms=200)


def test_a_watch_is_over_at_its_time() -> None:
    watches = Watches()
    watches.learn(ONE)
    watches.learn(PERSON)
    assert watches.watched(99) == Watched(
        frozenset({"air-seats"}), frozenset(), frozenset({"node-a", "node-b"})
    )
    assert watches.watched(100) == Watched(nodes=frozenset({"node-a", "node-b"}))
    assert not watches.watched(200)
    assert watches.at(0) == []  # what was over is forgotten


def test_a_later_word_on_the_same_replaces_the_earlier_one() -> None:
    watches = Watches()
    watches.learn(ONE)
    watches.learn(Watch(target="campaign", names=("air-seats",), until_ms=0))
    assert watches.at(1) == []
    watches.learn(Watch(target="exchange", names=("air-seats",), until_ms=9))
    assert watches.watched(1) == Watched(exchanges=frozenset({"air-seats"}))


def test_a_watch_is_read_as_it_was_written() -> None:
    assert decode_watch(encode_watch(PERSON)) == PERSON


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"\xff", b'{"target":"campaign","names":[],"until_ms":1}',
                b'{"target":"weather","names":["x"],"until_ms":1}'],
)  # fmt: skip
def test_what_is_no_watch_is_refused(payload: bytes) -> None:
    with pytest.raises(EventError):
        decode_watch(payload)
