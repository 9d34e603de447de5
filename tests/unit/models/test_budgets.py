"""Spend counted once, and what follows from it for the next bid."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.spend_book
from models.budgets import Allowance, Allowances
from models.catalog_records import Campaign
from models.events import Billing, Win
from models.identifiers import NodeId
from models.spend_book import SpendBook
from models.spend_records import (
    CampaignSpend,
    DaySpend,
    Pacing,
    SpendMark,
    SpendRecord,
    decode_spend,
    encode_spend,
    spend_key,
)
from models.topics import Topics
from models.units import (
    DAY_MS,
    AdvertiserId,
    CampaignId,
    CreativeId,
    ExchangeId,
    SegmentId,
)

NOW_MS = 20_000 * DAY_MS + 1
TODAY = "2024-10-04"
PARTITIONS = Topics.OUTCOMES.partitions


def billing(nonce: str, campaign: str = "a", cost_micros: int = 5) -> Billing:
    return Billing(
        node=NodeId(""), nonce=nonce, campaign=CampaignId(campaign), creative=CreativeId("c"),
        exchange=ExchangeId("e"), clearing_cpm_micros=cost_micros * 1000, notice_time_ms=NOW_MS,
        personal=False,
    )  # fmt: skip


def win(nonce: str) -> Win:
    fields = msgspec.structs.asdict(billing(nonce))
    return Win(**{name: fields[name] for name in Win.__struct_fields__ if name in fields})


def campaign(name: str = "a", **changes: object) -> Campaign:
    made = Campaign(
        id=CampaignId(name), advertiser=AdvertiserId("air"), goal="flight",
        segments=(SegmentId("air/all"),), daily_budget_micros=100, pacing="fast",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def spent(micros: int, *, name: str = "a", partition: int = 0, offset: int = 1,
          day: str = TODAY) -> CampaignSpend:  # fmt: skip
    days = (DaySpend(day, micros, 1),)
    return CampaignSpend(campaign=name, partition=partition, offset=offset, days=days)


def marks(counted_ms: int = NOW_MS) -> list[SpendMark]:
    return [SpendMark(partition=n, offset=0, counted_ms=counted_ms) for n in range(PARTITIONS)]


def allowances(*records: SpendRecord, told: Sequence[SpendMark] | None = None) -> Allowances:
    made = Allowances("UTC")
    for record in (*records, *(marks() if told is None else told)):
        made.learn(record)
    made.move_to(NOW_MS)
    made.set_budget(campaign())
    return made


# -- counting ----------------------------------------------------------------------------------


def totals(records: Sequence[SpendRecord]) -> dict[str, int]:
    newest = {spend_key(one): one for one in records}.values()
    found = [one for one in newest if isinstance(one, CampaignSpend)]
    return {one.campaign: sum(day.spend_micros for day in one.days) for one in found}


notices = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.booleans(), st.sampled_from(["x", "y"])), max_size=30
)


@given(notices, st.lists(st.integers(0, 30), max_size=4), st.data())
def test_every_impression_counts_once_whenever_its_worker_is_killed(
    told: list[tuple[str, bool, str]], kills: list[int], data: st.DataObject
) -> None:
    """What is published is all that a successor knows, and a part of it may be missing."""
    log = [billing(nonce, name) if billed else win(nonce) for nonce, billed, name in told]
    published: list[SpendRecord] = []
    book = SpendBook(0)
    offset = 0
    kills = sorted(kills)
    while offset < len(log):
        book.fold(offset, log[offset], TODAY)
        offset += 1
        changes = book.changes(NOW_MS)
        is_killed = bool(kills) and kills[0] <= offset
        if is_killed:
            kills.pop(0)
            published += changes[: data.draw(st.integers(0, len(changes)))]
            book = SpendBook(0, published)
            offset = 0  # as far back as repeats may have come
        elif data.draw(st.booleans()):
            published += changes
            book.published(NOW_MS)
    published += book.changes(NOW_MS)
    expected: dict[str, int] = {}
    seen: set[str] = set()
    for one in log:
        if isinstance(one, Billing) and one.nonce not in seen:
            seen.add(one.nonce)
            expected[one.campaign] = expected.get(one.campaign, 0) + 5
    assert totals(published) == expected


def test_a_woken_worker_takes_nothing_back() -> None:
    """It was stopped past its session, another counted on, and it tells once more what it knew."""
    known: list[SpendRecord] = [
        spent(20, offset=9), SpendMark(partition=0, offset=12, counted_ms=NOW_MS),
        spent(10, offset=4), SpendMark(partition=0, offset=5, counted_ms=NOW_MS),
    ]  # fmt: skip
    book = SpendBook(0, known)
    assert book.next_offset == 13
    book.fold(13, billing("new"), TODAY)
    assert totals(book.changes(NOW_MS)) == {"a": 25}


def test_the_mark_is_told_every_second_even_if_nothing_is_billed() -> None:
    book = SpendBook(2)
    assert book.changes(NOW_MS) == [SpendMark(partition=2, offset=-1, counted_ms=NOW_MS)]
    book.published(NOW_MS)
    assert book.changes(NOW_MS + 999) == []
    assert book.changes(NOW_MS + 1000) != []


def test_two_days_are_kept() -> None:
    book = SpendBook(0)
    for offset, day in enumerate(("2024-10-01", "2024-10-02", "2024-10-03")):
        book.fold(offset, billing(day), day)
    (spend, _) = book.changes(NOW_MS)
    assert isinstance(spend, CampaignSpend)
    assert [one.day for one in spend.days] == ["2024-10-02", "2024-10-03"]


def test_nonces_are_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.spend_book, "KEPT_NONCES", 3)
    book = SpendBook(0)
    for offset in range(5):
        book.fold(offset, billing(str(offset)), TODAY)
    assert list(book._nonces) == ["2", "3", "4"]


def test_records_survive_their_encoding_and_have_keys_of_their_own() -> None:
    every: list[SpendRecord] = [
        spent(1), marks()[0],
        Pacing(campaign="a", day=TODAY, log_control=-0.5, spent_micros=1, tick_ms=2),
    ]  # fmt: skip
    assert [decode_spend(encode_spend(one)) for one in every] == every
    assert [spend_key(one) for one in every] == ["spend/a/0", "mark/0", "pacing/a"]


# -- allowances --------------------------------------------------------------------------------


def test_what_all_partitions_billed_today_is_taken_off_the_budget() -> None:
    made = allowances(
        spent(30),
        spent(20, partition=1),
        spent(7, day="2024-10-03", partition=2),
        spent(9, name="b"),
    )
    assert made.of == {"a": Allowance(50)}


def test_an_older_telling_never_replaces_a_newer_one() -> None:
    assert allowances(spent(30, offset=9), spent(20, offset=8)).of["a"].left_micros == 70


def test_open_bids_are_set_aside_until_they_are_given_up() -> None:
    made = allowances(spent(30))
    made.hold("a", 25, NOW_MS + 10)
    made.hold("b", 25, NOW_MS + 10)
    assert made.of == {"a": Allowance(45)}
    made.learn(spent(40, offset=2))
    assert made.of == {"a": Allowance(35)}
    made.move_to(NOW_MS + 10)
    assert made.of == {"a": Allowance(60)}


def test_a_bid_that_is_long_open_keeps_no_other_one_open() -> None:
    """N14: a screen in the street is billed in an hour, a banner within ten seconds."""
    made = allowances()
    made.hold("a", 20, NOW_MS + 3_600_000)
    made.hold("a", 30, NOW_MS + 10)
    made.move_to(NOW_MS + 10)
    assert made.of == {"a": Allowance(80)}


@given(st.integers(1, 16), st.integers(1, 40), st.integers(0, 120))
def test_workers_that_know_nothing_of_each_other_overspend_by_a_bid_each(
    workers: int, cost_micros: int, before_micros: int
) -> None:
    """All bid at once, as often as they may, before any notice is counted."""
    every = []
    for _ in range(workers):
        made = Allowances("UTC", workers)
        made.learn(spent(before_micros))
        for mark in marks():
            made.learn(mark)
        made.move_to(NOW_MS)
        made.set_budget(campaign())
        every.append(made)
    bids = 0
    for made in every:
        while made.of["a"].left_micros >= cost_micros:
            made.hold("a", cost_micros, NOW_MS + 10)
            bids += 1
    left_micros = max(0, 100 - before_micros)
    assert bids * cost_micros <= max(left_micros, workers * cost_micros)
    assert bids > 0 or left_micros < cost_micros


def test_a_new_day_begins_with_the_whole_budget() -> None:
    made = allowances(spent(30), told=marks(NOW_MS + DAY_MS))
    made.move_to(NOW_MS + DAY_MS)
    assert made.of == {"a": Allowance(100)}


def test_a_budget_fails_closed_while_nobody_tells_what_is_spent() -> None:
    made = allowances(told=[])
    assert made.of == {"a": Allowance(0)}
    for mark in marks()[1:]:
        made.learn(mark)
    made.move_to(NOW_MS + 1)
    assert made.of["a"].left_micros == 0
    made.learn(marks()[0])
    made.move_to(NOW_MS + 2)
    assert made.of["a"].left_micros == 100
    made.move_to(NOW_MS + 15_001)
    assert made.of["a"].left_micros == 0
    assert made.are_closed


def test_one_partition_that_is_not_counted_closes_the_budget() -> None:
    """The others may be as fresh as they like."""
    made = allowances(
        told=[*marks()[1:], SpendMark(partition=0, offset=0, counted_ms=NOW_MS - 15_000)]
    )
    assert made.of["a"].left_micros == 0


def test_pacing_moves_only_campaigns_whose_budget_is_spread() -> None:
    pacing = Pacing(campaign="a", day=TODAY, log_control=-1.0, spent_micros=0, tick_ms=0)
    made = allowances(pacing)
    assert made.of["a"].control == 1.0
    made.set_budget(campaign(pacing="even"))
    assert 0.36 < made.of["a"].control < 0.37


def test_an_even_day_is_never_far_ahead_of_its_plan() -> None:
    """Half an hour ahead at most, whatever the multiplier has learnt; a fast one is open."""
    made = allowances(spent(2))
    assert made.of["a"].left_micros == 98
    made.set_budget(campaign(pacing="even", daily_budget_micros=4800))
    assert made.of["a"].left_micros == 100 - 2
    made.learn(spent(100, offset=2))
    assert made.of["a"].left_micros == 0
    for hours, left in ((1, 200), (12, 2400), (23.5, 4700), (24 - 0.001, 4700)):
        now_ms = NOW_MS - 1 + int(hours * 3_600_000)
        for mark in marks(now_ms):
            made.learn(mark)
        made.move_to(now_ms)
        made.learn(spent(100, offset=3 + int(hours * 1000)))
        assert made.of["a"].left_micros == left


def test_a_plan_that_was_spent_opens_again_by_itself() -> None:
    made = allowances(spent(100))
    made.set_budget(campaign(pacing="even", daily_budget_micros=4800))
    assert made.of["a"].left_micros == 0
    made.move_to(NOW_MS + 9_000)
    made.move_to(NOW_MS + 9_000)
    assert made.of["a"].left_micros == 0
    for mark in marks(NOW_MS + 36_000):
        made.learn(mark)
    made.move_to(NOW_MS + 36_000)
    assert made.of["a"].left_micros == 2


def test_a_campaign_without_a_budget_has_no_allowance_any_more() -> None:
    made = allowances()
    made.set_budget(campaign(daily_budget_micros=None))
    assert made.of == {}
    made.set_budget(campaign())
    made.forget("a")
    assert made.of == {}
    made.learn(spent(3))
    assert made.of == {}
