"""Notices: who signed them, what they say, and what they may move."""

import asyncio
from urllib.parse import urlencode

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from bidder.metrics import NOTICE_KINDS, NOTICE_RESULTS, Counters
from bidder.notices import Notices, judge, price_cpm_micros
from models.events import Billing, Win, decode_outcome
from models.identifiers import NodeId
from models.notices import NO_NODE, NoticeSigner, NoticeToken
from models.units import MICROS, CampaignId, CreativeId, ExchangeId
from tests.unit.bidder.support import NODE, NOW_MS, SETTINGS

BID_CPM_MICROS = 2 * MICROS


class FakeProducer:
    """Keeps what is sent, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.sent: list[tuple[str, bytes, bytes | None, dict[str, bytes]]] = []
        self._failure = failure

    async def send_and_wait(
        self, topic: str, *, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        if self._failure is not None:
            raise self._failure
        self.sent.append((topic, value, key, dict(headers)))


def token(**changes: object) -> NoticeToken:
    made = NoticeToken(
        node=NODE, nonce="w1-0", campaign="c", creative="cr", exchange="north",
        bid_cpm_micros=BID_CPM_MICROS, bid_time_ms=NOW_MS, window_seconds=1,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def query(price: str | None = "1.5", signed: NoticeToken | None = None) -> str:
    text = NoticeSigner(SETTINGS.notice_secret).sign(signed or token())
    return urlencode({"t": text} | ({} if price is None else {"p": price}))


def take(
    counters: Counters, producer: FakeProducer, text: str, kind: str = "billing", ms: int = NOW_MS
) -> int:
    return asyncio.run(Notices(SETTINGS, producer, counters).take(kind, text, ms))


def counted(counters: Counters) -> dict[str, int]:
    names = [f"{kind}_{result}" for kind in NOTICE_KINDS for result in NOTICE_RESULTS]
    found = {name: counters.value("bidder_notices", name) for name in names}
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1.5", 1_500_000),
        ("0", 0),
        ("0.0000014", 1),
        (".5", 500_000),
        ("2.", 2_000_000),
        ("1.5E-2", 15_000),
        ("", None),
        ("AUDIT", None),
        ("${AUCTION_PRICE}", None),
        ("%24%7BAUCTION_PRICE%7D", None),
        ("-0.5", None),
        ("nan", None),
        ("inf", None),
        ("1e308", None),
        ("1e999", None),
        ("1_0", None),
        ("1,5", None),
        ("0x1", None),
        ("١", None),  # noqa: RUF001 - a digit for Python, not for an exchange
        (" 1", None),
        ("9" * 5_000, None),
    ],
)
def test_n9_n10_n11_a_price_is_a_plain_decimal_or_it_is_none(text: str, micros: int | None) -> None:
    assert price_cpm_micros(text) == micros


def test_n9_a_notice_is_accepted_up_to_the_bid_and_no_further() -> None:
    assert judge(token(), BID_CPM_MICROS, NOW_MS) == "accepted"
    assert judge(token(), 0, NOW_MS) == "accepted"
    assert judge(token(), BID_CPM_MICROS + 2, NOW_MS) == "quarantined"
    assert judge(token(), None, NOW_MS) == "quarantined"


def test_n7_n16_late_and_test_notices_have_verdicts_of_their_own() -> None:
    assert judge(token(), 1, NOW_MS + 1_000) == "accepted"
    assert judge(token(), 1, NOW_MS + 1_001) == "late"
    assert judge(token(is_test=True), 1, NOW_MS) == "test"
    assert judge(token(is_test=True), None, NOW_MS + 9_999) == "test"


def test_n2_n9_billing_stores_the_notified_price_under_the_persons_key(counters: Counters) -> None:
    producer = FakeProducer()
    assert take(counters, producer, query()) == 204
    ((topic, value, key, headers),) = producer.sent
    assert (topic, key, headers) == ("demo.outcomes.v1", NODE.encode(), {})
    assert decode_outcome(value) == Billing(
        node=NODE, nonce="w1-0", campaign=CampaignId("c"), creative=CreativeId("cr"),
        exchange=ExchangeId("north"), clearing_cpm_micros=1_500_000, notice_time_ms=NOW_MS,
        personal=True, bid_time_ms=NOW_MS,
    )  # fmt: skip
    assert counted(counters) == {"billing_accepted": 1}
    assert counters.value("bidder_spend_micros") == 1_500


def test_n1_a_win_is_stored_as_a_win_and_moves_no_spend(counters: Counters) -> None:
    producer = FakeProducer()
    assert take(counters, producer, query(), kind="win") == 204
    assert isinstance(decode_outcome(producer.sent[0][1]), Win)
    assert counted(counters) == {"win_accepted": 1}
    assert counters.value("bidder_spend_micros") == 0


def test_a_contextual_impression_has_no_person_and_no_key(counters: Counters) -> None:
    producer = FakeProducer()
    assert take(counters, producer, query(signed=token(node=NO_NODE))) == 204
    assert producer.sent[0][2] is None
    outcome = decode_outcome(producer.sent[0][1])
    assert isinstance(outcome, Billing)
    assert (outcome.node, outcome.personal) == (NodeId(""), False)


@pytest.mark.parametrize("price", [None, "", "AUDIT", "${AUCTION_PRICE}", "-1", "nan", "2.1", "x"])
def test_n9_n10_n11_a_notice_without_a_believable_price_is_2xx_and_set_aside(
    counters: Counters, price: str | None
) -> None:
    producer = FakeProducer()
    text = query(price)
    assert take(counters, producer, text) == 204
    ((topic, value, key, headers),) = producer.sent
    assert (topic, key) == ("demo.dead-letters.v1", NODE.encode())
    assert headers == {"reason": b"quarantined", "topic": b"demo.outcomes.v1"}
    assert value == f"billing?{text}".encode()
    assert counted(counters) == {"billing_quarantined": 1}
    assert counters.value("bidder_spend_micros") == 0


def test_n7_a_late_notice_is_stored_and_reported_and_moves_nothing(counters: Counters) -> None:
    producer = FakeProducer()
    assert take(counters, producer, query(), ms=NOW_MS + 10**6) == 204
    assert [(topic, headers["reason"]) for topic, _, _, headers in producer.sent] == [
        ("demo.dead-letters.v1", b"late")
    ]
    assert counted(counters) == {"billing_late": 1}
    assert counters.value("bidder_spend_micros") == 0


def test_a12_n16_a_notice_of_a_test_is_counted_as_such_and_stored_nowhere(
    counters: Counters,
) -> None:
    producer = FakeProducer()
    assert take(counters, producer, query(signed=token(is_test=True))) == 204
    assert producer.sent == []
    assert counted(counters) == {"billing_test": 1}


def edited(text: str) -> list[str]:
    return [
        "",
        "p=1.5",
        "t=&p=1.5",
        text.replace("t=", "t=A", 1),
        text.replace("t=", "t=", 1)[:-20] + "&p=1",
        "t=%00%ff&p=1",
        "t=" + "A" * 100_000,
        "t=\u20ac",
    ]


@pytest.mark.parametrize("place", range(8))
def test_n12_a_forged_or_edited_token_moves_nothing(counters: Counters, place: int) -> None:
    producer = FakeProducer()
    assert take(counters, producer, edited(query())[place]) == 400
    assert producer.sent == []
    assert counted(counters) == {"billing_forged": 1}


def test_n12_another_owners_token_is_forged(counters: Counters) -> None:
    text = urlencode({"t": NoticeSigner("another secret").sign(token()), "p": "1"})
    assert take(counters, FakeProducer(), text) == 400


@pytest.mark.parametrize("price", ["1.5", "AUDIT"])
def test_while_kafka_is_away_a_notice_is_503_and_counted(counters: Counters, price: str) -> None:
    failing = FakeProducer(KafkaConnectionError("no broker"))
    assert take(counters, failing, query(price)) == 503
    assert counted(counters) == {"billing_failed": 1}
    assert counters.value("bidder_dependency_failures", "kafka") == 1
    assert counters.value("bidder_spend_micros") == 0
