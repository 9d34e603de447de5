"""The histogram of ages says what the library's own would."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from streams.age_histogram import AgeHistogram

BOUNDS = (0.002, 0.25, 1, 2.5, 60)

ages = st.one_of(st.integers(0, 100_000), st.sampled_from([0, 2, 3, 250, 1000, 2500, 60_000]))


@given(st.lists(st.tuples(st.sampled_from(["events", "outcomes"]), st.lists(ages, max_size=8))))
def test_it_says_what_the_librarys_own_histogram_says(batches: list[tuple[str, list[int]]]) -> None:
    own, theirs = CollectorRegistry(), CollectorRegistry()
    fast = AgeHistogram("age_seconds", "Age.", BOUNDS, ["events", "outcomes"])
    own.register(fast)
    plain = Histogram("age_seconds", "Age.", ["topic"], buckets=BOUNDS, registry=theirs)
    for topic in ("events", "outcomes"):
        plain.labels(topic)
    for topic, batch in batches:
        fast.observe(topic, batch)
        for age_ms in batch:
            plain.labels(topic).observe(age_ms / 1000)
    assert _samples(own) == _samples(theirs)


def _samples(registry: CollectorRegistry) -> list[tuple[str, float]]:
    """Names with labels, and values, which the two add up in different orders."""
    lines = [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    parts = [line.rsplit(" ", 1) for line in lines if "_created" not in line]
    return [(name, round(float(value), 6)) for name, value in parts]
