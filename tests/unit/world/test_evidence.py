from hypothesis import given
from hypothesis import strategies as st

from benchmarks.world.evidence import Evidence

EVENTS = st.lists(
    st.tuples(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3), st.integers(0, 3)),
    max_size=12,
)


def reachable(events: list[tuple[list[str], float]], node: str, before: float) -> set[str]:
    """The plain answer: grow a set until no event older than ``before`` adds to it."""
    found = {node}
    while True:
        more = {n for ids, at in events if at < before and found & set(ids) for n in ids} | found
        if more == found:
            return found
        found = more


@given(EVENTS)
def test_components_at_any_instant_equal_those_of_the_plain_search(
    steps: list[tuple[list[str], int]],
) -> None:
    evidence, events, now = Evidence(), [], 0.0
    for ids, passed in steps:
        now += passed
        events.append((ids, now))
        evidence.add(ids, now)
    for before in (0.0, now / 2, now, now + 1, float("inf")):
        for a in "abcdefgh":
            component = {b for b in "abcdefgh" if evidence.are_connected(a, b, before)}
            assert component == reachable(events, a, before)
    nodes = {n for ids, _ in events for n in ids}
    assert set(evidence.nodes) == nodes
    components = evidence.components()
    assert evidence.merges() == len(nodes) - len(components)
    assert sorted(n for members in components.values() for n in members) == sorted(nodes)


def test_time_never_runs_backwards() -> None:
    evidence = Evidence()
    evidence.add(("a", "b"), 100.0)
    evidence.add(("b", "c"), 50.0)
    assert not evidence.are_connected("a", "c", before_ms=100.0)
    assert evidence.are_connected("a", "c", before_ms=100.1)
    assert "a" in evidence
    assert "z" not in evidence
