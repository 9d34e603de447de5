"""Reservations as they stand in Redis."""

from hypothesis import given
from hypothesis import strategies as st

from models.reservations import Reservation, decode_reservations, encode_reservations

reservations = st.builds(
    Reservation,
    st.sampled_from("CD"),
    st.integers(0, 30).map(str),
    st.integers(1, 2000),
    st.integers(1, 2000),
)


@given(st.lists(reservations, max_size=10), st.integers(0, 2000))
def test_reservations_survive_their_encoding_until_they_expire(
    entries: list[Reservation], now_ms: int
) -> None:
    """N14: where no notice ever comes, the place is free again."""
    still_open = [entry for entry in entries if entry.expires_ms > now_ms]
    packed = encode_reservations(entries)
    assert decode_reservations(packed, now_ms) == still_open
    assert (int(packed[:13]) > now_ms) == bool(still_open)
