"""Contacts: however often and in whatever order they are told, each counts once, at its time."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contacts import KEPT_CONTACTS
from models.events import Call, Contact, Event
from models.facets import export_facet, merge
from models.interests import approach_count, contacts
from models.units import HOUR_MS, AdvertiserId
from tests.fakes.records import NODES, folded

SHOP = AdvertiserId("shop")
NOW_MS = 1_790_000_000_000


def mail(event_id: str, time_ms: int = NOW_MS, **more: Any) -> Contact:  # noqa: ANN401
    values: dict[str, Any] = {"advertiser": SHOP, "action": "sent", **more}
    return Contact(event_id=event_id, ids=(NODES[0],), event_time_ms=time_ms, **values)


def counts(*told: Event) -> list[tuple[str, str, int]]:
    return [(one.channel, one.action, one.count) for one in contacts(folded(told))]


def test_one_contact_in_two_records_counts_once_and_two_in_one_second_twice() -> None:
    assert counts(mail("a"), mail("a")) == [("email", "sent", 1)]
    assert counts(mail("a"), mail("b")) == [("email", "sent", 2)]
    assert export_facet(merge([folded([mail("a")]), folded([mail("a")])])) == export_facet(
        folded([mail("a"), mail("a")])
    )


def test_producers_may_number_their_contacts_alike() -> None:
    other = mail("a", advertiser=AdvertiserId("air"))
    assert counts(mail("a"), other) == [("email", "sent", 2)]
    assert counts(mail("a"), mail("a", channel="sms")) == [("email", "sent", 1), ("sms", "sent", 1)]
    assert counts(mail("a"), mail("a", action="opened")) == [
        ("email", "opened", 1), ("email", "sent", 1)
    ]  # fmt: skip


@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_of_each_channel_and_action_the_newest_are_kept_in_whatever_order_and_parts(
    rng: random.Random, cut: int
) -> None:
    sent = [mail(str(n), NOW_MS + n * 1_000) for n in range(40)]
    opened = [mail(str(n), NOW_MS + n * 1_000, action="opened") for n in range(3)]
    told: list[Event] = rng.sample([*sent, *sent, *opened], 83)
    person = merge([folded(told[:cut]), folded(told[cut:])])
    first_s = NOW_MS // 1_000
    assert sorted(person.contacts["e0"].values()) == [
        first_s + n for n in range(40 - KEPT_CONTACTS, 40)
    ]
    assert len(person.contacts["e2"]) == 3


@pytest.mark.parametrize(("hours", "count"), [(0.5, 1), (1, 2), (24, 5), (48, 7), (1_000, 10)])
def test_one_window_slides_over_mails_messages_pushes_and_our_calls(
    hours: float, count: int
) -> None:
    """Every kind an hour, a day and forty days ago; what the person did is no pressure on them."""
    told: list[Event] = []
    for ago, before_ms in enumerate((HOUR_MS, 24 * HOUR_MS, 40 * 24 * HOUR_MS)):
        at_ms = NOW_MS - before_ms
        told += [
            mail(f"m{ago}", at_ms),
            mail(f"s{ago}", at_ms - HOUR_MS, channel="sms"),
            mail(f"p{ago}", at_ms - 2 * HOUR_MS, channel="push"),
            mail(f"o{ago}", at_ms, action="opened"),
            mail(f"r{ago}", at_ms, channel="chat", action="received"),
            Call(
                event_id=f"c{ago}", ids=(NODES[0],), event_time_ms=at_ms, advertiser=SHOP,
                call_id=f"in-{ago}", duration_seconds=60,
            ),
        ]  # fmt: skip
    told.append(
        Call(
            event_id="c", ids=(NODES[0],), event_time_ms=NOW_MS - 60_000, advertiser=SHOP,
            call_id="out", duration_seconds=0, missed=True, is_outbound=True,
        )
    )  # fmt: skip
    person = folded([*told, *told])
    assert approach_count(person, NOW_MS - int(hours * HOUR_MS)) == count


def test_what_is_older_than_a_window_is_not_told() -> None:
    person = folded([mail("a", NOW_MS - HOUR_MS), mail("b", action="opened")])
    (found,) = contacts(person, NOW_MS - HOUR_MS + 1_000)
    assert (found.action, found.count, found.latest_ms) == ("opened", 1, NOW_MS)
