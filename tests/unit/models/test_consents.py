"""Words on consent: which of them stands, and who else is told."""

import pytest

from models.consents import Consents, carried_to_others, consents_of, is_withdrawn, withdrawn_in
from models.event_base import MAX_EVENT_ID
from models.events import CarriedConsent, Consent, decode_event, encode
from models.facets import Facet, attributes
from models.identifiers import NodeId
from models.person_events import Purpose
from tests.fakes.records import NODES, folded

TABLET, ANNA, PHONE = NODES[:3]


def consent(
    *ids: NodeId,
    at: int = 7,
    event_id: str = "e",
    granted: tuple[Purpose, ...] = (),
    withdrawn: tuple[Purpose, ...] = (),
) -> Consent:
    return Consent(
        event_id=event_id, ids=ids, event_time_ms=at, source="banner", granted=granted,
        withdrawn=withdrawn if granted or withdrawn else ("personal_ads",),
    )  # fmt: skip


def test_each_further_identifier_of_an_event_is_told_the_same_word_once() -> None:
    said = consent(
        TABLET, ANNA, TABLET, PHONE, ANNA, granted=("email",), withdrawn=("personal_ads", "sms")
    )
    carried = carried_to_others(said)
    assert [one.ids for one in carried] == [(ANNA,), (PHONE,)]
    assert [consents_of(one) for one in carried] == [consents_of(said)] * 2
    assert len({one.event_id for one in (said, *carried)}) == 3
    assert carried == carried_to_others(said)


def test_a_carried_word_is_carried_no_further() -> None:
    assert carried_to_others(consent(TABLET)) == []
    (carried,) = carried_to_others(consent(TABLET, ANNA))
    assert carried_to_others(carried) == []


def test_a_carried_word_can_be_read_however_long_the_id_of_its_event() -> None:
    for event_id in ("", "x" * MAX_EVENT_ID):
        (carried,) = carried_to_others(consent(TABLET, ANNA, event_id=event_id))
        assert decode_event(encode(carried)) == carried


def test_a_carried_word_counts_as_consent_and_as_no_event() -> None:
    (carried,) = carried_to_others(consent(TABLET, ANNA, withdrawn=("partner_data",)))
    facet = folded([carried, carried])
    assert is_withdrawn(facet.consents, "partner_data")
    assert not attributes(facet, third_party=True).rests_on_third_parties
    assert facet == Facet(watermark=facet.watermark, consents=facet.consents)


WITHDRAWN = consents_of(consent(ANNA, at=5, withdrawn=("personal_ads", "email")))


@pytest.mark.parametrize(
    ("told", "withdrawn"),
    [
        ([], ()),
        ([WITHDRAWN], ("personal_ads", "email")),
        ([WITHDRAWN, consents_of(consent(PHONE, at=6, granted=("email",)))], ("personal_ads",)),
        (
            [WITHDRAWN, consents_of(consent(PHONE, at=5, granted=("email",)))],
            ("personal_ads", "email"),
        ),
    ],
)
def test_what_a_person_has_withdrawn_is_told_by_the_newest_word_of_all_identifiers(
    told: list[Consents], withdrawn: tuple[str, ...]
) -> None:
    assert withdrawn_in(told) == withdrawn
    assert withdrawn_in(told[::-1]) == withdrawn


def test_a_carried_word_is_an_event_of_its_own_kind() -> None:
    (carried,) = carried_to_others(consent(TABLET, ANNA))
    assert type(decode_event(encode(carried))) is CarriedConsent
