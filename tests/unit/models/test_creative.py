"""Creatives: of one format, https only, and what is wrong is told with its place."""

from typing import Any

import msgspec
import pytest

from models.catalog_records import Creative, decode_record, encode_record
from models.errors import EventError, KinbidError
from models.markup_safety import check_slots_are_safe

BASE: dict[str, Any] = {
    "kind": "creative", "id": "c", "campaign": "k", "click_url": "https://a.example/",
}  # fmt: skip
BANNER: dict[str, Any] = {"sizes": [[300, 250]], "html": "<b>{title}</b>"}
NATIVE: dict[str, Any] = {
    "titles": ["{title}"],
    "images": [{"url": "https://c.example/{item}.jpg", "w": 1200, "h": 627}],
    "data": {"desc": ["{price}"]},
}
FILE: dict[str, Any] = {
    "mime": "video/mp4", "url": "https://c.example/{item}.mp4", "w": 640, "h": 360,
}  # fmt: skip
VIDEO: dict[str, Any] = {"title": "{title}", "duration_seconds": 15, "media": [FILE]}
SOUND: dict[str, Any] = {
    "title": "t", "duration_seconds": 15,
    "media": [{"mime": "audio/mpeg", "url": "https://c.example/a.mp3"}],
}  # fmt: skip


def read(**parts: object) -> Creative:
    record = decode_record(msgspec.json.encode(BASE | parts))
    assert isinstance(record, Creative)
    return record


@pytest.mark.parametrize(
    ("parts", "kind"),
    [(BANNER, "banner"), ({"native": NATIVE}, "native"), ({"video": VIDEO}, "video"),
     ({"audio": SOUND}, "audio")],
)  # fmt: skip
def test_a_creative_of_each_format_reads_back_as_it_was_written(
    parts: dict[str, Any], kind: str
) -> None:
    one = read(**parts)
    assert one.format == kind
    assert decode_record(encode_record(one)) == one


def test_a_banner_of_before_there_were_other_formats_still_reads() -> None:
    old = (
        b'{"kind":"creative","id":"c","campaign":"k","creative_set":"any","sizes":[[300,250]],'
        b'"html":"<a href=\\"{click_url}\\">x</a>","click_url":"https://a.example/","is_private":false}'
    )
    record = decode_record(old)
    assert isinstance(record, Creative)
    assert (record.format, record.sizes) == ("banner", ((300, 250),))


def test_every_text_with_slots_is_listed() -> None:
    fields = {text for _, text in read(native=NATIVE).templates()}
    assert {"{title}", "https://c.example/{item}.jpg", "{price}", "https://a.example/"} <= fields
    assert FILE["url"] in {text for _, text in read(video=VIDEO).templates()}


def changed(part: dict[str, Any], **changes: object) -> dict[str, Any]:
    return part | changes


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({}, "html"),
        ({"html": "x"}, r"sizes: \(\) is not a list"),
        ({"sizes": [[0, 1]], "html": "x"}, "sizes"),
        (BANNER | {"native": NATIVE}, "one of them"),
        ({"native": NATIVE, "video": VIDEO}, "one of them"),
        ({"native": NATIVE, "sizes": [[1, 1]]}, "only a banner has sizes"),
        (BANNER | {"ratios": [[0, 1]]}, "ratios"),
        (BANNER | {"ratios": [[16, 9]], "html": "{width}"}, "beside ratios"),
        (BANNER | {"html": "<img src='HTTP://a.example'>"}, "write https://"),
        (BANNER | {"impression_urls": ["https://a.example/"]}, "a banner's pixels"),
        (BANNER | {"language": "deu"}, "ISO 639-1"),
        (BANNER | {"api": [2]}, "VPAID"),
        (BANNER | {"attributes": [16]}, "skip_after_seconds"),
        (BANNER | {"iurl": "http://a.example/"}, "iurl"),
        (BANNER | {"id": "x" * 65}, "at most 64"),
        ({"native": NATIVE, "impression_urls": ["http://a.example/"]}, "impression_urls"),
        ({"native": changed(NATIVE, titles=[])}, "titles"),
        ({"native": changed(NATIVE, titles=["a", ""])}, "titles"),
        ({"native": changed(NATIVE, data={"desc": []})}, r"data\.desc"),
        ({"native": changed(NATIVE, data={"describe": ["a"]})}, "data"),
        ({"native": changed(NATIVE, privacy_url="x")}, "privacy_url"),
        ({"native": changed(NATIVE, images=[{"url": "http://c", "w": 1, "h": 1}])}, "images 1"),
        ({"native": changed(NATIVE, icons=[{"url": "https://c", "w": 0, "h": 1}])}, "icons 1"),
        ({"native": changed(NATIVE, icons=[{"url": "https://c/\"", "w": 1, "h": 1}])}, "icons 1"),
        ({"native": changed(NATIVE, titles=["{nope}"])}, "native.titles 'nope'"),
        ({"native": changed(NATIVE, layout=3)}, "layout"),
        ({"video": changed(VIDEO, title="")}, "title"),
        ({"video": changed(VIDEO, duration_seconds=0)}, "duration_seconds"),
        ({"video": changed(VIDEO, media=[])}, "media"),
        ({"video": changed(VIDEO, media=[changed(FILE, url="")])}, "media 1.url"),
        ({"video": changed(VIDEO, media=[changed(FILE, mime="audio/mpeg")])}, "media 1.mime"),
        ({"video": changed(VIDEO, media=[changed(FILE, w=0)])}, "media 1"),
        ({"video": changed(VIDEO, media=[changed(FILE, bitrate_kbps=-1)])}, "bitrate"),
        ({"video": changed(VIDEO, vast_url="https://t.example/")}, "empty beside vast_url"),
        ({"video": changed(VIDEO, skip_after_seconds=15)}, "skip_after_seconds"),
        ({"video": changed(VIDEO, trackers={"start": ["http://t.example/"]})}, "trackers.start"),
        ({"video": changed(VIDEO, trackers={"begin": ["https://t.example/"]})}, "begin"),
        ({"video": changed(VIDEO, companions=[{"url": "c", "w": 1, "h": 1}])}, "companions 1"),
        ({"video": changed(VIDEO, vast_url="http://t", media=[changed(FILE, url="")])}, "vast_url"),
        ({"audio": changed(SOUND, media=[changed(FILE, mime="audio/mpeg")])}, "no w and h"),
        ({"audio": changed(SOUND, skip_after_seconds=1)}, "skip_after_seconds"),
    ],
)  # fmt: skip
def test_b5_what_is_wrong_is_told_with_its_place(parts: dict[str, Any], told: str) -> None:
    """B5, F7, O3: https only, no VPAID, one format, a crid that fits."""
    with pytest.raises(EventError, match=told):
        read(**parts)


@pytest.mark.parametrize(
    "html",
    [
        "<script>var t = '{title}';</script>",
        "<style>.a{{content:'{title}'}}</style>",
        "<iframe srcdoc=\"{title}\"></iframe>",
        "<a onclick=\"go('{item}')\">x</a>",
        "<a href={click_url}>x</a>",
        "<a title={title} href=\"{click_url}\">x</a>",
        "<a href=\"{item}\">x</a>",
        "<img src=' {item}'>",
        "<form action='{title}'>",
        "<div style=\"background:url({item})\">",
        "<{title}>",
        "<div {title}=\"1\">",
        "<svg><a xlink:href='{item}'>",
        "<script src='https://a.example/'>{title}</script>",
        "<noscript>{title}</noscript>",
    ],
)  # fmt: skip
def test_a_slot_may_not_stand_where_escaping_does_not_help(html: str) -> None:
    with pytest.raises(KinbidError, match="slot in"):
        check_slots_are_safe(html, "html")


@pytest.mark.parametrize(
    "html",
    [
        "{title}",
        "<a href=\"{click_url}\" title='{title}'>{price}</a>",
        "<img src=\"https://c.example/{item}.jpg\" alt=\"{title}\">",
        "<div style=\"width:{width}px;height:{height}px\" data-item=\"{item}\">",
        "<script>var a = {{}};</script><b>{title}</b>",
        "<style>a{{color:red}}</style>{title}",
        "<p>1 < 2 {title}</p>",
        "<br/>{title}",
        "no slot <script>at all",
    ],
)  # fmt: skip
def test_a_slot_may_stand_where_its_value_is_only_text(html: str) -> None:
    check_slots_are_safe(html, "html")
