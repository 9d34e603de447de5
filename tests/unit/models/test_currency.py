"""Exchange rates: dated, exact, and never in anybody's disfavour by more than a micro."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import Catalog
from models.catalog_records import Rates, decode_record, encode_record, record_key
from models.currency import RateTable, Ratio
from models.errors import InvalidFieldError
from models.units import DAY_MS, epoch_day

DATE = "2026-11-20"
UNITS = {"EUR": Decimal("0.9217"), "JPY": Decimal("155.42"), "KWD": Decimal("0.3071")}
RATES = Rates(base="USD", date=DATE, units=UNITS)
NOON_MS = epoch_day(DATE) * DAY_MS + DAY_MS // 2

amounts = st.integers(0, 10**15)
ratios = st.builds(Ratio, st.integers(1, 10**9), st.integers(1, 10**9))


def test_a_rate_is_worth_what_the_record_says_both_ways_and_across() -> None:
    table = RateTable(RATES)
    euros = table.ratio("USD", "EUR", NOON_MS)
    assert euros is not None
    assert euros.floor(1_000_000) == 921_700
    across = table.ratio("EUR", "JPY", NOON_MS)
    assert across is not None
    assert across.floor(921_700) == 155_420_000
    assert table.ratio("EUR", "JPY", NOON_MS) is across


@given(amounts, ratios)
def test_there_and_back_again_loses_a_micro_at_most_and_gains_none(
    micros: int, ratio: Ratio
) -> None:
    assert ratio.floor(micros) <= ratio.ceil(micros) <= ratio.floor(micros) + 1
    assert (
        ratio.inverse.floor(ratio.floor(micros)) <= micros <= ratio.inverse.ceil(ratio.ceil(micros))
    )
    assert ratio.floor(ratio.inverse.ceil(micros)) >= micros


@pytest.mark.parametrize("pair", [("USD", "XXX"), ("XXX", "USD"), ("XXX", "XXX"), ("usd", "EUR")])
def test_a9_an_unknown_currency_has_no_rate(pair: tuple[str, str]) -> None:
    """A9: what needs a rate that we lack gets no bid."""
    assert RateTable(RATES).ratio(*pair, NOON_MS) is None


@pytest.mark.parametrize(("days", "is_known"), [(0, True), (4, True), (5, False), (400, False)])
def test_a9_rates_grow_old(days: int, is_known: bool) -> None:
    """A9: rates are dated; the last of four days after theirs ends at midnight UTC."""
    table = RateTable(RATES)
    assert (table.ratio("USD", "EUR", NOON_MS + days * DAY_MS) is not None) == is_known
    last_ms = RATES.expires_ms - 1
    assert table.ratio("USD", "EUR", last_ms) is not None
    assert table.ratio("USD", "EUR", last_ms + 1) is None


def test_a9_a_new_record_replaces_the_rates_and_a_tombstone_takes_them_away() -> None:
    """A9: rates are refreshed."""
    catalog = Catalog()
    catalog.apply(RATES)
    assert record_key(RATES) == "rates/USD"
    assert decode_record(encode_record(RATES)) == RATES
    catalog.apply(Rates(base="USD", date=DATE, units={"EUR": Decimal(1)}))
    assert catalog.rates["USD"].ratio("USD", "EUR", NOON_MS) == Ratio(1, 1)
    catalog.withdraw("rates/USD")
    assert catalog.rates == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"base": "usd"}, "currency"),
        ({"units": {"euro": Decimal(1)}}, "currency"),
        ({"units": {"EUR": Decimal(0)}}, "EUR"),
        ({"units": {"EUR": Decimal("-0.5")}}, "EUR"),
        ({"units": {"EUR": Decimal("NaN")}}, "EUR"),
        ({"units": {"EUR": Decimal("Infinity")}}, "EUR"),
        ({"units": {"USD": Decimal(2)}}, "USD"),
        ({"date": "20.11.2026"}, "date"),
        ({"max_age_days": 0}, "max_age_days"),
    ],
)
def test_rates_that_cannot_be_used_are_refused_by_name(
    changes: dict[str, object], field: str
) -> None:
    fields: dict[str, object] = {"base": "USD", "date": DATE, "units": UNITS}
    with pytest.raises(InvalidFieldError, match=field):
        Rates(**(fields | changes)).check()  # type: ignore[arg-type]
