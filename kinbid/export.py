"""``kinbid export``: everything that Redis knows of persons, in canonical form."""

from kinbid.owned import persons_in
from models.commands import Steps
from models.export import CanonicalPerson, Export, canonical_person, export_of
from models.forest import find, settle
from models.identifiers import NodeId
from models.keys import Keys
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["export_persons"]

CHUNK = 500


async def export_persons(settings: Settings) -> Export:
    """The canonical export of an owner's persons; it is held in memory while it is sorted.

    Merges and splits that were left half done are finished on the way. Two exports are worth
    comparing while no records are being folded.

    Raises:
        RedisDownError: Redis cannot be used.
    """
    link = link_to(settings.redis_url, name="kinbid-export")
    await link.connect()
    keys = Keys(settings.owner)
    try:
        roots: set[NodeId] = set()
        async for nodes in persons_in(link, keys):
            roots.update(await link.run_all(find(keys, node) for node in nodes))
        persons: dict[tuple[NodeId, ...], CanonicalPerson] = {}
        ordered = sorted(roots)
        for start in range(0, len(ordered), CHUNK):
            chunk = ordered[start : start + CHUNK]
            for person in await link.run_all(_read(keys, root) for root in chunk):
                if person is not None:
                    persons[person.members] = person
    finally:
        await link.close()
    return export_of(persons.values())


def _read(keys: Keys, root: NodeId) -> Steps[CanonicalPerson | None]:
    return canonical_person((yield from settle(keys, root)))
