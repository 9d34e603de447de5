import pytest

from benchmarks.world.cap_rules import CapRule, cap_rules_of
from benchmarks.world.markup import Shown
from benchmarks.world.people import OwnerId
from benchmarks.world.referee import Ad, Referee
from models.catalog_records import Campaign, Flight, Product, Segment
from models.events import CartAdd, FlightSearch, Order, ProductView, SignIn
from models.identifiers import NodeId
from models.limits import Cap
from models.units import AdvertiserId, CampaignId, SegmentId

AIRLINE, SHOP = AdvertiserId("airline"), AdvertiserId("shop")
ANNA, BEN = OwnerId("anna"), OwnerId("ben")
DESKTOP, PHONE, TABLET, EMAIL, BENS = (NodeId(name) for name in ("d", "p", "t", "e", "b"))
OWNERS = {**dict.fromkeys((DESKTOP, PHONE, TABLET, EMAIL), ANNA), BENS: BEN}
FLIGHTS, PRODUCTS, CONTEXT = CampaignId("flights"), CampaignId("products"), CampaignId("context")
TRIP = "JFK-LAX/2026-11-25"


def prospects_one_customers_two(order_count: int) -> tuple[Cap, ...]:
    return (Cap(2 if order_count else 1, 3600),)


@pytest.fixture
def referee() -> Referee:
    caps = {
        FLIGHTS: CapRule(AIRLINE, lambda _: (Cap(2, 60),)),
        PRODUCTS: CapRule(SHOP, prospects_one_customers_two),
    }
    return Referee(OWNERS, caps)


def ad(
    node: NodeId = DESKTOP,
    campaign: CampaignId = FLIGHTS,
    bid_ms: float = 10_000,
    shown: Shown | None = None,
) -> Ad:
    return Ad(
        owner=OWNERS[node], node=node, campaign=campaign, bid_ms=bid_ms,
        bid_cpm_micros=2_000_000, shown=shown or Shown(),
    )  # fmt: skip


def bill(referee: Referee, node: NodeId, bid_ms: float, campaign: CampaignId = FLIGHTS) -> None:
    referee.on_billing(ad(node, campaign, bid_ms), bid_ms + 100)


def signs_in(referee: Referee, node: NodeId, produced_ms: float) -> None:
    event = SignIn(event_id="s", ids=(node, EMAIL), event_time_ms=1, advertiser=SHOP)
    referee.on_event(event, produced_ms)


def orders(referee: Referee, node: NodeId, produced_ms: float, order_id: str = "o1") -> None:
    event = Order(
        event_id="o", ids=(node,), event_time_ms=1, advertiser=SHOP, order_id=order_id,
        revenue_micros=1, margin_micros=1,
    )  # fmt: skip
    referee.on_event(event, produced_ms)


def flight(name: str, seats_left: int) -> Flight:
    return Flight(
        id=name, advertiser=AIRLINE, origin="JFK", destination="LAX", depart_date="2026-11-25",
        depart_ms=1, seats_total=100, seats_left=seats_left, fare_micros=1, updated_ms=1,
    )  # fmt: skip


def product(stock: int) -> Product:
    return Product(
        id="CD-1", advertiser=SHOP, title="t", group="g", price_micros=1, margin_micros=1,
        stock=stock, updated_ms=1,
    )  # fmt: skip


def over_cap(referee: Referee) -> tuple[int, int]:
    verdict = referee.verdict()
    return verdict.over_cap_impressions, verdict.over_cap_per_owner


def test_impressions_within_the_cap_are_fine(referee: Referee) -> None:
    bill(referee, DESKTOP, 1000)
    bill(referee, DESKTOP, 2000)
    assert over_cap(referee) == (0, 0)


def test_one_impression_beyond_the_cap_is_found(referee: Referee) -> None:
    for bid_ms in (1000, 2000, 3000):
        bill(referee, DESKTOP, bid_ms)
    assert over_cap(referee) == (1, 1)
    assert referee.verdict().violations[0].startswith("over_cap_impressions: flights for anna")


def test_the_cap_counts_across_connected_devices(referee: Referee) -> None:
    signs_in(referee, DESKTOP, 0)
    signs_in(referee, PHONE, 0)
    for node, bid_ms in ((DESKTOP, 5000), (PHONE, 6000), (DESKTOP, 7000)):
        bill(referee, node, bid_ms)
    assert over_cap(referee) == (1, 1)


def test_devices_that_nothing_connects_have_caps_of_their_own(referee: Referee) -> None:
    signs_in(referee, DESKTOP, 0)
    for node, bid_ms in ((DESKTOP, 5000), (TABLET, 6000), (DESKTOP, 7000), (TABLET, 8000)):
        bill(referee, node, bid_ms)
    assert over_cap(referee) == (0, 2)


@pytest.mark.parametrize(("produced_ms", "found"), [(6000.0, 0), (5999.0, 1)])
def test_evidence_counts_once_it_is_older_than_a_second(
    referee: Referee, produced_ms: float, found: int
) -> None:
    signs_in(referee, DESKTOP, 0)
    bill(referee, DESKTOP, 1000)
    bill(referee, DESKTOP, 2000)
    signs_in(referee, PHONE, produced_ms)
    bill(referee, PHONE, 7000)
    assert over_cap(referee) == (found, 1)


def test_impressions_leave_the_window(referee: Referee) -> None:
    bill(referee, DESKTOP, 1000)
    bill(referee, DESKTOP, 2000)
    bill(referee, DESKTOP, 61_000)  # the first one is a minute old, to the millisecond
    assert over_cap(referee) == (0, 0)
    bill(referee, DESKTOP, 61_500)
    assert over_cap(referee) == (1, 1)


def test_campaigns_are_counted_apart_and_contextual_ones_not_at_all(referee: Referee) -> None:
    for bid_ms in range(1000, 11_000, 1000):
        bill(referee, DESKTOP, bid_ms, CONTEXT)
    bill(referee, DESKTOP, 20_000)
    bill(referee, DESKTOP, 21_000, PRODUCTS)
    bill(referee, BENS, 22_000)
    bill(referee, BENS, 23_000)
    assert over_cap(referee) == (0, 0)


def test_the_cap_is_that_of_the_persons_orders(referee: Referee) -> None:
    bill(referee, DESKTOP, 1000, PRODUCTS)
    bill(referee, DESKTOP, 2000, PRODUCTS)
    assert over_cap(referee) == (1, 1)  # a prospect has one
    orders(referee, BENS, 0)
    bill(referee, BENS, 5000, PRODUCTS)
    bill(referee, BENS, 6000, PRODUCTS)
    assert over_cap(referee) == (1, 1)  # a customer has two


def test_the_larger_cap_holds_while_an_order_is_younger_than_a_second(referee: Referee) -> None:
    bill(referee, DESKTOP, 1000, PRODUCTS)
    orders(referee, DESKTOP, 1900)
    bill(referee, DESKTOP, 2000, PRODUCTS)
    assert over_cap(referee) == (0, 0)
    bill(referee, DESKTOP, 3000, PRODUCTS)
    assert over_cap(referee) == (1, 1)


def test_the_smaller_cap_may_hold_no_longer_than_a_second(referee: Referee) -> None:
    """Customers have the smaller cap here: it binds once the order is old enough to be known."""
    caps = {PRODUCTS: CapRule(SHOP, lambda count: (Cap(1 if count else 2, 3600),))}
    for produced_ms, found in ((1000.0, 0), (999.0, 1)):
        judge = Referee(OWNERS, caps)
        bill(judge, DESKTOP, 500, PRODUCTS)
        orders(judge, DESKTOP, produced_ms)
        bill(judge, DESKTOP, 2000, PRODUCTS)
        assert over_cap(judge) == (found, found)


def test_an_order_told_twice_counts_once(referee: Referee) -> None:
    caps = {PRODUCTS: CapRule(SHOP, lambda count: (Cap(3 if count >= 2 else 1, 3600),))}
    judge = Referee(OWNERS, caps)
    orders(judge, DESKTOP, 0)
    orders(judge, DESKTOP, 10)
    bill(judge, DESKTOP, 5000, PRODUCTS)
    bill(judge, DESKTOP, 6000, PRODUCTS)
    assert over_cap(judge) == (1, 1)


def looked(referee: Referee, node: NodeId = PHONE) -> None:
    search = FlightSearch(
        event_id="f", ids=(node,), event_time_ms=1, advertiser=AIRLINE, origin="JFK",
        destination="LAX", depart_date="2026-11-25",
    )  # fmt: skip
    view = ProductView(event_id="v", ids=(node,), event_time_ms=1, advertiser=SHOP, item="CD-1")
    referee.on_event(search, 0)
    referee.on_event(view, 0)


@pytest.mark.parametrize(("bid_ms", "found"), [(6000, 0), (6000.5, 1), (6100, 1)])
def test_a_sold_out_trip_may_be_advertised_for_one_second(
    referee: Referee, bid_ms: float, found: int
) -> None:
    looked(referee)
    referee.on_offer(flight("AA1", 3), 0)
    referee.on_offer(flight("UA2", 1), 0)
    referee.on_offer(flight("UA2", 0), 3000)
    referee.on_bid(ad(bid_ms=5000, shown=Shown(trip=TRIP)))
    referee.on_offer(flight("AA1", 0), 5000)
    referee.on_bid(ad(bid_ms=bid_ms, shown=Shown(trip=TRIP)))
    assert referee.verdict().sold_out_ads == found
    assert referee.verdict().wrong_person_bids == 0


def test_a_product_out_of_stock_is_found_until_it_is_delivered(referee: Referee) -> None:
    looked(referee)
    referee.on_offer(product(5), 0)
    referee.on_offer(product(0), 1000)
    referee.on_offer(product(0), 2900)  # told again: it has been sold out since the first time
    referee.on_bid(ad(bid_ms=3000, shown=Shown(item="CD-1")))
    assert referee.verdict().sold_out_ads == 1
    referee.on_offer(product(4), 4000)
    referee.on_bid(ad(bid_ms=9000, shown=Shown(item="CD-1")))
    assert referee.verdict().sold_out_ads == 1


def test_what_was_never_offered_cannot_be_sold(referee: Referee) -> None:
    looked(referee)
    referee.on_bid(ad(shown=Shown(trip=TRIP)))
    assert referee.verdict().sold_out_ads == 1


def test_an_ad_for_what_only_somebody_else_looked_at_is_found(referee: Referee) -> None:
    looked(referee, PHONE)
    referee.on_offer(flight("AA1", 3), 0)
    referee.on_offer(product(5), 0)
    for shown in (Shown(trip=TRIP), Shown(item="CD-1"), Shown()):
        referee.on_bid(ad(DESKTOP, shown=shown))  # the owner's other device: right
    assert referee.verdict().wrong_person_bids == 0
    for shown in (Shown(trip=TRIP), Shown(item="CD-1"), Shown()):
        referee.on_bid(ad(BENS, shown=shown))
    verdict = referee.verdict()
    assert (verdict.wrong_person_bids, verdict.personal_bids) == (2, 4)


def test_a_cart_is_a_look(referee: Referee) -> None:
    event = CartAdd(event_id="c", ids=(BENS,), event_time_ms=1, advertiser=SHOP, item="CD-1")
    referee.on_offer(product(5), 0)
    referee.on_event(event, 0)
    referee.on_bid(ad(BENS, shown=Shown(item="CD-1")))
    assert referee.verdict().wrong_person_bids == 0


def test_spend_is_a_thousandth_of_the_price_for_each_impression(referee: Referee) -> None:
    bill(referee, DESKTOP, 1000)
    bill(referee, BENS, 1000)
    referee.on_conversion()
    verdict = referee.verdict()
    assert (verdict.impressions, verdict.spend_micros, verdict.conversions) == (2, 4000, 1)


def test_evidence_of_two_owners_is_an_error_of_the_world(referee: Referee) -> None:
    for ids in ((DESKTOP, BENS), (NodeId("nobody"),)):
        event = SignIn(event_id="s", ids=ids, event_time_ms=1, advertiser=SHOP)
        with pytest.raises(ValueError, match="one owner"):
            referee.on_event(event, 0)


@pytest.mark.parametrize(
    ("roots", "precision", "recall"),
    [
        ({DESKTOP: EMAIL, PHONE: EMAIL}, 1.0, 1.0),
        ({DESKTOP: EMAIL}, 1.0, 1 / 3),
        ({DESKTOP: EMAIL, PHONE: EMAIL, BENS: EMAIL}, 0.5, 1.0),
    ],
)
def test_persons_are_scored_over_the_nodes_that_were_emitted(
    referee: Referee, roots: dict[NodeId, NodeId], precision: float, recall: float
) -> None:
    signs_in(referee, DESKTOP, 0)
    signs_in(referee, PHONE, 100)
    orders(referee, BENS, 200)
    score = referee.identity_score(roots, now_ms=5000)
    assert score.precision == precision
    assert score.recall_of_linkable == pytest.approx(recall)
    assert (score.linkable_share, score.merges, score.nodes) == (1.0, 2, 4)


def test_links_of_the_last_second_are_not_asked_for(referee: Referee) -> None:
    signs_in(referee, DESKTOP, 0)
    signs_in(referee, PHONE, 4500)
    score = referee.identity_score({DESKTOP: EMAIL}, now_ms=5000)
    assert (score.recall_of_linkable, score.merges) == (1.0, 1)
    assert score.linkable_share == pytest.approx(1 / 3)


def test_cap_rules_come_from_the_marketers_records() -> None:
    def segment(name: str, least: int, most: int | None, cap: int) -> Segment:
        return Segment(
            id=SegmentId(f"shop/{name}"), advertiser=SHOP, min_orders=least, max_orders=most,
            target_cpa_micros=1, caps=(Cap(cap, 60),), creative_set="a",
        )  # fmt: skip

    segments = [segment("prospect", 0, 0, 3), segment("customer", 1, 9, 5)]
    campaign = Campaign(
        id=PRODUCTS, advertiser=SHOP, goal="product", segments=tuple(s.id for s in segments)
    )
    context = Campaign(id=CONTEXT, advertiser=SHOP, goal="contextual", uncapped_contextual=True)
    rules = cap_rules_of([campaign, context, *segments])
    assert set(rules) == {PRODUCTS}
    caps_for = rules[PRODUCTS].caps_for
    assert [caps_for(count) for count in (0, 1, 9, 10)] == [
        (Cap(3, 60),), (Cap(5, 60),), (Cap(5, 60),), (),
    ]  # fmt: skip
    assert rules[PRODUCTS].advertiser == SHOP
