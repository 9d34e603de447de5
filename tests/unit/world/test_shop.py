import datetime as dt

from benchmarks.world.shop import LAST_DATE, product_feed, read_purchases


def test_the_log_is_all_of_cdnow() -> None:
    log = read_purchases()
    purchases = [purchase for entries in log.values() for purchase in entries]
    assert len(log) == 23_570
    assert len(purchases) == 69_659
    assert min(purchase.date for purchase in purchases) == dt.date(1997, 1, 1)
    assert max(purchase.date for purchase in purchases) == LAST_DATE
    assert sum(purchase.revenue_micros == 0 for purchase in purchases) == 80
    assert log["00001"][0].revenue_micros == 11_770_000
    assert all(
        [p.date for p in entries] == sorted(p.date for p in entries) for entries in log.values()
    )


def test_the_feed_can_be_sold_and_its_accessories_exist() -> None:
    feed = product_feed(7, 1)
    ids = {product.id for product in feed}
    assert len(feed) == len(ids) == 300
    for product in feed:
        product.check()
        assert product.stock > 0
        assert 0 < product.margin_micros < product.price_micros
        assert set(product.accessories) <= ids
    assert len({product.title for product in feed}) == 300
    assert feed == product_feed(7, 1)
    assert feed != product_feed(8, 1)
