from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import InvalidFieldError
from models.units import MAX_AMOUNT, MICROS, date_of, epoch_day, format_money, parse_money

amounts = st.integers(0, MAX_AMOUNT * MICROS - 1)


@given(amounts)
def test_money_survives_being_shown(micros: int) -> None:
    assert parse_money(format_money(micros), "amount") == micros
    if micros:
        assert format_money(-micros) == f"-{format_money(micros)}"


@given(amounts)
def test_money_is_read_exactly(micros: int) -> None:
    units, rest = divmod(micros, MICROS)
    assert parse_money(f"{units}.{rest:06d}", "amount") == micros
    assert parse_money(f"{units}.{rest:06d}000", "amount") == micros


@pytest.mark.parametrize(
    ("text", "micros"), [("12.50", 12_500_000), ("0", 0), ("1e3", 1_000_000_000), (".000001", 1)]
)
def test_usual_amounts(text: str, micros: int) -> None:
    assert parse_money(text, "amount") == micros


@pytest.mark.parametrize(("micros", "shown"), [(12_500_000, "12.50"), (1, "0.000001"), (0, "0.00")])
def test_at_least_two_decimals_are_shown(micros: int, shown: str) -> None:
    assert format_money(micros) == shown


@given(st.text(max_size=12))
@example("")
@example("twelve")
@example("-1")
@example("nan")
@example("inf")
@example("0.0000001")
@example("1.00000000000000000000000000000001")
@example("1e12")
@example("1e999999")
@example("1e-999999")
@example("123456789012345678901234.1234567")
def test_anything_else_is_refused_by_name(text: str) -> None:
    try:
        micros = parse_money(text, "fare")
    except InvalidFieldError as error:
        refusal = error
    else:
        assert Decimal(text) * MICROS == micros >= 0
        return
    assert (refusal.field, refusal.value) == ("fare", text)


@pytest.mark.parametrize(
    ("date", "day"), [("1970-01-01", 0), ("1970-01-02", 1), ("2026-01-31", 20484)]
)
def test_epoch_days_count_from_1970(date: str, day: int) -> None:
    assert epoch_day(date) == day
    assert date_of(day) == date
