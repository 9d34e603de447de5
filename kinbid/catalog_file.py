"""Catalogue files: TOML that marketers write, as records; and what changes against the present.

A table's name is the record's kind, its keys are the record's fields; amounts of money are
written in units of the currency (``target_cpa = 12.50``) and become micros.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kinbid.catalog_words import decoder_words, written_name
from models.catalog_records import (
    MONEY_FEATURES,
    Advertiser,
    CallTag,
    Campaign,
    CatalogRecord,
    Creative,
    Department,
    Exchange,
    Rates,
    Segment,
    record_key,
)
from models.errors import MOST_LISTED, InvalidFieldError, KinbidError, UnknownNameError
from models.templates import SLOTS, parse_template
from models.units import parse_money

__all__ = ["CatalogFileError", "changes", "check_references", "read_catalog_file", "without"]

KINDS: Final[dict[str, type[CatalogRecord]]] = {
    "advertiser": Advertiser,
    "exchange": Exchange,
    "segment": Segment,
    "campaign": Campaign,
    "creative": Creative,
    "call_tag": CallTag,
    "department": Department,
    "rates": Rates,
}
MONEY: Final = frozenset(
    {
        "target_cpa",
        "mean_value",
        "contextual_cpm",
        "guaranteed_cpm",
        "median_price_cpm",
        "daily_budget",
    }
)


class CatalogFileError(KinbidError):
    """A file that cannot be published; the text names the table, the field and the fix."""


def read_catalog_file(path: Path) -> list[CatalogRecord]:
    """Reads and checks a file's records, each by itself.

    Raises:
        CatalogFileError: anything that is wrong with it.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise CatalogFileError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogFileError(f"{path}: not a TOML file: {error}") from error
    records: list[CatalogRecord] = []
    for kind, entries in tables.items():
        if kind not in KINDS:
            raise CatalogFileError(f"{path}: {UnknownNameError('table', kind, KINDS)}")
        if not isinstance(entries, list):
            raise CatalogFileError(f"{path}: write [[{kind}]] instead of [{kind}]")
        for place, entry in enumerate(entries, start=1):
            if not isinstance(entry, dict):
                raise CatalogFileError(
                    f"{path}: {kind} {place} is {entry!r}; write a [[{kind}]] table"
                )
            records.append(_record(path, kind, place, entry))
    _check_told_once(path, records)
    return records


def _check_told_once(path: Path, records: Iterable[CatalogRecord]) -> None:
    """Of two tables of one record the later one would win, and nobody would know."""
    told: set[str] = set()
    for key in map(record_key, records):
        if key in told:
            raise CatalogFileError(f"{path}: {key} stands there twice; keep one of the two tables")
        told.add(key)


def _in_micros(condition: object) -> object:
    """A segment's condition, with limits of money in micros; the rest is checked later."""
    if not isinstance(condition, dict) or condition.get("feature") not in MONEY_FEATURES:
        return condition
    limits = {name: condition[name] for name in ("at_least", "at_most") if name in condition}
    return condition | {name: parse_money(str(value), name) for name, value in limits.items()}


def _record(path: Path, kind: str, place: int, entry: dict[str, Any]) -> CatalogRecord:
    where = f"{path}: [[{kind}]] {place} ({entry.get('id', entry.get('base', 'without id'))})"
    fields = {name: value for name, value in entry.items() if name not in MONEY}
    known = set(KINDS[kind].__struct_fields__)
    try:
        for name in MONEY & entry.keys():
            fields[f"{name}_micros"] = parse_money(str(entry[name]), name)
        for name in fields:
            if name not in known:
                raise UnknownNameError("field", name, _friendly(known))
        if kind == "segment" and isinstance(fields.get("when"), list):
            fields["when"] = [_in_micros(one) for one in fields["when"]]
        _check_id(kind, entry.get("id"))
        record = msgspec.convert(fields, KINDS[kind])
        record.check()
    except msgspec.ValidationError as error:
        raise CatalogFileError(f"{where}: {decoder_words(error, KINDS[kind])}") from error
    except KinbidError as error:
        raise CatalogFileError(f"{where}: {error}") from error
    return record


def _check_id(kind: str, name: object) -> None:
    """Raises InvalidFieldError where people or other records could not name a record."""
    if not isinstance(name, str):
        return  # the decoder's to refuse; rates have none
    if not name or not name.isprintable() or name != name.strip():
        raise InvalidFieldError("id", name, "a name without blanks around it")
    if kind in {"advertiser", "campaign"} and "/" in name:
        raise InvalidFieldError("id", name, "a name without /, which parts the names in a key")


def _friendly(known: Iterable[str]) -> list[str]:
    return [written_name(name) for name in known]


def check_references(records: Mapping[str, Any]) -> None:
    """Checks that what records name exists.

    Args:
        records: the whole catalogue as it would be, by key.

    Raises:
        InvalidFieldError: a record names one that is not there.
        UnknownNameError: a creative has a slot that its campaign's goal cannot fill.
    """
    for record in records.values():
        match record:
            case Segment():
                _need(records, record_key(record), "advertiser", record.advertiser)
            case Campaign():
                _need(records, record_key(record), "advertiser", record.advertiser)
                for segment in record.segments:
                    _need(records, record_key(record), "segment", segment)
                for exchange in record.targeting.exchanges:
                    _need(records, record_key(record), "exchange", exchange)
            case Creative():
                _need(records, record_key(record), "campaign", record.campaign)
                goal = records[f"campaign/{record.campaign}"].goal
                for field, text in record.templates():
                    parse_template(text, f"{record_key(record)}: {field}", SLOTS[goal])
            case _:
                pass


def _need(records: Mapping[str, Any], where: str, kind: str, name: str) -> None:
    if f"{kind}/{name}" not in records:
        known = [key.partition("/")[2] for key in records if key.startswith(f"{kind}/")]
        listed = ", ".join(known[:MOST_LISTED]) or "none"
        more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
        raise InvalidFieldError(f"{where}: {kind}", name, f"one of {listed}{more}")


def without(records: Mapping[str, CatalogRecord], keys: Iterable[str]) -> dict[str, CatalogRecord]:
    """The catalogue after some of its records are withdrawn.

    Args:
        records: the whole catalogue, by key.
        keys: ``kind/id`` of those that go.

    Raises:
        UnknownNameError: there is no such record.
        InvalidFieldError: one that stays names one that goes.
    """
    left = dict(records)
    for key in keys:
        if left.pop(key, None) is None:
            raise UnknownNameError("record", key, records)
    try:
        check_references(left)
    except InvalidFieldError as error:
        user = error.field.partition(": ")[0]
        wanted = f"there any more, but used: withdraw {user}, too, or let it name another one"
        raise InvalidFieldError(error.field, error.value, wanted) from error
    return left


def changes(before: Mapping[str, Any], after: Iterable[CatalogRecord]) -> list[CatalogRecord]:
    """The records that are new or differ."""
    return [record for record in after if before.get(record_key(record)) != record]
