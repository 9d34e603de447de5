"""Cookie syncs: privacy first, our cookie, the match, and where the browser goes."""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
import pytest

from bidder.http1 import response
from bidder.metrics import SYNC_RESULTS, Counters
from bidder.notices import Caller
from bidder.notices.replies import PIXEL
from bidder.privacy import Privacy
from bidder.syncs import Syncs
from models.catalog import Catalog
from models.identifiers import Namespace, scoped
from models.matches import read_match
from models.units import DAY_MS
from runtime.settings import Settings
from tests.fakes.consent_strings import Told, gpp_string, tc_string, us_section
from tests.unit.bidder.notices.support import FakeKeeper
from tests.unit.bidder.support import NORTH, NOW_MS, PEPPER, SETTINGS

VENDOR = 712
OURS = {"cookie": "other=1; kinbid=a-browser-of-ours; last=2"}
SYNC_URL = "https://sync.north.example/match?bidder=7&uid={cookie}"


class Case:
    """A sync endpoint and what it keeps."""

    def __init__(
        self, counters: Counters, settings: Settings = SETTINGS, **exchange: object
    ) -> None:
        self.counters = counters
        self.keeper = FakeKeeper()
        what = Catalog()
        what.apply(msgspec.structs.replace(NORTH, **exchange))
        privacy = Privacy(settings.tcf_vendor)
        self.syncs = Syncs(
            settings, PEPPER, what, self.keeper, counters,
            may_keep_ids=lambda request: privacy.use_of(request).ids,
        )  # fmt: skip

    def ask(
        self, headers: Mapping[str, str] | None = None, exchange: str = "north", **values: str
    ) -> bytes:
        caller = Caller(headers or {}, "203.0.113.7")
        return asyncio.run(self.syncs.answer(exchange, urlencode(values), caller, NOW_MS))

    def counted(self) -> dict[str, int]:
        found = {name: self.counters.value("bidder_syncs", name) for name in SYNC_RESULTS}
        return {name: count for name, count in found.items() if count}


@pytest.fixture
def case(counters: Counters) -> Case:
    return Case(counters)


def cookie_in(answer: bytes) -> str | None:
    found = re.search(rb"Set-Cookie: kinbid=([^;]+); (.+)\r\n", answer)
    if found is None:
        assert b"Set-Cookie" not in answer
        return None
    attributes = set(found[2].decode().split("; "))
    assert attributes >= {"Path=/", "Secure", "HttpOnly", "SameSite=None"}
    assert attributes & {"Max-Age=33696000"}
    return found[1].decode()


def test_a_user_id_and_our_cookie_become_a_match(case: Case) -> None:
    """R13, U2: noted under the exchange's user id, hashed, with an end."""
    answer = case.ask(OURS, uid="their-id")
    assert cookie_in(answer) == "a-browser-of-ours"
    assert answer.endswith(PIXEL.partition(b"\r\n\r\n")[2])
    (record,) = case.keeper.kept
    match = read_match(record.key, record.value, NOW_MS)
    assert record.topic == "demo.matches.v1"
    assert match.node == PEPPER.node(Namespace.EXCHANGE_USER, scoped("north", "their-id"))
    assert match.cookie == PEPPER.node(Namespace.COOKIE, "a-browser-of-ours")
    assert match.expires_ms == NOW_MS + SETTINGS.match_days * DAY_MS
    assert b"their-id" not in record.value
    assert b"a-browser" not in record.value
    assert case.counted() == {"matched": 1}


def test_a_browser_without_our_cookie_gets_one_of_its_own(case: Case) -> None:
    first, second = (cookie_in(case.ask(uid=name)) for name in ("one", "two"))
    assert first
    assert second
    assert first != second
    assert len(first) >= 16
    assert len(case.keeper.kept) == 2


@pytest.mark.parametrize(
    "value", ["short", "x" * 200, 'bad"value-here', "with space here", "", "x;y"]
)
def test_what_is_no_cookie_of_ours_is_replaced(case: Case, value: str) -> None:
    made = cookie_in(case.ask({"cookie": f"kinbid={value}"}, uid="one"))
    assert made is not None
    assert made != value


@pytest.mark.parametrize(
    ("values", "headers"),
    [
        ({"gdpr": "1"}, {}),
        ({"gdpr": "1", "gdpr_consent": ""}, {}),
        ({"gdpr": "1", "gdpr_consent": "broken"}, {}),
        ({"gdpr_consent": "broken"}, {}),
        ({"gdpr": "${GDPR}"}, {}),
        ({"gdpr": "[gdpr]"}, {}),
        ({"us_privacy": "1YYN"}, {}),
        ({"gpp": "broken", "gpp_sid": "7"}, {}),
        ({"gpp": "broken"}, {}),
        ({}, {"sec-gpc": "1"}),
        ({}, {"dnt": "1"}),
        ({"gpc": "1"}, {}),
    ],
)
def test_without_leave_no_cookie_is_read_or_set_and_nothing_is_noted(
    counters: Counters, values: dict[str, str], headers: dict[str, str]
) -> None:
    """R13, R10: closed by default; a signal that cannot be read is a refusal."""
    case = Case(counters, sync_url=SYNC_URL)
    for uid in ({"uid": "their-id"}, {}):
        assert case.ask({**OURS, **headers}, **values, **uid) == PIXEL
    assert case.keeper.kept == []
    assert case.counted() == {"refused": 2}


@pytest.mark.parametrize(
    "values", [{}, {"gdpr": "0"}, {"us_privacy": "1NNN"}, {"us_privacy": "1---"}, {"gpp_sid": "-1"}]
)
def test_where_no_law_forbids_it_is_matched(case: Case, values: dict[str, str]) -> None:
    """R13: absent and plainly negative signals are no refusal."""
    case.ask(OURS, uid="their-id", **values)
    assert case.counted() == {"matched": 1}


@pytest.mark.parametrize(
    ("vendors", "opted", "result"),
    [([VENDOR], "2", "matched"), ([], "2", "refused"), ([VENDOR], "1", "refused")],
)
def test_with_leave_by_every_string_that_comes_along_it_is_matched(
    counters: Counters, vendors: list[int], opted: str, result: str
) -> None:
    """R13, R10: a TC string and a GPP string are decoded as a bid request's; the strictest wins."""
    settings = msgspec.structs.replace(SETTINGS, tcf_vendor_id=VENDOR, tcf_features="1,2")
    case = Case(counters, settings)
    consent = tc_string(Told(vendors=vendors, disclosed=[VENDOR]))
    sections = gpp_string({7: us_section(f"1111112{opted}22" + "0" * 24, version=2)})
    case.ask(OURS, uid="theirs", gdpr="1", gdpr_consent=consent, gpp=sections, gpp_sid="7")
    assert case.counted() == {result: 1}


def test_without_a_user_id_the_browser_takes_our_id_to_the_exchange(counters: Counters) -> None:
    """R13: to the address in the exchange's record, and nowhere else."""
    case = Case(counters, sync_url=SYNC_URL)
    answer = case.ask(OURS, redirect="https://evil.example/", url="https://evil.example/")
    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert (
        b"Location: https://sync.north.example/match?bidder=7&uid=a-browser-of-ours\r\n" in answer
    )
    assert cookie_in(answer) == "a-browser-of-ours"
    back = case.ask(OURS, uid="their-id")
    assert back.startswith(b"HTTP/1.1 200")
    assert case.counted() == {"sent_on": 1, "matched": 1}


def test_an_exchange_without_an_address_just_meets_our_cookie(case: Case) -> None:
    assert cookie_in(case.ask(OURS)) == "a-browser-of-ours"
    assert case.counted() == {"cookie_only": 1}


@pytest.mark.parametrize("uid", ["00000000-0000-0000-0000-000000000000", "x" * 600, " "])
def test_a_placeholder_is_nobodys_user_id(case: Case, uid: str) -> None:
    """U7: it would lead everybody to one cookie."""
    case.ask(OURS, uid=uid)
    assert case.keeper.kept == []
    assert case.counted() == {"cookie_only": 1}


def test_an_unknown_exchange_is_404(case: Case) -> None:
    assert case.ask(OURS, "nowhere", uid="x") == response(404)


def test_a_match_that_cannot_be_made_durable_is_503(case: Case) -> None:
    """N5's mode for matches, too."""
    case.keeper.is_full = True
    assert case.ask(OURS, uid="x") == response(503)
    assert case.counted() == {"failed": 1}
