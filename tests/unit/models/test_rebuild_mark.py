"""The mark of a rebuild: the first one's offsets stand until all is done."""

from models.keys import Keys
from models.rebuild_mark import is_rebuild_marked, mark_rebuild, unmark_rebuild
from tests.fakes.memory_store import MemoryStore, run

KEYS = Keys("o")


def test_a_rebuild_that_is_done_again_knows_the_offsets_of_the_first() -> None:
    store = MemoryStore()
    assert not run(store, is_rebuild_marked(KEYS))
    first = {"o.events.v1:0": 7, "o.events.v1:1": 0}
    assert run(store, mark_rebuild(KEYS, first)) == first
    assert run(store, is_rebuild_marked(KEYS))
    assert run(store, mark_rebuild(KEYS, dict.fromkeys(first, 0))) == first
    run(store, unmark_rebuild(KEYS))
    assert not run(store, is_rebuild_marked(KEYS))
