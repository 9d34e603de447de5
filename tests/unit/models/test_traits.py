"""Who is believed, and consent: rules without order, whatever the sources say and when."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.consents import is_withdrawn
from models.events import Consent, CrmCard, Event, LoyaltyStatus, Registration, TraitTold
from models.facets import attributes, merge
from models.traits import KEPT_TRAITS, Attribute, resolve
from models.units import AdvertiserId
from tests.fakes.records import NODES, folded

claims = st.lists(
    st.tuples(
        st.sampled_from(["crm", "form", "partner"]), st.integers(0, 3), st.integers(0, 3),
        st.sampled_from("ab"),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def told(source: str, time_s: int, trust: int, value: str, **more: Any) -> TraitTold:  # noqa: ANN401
    return TraitTold(
        event_id="1", ids=(NODES[0],), event_time_ms=time_s * 1_000 + 1, source=source,
        name="city", value=value, trust=trust, **more,
    )  # fmt: skip


@given(st.data(), claims)
def test_the_most_trusted_then_newest_then_greatest_word_wins_in_any_order(
    data: st.DataObject, said: list[tuple[str, int, int, str]]
) -> None:
    newest: dict[str, tuple[int, int, str]] = {}
    for source, time_s, trust, value in said:
        newest[source] = max(newest.get(source, (-1, 0, "")), (time_s, trust, value))
    trust, time_s, value, source = max((t, s, v, name) for name, (s, t, v) in newest.items())
    shuffled = data.draw(st.permutations(said))
    found = attributes(folded([told(*one) for one in shuffled]), third_party=True).values["city"]
    assert (found.trust, found.told_ms, found.value, found.source) == (
        trust, time_s * 1_000, value, source
    )  # fmt: skip


def trait(name: str, time_s: int, source: str = "ml", **more: Any) -> TraitTold:  # noqa: ANN401
    return TraitTold(
        event_id="1", ids=(NODES[0],), event_time_ms=time_s * 1_000, source=source, name=name,
        value="x", **more,
    )  # fmt: skip


def test_a_flood_of_third_parties_pushes_no_own_data_out() -> None:
    flood = [told(f"partner-{n}", n, 100, "x", third_party=True) for n in range(40)]
    facet = folded([told("crm", 0, 90, "Rome"), *flood])
    assert len(facet.third_party) == KEPT_TRAITS["said"]
    own = attributes(facet, third_party=False)
    assert (own.values["city"].value, own.sources) == ("Rome", ("crm",))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 9), st.integers(0, 9))
def test_the_owners_own_word_stands_above_a_third_partys_whatever_that_one_claims(
    own_trust: int, third_trust: int, own_s: int, third_s: int
) -> None:
    own = told("crm", own_s, own_trust, "Rome")
    bought_in = told("dataco", third_s, third_trust, "Oslo", third_party=True)
    believed = attributes(folded([own, bought_in]), third_party=True)
    assert believed.values["city"] == Attribute("Rome", "crm", own_s * 1_000, own_trust)
    assert not believed.rests_on_third_parties
    (only,) = attributes(folded([bought_in]), third_party=True).values.values()
    assert (only.value, only.is_third_party) == ("Oslo", True)


CARD = CrmCard(
    event_id="1", ids=(NODES[0],), event_time_ms=1_000, city="Rome", tier="vip", gender="female",
    birthday="1980-02-29", miles=7, deal_stage="won", sizes={"shoe": "38", "shirt": "M"},
)  # fmt: skip
"""Told before everything that is to push it out."""

REGISTERED = Registration(
    event_id="1", ids=(NODES[0],), event_time_ms=1_000, advertiser=AdvertiserId("air"),
    city="Oslo", birthday="1980-03-01",
)  # fmt: skip

FLOODS: Final[dict[str, list[Event]]] = {
    "scores": [trait(f"score{n}", 9 + n) for n in range(200)],
    "other sources": [trait("city", 9 + n, f"s{n}", trust=0) for n in range(200)],
    "other sizes": [trait(f"size.s{n}", 9 + n) for n in range(200)],
    "programmes": [
        LoyaltyStatus(
            event_id="1", ids=(NODES[0],), event_time_ms=9_000 + n, tier="gold",
            advertiser=AdvertiserId(f"shop-{n}"),
        )
        for n in range(200)
    ],
    "third parties": [trait("city", 9 + n, f"s{n}", third_party=True) for n in range(200)],
}  # fmt: skip


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_no_number_of_words_pushes_out_what_the_card_and_the_account_say(
    flood: list[Event],
) -> None:
    said = folded([CARD, REGISTERED]).traits
    for history in ([CARD, REGISTERED, *flood], [*flood, REGISTERED, CARD]):
        facet = folded(history)
        assert said.items() <= facet.traits.items()
        assert len(facet.traits) <= len(said) + max(KEPT_TRAITS.values())
        values = attributes(facet, third_party=True).values
        assert {name: values[name].value for name in ("city", "birthday", "size.shoe", "tier")} == {
            "city": "Rome", "birthday": "1980-02-29", "size.shoe": "38", "tier": "vip"
        }  # fmt: skip


def test_no_number_of_scores_pushes_out_a_programmes_tier_or_another_sources_birthday() -> None:
    said: list[Event] = [member(1_000, "air", tier="gold"), trait("birthday", 1, "call-centre")]
    facet = folded([*said, *FLOODS["scores"]])
    assert folded(said).traits.items() <= facet.traits.items()


@given(st.data())
def test_of_each_class_the_newest_words_are_kept_in_whatever_order_and_parts(
    data: st.DataObject,
) -> None:
    history: list[Event] = [CARD, REGISTERED, *(one for f in FLOODS.values() for one in f[:60])]
    shuffled = data.draw(st.permutations(history))
    cut = data.draw(st.integers(0, len(history)))
    facet = merge([folded(shuffled[:cut]), folded(shuffled[cut:])])
    whole = folded(history)
    assert (facet.traits, facet.third_party) == (whole.traits, whole.third_party)
    free = {key: word for key, word in whole.traits.items() if key.startswith("score")}
    assert sorted(told_s for told_s, _, _ in free.values()) == list(
        range(9 + 60 - KEPT_TRAITS["free"], 9 + 60)
    )


def member(time_ms: int, advertiser: str, **said: Any) -> LoyaltyStatus:  # noqa: ANN401
    return LoyaltyStatus(
        event_id="1", ids=(NODES[0],), event_time_ms=time_ms, advertiser=AdvertiserId(advertiser),
        **said,
    )  # fmt: skip


def test_a_loyalty_programme_says_only_what_it_knows() -> None:
    found = attributes(folded([member(1, "air", miles=0)]), third_party=False).membership("air")
    assert (list(found), found["miles"].value, found["miles"].source) == (["miles"], "0", "air")


@given(st.permutations(range(5)))
def test_no_programme_and_no_card_speaks_for_another_programme(places: list[int]) -> None:
    told: list[Event] = [
        member(1_000, "air", tier="gold", miles=12_000),
        member(3_000, "air", miles=11_000),
        member(2_000, "shop", tier="bronze", miles=10),
        member(2_000, "a@b/c", tier="silver"),
        CrmCard(event_id="1", ids=(NODES[0],), event_time_ms=9_000, tier="vip", miles=7),
    ]
    found = attributes(folded([told[place] for place in places]), third_party=False)
    assert found.membership("air") == {
        "tier": Attribute("gold", "air", 1_000, 95),
        "miles": Attribute("11000", "air", 3_000, 95),
    }
    assert found.membership("shop") == {
        "tier": Attribute("bronze", "shop", 2_000, 95),
        "miles": Attribute("10", "shop", 2_000, 95),
    }
    assert found.membership("a@b/c") == {"tier": Attribute("silver", "a@b/c", 2_000, 95)}
    assert found.membership("bank") == {}
    assert found.values["tier"] == Attribute("vip", "crm", 9_000, 90)
    assert found.values["miles"] == Attribute("7", "crm", 9_000, 90)


def test_nothing_told_rests_on_nothing() -> None:
    nothing = resolve({}, {})
    assert (nothing.values, nothing.sources, nothing.rests_on_third_parties) == ({}, (), False)


@pytest.mark.parametrize(
    ("granted_ms", "withdrawn_ms", "is_off"), [(5, 6, True), (6, 5, False), (5, 5, True)]
)
def test_the_newest_word_on_a_purpose_stands_and_of_two_at_once_the_stricter(
    granted_ms: int, withdrawn_ms: int, is_off: bool
) -> None:
    common: dict[str, Any] = {"event_id": "1", "ids": (NODES[0],), "source": "cmp"}
    said: list[Event] = [
        Consent(**common, event_time_ms=granted_ms, granted=("sms", "email")),
        Consent(**common, event_time_ms=withdrawn_ms, withdrawn=("sms",)),
    ]
    for history in (said, said[::-1]):
        consents = folded(history).consents
        assert is_withdrawn(consents, "sms") is is_off
        assert not is_withdrawn(consents, "email")
        assert not is_withdrawn(consents, "push")
