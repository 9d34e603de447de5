"""The mark of a rebuild that is not finished: while it stands, Redis holds a part of what is known.

It says how far streams had folded each partition before, so that the command, done again, still
knows that: the group's own offsets have gone back by then.
"""

from collections.abc import Mapping

from models.commands import Steps, fields_of
from models.keys import Keys

__all__ = ["is_rebuild_marked", "mark_rebuild", "unmark_rebuild"]


def mark_rebuild(keys: Keys, folded: Mapping[str, int]) -> Steps[dict[str, int]]:
    """Sets the mark, unless one stands: then an earlier rebuild broke off, and its offsets hold.

    Args:
        keys: the owner's key names.
        folded: ``TOPIC:PARTITION`` to the first offset that streams had not folded; not empty.

    Returns:
        The offsets of the mark that stands now.
    """
    key = keys.rebuild()
    (reply,) = yield [("HGETALL", key)]
    if reply:
        return {name.decode(): int(offset) for name, offset in fields_of(reply).items()}
    yield [("HSET", key, *(part for entry in folded.items() for part in entry))]
    return dict(folded)


def is_rebuild_marked(keys: Keys) -> Steps[bool]:
    """Whether a rebuild is under way, or broke off."""
    (found,) = yield [("HGETALL", keys.rebuild())]
    return bool(found)


def unmark_rebuild(keys: Keys) -> Steps[None]:
    """Takes the mark away: the rebuild is done."""
    yield [("UNLINK", keys.rebuild())]
