"""Native and VAST answers as they stand in files: whoever changes one sees it in a diff.

``UPDATE_GOLDEN=1`` writes the files anew; review what changed.
"""

import json
import os
from pathlib import Path
from typing import Any, Final
from xml.dom import minidom

import pytest

from bidder.formats import Links
from tests.unit.bidder.formats.support import (
    AUDIO,
    AUDIO_SLOT,
    CLICK_PREFIX,
    LINKS,
    NATIVE,
    VIDEO,
    VIDEO_SLOT,
    WRAPPED,
    ad,
    adm_of,
    fields_of,
    fitted,
)

FOLDER: Final = Path(__file__).parent / "creatives"
ASSETS: Final[list[dict[str, Any]]] = [
    {"id": 123, "required": 1, "title": {"len": 140}},
    {"id": 128, "required": 0, "img": {"wmin": 836, "hmin": 627, "type": 3}},
    {"id": 124, "required": 1, "img": {"wmin": 50, "hmin": 50, "type": 1}},
    {"id": 126, "required": 1, "data": {"type": 1, "len": 25}},
    {"id": 127, "required": 1, "data": {"type": 2, "len": 140}},
]
"""The shape of the first example of Native 1.2 (section 4), with sizes and ids of that example."""

REQUEST: Final[dict[str, Any]] = {"ver": "1.2", "privacy": 1, "assets": ASSETS}
TRACKERS: Final = [{"event": 1, "methods": [1, 2]}]
PIXELS: Final = ("https://px.example/?n=[CACHEBUSTING]",)
OURS: Final = ad("golden-video", video=VIDEO, impression_urls=PIXELS)
THEIRS: Final = ad("golden-wrapper", video=WRAPPED)
HEARD: Final = ad("golden-audio", audio=AUDIO)
LAID_OUT: Final = ad("golden-native", native=NATIVE)


def video(protocol: int, **changes: object) -> dict[str, Any]:
    return {"video": VIDEO_SLOT | {"protocols": [protocol]} | changes}


def native(wanted: dict[str, Any]) -> dict[str, Any]:
    return {"native": {"request": json.dumps(wanted)}}


CASES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "native-1.2-eventtrackers.json": (LAID_OUT, native(REQUEST | {"eventtrackers": TRACKERS})),
    "native-1.1-imptrackers.json": (LAID_OUT, native(REQUEST | {"ver": "1.1"})),
    "native-1.0-rooted.json": (LAID_OUT, native({"native": {"ver": "1.0", "assets": ASSETS}})),
    "vast-2.0-inline.xml": (OURS, video(2)),
    "vast-3.0-inline-skippable.xml": (OURS, video(3, skip=0)),
    "vast-4.0-inline.xml": (OURS, video(7)),
    "vast-4.2-inline-companion.xml": (OURS, video(13, companionad=[{"w": 300, "h": 250}])),
    "vast-3.0-wrapper.xml": (THEIRS, video(6)),
    "vast-4.2-wrapper.xml": (THEIRS, video(14)),
    "vast-4.2-audio.xml": (HEARD, {"audio": AUDIO_SLOT}),
}


@pytest.mark.parametrize("name", CASES)
def test_f6_f11_f12_the_answer_equals_the_file(name: str) -> None:
    """F6, F11, F12, O5, O6: markup, readable, with the fields of the bid beside it."""
    creative, formats = CASES[name]
    found = fitted(creative, **formats)
    links = Links(LINKS.impression_url, CLICK_PREFIX, LINKS.nonce)
    adm = adm_of(found, redirects=True, links=links)
    path = FOLDER / name
    written = {path: readable(name, adm), path.with_suffix(".bid.json"): pretty(fields_of(found))}
    if os.environ.get("UPDATE_GOLDEN"):
        for file, text in written.items():
            file.write_text(text)
    for file, text in written.items():
        assert text == file.read_text(), f"{file.name} differs; see the docstring of this module"


def readable(name: str, adm: str) -> str:
    if name.endswith(".json"):
        return pretty(json.loads(adm))
    return minidom.parseString(adm).toprettyxml(indent="  ")


def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def test_every_file_is_of_a_case() -> None:
    names = set(CASES) | {str(Path(name).with_suffix(".bid.json")) for name in CASES}
    assert {path.name for path in FOLDER.iterdir()} == names | {"README.md"}
