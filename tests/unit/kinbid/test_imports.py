"""Impressions from elsewhere, as another system exports them."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from kinbid.imports import ImportFileError, read_impressions
from kinbid.nodes import node_named
from models.units import AdvertiserId, CampaignId
from runtime.settings import Settings

SETTINGS = Settings(identity_pepper="a pepper of the test")
LINE = {
    "id": "i-1", "who": "cookie:abc", "source": "direct", "advertiser": "airline",
    "time": "2026-11-30T10:15:00.5+01:00", "campaign": "air-seats", "cost": "0.002",
}  # fmt: skip


def written(folder: Path, *lines: Mapping[str, object]) -> Path:
    path = folder / "impressions.jsonl"
    path.write_bytes(b"\n\n".join(map(msgspec.json.encode, lines)) + b"\n")
    return path


def test_a_line_is_an_impression_of_the_person_that_it_names(tmp_path: Path) -> None:
    """Table A 65: an imported impression uses up the cap."""
    bare = {name: LINE[name] for name in ("id", "who", "source", "advertiser", "time")}
    one, other = read_impressions(SETTINGS, written(tmp_path, LINE, bare))
    assert one.node == node_named(SETTINGS, "cookie:abc")
    assert (one.campaign, one.advertiser) == (CampaignId("air-seats"), AdvertiserId("airline"))
    assert (one.cost_micros, one.shown_time_ms) == (2_000, 1_796_030_100_500)
    assert (other.campaign, other.cost_micros) == ("", 0)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("who", "abc", "line 2: identifier"),
        ("who", "cookie:undefined", "placeholder"),
        ("source", "", "source"),
        ("source", "a b", "source"),
        ("id", "", "impression_id"),
        ("advertiser", "", "advertiser"),
        ("time", "2026-11-30T10:15:00", "time: it has no time zone"),
        ("time", "yesterday", r"\.time"),
        ("cost", "-1", "cost: '-1' is not an amount"),
        ("when", "now", "unknown field `when`"),
    ],
)
def test_a_file_with_a_mistake_is_told_by_line_and_field(
    tmp_path: Path, field: str, value: str, told: str
) -> None:
    path = written(tmp_path, LINE)
    path.write_bytes(path.read_bytes() + msgspec.json.encode({**LINE, field: value}))
    with pytest.raises(ImportFileError, match=told) as caught:
        read_impressions(SETTINGS, path)
    assert str(caught.value).startswith(f"{path}: line 2: ")


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="cannot be read"):
        read_impressions(SETTINGS, tmp_path / "absent")
