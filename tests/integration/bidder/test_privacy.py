"""Where privacy forbids, a real Redis sees no command at all: its own monitor is watched."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import msgspec
import pytest
import redis

from bidder.metrics import Counters, open_memory
from bidder.path import Answer, BidPath
from kinbid.engines import RedisEngine
from models.events import FlightSearch
from models.keys import Keys
from models.notices import NoticeSigner
from models.units import HOUR_MS
from runtime.settings import Settings
from tests.contract.stores import RealStore, just
from tests.fakes.consent_strings import Told, gpp_string, tc_string, us_section
from tests.fakes.installation import Installation
from tests.unit.bidder.support import (
    AIR,
    COOKIE,
    DEPART_DATE,
    NODE,
    NORTH,
    NOW_MS,
    SETTINGS,
    bid_request,
    catalog,
)

pytestmark = pytest.mark.integration

VENDOR: Final = 712
CONSENT: Final = tc_string(Told(vendors=[VENDOR], disclosed=[VENDOR]))
NO_PROFILES: Final = tc_string(Told(consents=[1, 2, 7], vendors=[VENDOR], disclosed=[VENDOR]))
OPTED_IN: Final = gpp_string({7: us_section("1111112222" + "0" * 24, version=2)})
OPTED_OUT: Final = gpp_string({7: us_section("1111112212" + "0" * 24, version=2)})

FORBIDDING: Final[list[dict[str, Any]]] = [
    {"regs": {"coppa": 1}},
    {"device": {"lmt": 1}},
    {"device": {"dnt": 1}},
    {"regs": {"gdpr": 1}},
    {"regs": {"gdpr": 1}, "user": {"consent": CONSENT[:-4]}},
    {"regs": {"gdpr": 1}, "user": {"consent": NO_PROFILES}},
    {"regs": {"ext": {"gdpr": 1}}, "user": {"ext": {"consent": NO_PROFILES}}},
    {"device": {"geo": {"country": "DEU"}}},
    {"regs": {"us_privacy": "1YYN"}},
    {"regs": {"ext": {"gpc": "1"}}},
    {"regs": {"gpp": OPTED_OUT, "gpp_sid": [7]}},
    {"regs": {"gpp": OPTED_IN, "gpp_sid": [7, 28]}},
]
ALLOWING: Final[list[dict[str, Any]]] = [
    {},
    {"regs": {"gdpr": 1}, "user": {"consent": CONSENT}},
    {"regs": {"gpp": OPTED_IN, "gpp_sid": [7], "us_privacy": "1YNN"}},
]


class Watched:
    """A bid path on a real Redis, and what that Redis was asked for each answer."""

    def __init__(self, settings: Settings, store: RealStore, counters: Counters) -> None:
        self._path = BidPath(settings, catalog(), counters)
        self._store = store
        self._client: Any = redis.Redis.from_url(settings.redis_url)
        self._monitor = self._client.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()

    def answer(self, fields: dict[str, Any]) -> tuple[Answer, list[str]]:
        """The answer to a request, and the commands that it took."""
        user = {"buyeruid": COOKIE} | fields.get("user", {})
        request = bid_request(**(fields | {"user": user}))
        answer = self._store.run(self._path.answer(request, NORTH, NOW_MS))
        self._store.run(just(("ECHO", "answered")))
        seen = []
        while (command := self._monitor.next_command()["command"]) != "ECHO answered":
            if command != "PING":  # an idle link's look whether the server is still there
                seen.append(command)
        return answer, seen

    def close(self) -> None:
        self._monitor.__exit__(None, None, None)
        self._client.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A Redis in which one browser searched a flight, watched from then on."""
    with RedisEngine.start(tmp_path_factory.mktemp("redis")) as engine, open_memory() as memory:
        settings = msgspec.structs.replace(
            SETTINGS, redis_url=engine.url, tcf_vendor_id=VENDOR, tcf_features="1,2"
        )
        with closing(RealStore(engine.url)) as store:
            Installation(store, keys=Keys(settings.owner)).tell(
                FlightSearch(
                    event_id="e", ids=(NODE,), event_time_ms=NOW_MS - HOUR_MS, advertiser=AIR,
                    origin="JFK", destination="LAX", depart_date=DEPART_DATE,
                )
            )  # fmt: skip
            with closing(Watched(settings, store, Counters(memory.fileno()))) as made:
                yield made


def nodes_in_notices(answer: Answer) -> set[str]:
    """The nodes that the notices of an answer name."""
    assert answer.body is not None
    signer = NoticeSigner(SETTINGS.notice_secret)
    bids = msgspec.json.decode(answer.body)["seatbid"][0]["bid"]
    return {
        signer.verify(bid[url].partition("t=")[2].partition("&")[0], "win").node
        for bid in bids
        for url in ("nurl", "burl")
    }


@pytest.mark.parametrize("fields", FORBIDDING)
def test_r12_where_privacy_forbids_redis_is_asked_nothing(
    watched: Watched, fields: dict[str, Any]
) -> None:
    """R1, R2, R3, R5, R6, R7, R8, R9, R12: before the look-up, and in the notices."""
    answer, asked = watched.answer(fields)
    assert asked == []
    assert nodes_in_notices(answer) == {""}
    assert (answer.reserved, answer.expired_at) == ((), None)


@pytest.mark.parametrize("fields", ALLOWING)
def test_r12_where_privacy_allows_the_same_person_is_read(
    watched: Watched, fields: dict[str, Any]
) -> None:
    """R3, R7, R12: so that the test above could fail."""
    answer, asked = watched.answer(fields)
    assert [one for one in asked if NODE in one]
    assert nodes_in_notices(answer) == {NODE}
