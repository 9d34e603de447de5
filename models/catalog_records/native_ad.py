"""Native ads: texts and pictures that the publisher lays out."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from models.catalog_records.ad_media import Image, https_only
from models.errors import InvalidFieldError

__all__ = ["DATA_TYPES", "DataName", "NativeAd"]

DataName: TypeAlias = Literal[
    "sponsored", "desc", "rating", "likes", "downloads", "price", "saleprice",
    "phone", "address", "desc2", "displayurl", "ctatext",
]  # fmt: skip
DATA_TYPES: Final[dict[DataName, int]] = {
    "sponsored": 1, "desc": 2, "rating": 3, "likes": 4, "downloads": 5, "price": 6, "saleprice": 7,
    "phone": 8, "address": 9, "desc2": 10, "displayurl": 11, "ctatext": 12,
}  # fmt: skip
"""Data asset types (Native 1.2 section 7.4)."""


class NativeAd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Texts in several lengths and pictures in several sizes, of which the slot takes what fits.

    Attributes:
        titles: the same said at several lengths, the best first; the first that fits is shown,
            and none is cut.
        images: main pictures.
        icons: logos.
        data: other texts by name (``desc``, ``price``, ``ctatext`` ...), each likewise in
            several lengths.
        privacy_url: where a person learns why they see the ad, https; shown where asked for.
    """

    titles: tuple[str, ...]
    images: tuple[Image, ...] = ()
    icons: tuple[Image, ...] = ()
    data: dict[DataName, tuple[str, ...]] = {}
    privacy_url: str = ""

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not self.titles or not all(self.titles):
            raise InvalidFieldError(f"{where}.titles", self.titles, "a list of texts, none empty")
        for name, texts in self.data.items():
            if not texts or not all(texts):
                raise InvalidFieldError(
                    f"{where}.data.{name}", texts, "a list of texts, none empty"
                )
        for place, image in enumerate(self.images, start=1):
            image.check(f"{where}.images {place}")
        for place, icon in enumerate(self.icons, start=1):
            icon.check(f"{where}.icons {place}")
        if self.privacy_url:
            https_only(f"{where}.privacy_url", self.privacy_url)

    def templates(self) -> Iterator[tuple[str, str]]:
        """Every text in which slots may stand, with its place."""
        for text in self.titles:
            yield "native.titles", text
        for name, texts in self.data.items():
            for text in texts:
                yield f"native.data.{name}", text
        for image in (*self.images, *self.icons):
            yield "native image url", image.url
