"""Rules of slots where two of them meet."""

from bidder.formats import Fitted, Misfit
from tests.unit.bidder.formats.support import NATIVE, ad, fit_of
from tests.unit.bidder.support import ITEMS, bid_request, creative, decision_of, imp, the_bid


def test_b6_an_ad_that_needs_two_frameworks_fits_where_both_are_listed() -> None:
    """B6: one of them is not enough."""
    both = ad(native=NATIVE, api=(5, 7))
    asset = {"id": 1, "required": 1, "title": {"len": 90}}
    wanted = {"request": {"assets": [asset]}}
    assert fit_of(both, native=wanted | {"api": [5]}) is Misfit.API
    assert isinstance(fit_of(both, native=wanted | {"api": [7, 3, 5]}), Fitted)


def test_f11_a_layout_with_an_asset_that_has_no_id_gets_no_bid() -> None:
    """F11: it might be required, and there is no way to answer it."""
    assets = [{"id": 1, "title": {"len": 90}}, {"required": 1, "data": {"type": 1}}]
    found = fit_of(ad(native=NATIVE), native={"request": {"assets": assets}})
    assert found is Misfit.NATIVE_REQUEST


def test_f2_limits_of_older_requests_count_only_where_no_size_is_named() -> None:
    """F2: beside a format list the sizes are exact."""
    banner = {"wmin": 1, "wmax": 2_000, "hmin": 1, "hmax": 2_000}
    flexible = [{"w": 301, "h": 251}, {"wratio": 7, "hratio": 3}]
    one = creative("items", ITEMS)
    assert isinstance(fit_of(one, banner=banner), Fitted)
    assert fit_of(one, banner=banner | {"format": flexible}) is Misfit.SIZE


def test_a15_a_slots_own_time_to_the_impression_bounds_how_long_a_bid_waits() -> None:
    """A15: an hour at most, and never less than the exchange takes."""
    waits = [the_bid(decision_of(bid_request(imp(exp=exp)))).wait_seconds for exp in (5, 900, 9999)]
    assert waits == [10, 900, 3_600]
