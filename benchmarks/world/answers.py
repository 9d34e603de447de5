"""What exchanges check in an answer's markup, with parsers of their own."""

from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree  # the bidder under test wrote what is parsed

import msgspec

from benchmarks.world.imps import NATIVE_ASSETS, VIDEO
from models.catalog_records import AdFormat

__all__ = ["check_answer", "landing_page"]

MTYPES: Final[dict[AdFormat, int]] = {"banner": 1, "video": 2, "audio": 3, "native": 4}
VAST_VERSIONS: Final = {3: "3.0", 7: "4.0", 11: "4.1", 13: "4.2"}


def check_answer(adm: str, mtype: int, wanted: AdFormat) -> None:
    """Checks the markup of a bid.

    Raises:
        ValueError: another format, not readable, or without what the slot requires.
    """
    if mtype != MTYPES[wanted]:
        raise ValueError(f"mtype {mtype} for a {wanted} slot")
    if wanted == "native":
        _check_native(_native(adm))
    elif wanted == "video":
        _check_vast(_vast(adm))


def landing_page(adm: str, kind: AdFormat) -> str:
    """Where a click on a native or video ad leads; through the bidder's redirect, if it has one."""
    if kind == "native":
        url: str = _native(adm)["link"]["url"]
    else:
        url = (_vast(adm).findtext(".//ClickThrough") or "").strip()
    return parse_qs(urlsplit(url).query).get("u", [url])[0]


def _native(adm: str) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.json.decode(adm, type=dict[str, Any])
    return answer


def _check_native(answer: dict[str, Any]) -> None:
    given = {asset["id"]: asset for asset in answer.get("assets", ())}
    asked = {asset["id"]: asset for asset in NATIVE_ASSETS}
    if not given.keys() <= asked.keys():
        raise ValueError(f"native: assets {sorted(given)} of {sorted(asked)}")
    for number, asset in asked.items():
        if number in given:
            _check_asset(asset, given[number])
        elif asset["required"]:
            raise ValueError(f"native: asset {number} is missing")
    if not answer.get("link", {}).get("url") or not answer.get("eventtrackers"):
        raise ValueError("native: no link or no event tracker")


def _check_asset(asked: dict[str, Any], given: dict[str, Any]) -> None:
    if "title" in asked and not 0 < len(given["title"]["text"]) <= asked["title"]["len"]:
        raise ValueError(f"native: title {given['title']['text']!r}")
    if "data" in asked and not 0 < len(given["data"]["value"]) <= asked["data"]["len"]:
        raise ValueError(f"native: data {given['data']['value']!r}")
    if "img" in asked:
        image, least = given["img"], asked["img"]
        if image["w"] < least["wmin"] or image["h"] < least["hmin"] or not image["url"]:
            raise ValueError(f"native: image {image!r}")


def _vast(adm: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(adm)  # noqa: S314 - see the import
    except ElementTree.ParseError as error:
        raise ValueError(f"VAST: {error}") from error


def _check_vast(root: ElementTree.Element) -> None:
    if root.get("version") not in VAST_VERSIONS.values():
        raise ValueError(f"VAST: version {root.get('version')!r}")
    for name in ("Impression", "Duration", "ClickThrough", "AdTitle"):
        if not (root.findtext(f".//{name}") or "").strip():
            raise ValueError(f"VAST: no {name}")
    files = root.findall(".//MediaFile")
    if not files or any(file.get("type") not in VIDEO["mimes"] for file in files):
        raise ValueError("VAST: no media file of the slot's types, or another one")
