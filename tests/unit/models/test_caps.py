from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.caps import (
    CapLedger,
    count_used,
    decode_ledger,
    encode_ledger,
    fold_outcome,
    is_imported,
    merge_ledgers,
)
from models.events import Billing, Outcome
from models.identity import decode_watermark
from models.limits import MAX_CAP
from models.outcomes import ImportedImpression
from models.units import AdvertiserId, CampaignId
from tests.fakes.records import NODES, START_MS, billings, outcomes


def ledger_of(records: Sequence[Outcome]) -> CapLedger:
    ledger = CapLedger()
    for offset, outcome in enumerate(records):
        ledger = fold_outcome(ledger, outcome, offset)
    return ledger


def newest(impressions: dict[str, int]) -> dict[str, int]:
    return dict(sorted(impressions.items(), key=lambda entry: (entry[1], entry[0]))[-MAX_CAP:])


@given(st.lists(outcomes, max_size=40))
def test_only_billing_counts_and_a_nonce_counts_once(records: list[Outcome]) -> None:
    billed = [record for record in records if isinstance(record, Billing)]
    expected: dict[str, dict[str, int]] = {}
    for record in billed:
        expected.setdefault(record.campaign, {})[record.nonce] = record.notice_time_ms
    ledger = ledger_of(records)
    assert ledger.campaigns == {name: newest(seen) for name, seen in expected.items()}
    assert ledger.billed_count == sum(map(len, expected.values()))
    assert ledger.watermark == len(records) - 1


@given(st.lists(st.lists(billings, max_size=100), max_size=4))
def test_a_persons_ledger_is_the_union_of_their_identifiers(many: list[list[Billing]]) -> None:
    union: dict[str, dict[str, int]] = {}
    for records in many:
        for record in records:
            union.setdefault(record.campaign, {})[record.nonce] = record.notice_time_ms
    merged = merge_ledgers(map(ledger_of, many))
    assert merged.campaigns == {name: newest(seen) for name, seen in union.items()}
    assert merged.watermark == sum(len(records) for records in many) - 1
    assert merged == merge_ledgers(reversed([ledger_of(records) for records in many]))


@given(st.lists(billings, max_size=100), st.lists(billings, max_size=100), st.lists(billings))
def test_merging_ledgers_is_associative(
    x: list[Billing], y: list[Billing], z: list[Billing]
) -> None:
    a, b, c = map(ledger_of, (x, y, z))
    assert merge_ledgers([merge_ledgers([a, b]), c]) == merge_ledgers([a, merge_ledgers([b, c])])


@given(st.lists(billings, max_size=200), st.integers(1, MAX_CAP), st.integers(0, 1000))
def test_what_is_kept_decides_every_cap_exactly(
    records: list[Billing], cap: int, since: int
) -> None:
    """The ledger keeps 64 a campaign: enough for each cap up to that, in any window."""
    since_ms = START_MS + since
    kept = ledger_of(records).campaigns.get("C", {})
    truth = {r.nonce for r in records if r.campaign == "C" and r.notice_time_ms > since_ms}
    assert (count_used([kept], frozenset(), since_ms) < cap) == (len(truth) < cap)


@given(st.lists(outcomes, max_size=20))
def test_a_ledger_survives_its_encoding(records: list[Outcome]) -> None:
    ledger = ledger_of(records)
    assert decode_ledger(encode_ledger(ledger)) == ledger
    assert decode_watermark(encode_ledger(ledger)) == ledger.watermark


def test_spend_is_a_thousandth_of_the_cpm() -> None:
    record = Billing(
        node=None, nonce="n", campaign=None, creative=None, exchange=None,  # type: ignore[arg-type]
        clearing_cpm_micros=2_500_000, notice_time_ms=1, personal=False,
    )  # fmt: skip
    assert fold_outcome(CapLedger(), record, 0).spend_micros == 2_500
    assert fold_outcome(fold_outcome(CapLedger(), record, 0), record, 1).spend_micros == 2_500


@given(
    st.lists(st.dictionaries(st.integers(0, 30).map(str), st.integers(0, 100), max_size=10)),
    st.frozensets(st.integers(0, 30).map(str), max_size=10),
    st.integers(0, 100),
)
def test_a_bid_counts_once_billed_or_reserved(
    billed: list[dict[str, int]], held: frozenset[str], since_ms: int
) -> None:
    """Against a list: each nonce that is billed in the window or reserved, of several campaigns."""
    own = [
        {f"{place}-{nonce}": billed_ms for nonce, billed_ms in one.items()}
        for place, one in enumerate(billed)
    ]
    reserved = {f"0-{nonce}" for nonce in held}
    nonces = [nonce for one in own for nonce, billed_ms in one.items() if billed_ms > since_ms]
    assert count_used(own, reserved, since_ms) == len({*nonces, *reserved})


@given(st.lists(billings, max_size=200), st.integers(1, MAX_CAP), st.integers(0, 1000))
def test_what_is_kept_of_campaigns_decides_every_cap_of_their_advertiser_exactly(
    records: list[Billing], cap: int, since: int
) -> None:
    since_ms = START_MS + since
    owned = [msgspec.structs.replace(one, advertiser=AdvertiserId("air")) for one in records]
    used = count_used(ledger_of(owned).of_advertiser("air"), frozenset(), since_ms)
    truth = {(r.campaign, r.nonce) for r in records if r.notice_time_ms > since_ms}
    assert (used < cap) == (len(truth) < cap)


def imported(
    impression_id: str, *, campaign: str = "", shown_ms: int = START_MS
) -> ImportedImpression:
    return ImportedImpression(
        node=NODES[0], impression_id=impression_id, source="direct", advertiser=AdvertiserId("air"),
        campaign=CampaignId(campaign), cost_micros=300, shown_time_ms=shown_ms,
    )  # fmt: skip


def test_an_imported_impression_counts_once_for_its_advertiser_and_campaign() -> None:
    """Table C 65: what a channel shows on which we do not bid uses up the same caps."""
    ledger = ledger_of([imported("1"), imported("1"), imported("2", campaign="C")])
    assert [len(one) for one in ledger.of_advertiser("air")] == [1, 1]
    assert len(ledger.of_campaign("C")) == 1
    assert all(map(is_imported, ledger.of_campaign("C")))
    assert (ledger.billed_count, ledger.spend_micros) == (2, 600)
    twice = merge_ledgers([ledger, ledger_of([imported("2", campaign="C")])])
    assert len(twice.of_campaign("C")) == 1


def test_imported_impressions_of_two_sources_are_two() -> None:
    other = msgspec.structs.replace(imported("1"), source="facebook")
    (shown,) = ledger_of([imported("1"), other]).of_advertiser("air")
    assert len(shown) == 2


def test_a_nonce_told_under_two_identifiers_is_the_same_in_whatever_order_they_are_merged() -> None:
    one, other = (CapLedger(0, {"C": {"n": billed_ms}}, 1, 5) for billed_ms in (292, 293))
    assert merge_ledgers([one, other]) == merge_ledgers([other, one])
    assert merge_ledgers([other, one]).campaigns == {"C": {"n": 292}}
