"""The spool's format: what was written whole is read again, whatever became of the rest."""

from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.segments import MAGIC, KafkaRecord, Segment, frame, read_segment

records = st.builds(
    KafkaRecord,
    topic=st.text(max_size=20),
    value=st.binary(max_size=60),
    key=st.none() | st.binary(max_size=24),
    headers=st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=2).map(tuple),
)
RECORDS = [KafkaRecord("t", b"value %d" % n, b"k") for n in range(4)]


def written(*told: KafkaRecord) -> bytes:
    return MAGIC + b"".join(map(frame, told))


@given(st.lists(records, max_size=5))
def test_what_was_written_is_read_again(told: list[KafkaRecord]) -> None:
    assert read_segment(written(*told)) == Segment(told)


@given(st.lists(records, min_size=1, max_size=4), st.data())
def test_a_torn_end_costs_only_the_record_that_it_tore(
    told: list[KafkaRecord], data: st.DataObject
) -> None:
    """N5: what a crash tore off was never acknowledged."""
    whole = written(*told)
    cut = data.draw(st.integers(len(MAGIC), len(whole)))
    found = read_segment(whole[:cut])
    assert found.records == told[: len(found.records)]
    ends = [len(written(*told[:n])) for n in range(len(told) + 1)]
    assert len(found.records) == max(n for n, end in enumerate(ends) if end <= cut)
    assert found.torn_bytes == cut - ends[len(found.records)]
    assert found.damaged == 0


@given(st.integers(1, 64))
def test_an_end_that_the_disk_never_filled_is_torn(zeros: int) -> None:
    assert read_segment(written(*RECORDS) + bytes(zeros)) == Segment(RECORDS, 0, zeros)


@given(st.data())
def test_a_record_that_was_damaged_is_left_out_and_its_neighbours_are_read(
    data: st.DataObject,
) -> None:
    first = len(written(RECORDS[0]))
    second = len(written(*RECORDS[:2]))
    whole = bytearray(written(*RECORDS))
    place = data.draw(st.integers(first + 4, second - 1))  # not its length
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    assert read_segment(bytes(whole)) == Segment([RECORDS[0], *RECORDS[2:]], damaged=1)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    assert read_segment(data).torn_bytes <= len(data)
    assert read_segment(MAGIC + data).torn_bytes <= len(data)


def test_a_file_of_another_kind_holds_nothing() -> None:
    assert read_segment(b"KBSPOOL2" + frame(RECORDS[0])).records == []
