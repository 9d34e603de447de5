"""Breaks: as many bids as there is room for, and rivals apart."""

from typing import Any

import msgspec
import pytest

from bidder.formats import Break, bids_wanted, plcmt_of
from bidder.openrtb import Imp
from bidder.openrtb_formats import Video
from models.catalog_records import MediaFile
from tests.fakes.headers import showing
from tests.unit.bidder.formats.support import AUDIO_SLOT, VIDEO, VIDEO_SLOT, ad, slot
from tests.unit.bidder.support import (
    BRAND,
    SEATS,
    bid_request,
    catalog,
    decision_of,
    imp,
    person,
    searched,
    viewed,
)


def video(name: str = "slot-1", **changes: object) -> Imp:
    return slot(id=name, video=VIDEO_SLOT | changes)


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
    first, same, other = video(podid="a"), video("2", podid="a"), video("3", podid="b")
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


def test_bids_on_one_structured_slot_are_no_rivals_of_each_other() -> None:
    """F8, D2: an open bid and a deal's are for the same slot."""
    ads, structured = Break(), video(podid="a")
    ads.add(structured, "air", ["IAB20"])
    assert ads.admits(structured, "air", ["IAB20"])


def decided(*slots: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Of each bid the slot, advertiser and duration; both advertisers have a video."""
    what = catalog(
        ad("seats-video", SEATS, video=VIDEO, click_url="https://air.example/"),
        ad("items-video", video=msgspec.structs.replace(VIDEO, duration_seconds=10)),
        ad("brand-video", BRAND, video=msgspec.structs.replace(
            VIDEO, title="t", media=(MediaFile("video/mp4", "https://c.example/b.mp4", 1, 1),)
        ), click_url="https://air.example/"),
    )  # fmt: skip
    who = person(showing(searches=(searched(),), products=(viewed(),)))
    bids = decision_of(bid_request(*slots), who, what).bids
    return [(b.imp_id, b.campaign.advertiser, b.fitted.duration_seconds) for b in bids]


def test_a_dynamic_break_gets_several_bids_of_different_advertisers() -> None:
    """F8: several bids on one impid, each with its dur; never two of one advertiser."""
    dynamic = imp(id="d", banner=None, video=VIDEO_SLOT | {"poddur": 60, "maxseq": 4})
    assert sorted(decided(dynamic)) == [("d", "airline", 15), ("d", "shop", 10)]
    alone = imp(id="s", banner=None, video=VIDEO_SLOT)
    assert len(decided(alone)) == 1


def test_the_slots_of_one_break_go_to_different_advertisers() -> None:
    """F8: competitive separation over the slots of a podid; two advertisers for three slots."""
    together = [
        imp(id=name, banner=None, video=VIDEO_SLOT | {"podid": "break"}) for name in ("1", "2", "3")
    ]
    assert sorted(advertiser for _, advertiser, _ in decided(*together)) == ["airline", "shop"]
    apart = [slot | {"video": VIDEO_SLOT} for slot in together]
    assert len(decided(*apart)) == 3
