"""What holds for every decision, whatever the numbers are."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bidder.bids import Bid, Fate
from models.catalog import Catalog
from models.profile import Person
from models.reservations import Reservation
from models.units import DAY_MS, MICROS
from tests.fakes.headers import showing
from tests.unit.bidder.support import (
    BRAND,
    NOW_MS,
    PROSPECT,
    SEATS,
    bid_request,
    buyer,
    catalog,
    decision_of,
    flight,
    imp,
    person,
    searched,
    segment,
    thorough,
    viewed,
)

floors = st.floats(0, 120) | st.sampled_from([0.0, 0.01, 0.1, 1.1, 2.2, 1e-9, 1e12, 1e305])
auctions = st.sampled_from([None, 1, 2, 500])
seats = st.integers(0, 180)
ages_ms = st.integers(0, 30 * DAY_MS)
used = st.integers(0, 6)


@st.composite
def persons(draw: st.DrawFn) -> Person:
    """Anybody: what they looked at and when, what they ordered, what they saw."""
    header = showing(
        searches=tuple(searched(age_ms=age) for age in draw(st.lists(ages_ms, max_size=2))),
        products=tuple(
            viewed(age_ms=age, in_cart=draw(st.booleans()))
            for age in draw(st.lists(ages_ms, max_size=2))
        ),
        buyers={"airline": buyer(draw(st.integers(1, 9)))} if draw(st.booleans()) else {},
    )
    return person(header, billed=draw(used))


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Any seats left, departure and target CPA."""
    return catalog(
        flight(seats_left=draw(seats), depart_ms=NOW_MS + draw(st.integers(0, 200)) * DAY_MS),
        segment(PROSPECT, target_cpa_micros=draw(st.integers(0, 100)) * MICROS),
    )


def one_bid(floor: float, at: int | None, who: Person, what: Catalog) -> Bid | None:
    request = bid_request(imp(bidfloor=floor), at=at)
    bids = decision_of(request, who, what).bids
    return bids[0] if bids else None


@thorough
@given(floors, auctions, persons(), catalogs())
def test_a5_no_bid_is_below_the_floor_or_above_its_value(
    floor: float, at: int | None, who: Person, what: Catalog
) -> None:
    bid = one_bid(floor, at, who, what)
    if bid is not None:
        assert floor <= bid.bid_cpm_micros / MICROS
        assert 0 < bid.bid_cpm_micros <= bid.value_cpm_micros


@thorough
@given(floors, floors, auctions, persons(), catalogs())
def test_raising_the_floor_never_raises_a_bid_above_the_floor_or_the_value(
    one: float, other: float, at: int | None, who: Person, what: Catalog
) -> None:
    low, high = sorted((one, other))
    before, after = one_bid(low, at, who, what), one_bid(high, at, who, what)
    if after is None:
        return
    assert before is not None
    floor_cpm_micros = high * MICROS + 1
    assert after.bid_cpm_micros <= max(before.bid_cpm_micros, floor_cpm_micros)
    assert after.bid_cpm_micros <= after.value_cpm_micros


@thorough
@given(seats, seats, ages_ms, st.integers(1, 100), auctions)
def test_more_seats_left_never_lower_the_value(
    one: int, other: int, age_ms: int, days: int, at: int | None
) -> None:
    who = person(showing(searches=(searched(age_ms=age_ms),)))
    values = []
    for left in sorted((one, other)):
        departure = flight(seats_left=left, depart_ms=NOW_MS + days * DAY_MS)
        request = bid_request(at=at)
        fates: list[Fate] = []
        bids = decision_of(request, who, catalog(departure), fates=fates).bids
        mine = [bid for bid in bids if bid.campaign.id == SEATS]
        values.append(mine[0].value_cpm_micros if mine else 0)
    assert values[0] <= values[1]


@thorough
@given(persons(), catalogs(), st.integers(1, 6))
def test_what_is_sold_out_is_never_advertised(who: Person, what: Catalog, slots: int) -> None:
    what.apply(flight(seats_left=0, updated_ms=NOW_MS + 1))
    request = bid_request(*(imp(id=str(n)) for n in range(slots)))
    assert SEATS not in {bid.campaign.id for bid in decision_of(request, who, what).bids}


@thorough
@given(used, used, used, st.integers(1, 8))
def test_billed_reserved_pending_and_picked_together_never_pass_the_cap(
    billed: int, others: int, own: int, slots: int
) -> None:
    reserved = [Reservation(SEATS, f"other-{n}", NOW_MS + 1, NOW_MS) for n in range(others)]
    pending = tuple(Reservation(SEATS, f"own-{n}", NOW_MS + 1, NOW_MS) for n in range(own))
    request = bid_request(*(imp(id=str(n)) for n in range(slots)))
    decision = decision_of(request, person(billed=billed, reserved=reserved), pending=pending)
    picked = sum(bid.campaign.id == SEATS for bid in decision.bids)
    assert picked == max(0, min(slots, 5 - billed - others - own))


@thorough
@given(auctions, persons(), catalogs(), st.integers(1, 3), floors)
def test_every_slot_names_one_winner_or_none_and_one_reason_for_every_other_campaign(
    at: int | None, who: Person, what: Catalog, slots: int, floor: float
) -> None:
    request = bid_request(*(imp(id=str(n), bidfloor=floor) for n in range(slots)), at=at)
    fates: list[Fate] = []
    decision = decision_of(request, who, what, fates=fates)
    won = [(bid.imp_id, bid.campaign.id) for bid in decision.bids]
    lost = [(fate.imp_id, fate.campaign) for fate in fates]
    expected = [(str(n), campaign) for n in range(slots) for campaign in what.campaigns]
    assert sorted([*won, *lost]) == sorted(expected)


@thorough
@given(auctions, persons(), st.permutations(list(catalog().campaigns)))
def test_the_order_of_campaigns_never_changes_a_decision(
    at: int | None, who: Person, order: list[str]
) -> None:
    request = bid_request(imp(), imp(id="b"), at=at)
    what = catalog()
    expected = decision_of(request, who, what)
    for name in order:
        record = what.records()[f"campaign/{name}"]
        what.withdraw(f"campaign/{name}")
        what.apply(record)
    assert decision_of(request, who, what) == expected


@thorough
@given(st.floats(0.1, 10), persons(), catalogs())
def test_scaling_what_a_conversion_may_cost_scales_the_value(
    scale: float, who: Person, what: Catalog
) -> None:
    what.withdraw(f"campaign/{BRAND}")
    before = decision_of(bid_request(at=2), who, what)
    for name in list(what.segments):
        one = what.segments[name]
        scaled = round(one.target_cpa_micros * scale)
        what.apply(msgspec.structs.replace(one, target_cpa_micros=scaled))
    after = decision_of(bid_request(at=2), who, what)
    if before.bids and after.bids:
        ratio = after.bids[0].value_cpm_micros / before.bids[0].value_cpm_micros
        assert abs(ratio / scale - 1) < 0.01
