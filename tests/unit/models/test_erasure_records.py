"""Records of erasures: what cannot be read is told with the field, since nobody may come back."""

import pytest

from models.consents import consents_of, withdrawn_in
from models.erasure_records import ErasureRecord, decode_erasure, encode_erasure, outliving
from models.errors import EventError
from models.events import decode_event, encode
from models.identifiers import NodeId

NODE = NodeId("k" + "a" * 22)
RECORD = ErasureRecord(node=NODE, erased_ms=7, open_request="r", withdrawn=("personal_ads",))


def test_a_record_is_read_as_it_was_written() -> None:
    assert decode_erasure(NODE.encode(), encode_erasure(RECORD)) == RECORD


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        (NODE.encode(), b"", "truncated"),
        (NODE.encode(), b'{"node":"x","erased_ms":7}', "node"),
        (NODE.encode(), encode_erasure(ErasureRecord(node=NODE, erased_ms=10**13)), "erased_ms"),
        (b"another", encode_erasure(RECORD), "key"),
        (None, encode_erasure(RECORD), "key"),
    ],
)
def test_what_is_no_such_record_is_refused(key: bytes | None, value: bytes, field: str) -> None:
    with pytest.raises(EventError, match=field):
        decode_erasure(key, value)


def test_what_was_withdrawn_outlives_the_erasure_as_a_word_of_just_after_it() -> None:
    word = outliving(RECORD)
    assert decode_event(encode(word)) == word
    assert (word.ids, word.event_time_ms) == ((NODE,), RECORD.erased_ms + 1)
    assert withdrawn_in([consents_of(word)]) == RECORD.withdrawn
    assert consents_of(outliving(ErasureRecord(node=NODE, erased_ms=7))) == {}
