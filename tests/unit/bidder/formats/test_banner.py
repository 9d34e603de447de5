"""Banners: a size that was offered, no rule of the slot broken, values in it only as text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.formats import Misfit
from tests.unit.bidder.formats.support import ad, fields_of, fit_of, fitted
from tests.unit.bidder.support import thorough

HTML = '<a href="{click_url}">{title}</a>'
SIZES = ((300, 250), (728, 90), (300, 600))
SCRIPTED = HTML + "<script src='https://a.example/'></script>"
OURS = ad(html=HTML, sizes=SIZES)

sizes = st.tuples(st.sampled_from([160, 300, 320, 728]), st.sampled_from([50, 90, 250, 600]))


@thorough
@given(st.lists(sizes, max_size=6), st.none() | sizes)
def test_the_size_answered_is_the_largest_that_both_have_or_there_is_no_bid(
    listed: list[tuple[int, int]], single: tuple[int, int] | None
) -> None:
    """F1, F2: the format list, else w x h; exactly."""
    banner: dict[str, Any] = {"format": [{"w": w, "h": h} for w, h in listed]}
    if single is not None:
        banner |= {"w": single[0], "h": single[1]}
    offered = set(listed) or ({single} if single is not None else set())
    found = fit_of(OURS, banner=banner)
    common = offered.intersection(SIZES)
    if isinstance(found, Misfit):
        assert (found, common) == (Misfit.SIZE, set())
        return
    assert (found.width, found.height) in common
    assert found.width * found.height == max(w * h for w, h in common)


@pytest.mark.parametrize(
    ("banner", "size"),
    [
        ({"wmax": 728, "hmax": 90}, (728, 90)),
        ({"wmin": 300, "wmax": 320, "hmin": 200, "hmax": 300}, (300, 250)),
        ({"wmin": 300, "hmin": 50}, (300, 600)),
        ({"w": 300, "h": 250, "wmax": 728, "hmax": 600}, (300, 250)),
    ],
)
def test_the_limits_of_older_requests_hold_where_there_is_no_size(
    banner: dict[str, Any], size: tuple[int, int]
) -> None:
    """F2: wmax, hmax, wmin, hmin of 2.5; a size beside them stands alone."""
    found = fitted(OURS, banner=banner)
    assert (found.width, found.height) == size


@pytest.mark.parametrize("banner", [{}, {"wmax": 299}, {"hmin": 601}, {"w": 300}, {"format": []}])
def test_no_size_is_made_up(banner: dict[str, Any]) -> None:
    """F2."""
    assert fit_of(OURS, banner=banner) is Misfit.SIZE


def test_a_flexible_slot_is_answered_with_its_proportion() -> None:
    """F2: wratio and hratio instead of w and h."""
    flexible = ad(html=HTML, ratios=((16, 9), (4, 3)))
    banner = {"format": [{"wratio": 1, "hratio": 1}, {"wratio": 16, "hratio": 9, "wmin": 100}]}
    fields = fields_of(fitted(flexible, banner=banner))
    assert (fields["wratio"], fields["hratio"]) == (16, 9)
    assert not {"w", "h"} & fields.keys()
    assert fit_of(OURS, banner=banner) is Misfit.SIZE
    assert fit_of(flexible, banner={"format": [{"w": 160, "h": 90}]}) is Misfit.SIZE


@pytest.mark.parametrize(
    ("parts", "banner", "reason"),
    [
        ({}, {"btype": [2]}, Misfit.AD_TYPE),
        ({"html": SCRIPTED}, {"btype": [3]}, Misfit.AD_TYPE),
        ({"html": HTML + "<IFRAME></IFRAME>"}, {"btype": [4]}, Misfit.AD_TYPE),
        ({"attributes": (8, 9)}, {"battr": [9]}, Misfit.ATTRIBUTE),
        ({"api": (5,)}, {"api": [3]}, Misfit.API),
        ({"api": (5,)}, {}, Misfit.API),
        ({}, {"mimes": ["image/jpg", "application/x-shockwave-flash"]}, Misfit.MIME),
    ],
)  # fmt: skip
def test_what_a_slot_blocks_or_lacks_is_no_bid(
    parts: dict[str, Any], banner: dict[str, Any], reason: Misfit
) -> None:
    """B4, B6, B8: btype by what the markup is, battr, api, mimes."""
    one = ad(**({"html": HTML, "sizes": SIZES} | parts))
    assert fit_of(one, banner={"w": 300, "h": 250} | banner) is reason


@pytest.mark.parametrize(
    "banner",
    [{"btype": [1, 3, 4]}, {"battr": [1]}, {"mimes": ["TEXT/HTML"]}, {"mimes": ["text/javascript"]},
     {"mimes": []}, {"api": [3, 5]}],
)  # fmt: skip
def test_what_a_slot_allows_is_bid(banner: dict[str, Any]) -> None:
    """B4, B6, B8."""
    found = fitted(
        ad(html=HTML, sizes=SIZES, attributes=(9,)), banner={"w": 300, "h": 250} | banner
    )
    assert found.mtype == 1


def test_each_size_and_each_change_of_the_ad_has_a_crid_of_its_own() -> None:
    """O3: another look, size, click address or attribute is another crid of 64 bytes at most."""
    changes: list[dict[str, Any]] = [
        {}, {"html": HTML + "."}, {"click_url": "https://other.example/"}, {"attributes": (1,)},
        {"iurl": "https://cdn.example/i.jpg"}, {"sizes": ((300, 250),)},
    ]  # fmt: skip
    crids = {
        fitted(ad(**({"html": HTML, "sizes": SIZES} | change)), banner={"w": 300, "h": h}).crid
        for change in changes
        for h in (250, 600)
        if (300, h) in change.get("sizes", SIZES)
    }
    assert len(crids) == 2 * len(changes) - 1
    again = fitted(ad(html=HTML, sizes=SIZES), banner={"w": 300, "h": 250}).crid
    assert again in crids
    same = ad(html=HTML, sizes=SIZES, creative_set="customer", is_private=True)
    assert fitted(same, banner={"w": 300, "h": 250}).crid == again
    for name in ("x" * 64, "ü" * 64):
        long = fitted(ad(name, html=HTML, sizes=SIZES), banner={"w": 300, "h": 250}).crid
        assert len(long.encode()) <= 64
        assert long.startswith(name[:20])


def test_what_describes_the_ad_is_written_where_it_says_something() -> None:
    """O3, O4, O6, O7, O10: adomain, cat, attr, language, iurl, bundle, apis and api."""
    one = ad(
        html=HTML, sizes=SIZES, attributes=(9,), api=(5, 7), categories=("IAB1-6",), language="de",
        iurl="https://cdn.example/i.jpg",
    )  # fmt: skip
    fields = fields_of(fitted(one, banner={"w": 300, "h": 250, "api": [5, 7]}))
    crid = fields.pop("crid")
    assert crid.startswith("ad.300x250.")
    assert fields == {
        "adomain": ["shop.example"], "cat": ["IAB1-6"], "attr": [9],
        "w": 300, "h": 250, "mtype": 1, "apis": [5, 7], "api": 5, "language": "de",
        "iurl": "https://cdn.example/i.jpg",
    }  # fmt: skip
    plain = fields_of(fitted(OURS, banner={"w": 300, "h": 250}))
    assert (plain["cat"], plain["attr"]) == (["IAB22"], [])
    assert not {"language", "iurl", "bundle", "apis", "api", "dur", "protocol"} & plain.keys()
