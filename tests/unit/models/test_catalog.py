import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import Catalog
from models.catalog_records import (
    CatalogRecord,
    Creative,
    Flight,
    LineState,
    Offer,
    Product,
    Segment,
    record_key,
)
from models.units import AdvertiserId, CampaignId, CreativeId
from tests.unit.models.test_catalog_records import GOOD

AIR = AdvertiserId("air")


def flight(name: str = "AA1", origin: str = "JFK", updated_ms: int = 1, **more: int) -> Flight:
    base = GOOD["flight/air/AA1/2026-01-31"]
    assert isinstance(base, Flight)
    return msgspec.structs.replace(base, id=name, origin=origin, updated_ms=updated_ms, **more)


def creative(name: str, campaign: str) -> Creative:
    base = GOOD["creative/R"]
    assert isinstance(base, Creative)
    return msgspec.structs.replace(base, id=CreativeId(name), campaign=CampaignId(campaign))


def product(updated_ms: int) -> Product:
    base = GOOD["product/air/P"]
    assert isinstance(base, Product)
    return msgspec.structs.replace(base, updated_ms=updated_ms)


def test_every_kind_goes_in_and_out_again() -> None:
    catalog = Catalog()
    for record in GOOD.values():
        assert catalog.apply(record)
    assert catalog.records() == GOOD
    assert len(catalog) == len(GOOD)
    assert catalog.products[AIR, "P"] == GOOD["product/air/P"]
    assert [record_key(one) for one in catalog.marketing()] == list(GOOD)[:7]
    for key in GOOD:
        assert catalog.withdraw(key)
        assert not catalog.withdraw(key)
    assert len(catalog) == 0
    assert not catalog.advertisers | catalog.exchanges | catalog.segments | catalog.campaigns
    assert not catalog.flights
    assert not catalog.products
    assert not catalog.call_tags
    assert not catalog.departments
    assert not catalog.lines
    assert not any(catalog.creatives.values())
    assert catalog.board.departures("air", "JFK-LAX/2026-01-31") == []


def test_an_older_offer_never_replaces_a_newer_one() -> None:
    catalog = Catalog()
    assert catalog.apply(flight(updated_ms=5, seats_left=2))
    assert not catalog.apply(flight(updated_ms=4, seats_left=9))
    assert catalog.flights["air", "AA1"].seats_left == 2
    assert catalog.apply(flight(updated_ms=5, seats_left=1))
    assert catalog.apply(product(9))
    assert not catalog.apply(product(8))


def test_an_older_state_of_the_lines_never_replaces_a_newer_one() -> None:
    catalog = Catalog()
    assert catalog.apply(LineState(advertiser=AIR, minutes=((1, 2, 1),), updated_ms=5))
    assert not catalog.apply(LineState(advertiser=AIR, minutes=(), updated_ms=4))
    assert catalog.lines[AIR].minutes == ((1, 2, 1),)


def test_a_flight_that_changes_its_route_is_found_on_the_new_one_only() -> None:
    catalog = Catalog()
    catalog.apply(flight(updated_ms=1))
    catalog.apply(flight(updated_ms=2, origin="EWR"))
    assert catalog.board.departures("air", "JFK-LAX/2026-01-31") == []
    assert catalog.board.departures("air", "EWR-LAX/2026-01-31") == [
        flight(updated_ms=2, origin="EWR")
    ]
    assert catalog.board.departures("other", "EWR-LAX/2026-01-31") == []


def test_a_creative_that_moves_leaves_its_campaign() -> None:
    catalog = Catalog()
    for record in (creative("2", "C"), creative("1", "C"), creative("3", "D")):
        catalog.apply(record)
    assert [c.id for c in catalog.creatives[CampaignId("C")]] == ["1", "2"]
    catalog.apply(creative("1", "D"))
    assert [c.id for c in catalog.creatives[CampaignId("C")]] == ["2"]
    assert [c.id for c in catalog.creatives[CampaignId("D")]] == ["1", "3"]


records = st.one_of(
    st.builds(
        flight, st.sampled_from(["AA1", "AA2"]), st.sampled_from(["JFK", "EWR"]), st.integers(1, 5)
    ),
    st.builds(creative, st.sampled_from("12"), st.sampled_from("CD")),
    st.builds(product, st.integers(1, 5)),
    st.sampled_from([record for record in GOOD.values() if isinstance(record, Segment)]),
)


@given(st.lists(st.tuples(st.booleans(), records), max_size=30))
def test_what_stands_there_is_what_a_dictionary_would_hold(
    changes: list[tuple[bool, CatalogRecord | Offer]],
) -> None:
    catalog, model = Catalog(), dict[str, CatalogRecord | Offer]()
    for is_applied, record in changes:
        key = record_key(record)
        if not is_applied:
            assert catalog.withdraw(key) == (model.pop(key, None) is not None)
            continue
        stale = getattr(record, "updated_ms", 0) < getattr(model.get(key), "updated_ms", 0)
        assert catalog.apply(record) is not stale
        if not stale:
            model[key] = record
    assert catalog.records() == model
    flights = [record for record in model.values() if isinstance(record, Flight)]
    for origin in ("JFK", "EWR"):
        found = catalog.board.departures("air", f"{origin}-LAX/2026-01-31")
        expected = [one for one in flights if one.origin == origin]
        assert sorted(found, key=record_key) == sorted(expected, key=record_key)
    creatives = [record for record in model.values() if isinstance(record, Creative)]
    for campaign in (CampaignId("C"), CampaignId("D")):
        chosen = [one for one in creatives if one.campaign == campaign]
        assert list(catalog.creatives.get(campaign, ())) == sorted(chosen, key=lambda one: one.id)
