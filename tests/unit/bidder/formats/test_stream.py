"""Video and audio: only what plays in the slot is bid, and the VAST says so."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.formats import Fitted, Misfit, formats_offered
from models.catalog_records import Creative, MediaFile
from tests.unit.bidder.formats.support import (
    AUDIO,
    AUDIO_SLOT,
    MEDIA,
    VIDEO,
    VIDEO_SLOT,
    WRAPPED,
    ad,
    fields_of,
    fit_of,
    fitted,
    slot,
)
from tests.unit.bidder.support import bid_request, imp, thorough

OURS = ad(video=VIDEO)
THEIRS = ad(video=WRAPPED)
HEARD = ad(audio=AUDIO)


def video(**changes: object) -> dict[str, Any]:
    return VIDEO_SLOT | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mimes": None}, Misfit.MIME),
        ({"mimes": []}, Misfit.MIME),
        ({"mimes": ["video/ogg"]}, Misfit.MIME),
        ({"linearity": 2}, Misfit.LINEARITY),
        ({"maxduration": 14}, Misfit.DURATION),
        ({"minduration": 16}, Misfit.DURATION),
        ({"rqddurs": [14, 16, 30]}, Misfit.DURATION),
        ({"poddur": 14, "maxseq": 3}, Misfit.DURATION),
        ({"protocols": [1, 4, 9, 10, 15]}, Misfit.PROTOCOL),
        ({"protocols": [5, 6, 8, 12, 14]}, Misfit.PROTOCOL),
        ({"protocols": None, "protocol": 5}, Misfit.PROTOCOL),
        ({"maxbitrate": 600}, Misfit.BITRATE),
        ({"minbitrate": 2_500}, Misfit.BITRATE),
        ({"delivery": [1]}, Misfit.DELIVERY),
        ({"boxingallowed": 0, "w": 640, "h": 480}, Misfit.ASPECT),
    ],
)
def test_a_slot_that_cannot_play_the_ad_gets_none(changes: dict[str, Any], reason: Misfit) -> None:
    """F4, F5: mimes required; linearity, duration, protocol, bit rate, delivery and shape fit."""
    assert fit_of(OURS, video=video(**changes)) is reason


@pytest.mark.parametrize(
    "changes",
    [
        {"maxduration": 15, "minduration": 15},
        {"rqddurs": [15], "minduration": 20, "maxduration": 30},
        {"maxduration": None, "minduration": None},
        {"linearity": None},
        {"mimes": ["VIDEO/MP4"]},
        {"delivery": [2]},
        {"delivery": [3, 1]},
        {"boxingallowed": 0},
        {"boxingallowed": 0, "w": None},
        {"boxingallowed": 1, "w": 640, "h": 480},
        {"minbitrate": 700, "maxbitrate": 700},
        {"poddur": 15},
    ],
)
def test_a_slot_that_can_play_it_gets_it(changes: dict[str, Any]) -> None:
    """F4, F5: exact durations stand alone, absent limits do not bind."""
    assert fitted(OURS, video=video(**changes)).mtype == 2


@pytest.mark.parametrize(
    ("creative", "protocols", "chosen"),
    [
        (OURS, [2, 3, 7, 11, 13], 13), (OURS, [2, 3, 7, 11], 11), (OURS, [7, 3], 7),
        (OURS, [2, 3], 3), (OURS, [2], 2), (OURS, None, 3), (OURS, [13, 15, 999], 13),
        (THEIRS, [2, 3, 5, 6], 6), (THEIRS, [5, 6, 8, 12, 14], 14), (THEIRS, None, 6),
        (THEIRS, [6], 6), (THEIRS, [8], 8),
    ],
)  # fmt: skip
def test_the_newest_version_that_both_know_is_declared(
    creative: Creative, protocols: list[int] | None, chosen: int
) -> None:
    """F6, O10: protocol, inline or wrapper."""
    found = fitted(creative, video=video(protocols=protocols))
    assert found.protocol == chosen
    assert fields_of(found)["protocol"] == chosen


def test_a_tag_is_not_wrapped_in_a_version_older_than_its_own() -> None:
    """F6: a player of VAST 2 that follows the wrapper would find VAST 3."""
    assert fit_of(THEIRS, video=video(protocols=[2, 3, 5])) is Misfit.PROTOCOL


def test_a_request_of_before_2_3_names_one_protocol() -> None:
    assert fitted(OURS, video=video(protocols=None, protocol=2)).protocol == 2


def test_the_bid_says_duration_size_and_type() -> None:
    """F3, F5, O6: dur, w, h of the file nearest to the player, mtype."""
    fields = fields_of(fitted(OURS, video=video(w=1300)))
    assert (fields["mtype"], fields["dur"], fields["w"], fields["h"]) == (2, 15, 1280, 720)
    assert fields_of(fitted(OURS, video=video(w=300)))["w"] == 640
    assert fields_of(fitted(OURS, video=video(w=None, h=None)))["w"] == 640


@pytest.mark.parametrize(
    ("changes", "is_skippable"),
    [
        ({"skip": 0}, True),
        ({"skip": 1}, False),
        ({"skip": None}, False),
        ({"skip": 0, "battr": [16]}, False),
        ({"skip": 0, "protocols": [2]}, False),
        ({"skip": 1, "skipmin": 5, "skipafter": 5}, False),
    ],
)
def test_our_skip_button_comes_only_where_the_player_leaves_it_to_us_and_is_declared(
    changes: dict[str, Any], *, is_skippable: bool
) -> None:
    """F7: attr 16 with a button of our own, never beside skip 1; another crid (O3)."""
    found = fitted(OURS, video=video(**changes))
    fields = fields_of(found)
    assert (16 in fields["attr"]) == is_skippable
    assert (".skip." in fields["crid"]) == is_skippable


def test_a_tag_with_a_skip_button_goes_only_where_one_is_allowed() -> None:
    """F7: whatever we write, the third party's button is there."""
    skippable = ad(video=msgspec.structs.replace(WRAPPED, skip_after_seconds=5))
    assert fit_of(skippable, video=video(skip=1)) is Misfit.ATTRIBUTE
    assert fit_of(skippable, video=video(battr=[16])) is Misfit.ATTRIBUTE
    assert 16 in fitted(skippable, video=video(skip=0)).attr


def test_b4_b6_blocked_attributes_and_missing_frameworks_are_no_bid() -> None:
    """B4, B6: battr; a creative that needs OMID is bid where the player has it."""
    assert fit_of(ad(video=VIDEO, attributes=(13,)), video=video(battr=[13])) is Misfit.ATTRIBUTE
    assert fit_of(ad(video=VIDEO, api=(7,)), video=video(api=[1, 2])) is Misfit.API
    fields = fields_of(fitted(ad(video=VIDEO, api=(7,), attributes=(13,)), video=video(api=[7])))
    assert (fields["apis"], fields["api"], fields["attr"]) == ([7], 7, [13])


def test_only_files_that_the_player_takes_are_offered() -> None:
    """F4."""
    found = fitted(OURS, video=video(maxbitrate=1_600, mimes=["video/mp4", "video/webm"]))
    assert found.template.media == (MEDIA[0], MEDIA[2])  # type: ignore[attr-defined]  # VAST's


def test_a_file_of_unknown_bit_rate_is_not_offered_where_rates_are_limited() -> None:
    media = (MediaFile("video/mp4", "https://c.example/a", 1, 1),)
    unknown = ad(video=msgspec.structs.replace(VIDEO, media=media))
    assert fit_of(unknown, video=video(maxbitrate=9_000)) is Misfit.BITRATE
    assert fitted(unknown, video=video()).mtype == 2


def test_sound_is_bid_on_audio_only_and_pictures_on_video_only() -> None:
    """F13, F3: an audio slot is served with audio or left out."""
    assert fitted(HEARD, audio=AUDIO_SLOT).mtype == 3
    assert fit_of(HEARD, video=VIDEO_SLOT) is Misfit.FORMAT
    assert fit_of(OURS, audio=AUDIO_SLOT) is Misfit.FORMAT
    assert fit_of(OURS, audio=AUDIO_SLOT | {"mimes": ["video/mp4"]}) is Misfit.FORMAT
    fields = fields_of(fitted(HEARD, audio=AUDIO_SLOT))
    assert (fields["mtype"], fields["dur"], fields["protocol"]) == (3, 20, 13)
    assert not {"w", "h"} & fields.keys()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mimes": ["audio/ogg"]}, Misfit.MIME),
        ({"maxduration": 19}, Misfit.DURATION),
        ({"protocols": [9, 10]}, Misfit.PROTOCOL),
        ({"minbitrate": 129}, Misfit.BITRATE),
        ({"battr": [1]}, Misfit.ATTRIBUTE),
    ],
)
def test_audio_is_judged_like_video(changes: dict[str, Any], reason: Misfit) -> None:
    """F4, F5, F13."""
    assert fit_of(ad(audio=AUDIO, attributes=(1,)), audio=AUDIO_SLOT | changes) is reason


def test_the_formats_of_a_slot_are_bits() -> None:
    assert formats_offered(slot(video=VIDEO_SLOT)) == 2
    assert formats_offered(slot(audio=AUDIO_SLOT, native={"request": "{}"})) == 4 | 8
    assert formats_offered(bid_request(imp(video={})).imp[0]) == 1 | 2
    assert formats_offered(bid_request(imp(banner=None)).imp[0]) == 0


@thorough
@given(
    st.lists(st.integers(0, 30), max_size=3), st.integers(0, 40) | st.none(),
    st.integers(0, 40) | st.none(), st.integers(0, 60) | st.none(),
)  # fmt: skip
def test_no_ad_is_longer_or_shorter_than_the_slot_takes(
    exact: list[int], shortest: int | None, longest: int | None, pod: int | None
) -> None:
    """F5, F8: minduration <= dur <= maxduration, or dur in rqddurs; never beyond the break."""
    found = fit_of(
        OURS, video=video(rqddurs=exact, minduration=shortest, maxduration=longest, poddur=pod)
    )
    fits = (15 in exact) if exact else (shortest or 0) <= 15 <= (longest or 15)
    assert isinstance(found, Fitted) == (fits and (pod or 15) >= 15)
