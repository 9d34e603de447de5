"""What the simulated slots ask for, by format (OpenRTB 2.6 sections 3.2.6 to 3.2.9)."""

import json
from typing import Any, Final

from models.catalog_records import AdFormat

__all__ = ["NATIVE_ASSETS", "VIDEO", "imp_part"]

NATIVE_ASSETS: Final[tuple[dict[str, Any], ...]] = (
    {"id": 1, "required": 1, "title": {"len": 50}},
    {"id": 2, "required": 1, "img": {"type": 3, "wmin": 600, "hmin": 300}},
    {"id": 3, "required": 1, "data": {"type": 1, "len": 30}},
    {"id": 4, "required": 0, "data": {"type": 2, "len": 90}},
    {"id": 5, "required": 0, "data": {"type": 12, "len": 15}},
)
_NATIVE_REQUEST: Final = json.dumps(
    {
        "ver": "1.2",
        "context": 1,
        "plcmttype": 1,
        "assets": NATIVE_ASSETS,
        "eventtrackers": [{"event": 1, "methods": [1]}],
    }
)
VIDEO: Final[dict[str, Any]] = {
    "mimes": ["video/mp4"],
    "protocols": [3, 7, 11, 13],
    "minduration": 5,
    "maxduration": 30,
    "w": 640,
    "h": 360,
    "linearity": 1,
    "plcmt": 1,
    "startdelay": 0,
    "skip": 0,
}


def imp_part(kind: AdFormat, sizes: tuple[tuple[int, int], ...]) -> dict[str, object]:
    """The object of a slot's format; sizes are of a banner."""
    match kind:
        case "native":
            return {"request": _NATIVE_REQUEST, "ver": "1.2"}
        case "video":
            return VIDEO
        case _:
            return {"format": [{"w": width, "h": height} for width, height in sizes]}
