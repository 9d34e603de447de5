"""VAST documents: well-formed whatever the data holds, with our impression, https only."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bidder.formats import Links
from models.catalog_records import Creative
from tests.unit.bidder.formats.support import (
    AUDIO,
    AUDIO_SLOT,
    CLICK_PREFIX,
    LINKS,
    VIDEO,
    VIDEO_SLOT,
    WRAPPED,
    ad,
    adm_of,
    fitted,
)
from tests.unit.bidder.support import product, thorough

OURS = ad(video=VIDEO, impression_urls=("https://px.example/?a=1&b=2",))
INLINE = {2: "2.0", 3: "3.0", 7: "4.0", 11: "4.1", 13: "4.2"}
WRAPPER = {5: "2.0", 6: "3.0", 8: "4.0", 12: "4.1", 14: "4.2"}


def document(creative: Creative = OURS, **changes: object) -> ElementTree.Element:
    found = fitted(creative, video=VIDEO_SLOT | changes)
    return ElementTree.fromstring(adm_of(found))


def texts(root: ElementTree.Element, path: str) -> list[str | None]:
    return [element.text for element in root.findall(f".//{path}")]


@pytest.mark.parametrize("protocol", INLINE)
def test_each_inline_version_says_which_it_is_and_has_what_it_requires(protocol: int) -> None:
    """F6: our Impression first, the ad's title, duration, files and click."""
    root = document(protocols=[protocol])
    version = INLINE[protocol]
    assert (root.tag, root.get("version")) == ("VAST", version)
    assert texts(root, "Impression") == [LINKS.impression_url, "https://px.example/?a=1&b=2"]
    assert texts(root, "AdTitle") == ["Kind of Blue & more"]
    assert texts(root, "Duration") == ["00:00:15"]
    assert texts(root, "ClickThrough") == ["https://shop.example/item?sku=sku-1&t=Kind%20of%20Blue"]
    assert texts(root, "MediaFile") == [
        "https://cdn.example/sku-1/360.mp4", "https://cdn.example/sku-1/720.mp4",
    ]  # fmt: skip
    assert bool(texts(root, "UniversalAdId")) == (version >= "4.0")
    assert texts(root, "AdServingId") == (["w1-0"] if version > "4.0" else [])


ORDERS = {
    "old": ["AdSystem", "AdTitle", "Error", "Impression", "Impression", "Creatives"],
    "4.0": ["AdSystem", "Error", "Impression", "Impression", "AdTitle", "Creatives"],
    "new": ["AdSystem", "Error", "Impression", "Impression", "AdServingId", "AdTitle", "Creatives"],
}


@pytest.mark.parametrize(
    ("protocol", "order"), [(2, "old"), (3, "old"), (7, "4.0"), (11, "new"), (13, "new")]
)
def test_elements_stand_in_the_order_of_the_versions_schema(protocol: int, order: str) -> None:
    """F6: the schemas of VAST 2.0.1 to 4.2 are sequences."""
    inline = document(protocols=[protocol]).find(".//InLine")
    assert inline is not None
    assert [element.tag for element in inline] == ORDERS[order]
    linear = inline.find(".//Linear")
    assert linear is not None
    tags = [element.tag for element in linear]
    if order == "old":
        assert tags == ["Duration", "TrackingEvents", "VideoClicks", "MediaFiles"]
    else:
        assert tags == ["TrackingEvents", "Duration", "MediaFiles", "VideoClicks"]


def test_files_carry_what_a_player_chooses_by() -> None:
    """F4, F6."""
    first = document().findall(".//MediaFile")[0]
    assert first.attrib == {
        "delivery": "progressive", "type": "video/mp4", "width": "640", "height": "360",
        "bitrate": "700",
    }  # fmt: skip


@pytest.mark.parametrize("protocol", WRAPPER)
def test_a_wrapper_holds_the_tag_and_our_impression(protocol: int) -> None:
    """F6: VAST's own macros stay for the player, values are percent-encoded."""
    if protocol == 5:
        with pytest.raises(AssertionError):
            document(ad(video=WRAPPED), protocols=[protocol])
        return
    root = document(ad(video=WRAPPED), protocols=[protocol])
    assert root.get("version") == WRAPPER[protocol]
    assert texts(root, "VASTAdTagURI") == ["https://ads.example/vast?item=sku-1&cb=[CACHEBUSTING]"]
    assert texts(root, "Impression") == [LINKS.impression_url]
    assert not texts(root, "MediaFile")
    assert root.find(".//Linear") is not None


def test_trackers_and_errors_are_told_to_whom_the_marketer_names() -> None:
    root = document()
    assert {one.get("event"): one.text for one in root.findall(".//Tracking")} == {
        "start": "https://track.example/start?t=[TIMESTAMP]",
        "complete": "https://track.example/end",
    }
    assert texts(root, "Error") == ["https://track.example/error?code=[ERRORCODE]"]


def test_the_skip_button_is_asked_for_where_it_was_declared() -> None:
    """F7."""
    for skip, offset in ((0, "00:00:05"), (1, None)):
        linear = document(skip=skip).find(".//Linear")
        assert linear is not None
        assert linear.get("skipoffset") == offset


@pytest.mark.parametrize(
    ("room", "count"), [(None, 0), ([], 0), ([{"w": 300, "h": 250}], 1), ([{"w": 1, "h": 1}], 0)]
)
def test_a_companion_comes_where_there_is_room_for_it(room: object, count: int) -> None:
    companions = document(companionad=room).findall(".//Companion")
    assert len(companions) == count
    for one in companions:
        assert (one.get("width"), one.get("height")) == ("300", "250")
        assert texts(one, "StaticResource") == ["https://cdn.example/sku-1/300x250.jpg"]
        assert texts(one, "CompanionClickThrough")


def test_audio_is_declared_as_such_and_has_no_picture() -> None:
    """F13."""
    for protocols, kind in (([13], "audio"), ([3], None)):
        found = fitted(ad(audio=AUDIO), audio=AUDIO_SLOT | {"protocols": protocols})
        root = ElementTree.fromstring(adm_of(found))
        (one,) = root.findall("Ad")
        assert one.get("adType") == kind
        (file,) = root.findall(".//MediaFile")
        assert (file.get("type"), file.get("width"), file.text) == (
            "audio/mpeg", "0", "https://cdn.example/sku-1.mp3",
        )  # fmt: skip
        assert "video/" not in ElementTree.tostring(root, "unicode")


def test_the_click_goes_through_us_where_the_exchange_wants_it_so() -> None:
    found = fitted(OURS, video=VIDEO_SLOT)
    links = Links(LINKS.impression_url, CLICK_PREFIX, LINKS.nonce)
    root = ElementTree.fromstring(adm_of(found, redirects=True, links=links))
    (address,) = texts(root, "ClickThrough")
    assert address is not None
    assert address.startswith(CLICK_PREFIX + "&u=https%3A%2F%2Fshop.example%2Fitem")


anything = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@thorough
@given(anything, anything, st.sampled_from([*INLINE, *WRAPPER]))
@example("]]><Impression>http://evil.example</Impression><![CDATA[", "]]>", 13)
@example("</AdTitle><script>alert(1)</script>", "\x00\x0b\ufffe", 3)
@example("${AUCTION_PRICE} [ERRORCODE] {click_url}", "'\"&<>", 2)
def test_whatever_a_feed_says_the_document_is_well_formed_and_says_nothing_else(
    title: str, item: str, protocol: int
) -> None:
    """F6, C3, B5: values are text in titles and percent-encoded in addresses."""
    offer = product(id=item or "i", title=title)
    creative = ad(video=VIDEO) if protocol in INLINE else ad(video=WRAPPED)
    if protocol == 5:
        return
    adm = adm_of(fitted(creative, offer, video=VIDEO_SLOT | {"protocols": [protocol]}), offer)
    root = ElementTree.fromstring(adm)
    assert texts(root, "Impression") == [LINKS.impression_url]
    if protocol in INLINE:
        shown = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", title)
        (read,) = texts(root, "AdTitle")
        assert (read or "").split() == f"{shown} & more".split()
    assert not re.search(
        r"\$\{", adm.replace("${AUCTION_PRICE}&", "").replace(LINKS.impression_url, "")
    )
    for element in root.iter():
        if (element.text or "").strip().startswith("http"):
            assert (element.text or "").startswith("https://") or element.tag == "AdTitle"


def test_b5_every_address_in_every_format_is_https() -> None:
    """B5: media, trackers, tags, companions, clicks."""
    for creative, protocol in itertools.product((OURS, ad(video=WRAPPED)), (3, 6, 13, 14)):
        kinds = INLINE if creative is OURS else WRAPPER
        if protocol in kinds:
            adm = adm_of(fitted(creative, video=VIDEO_SLOT | {"protocols": [protocol]}))
            assert "http:" not in adm
            assert "https://" in adm


def test_a_macro_that_the_exchange_fills_leaves_the_document_well_formed() -> None:
    """F6: after substitution, too."""
    adm = adm_of(fitted(OURS, video=VIDEO_SLOT)).replace("${AUCTION_PRICE}", "1.25")
    impression = texts(ElementTree.fromstring(adm), "Impression")[0]
    assert impression == LINKS.impression_url.replace("${AUCTION_PRICE}", "1.25")
