"""What the simulated exchanges refuse, and what they see in a native ad and a video."""

import json
from typing import Any

import pytest

from benchmarks.world.answers import check_answer
from benchmarks.world.markup import Shown, read_markup

NATIVE: dict[str, Any] = {
    "ver": "1.2",
    "assets": [
        {"id": 1, "title": {"text": "JFK to LAX"}},
        {"id": 2, "img": {"url": "https://c.example/a.jpg", "w": 600, "h": 314}},
        {"id": 3, "data": {"value": "Kinbid Air"}},
    ],
    "link": {"url": "https://air.example/book?trip=JFK-LAX%2F2026-12-01"},
    "eventtrackers": [{"event": 1, "method": 1, "url": "https://b.example/i"}],
}
VAST = (
    '<VAST version="4.2"><Ad id="a"><InLine><AdSystem>k</AdSystem>'
    "<Impression><![CDATA[https://b.example/i]]></Impression><AdTitle>t</AdTitle><Creatives>"
    "<Creative><Linear><Duration>00:00:15</Duration><MediaFiles>"
    '<MediaFile delivery="progressive" type="video/mp4" width="1" height="1">u</MediaFile>'
    "</MediaFiles><VideoClicks><ClickThrough><![CDATA[https://shop.example/item/CD%201]]>"
    "</ClickThrough></VideoClicks></Linear></Creative></Creatives></InLine></Ad></VAST>"
)


def changed(place: int, asset: dict[str, Any]) -> str:
    assets = [*NATIVE["assets"][:place], asset, *NATIVE["assets"][place + 1 :]]
    return json.dumps(NATIVE | {"assets": assets})


def test_answers_that_have_all_that_is_required_are_taken() -> None:
    check_answer(json.dumps(NATIVE), 4, "native")
    check_answer(VAST, 2, "video")
    check_answer("<b>", 1, "banner")


@pytest.mark.parametrize(
    ("adm", "told"),
    [
        (json.dumps(NATIVE | {"assets": NATIVE["assets"][1:]}), "asset 1 is missing"),
        (json.dumps(NATIVE | {"link": {}}), "no link"),
        (json.dumps(NATIVE | {"eventtrackers": []}), "no event tracker"),
        (changed(0, {"id": 9, "title": {"text": "a"}}), r"assets \[2, 3, 9\]"),
        (changed(0, {"id": 1, "title": {"text": "x" * 51}}), "title"),
        (changed(2, {"id": 3, "data": {"value": ""}}), "data"),
        (changed(1, {"id": 2, "img": {"url": "u", "w": 599, "h": 400}}), "image"),
        ("{", "truncated"),
    ],
)
def test_a_native_answer_that_lacks_something_is_refused(adm: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_answer(adm, 4, "native")


@pytest.mark.parametrize(
    ("before", "after"),
    [("</Ad>", ""), ("4.2", "1.0"), ("Impression", "Imp"), ("video/mp4", "video/ogg"),
     ("AdTitle>", "Title>"), ("MediaFile ", "File "), (">00:00:15<", "><")],
)  # fmt: skip
def test_a_video_answer_that_lacks_something_is_refused(before: str, after: str) -> None:
    with pytest.raises(ValueError, match="VAST"):
        check_answer(VAST.replace(before, after), 2, "video")


def test_another_format_than_the_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="mtype 1 for a video slot"):
        check_answer(VAST, 1, "video")


def test_what_an_ad_is_for_is_read_from_where_its_click_leads() -> None:
    assert read_markup(json.dumps(NATIVE), "native") == Shown(trip="JFK-LAX/2026-12-01")
    assert read_markup(VAST, "video") == Shown(item="CD 1")
    redirected = VAST.replace(
        "https://shop.example/item/CD%201",
        "https://b.example/click?t=a&u=https%3A%2F%2Fair.example%2Fbook%3Ftrip%3DA-B%252FC",
    )
    assert read_markup(redirected, "video") == Shown(trip="A-B/C")
    assert read_markup(VAST.replace("item/CD%201", ""), "video") == Shown()
