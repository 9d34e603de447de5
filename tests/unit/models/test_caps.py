from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from models.caps import (
    MAX_CAP,
    CapLedger,
    Reservation,
    count_used,
    decode_ledger,
    decode_reservations,
    encode_ledger,
    encode_reservations,
    fold_outcome,
    merge_ledgers,
)
from models.events import Billing, Outcome
from models.identity import decode_watermark
from tests.fakes.records import START_MS, billings, outcomes


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
    assert (count_used(kept, [], "C", since_ms) < cap) == (len(truth) < cap)


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


reservations = st.builds(
    Reservation,
    st.sampled_from("CD"),
    st.integers(0, 30).map(str),
    st.integers(1, 2000),
    st.integers(1, 2000),
)


@given(st.lists(reservations, max_size=10), st.integers(0, 2000))
def test_reservations_survive_their_encoding_until_they_expire(
    entries: list[Reservation], now_ms: int
) -> None:
    """N14: where no notice ever comes, the place is free again."""
    still_open = [entry for entry in entries if entry.expires_ms > now_ms]
    packed = encode_reservations(entries)
    assert decode_reservations(packed, now_ms) == still_open
    assert (int(packed[:13]) > now_ms) == bool(still_open)


@given(
    st.dictionaries(st.integers(0, 30).map(str), st.integers(0, 100), max_size=10),
    st.lists(reservations, max_size=10),
    st.integers(0, 100),
)
def test_a_bid_counts_once_billed_or_reserved(
    billed: dict[str, int], held: list[Reservation], since_ms: int
) -> None:
    """Against a list: each nonce that is billed in the window or reserved for the campaign."""
    nonces = [nonce for nonce, billed_ms in billed.items() if billed_ms > since_ms]
    nonces += [entry.nonce for entry in held if entry.campaign == "C"]
    assert count_used(billed, held, "C", since_ms) == len(set(nonces))


def test_a_nonce_told_under_two_identifiers_is_the_same_in_whatever_order_they_are_merged() -> None:
    one, other = (CapLedger(0, {"C": {"n": billed_ms}}, 1, 5) for billed_ms in (292, 293))
    assert merge_ledgers([one, other]) == merge_ledgers([other, one])
    assert merge_ledgers([other, one]).campaigns == {"C": {"n": 292}}
