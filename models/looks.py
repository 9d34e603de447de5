"""Looks at products and carts: which is wanted most, and what lies in the cart still."""

from collections.abc import Mapping
from typing import Final

from models.purchases import Purchases, item_of
from models.units import DAY_S

__all__ = ["NEVER", "Look", "bought_s", "cart_states", "looks"]

NEVER: Final = -1
"""Before every Unix second."""

Look = tuple[int, int, bool]
"""How strong the wish for a product is, beside a person's others; when it was last looked at or put
into the cart, Unix seconds; is it in the cart. The greatest of a person's is their top interest."""

HALF_LIFE_DAYS: Final = 7
CART_LIFT: Final = 2
"""As in the price (:mod:`models.value.conversion`); both are declared priors, not fits."""
FADED: Final = [round(2**40 * 2 ** (-day / HALF_LIFE_DAYS)) for day in range(281)]
"""What a look weighs, so many days before the newest one; older ones weigh as the last. In whole
numbers, so that sums do not depend on the order of touches and equals stay equal."""


def looks(
    views: Mapping[str, int], carts: Mapping[str, int], purchases: Mapping[str, Purchases]
) -> dict[str, Look]:
    """``ADVERTISER/ITEM`` of products that were seen or put into the cart to how they are wanted.

    Each day's look on a channel adds to it, half as much a week later; a cart doubles it. As all
    fade alike, time alone changes no order among them, but for the rounding of what is months old:
    a bidder may read it from a view that was written long ago, and nothing here needs a clock.

    Args:
        views: a facet's touches of product views.
        carts: its touches of carts.
        purchases: its orders.
    """
    states = cart_states(carts, purchases) if carts else {}
    touched = [(key[2:], seen_s) for key, seen_s in views.items()]
    touched += [(name, added_s) for name, (added_s, _) in states.items()]
    last_day = max([seen_s for _, seen_s in touched], default=0) // DAY_S
    found: dict[str, Look] = {}
    for name, seen_s in touched:
        weight = FADED[min(last_day - seen_s // DAY_S, len(FADED) - 1)]
        known = found.get(name)
        if known is None:
            found[name] = weight, seen_s, False
        else:
            found[name] = known[0] + weight, max(known[1], seen_s), False
    for name, (_, is_in_cart) in states.items():
        if is_in_cart:
            strength, seen_s, _ = found[name]
            found[name] = strength * CART_LIFT, seen_s, True
    return found


def cart_states(
    touches: Mapping[str, int], purchases: Mapping[str, Purchases]
) -> dict[str, tuple[int, bool]]:
    """``ADVERTISER/ITEM`` to when it was last put into the cart, Unix seconds, and is it there.

    Args:
        touches: a facet's touches of carts.
        purchases: its orders.
    """
    added: dict[str, int] = {}
    closed: dict[str, int] = {}
    for key, seen_s in touches.items():
        name, times = key[2:], added if key[1] == "+" else closed
        if seen_s > times.get(name, NEVER):
            times[name] = seen_s
    states = {}
    for name, added_s in added.items():
        advertiser, _, item = name.partition("/")
        is_left = added_s > closed.get(name, NEVER)
        states[name] = (added_s, is_left and added_s > bought_s(purchases, advertiser, item))
    return states


def bought_s(shops: Mapping[str, Purchases], advertiser: str, item: str) -> int:
    """When an item was last ordered, whatever became of that, Unix seconds; or :data:`NEVER`."""
    purchases = shops.get(advertiser)
    if purchases is None:
        return NEVER
    times = [time_s for name, time_s in purchases.items.items() if item_of(name) == item]
    return max(times, default=NEVER)
