import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError, UnknownNameError
from models.templates import ALL_SLOTS, SLOTS, parse_template


def filled(text: str, **values: str) -> str:
    return "".join(
        literal + (values.get(slot, f"<{slot}>") if slot else "")
        for literal, slot in parse_template(text, "html")
    )


@given(st.text("ab{}", max_size=20))
def test_doubled_braces_stand_for_themselves(text: str) -> None:
    assert filled(text.replace("{", "{{").replace("}", "}}")) == text


literals = st.text("ab<>", max_size=5)


@given(st.lists(st.tuples(literals, st.sampled_from(sorted(ALL_SLOTS))), max_size=5), literals)
def test_parts_are_what_the_template_says(parts: list[tuple[str, str]], end: str) -> None:
    text = "".join(f"{literal}{{{slot}}}" for literal, slot in parts) + end
    assert parse_template(text, "html") == (*parts, (end, None))


def test_a_slot_between_escaped_braces_is_still_one() -> None:
    assert filled("{{{route}}}", route="JFK-LAX") == "{JFK-LAX}"


@pytest.mark.parametrize("text", ["{", "}", "a { b", "{}", "{Route}", "{route", "route}", "{a b}"])
def test_a_brace_that_begins_or_ends_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError, match="html"):
        parse_template(text, "html")


@pytest.mark.parametrize("macro", ["${AUCTION_PRICE}", "${AUCTION_PRICE:X_1}", "${CLICK_URL2}"])
def test_an_exchanges_macro_stays_as_it_is(macro: str) -> None:
    """C3: however it is written, and beside slots and braces."""
    assert filled(f"a{macro}b{{route}}", route="$") == f"a{macro}b$"
    assert filled("$${{AUCTION_PRICE}} $ $5") == "$${AUCTION_PRICE} $ $5"


def test_an_unknown_slot_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="slot in html 'rout'; did you mean 'route'"):
        parse_template("{rout}", "html")


def test_each_goal_has_its_own_slots() -> None:
    with pytest.raises(UnknownNameError):
        parse_template("{fare}", "html", SLOTS["product"])
    for goal in SLOTS.values():
        assert parse_template("{click_url}", "html", goal)
