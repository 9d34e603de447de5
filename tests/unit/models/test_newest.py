"""The newest entries of a union are exact, whatever its parts and their order."""

from hypothesis import given
from hypothesis import strategies as st

from models.newest import add_newest, join_newest, keep_newest

KEPT = 3
entries = st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 9)), max_size=20)


def plain(seen: list[tuple[str, int]]) -> dict[str, int]:
    """The same from a list that forgets nothing."""
    best: dict[str, int] = {}
    for key, time in seen:
        best[key] = max(time, best.get(key, -1))
    newest = sorted((time, key) for key, time in best.items())[-KEPT:]
    return {key: time for time, key in newest}


@given(entries)
def test_one_at_a_time_gives_what_a_list_that_forgets_nothing_gives(
    seen: list[tuple[str, int]],
) -> None:
    found: dict[str, int] = {}
    for key, time in seen:
        found = add_newest(found, key, time, KEPT)
    assert found == plain(seen)


@given(entries, entries)
def test_a_join_of_parts_that_forgot_is_what_the_whole_gives(
    one: list[tuple[str, int]], other: list[tuple[str, int]]
) -> None:
    assert join_newest(plain(one), plain(other), KEPT) == plain([*one, *other])


def test_what_changes_nothing_is_not_copied() -> None:
    known = {"a": 5}
    assert add_newest(known, "a", 5, KEPT) is known
    assert add_newest(known, "a", 6, KEPT) == {"a": 6}
    assert known == {"a": 5}


@given(
    st.dictionaries(
        st.sampled_from("xyz"), st.dictionaries(st.sampled_from("abc"), st.integers(0, 4))
    )
)
def test_the_newest_of_several_maps_are_those_of_one_list(maps: dict[str, dict[str, int]]) -> None:
    listed = sorted((v, k, name) for name, one in maps.items() for k, v in one.items())[-KEPT:]
    left = keep_newest(maps, KEPT)
    assert left.keys() == maps.keys()
    assert sorted((v, k, name) for name, one in left.items() for k, v in one.items()) == listed
