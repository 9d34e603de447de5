"""``kinbid export``: everything that Redis knows of persons, in canonical form."""

from kinbid.owned import settled_persons
from models.export import CanonicalPerson, Export, canonical_person, export_of
from models.keys import Keys
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["export_persons"]


async def export_persons(settings: Settings) -> Export:
    """The canonical export of an owner's persons; it is held in memory while it is sorted.

    Merges and splits that were left half done are finished on the way. Two exports are worth
    comparing while no records are being folded.

    Raises:
        RedisDownError: Redis cannot be used.
    """
    link = link_to(settings.redis_url, name="kinbid-export")
    await link.connect()
    persons: list[CanonicalPerson] = []
    try:
        async for chunk in settled_persons(link, Keys(settings.owner)):
            persons += [person for one in chunk if (person := canonical_person(one)) is not None]
    finally:
        await link.close()
    return export_of(persons)
