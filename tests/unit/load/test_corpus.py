"""Requests as they are sent, and files of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.load.corpus import Corpus, CorpusError

REQUESTS: list[dict[str, Any]] = [{"id": "a", "imp": []}, {"id": "b", "imp": [{"id": "1"}]}]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    corpus = Corpus.of(REQUESTS)
    corpus.write(tmp_path / "c.jsonl")
    assert Corpus.read(tmp_path / "c.jsonl") == corpus
    assert Corpus.read(tmp_path / "c.jsonl").sha256 == corpus.sha256


def test_requests_with_their_source_beside_them_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"\n\n".join(msgspec.json.encode({"request": one}) for one in REQUESTS))
    assert Corpus.read(path) == Corpus.of(REQUESTS)


def test_the_hash_tells_other_requests_and_another_order() -> None:
    hashes = {Corpus.of(some).sha256 for some in (REQUESTS, REQUESTS[::-1], REQUESTS[:1])}
    assert len(hashes) == 3


def test_a_message_is_a_whole_request() -> None:
    first, second = Corpus.of(REQUESTS).messages("http://host:81/openrtb2/x/bid?a=1")
    head, _, body = first.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [b"POST /openrtb2/x/bid?a=1 HTTP/1.1", b"Host: host:81"]
    assert b"Content-Length: %d" % len(body) in head
    assert msgspec.json.decode(body) == REQUESTS[0]
    assert msgspec.json.decode(second.partition(b"\r\n\r\n")[2]) == REQUESTS[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "has no request"), ("{", "line 1: not JSON"), ('{"id":1}', "line 1: not a bid request"),
     ('{"id":"a"}\n[]', "line 2: not a bid request")],
)  # fmt: skip
def test_a_file_that_cannot_be_sent_is_refused_with_its_line(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(text)
    with pytest.raises(CorpusError, match=told):
        Corpus.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="absent: cannot be read"):
        Corpus.read(tmp_path / "absent")
