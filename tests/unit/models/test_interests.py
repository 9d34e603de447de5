"""Which product is wanted most: by days and how long ago they are, never by when one asks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import CartAdd, CartRemove, Event, Order, ProductView
from models.interests import interests
from models.units import DAY_MS, AdvertiserId
from tests.fakes.records import NODES, folded

SHOP = AdvertiserId("shop")
DAY_0_MS = 20_000 * DAY_MS
Looks = list[tuple[str, int]]
"""Items and the days on which they were looked at."""


def at(day: float) -> dict[str, Any]:
    time_ms = DAY_0_MS + int(day * DAY_MS)
    return {"event_id": "1", "ids": (NODES[0],), "event_time_ms": time_ms, "advertiser": SHOP}


def views(*looks: tuple[str, float]) -> list[Event]:
    return [ProductView(**at(day), item=item) for item, day in looks]


def ranked(*history: Event) -> list[str]:
    """Items, the strongest first."""
    return [one.item for one in reversed(interests(folded(history)))]


@pytest.mark.parametrize(
    ("looks", "top"),
    [
        pytest.param([("sofa", 0), ("lamp", 0.5)], "lamp", id="of equals the newest"),
        pytest.param([("sofa", 0), ("sofa", 1), ("lamp", 1.5)], "sofa", id="two days before one"),
        pytest.param(
            [("sofa", 0), *(("lamp", -1 + n / 99) for n in range(20))], "sofa",
            id="one day is one, however often",
        ),
        pytest.param([("sofa", 0), ("sofa", 1), ("sofa", 2), ("lamp", 30)], "lamp",
                     id="three days of a month ago fade"),
    ],
)  # fmt: skip
def test_the_top_interest_is_what_was_looked_at_on_most_days_of_late(
    looks: list[tuple[str, float]], top: str
) -> None:
    assert ranked(*views(*looks))[0] == top
    assert ranked(*views(*looks[::-1]))[0] == top


def test_a_cart_doubles_the_interest_until_its_item_is_taken_out_or_ordered() -> None:
    seen = views(("lamp", 0), ("sofa", 1))
    carted = CartAdd(**at(0), item="lamp")
    assert ranked(*seen, carted)[0] == "lamp"
    days = [("sofa", 2), ("sofa", 3), ("sofa", 4), ("sofa", 5)]
    assert ranked(*seen, carted, *views(*days))[0] == "sofa"
    out = CartRemove(**at(0.1), item="lamp")
    bought = Order(
        **at(0.1), order_id="1", revenue_micros=1, margin_micros=0, items=("lamp",)
    )  # fmt: skip
    for end in (out, bought):
        assert not any(one.is_in_cart for one in interests(folded([*seen, carted, end])))


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 31)), max_size=12),
    st.integers(32, 40),
)
def test_looking_at_another_product_later_changes_no_order_among_the_rest(
    looks: Looks, day: int
) -> None:
    before = ranked(*views(*looks))
    after = ranked(*views(*looks, ("z", day)))
    assert [item for item in after if item != "z"] == before
