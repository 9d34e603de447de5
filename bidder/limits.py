"""A request's lists of who may not bid: ``bcat``, ``badv``, ``bapp``, ``acat``, ``wseat``, ...

Exchanges send the same long lists with every request of a publisher. So they stay bytes when the
request is read, and are looked up by these bytes: read once, remembered with the answer for each
advertiser. A list that cannot be read lets nobody through.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Final, TypeAlias

import msgspec

from bidder.openrtb import ABSENT, BidRequest
from bidder.tolerance import LIMIT, TolerantReader, UnreadableError
from models.catalog_records import Advertiser

__all__ = ["Limits", "domain_and_parents", "limits_of"]

CONTENT_1_0: Final = 1
"""The taxonomy that a request means which names none (2.6 section 3.2.1)."""
KEPT: Final = 256
LARGEST_KEPT_BYTES: Final = 64 * 1024
"""At most 16 MiB of lists are remembered by each worker; longer ones are read each time."""

_SCHEME: Final = re.compile(r"^([a-z][a-z0-9+.-]*:)?//")
_AFTER_HOST: Final = re.compile(r"[/?#:\\]")

_SEPARATOR: Final = b"\x00"  # stands in no JSON text
_Texts: TypeAlias = Annotated[list[str] | None, LIMIT]


class _Lists(msgspec.Struct, frozen=True):
    bcat: _Texts = None
    badv: _Texts = None
    bapp: _Texts = None
    acat: _Texts = None
    wseat: _Texts = None
    bseat: _Texts = None
    wlang: _Texts = None
    wlangb: _Texts = None


_strict: Final = msgspec.json.Decoder(_Lists).decode
_tolerant: Final = TolerantReader(_Lists)


def limits_of(request: BidRequest) -> "Limits | None":
    """The request's lists; None where it has none at all."""
    bcat, badv, bapp, acat = request.bcat, request.badv, request.bapp, request.acat
    wseat, bseat, wlang, wlangb = request.wseat, request.bseat, request.wlang, request.wlangb
    if (
        bcat is ABSENT and badv is ABSENT and bapp is ABSENT and acat is ABSENT
        and wseat is ABSENT and bseat is ABSENT and wlang is ABSENT and wlangb is ABSENT
    ):  # fmt: skip
        return None
    key = _SEPARATOR.join((bcat, badv, bapp, acat, wseat, bseat, wlang, wlangb))
    taxonomy = request.cattax or CONTENT_1_0
    if len(key) > LARGEST_KEPT_BYTES:
        return _read(key, taxonomy)
    return _remembered(key, taxonomy)


class Limits:
    """What the lists of some requests say.

    Attributes:
        is_readable: False lets nobody through.
        deviations: the lists that are not what the specification wants them to be.
    """

    __slots__ = (
        "_allowed_categories", "_apps", "_barred_seats", "_categories", "_domains", "_known",
        "_languages", "_seats", "_taxonomy", "deviations", "is_readable",
    )  # fmt: skip

    def __init__(self, lists: _Lists | None, taxonomy: int, deviations: tuple[str, ...]) -> None:
        self.is_readable = lists is not None
        self.deviations = deviations
        lists = lists or _Lists()
        self._taxonomy = taxonomy
        self._categories = frozenset(map(_code, lists.bcat or ()))
        self._allowed_categories = frozenset(map(_code, lists.acat or ()))
        self._domains = frozenset(map(_domain, lists.badv or ()))
        self._apps = frozenset(lists.bapp or ())
        self._seats = frozenset(lists.wseat or ())
        self._barred_seats = frozenset(lists.bseat or ())
        self._languages = frozenset(map(_language, (*(lists.wlang or ()), *(lists.wlangb or ()))))
        self._known: dict[str, tuple[Advertiser, bool]] = {}

    def admits_seat(self, seat: str) -> bool:
        """Whether a seat may bid: ``wseat``, ``bseat``."""
        return (not self._seats or seat in self._seats) and seat not in self._barred_seats

    def admits_app(self, store_id: str) -> bool:
        """Whether ads for an app may be shown: ``bapp``."""
        return store_id not in self._apps

    def admits_language(self, language: str) -> bool:
        """Whether words in a language may be shown: ``wlang``, ``wlangb``; empty has none."""
        return not self._languages or not language or _language(language) in self._languages

    def admits(self, advertiser: Advertiser) -> bool:
        """Whether the request takes an advertiser's ads: ``badv``, ``bcat``, ``acat``."""
        known = self._known.get(advertiser.id)
        if known is not None and known[0] is advertiser:
            return known[1]
        is_admitted = self.is_readable and self._look(advertiser)
        self._known[advertiser.id] = (advertiser, is_admitted)
        return is_admitted

    def admits_categories(self, codes: Sequence[str]) -> bool:
        """Whether ads of these categories (Content Taxonomy 1.0) may be shown."""
        return self._admits_codes(codes if self._taxonomy == CONTENT_1_0 else ())

    def _look(self, advertiser: Advertiser) -> bool:
        if not self._domains.isdisjoint(domain_and_parents(advertiser.domain.lower())):
            return False
        return self._admits_codes(advertiser.categories_in(self._taxonomy))

    def _admits_codes(self, own: Sequence[str]) -> bool:
        if not self._categories and not self._allowed_categories:
            return True
        if not own:  # nobody can tell, so it might be what they do not want
            return False
        if any(not self._categories.isdisjoint(_code_and_parents(code)) for code in own):
            return False
        allowed = self._allowed_categories
        return not allowed or any(not allowed.isdisjoint(_code_and_parents(code)) for code in own)


def domain_and_parents(domain: str) -> Iterable[str]:
    """``a.b.example`` gives ``a.b.example``, ``b.example`` and ``example``."""
    labels = domain.split(".")
    return (".".join(labels[start:]) for start in range(len(labels)))


def _code_and_parents(code: str) -> Iterable[str]:
    """A category's code and those above it: ``IAB7-39`` is in ``IAB7`` (by convention)."""
    parts = _code(code).split("-")
    return ("-".join(parts[:end]) for end in range(len(parts), 0, -1))


def _code(entry: str) -> str:
    """A category's code as the taxonomies write it."""
    return entry.strip().upper()


def _domain(entry: str) -> str:
    """A blocked domain as ours are written; some lists have whole addresses."""
    rest = _SCHEME.sub("", entry.strip().lower())
    host = _AFTER_HOST.split(rest, maxsplit=1)[0].rpartition("@")[2]
    return host.removeprefix("*").strip(".").removeprefix("www.")


def _language(tag: str) -> str:
    """A language without region or script: of ``en-US`` the ``en``."""
    return tag.strip().lower().partition("-")[0]


def _read(key: bytes, taxonomy: int) -> Limits:
    names = _Lists.__struct_fields__
    body = b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), text)
        for name, text in zip(names, key.split(_SEPARATOR), strict=True)
    )
    deviations: list[str] = []
    lists: _Lists | None
    try:
        lists = _strict(body)
    except (msgspec.ValidationError, RecursionError):
        try:
            lists = _tolerant(body, deviations.append)
        except (UnreadableError, RecursionError):
            lists = None
    return Limits(lists, taxonomy, tuple(dict.fromkeys(deviations)))


_remembered: Final = lru_cache(maxsize=KEPT)(_read)
