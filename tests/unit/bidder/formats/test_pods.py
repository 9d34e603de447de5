"""Breaks: as many bids as there is room for, and rivals apart."""

from typing import Any

import msgspec
import pytest

from bidder.formats import Break, bids_wanted, plcmt_of
from bidder.openrtb import Imp
from bidder.openrtb_formats import Video
from tests.unit.bidder.formats.support import AUDIO_SLOT, VIDEO_SLOT, slot


def video(**changes: object) -> Imp:
    made: Imp = slot(video=VIDEO_SLOT | changes)
    return made


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"maxseq": 4}, 1),
        ({"poddur": 60, "maxseq": 4}, 4),
        ({"poddur": 60, "maxseq": 4, "minduration": 20}, 3),
        ({"poddur": 60, "rqddurs": [15, 30]}, 4),
        ({"poddur": 60, "maxseq": 0}, 10),
        ({"poddur": 3_600, "minduration": None}, 10),
        ({"poddur": 3, "minduration": 5}, 1),
    ],
)
def test_a_dynamic_break_takes_as_many_bids_as_it_has_room_for(
    changes: dict[str, Any], count: int
) -> None:
    """F8: poddur and maxseq; a structured slot takes one."""
    assert bids_wanted(video(**changes)) == count
    assert bids_wanted(slot(audio=AUDIO_SLOT | {"poddur": 60, "maxseq": 2})) == 2
    assert bids_wanted(slot(banner={})) == 1


def test_rivals_do_not_stand_in_one_break() -> None:
    """F8: competitive separation by advertiser and by category."""
    ads = Break()
    first, same, other = video(podid="a"), video(podid="a", podseq=1), video(podid="b")
    assert ads.admits(first, "air", ["IAB20-3"])
    ads.add(first, "air", ["IAB20-3"])
    assert not ads.admits(same, "air", ["IAB1"])
    assert not ads.admits(same, "rail", ["IAB20-7"])
    assert ads.admits(same, "shop", ["IAB22"])
    assert ads.admits(other, "air", ["IAB20-3"])
    ads.add(same, "shop", ["IAB22"])
    assert not ads.admits(first, "shop", [])


def test_a_dynamic_slot_without_a_podid_is_a_break_by_itself_and_a_plain_slot_is_none() -> None:
    """F8."""
    ads, dynamic, plain = Break(), video(poddur=60), video()
    for one in (dynamic, plain):
        ads.add(one, "air", [])
    assert not ads.admits(dynamic, "air", [])
    assert ads.admits(plain, "air", [])
    assert ads.admits(slot(banner={}), "air", [])


@pytest.mark.parametrize(
    ("wanted", "plcmt"),
    [
        ({"plcmt": 2, "placement": 1}, 2), ({"placement": 1}, 1), ({"placement": 3}, 4),
        ({"placement": 5}, 3), ({}, None), ({"placement": 99}, None), ({"plcmt": 9}, 9),
    ],
)  # fmt: skip
def test_where_the_player_stands_is_read_from_plcmt_first(
    wanted: dict[str, int], plcmt: int | None
) -> None:
    """F9: placement is deprecated and a fall-back."""
    assert plcmt_of(msgspec.convert(wanted, Video)) == plcmt
