"""What an erasure touches and has touched, as people read it."""

from collections.abc import Sequence
from typing import Final

from kinbid.erase import Certificate, ErasedIdentifier
from kinbid.show import console, table

__all__ = ["show_certificate", "show_erased"]

WRITTEN: Final = {"erasures.v1": "records, of a keyed hash and a time each"}


def show_erased(identifiers: Sequence[ErasedIdentifier]) -> None:
    """What is held of a person's identifiers."""
    rows = table("", "identifier", "node", "events", "orders", "impressions", "links")
    for one in identifiers:
        counts = (one.events, one.orders, one.impressions, one.links)
        rows.add_row(one.namespace, one.node, *map(str, counts))
    console.print(rows)


def show_certificate(done: Certificate) -> None:
    """What an erasure has touched, and what it leaves."""
    console.print(f"certificate of erasure {done.id}, owner {done.owner}")
    console.print(f"nothing up to {done.erased_up_to} counts any more of")
    show_erased(done.identifiers)
    console.print()
    if done.erased_before is not None:
        console.print(f"erased before: nothing up to {done.erased_before} counted already")
    elif not done.was_known:
        console.print(
            "nothing was known of it: no event had named it. Is it mistyped? What is told of it up "
            "to that time, and comes later, will not count"
        )
    if done.withdrawn:
        console.print(
            f"kept: consent to {', '.join(done.withdrawn)} stays withdrawn until it is granted "
            "anew, since who objected and is forgotten still objects"
        )
    console.print(f"identifiers that were seen with them, told to forget it: {done.told}")
    console.print(f"entries removed from the books of call numbers: {done.number_entries}")
    console.print(f"cookie matches removed: {done.matches}")
    for topic, count in done.records.items():
        console.print(f"{topic}: {count} {WRITTEN.get(topic, 'tombstones')}")
    left = "that it was erased, and what is kept" if done.withdrawn else "that it was erased"
    console.print(f"read again at {done.verified_at}: nothing is left of it but {left}")
    console.print("\nwhat stays:")
    for line in done.stays:
        console.print(f"- {line}")
