"""Full phone lines lower bids, and bids come back as calls get through or as time passes."""

from hypothesis import given
from hypothesis import strategies as st

from models.events import Call
from models.lines import MOST_LINE_CALLS, line_entry, read_lines
from models.units import DAY_MS
from models.value.lines import LEAST, WINDOW_MINUTES, line_factor
from tests.fakes.phone_calls import AIR, MINUTE_MS, START_MS, a_call, at_ms

LATER_MS = START_MS + DAY_MS
FIRST = START_MS // MINUTE_MS
minutes = st.lists(
    st.tuples(st.integers(FIRST, FIRST + 14), st.integers(0, 50), st.integers(0, 50)).map(
        lambda one: (one[0], one[1] + one[2], one[2])
    ),
    max_size=15,
)
ages = st.integers(0, 30 * MINUTE_MS)


def lost(call_id: str, minute: float) -> Call:
    return a_call(call_id, minute, missed=True, missed_reason="lines_full")


def read(*calls: Call, now_ms: int = LATER_MS) -> tuple[tuple[int, int, int], ...]:
    return read_lines(AIR, dict(map(line_entry, calls)), now_ms)[0].minutes


@given(minutes, ages)
def test_the_factor_is_bounded(seen: list[tuple[int, int, int]], age_ms: int) -> None:
    assert LEAST <= line_factor(seen, START_MS + age_ms) <= 1


@given(minutes, ages, st.integers(FIRST, FIRST + 14))
def test_a_lost_call_lowers_and_an_answered_one_raises(
    seen: list[tuple[int, int, int]], age_ms: int, minute: int
) -> None:
    now_ms = START_MS + age_ms
    factor = line_factor(seen, now_ms)
    assert line_factor([*seen, (minute, 1, 1)], now_ms) <= factor + 1e-12
    assert line_factor([*seen, (minute, 1, 0)], now_ms) >= factor - 1e-12


@given(st.integers(1, 50), st.integers(0, 50), ages, ages)
def test_time_alone_brings_the_bid_back(
    lost_count: int, others: int, age_ms: int, more_ms: int
) -> None:
    burst = [(FIRST, lost_count + others, lost_count)]
    sooner = line_factor(burst, START_MS + age_ms)
    assert line_factor(burst, START_MS + age_ms + more_ms) >= sooner - 1e-12
    assert line_factor(burst, START_MS + WINDOW_MINUTES * MINUTE_MS) == 1


def test_one_lost_call_is_no_pattern_and_a_burst_is() -> None:
    assert line_factor([(FIRST, 1, 1)], START_MS) > 0.7
    assert line_factor([(FIRST, 50, 50)], START_MS) < 0.25
    assert line_factor([], START_MS) == 1
    assert line_factor([(FIRST, 50, 0)], START_MS) == 1


def test_the_latest_telling_of_a_call_counts_whenever_it_comes() -> None:
    first, corrected = lost("a", 1), a_call("a", 1, told_ms=at_ms(30))
    assert read(first, corrected) == read(corrected, first) == ((FIRST + 1, 1, 0),)


def test_a_call_of_tomorrow_is_a_clocks_mistake() -> None:
    assert read(lost("a", 1), a_call("b", 3 * 24 * 60), now_ms=at_ms(2)) == ((FIRST + 1, 1, 1),)


def test_of_a_busy_call_centre_the_newest_calls_are_kept() -> None:
    calls = [a_call(f"c{n}", n / 200) for n in range(MOST_LINE_CALLS + 30)]
    state, stale = read_lines(AIR, dict(map(line_entry, calls)), LATER_MS)
    assert sum(count for _, count, _ in state.minutes) == MOST_LINE_CALLS
    assert len(stale) == 30
    assert {name.partition(b"@")[0] for name in stale} == {b"c%d" % n for n in range(30)}


def test_without_calls_there_are_no_minutes() -> None:
    assert read() == ()
