"""gzip in and out: what comes back is what went in, and nothing grows beyond its limit."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.content_coding import MAX_INFLATED_BYTES, Refused, accepts_gzip, gzipped, plain

ZEROS = gzip.compress(b"\0" * (200 << 20), compresslevel=9)


@given(st.binary(max_size=5_000))
def test_h8_h9_what_is_gzipped_inflates_to_itself(body: bytes) -> None:
    """H8, H9: by our writer and by another's reader, and the other way round."""
    assert plain(gzipped(body), b"gzip") == gzip.decompress(gzipped(body)) == body
    assert plain(gzip.compress(body), b"gzip") == body


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b" gzip ", b"x-gzip"])
def test_h8_gzip_goes_by_its_names_in_any_case(coding: bytes) -> None:
    """H8."""
    assert plain(gzip.compress(b"{}"), coding) == b"{}"


@pytest.mark.parametrize("coding", [b"", b"identity", b"Identity"])
def test_h8_without_a_coding_the_body_is_plain_whatever_it_looks_like(coding: bytes) -> None:
    """H8."""
    body = gzip.compress(b"{}")
    assert plain(body, coding) is body


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"deflate", b"gzip, gzip", b"gzip, br"])
def test_other_codings_are_refused(coding: bytes) -> None:
    assert plain(b"{}", coding) is Refused.CODING


@given(st.binary(max_size=300))
def test_any_junk_is_broken_and_no_error(junk: bytes) -> None:
    """H3."""
    assert plain(junk, b"gzip") is Refused.BROKEN
    assert plain(gzip.compress(b"{}")[:10] + junk, b"gzip") in {Refused.BROKEN, b"{}"}


@given(st.integers(0, 60))
def test_a_cut_body_is_broken(kept: int) -> None:
    whole = gzip.compress(b'{"id":"1"}' * 9, mtime=0)
    assert plain(whole[: min(kept, len(whole) - 1)], b"gzip") is Refused.BROKEN


@pytest.mark.parametrize(
    "behind", [b"x", gzip.compress(b"{}", mtime=0), gzip.compress(b"", mtime=0)]
)
def test_what_stands_behind_the_one_member_is_broken(behind: bytes) -> None:
    assert plain(gzip.compress(b"{}") + behind, b"gzip") is Refused.BROKEN


def test_h14_the_limit_after_inflating_is_exact() -> None:
    """H14."""
    most = b"{" * MAX_INFLATED_BYTES
    assert plain(gzip.compress(most), b"gzip") == most
    assert plain(gzip.compress(most + b"{"), b"gzip") is Refused.TOO_LARGE


@pytest.mark.parametrize("bomb", [ZEROS, ZEROS[: len(ZEROS) // 2], zlib.compress(ZEROS, wbits=31)])
def test_h14_a_bomb_takes_no_more_memory_than_the_limit(bomb: bytes) -> None:
    """H14: 200 MB in 200 kB; the second, of which half is there, is refused for its size too."""
    tracemalloc.start()
    try:
        found = plain(bomb, b"gzip")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if isinstance(found, bytes):
        assert found == ZEROS, "a bomb within a bomb is inflated once"
    else:
        assert found is Refused.TOO_LARGE
    assert peak_bytes < 2.5 * MAX_INFLATED_BYTES, "as it grows, a buffer is there twice"


@pytest.mark.parametrize(
    ("accepted", "is_accepted"),
    [
        (b"gzip", True), (b"gzip, deflate, br", True), (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (b"GZip", True), (b"x-gzip", True), (b"*", True), (b"deflate,gzip;q=0.001", True),
        (b"", False), (b"identity", False), (b"br", False), (b"gzip;q=0", False),
        (b"gzip; q=0.000", False), (b"gzip;q=0, *", False), (b"*;q=0", False),
        (b"identity;q=1, *;q=0", False), (b"gzipped", False), (b";q=1", False),
    ],
)  # fmt: skip
def test_h9_an_answer_is_gzipped_only_for_those_who_take_it(
    accepted: bytes, *, is_accepted: bool
) -> None:
    """H9."""
    assert accepts_gzip(accepted) == is_accepted
