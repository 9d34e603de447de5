"""People's word on links, through real processes: withdrawn, approved, listed, looked back on."""

import asyncio
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from kinbid.inspect import person_report
from kinbid.monitor import read_metrics
from models.events import Billing, CrmCard, CrmMerge, CrmSplit, Order, encode
from models.evidence import pair_of
from models.identifiers import Namespace, NodeId
from models.link_records import VerdictRecord, encode_link_record, pair_key
from models.topics import Topics
from models.units import CampaignId, CreativeId, ExchangeId
from tests.system.client import SHOP, Client

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


class Family:
    """Anna and Boris with their CRM cards, and a tablet at which they sign in."""

    def __init__(self, client: Client) -> None:
        self.client = client
        run = uuid.uuid4().hex
        self.tablet = f"cookie:{run}"
        self.anna, self.boris = f"email:anna.{run}@a.example", f"email:boris.{run}@a.example"
        self.tablet_node = client.node(Namespace.COOKIE, run)
        self.anna_node = client.node(Namespace.EMAIL, self.anna.partition(":")[2])
        self.boris_node = client.node(Namespace.EMAIL, self.boris.partition(":")[2])
        self.anna_card = client.node(Namespace.CRM, f"anna-{run}")
        self.boris_card = client.node(Namespace.CRM, f"boris-{run}")

    def card(self, card: NodeId, email: NodeId) -> CrmCard:
        return CrmCard(
            event_id=uuid.uuid4().hex, ids=(card, email), event_time_ms=self.client.now_ms()
        )

    def order(self, node: NodeId) -> Order:
        return Order(
            event_id=uuid.uuid4().hex, ids=(node,), event_time_ms=self.client.now_ms(),
            advertiser=SHOP, order_id=uuid.uuid4().hex, revenue_micros=10**7, margin_micros=1,
        )  # fmt: skip

    def see_ads(self, node: NodeId, count: int) -> None:
        topic = Topics.OUTCOMES.name(self.client.settings.owner)
        notices = [
            Billing(
                node=node, nonce=uuid.uuid4().hex, campaign=CampaignId("air-seats"),
                creative=CreativeId("c"), exchange=ExchangeId("north"), clearing_cpm_micros=1000,
                notice_time_ms=self.client.now_ms(), personal=True,
            )
            for _ in range(count)
        ]  # fmt: skip
        self.client.produce_raw(topic, [(node.encode(), encode(one)) for one in notices])

    def share_with_anna(self) -> None:
        """The tablet is Anna's: orders and ads on both of her identifiers."""
        client = self.client
        client.produce(
            self.card(self.anna_card, self.anna_node),
            client.sign_in(self.tablet_node, self.anna_node),
            self.order(self.tablet_node), self.order(self.anna_node), self.order(self.anna_node),
        )  # fmt: skip
        self.see_ads(self.tablet_node, 3)
        self.see_ads(self.anna_node, 4)
        client.until(
            lambda: self.summary(self.tablet),
            lambda seen: seen == {(self.tablet_node, self.anna_node, self.anna_card): (3, 7)},
        )

    def summary(self, identifier: str) -> dict[tuple[NodeId, ...], tuple[int, int]]:
        report = self.report(identifier)
        orders = sum(one["order_count"] for one in report["orders"].values())
        return {self.known(_members(report)): (orders, report["impressions"])}

    def members(self, identifier: str) -> set[str]:
        return _members(self.report(identifier))

    def report(self, identifier: str) -> dict[str, Any]:
        """What ``kinbid person`` prints, without a process for each look."""
        return asyncio.run(person_report(self.client.settings, identifier))

    def known(self, members: set[str]) -> tuple[NodeId, ...]:
        mine = (
            self.tablet_node, self.anna_node, self.anna_card, self.boris_node, self.boris_card
        )  # fmt: skip
        assert members.issubset(mine)
        return tuple(node for node in mine if node in members)

    def after(self, report: dict[str, Any]) -> dict[tuple[NodeId, ...], tuple[int, int]]:
        """Persons of a verdict's report: their orders and billed impressions."""
        return {
            self.known(set(one["identifiers"])): (sum(one["orders"].values()), one["impressions"])
            for one in report["after"]
        }


def _members(report: dict[str, Any]) -> set[str]:
    return {one["node"] for one in report["identifiers"]}


@pytest.fixture
def family(client: Client) -> Family:
    return Family(client)


def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "kinbid", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    print(done.stdout, done.stderr)
    return done


def kinbid(client: Client, *arguments: str, code: int = 0, result: bool = False) -> Any:  # noqa: ANN401
    """Runs a command; its report where one is wanted, else what it printed."""
    path = client.stack.folder / "report.json"
    more = ("--json", str(path)) if result else ()
    done = run(*arguments, *more, code=code)
    return json.loads(path.read_text()) if result else done.stdout + done.stderr


def export(path: Path) -> bytes:
    run("export", "--out", str(path))
    return path.read_bytes()


def dead_letters(client: Client) -> float:
    metrics = read_metrics(client.stack.addresses["metrics"]["streams"])
    return metrics["streams_dead_letters_total{topic=verdicts}"]


def test_an_unlinked_tablet_and_its_former_owner_each_have_their_own_back(
    family: Family, tmp_path: Path
) -> None:
    client = family.client
    family.share_with_anna()
    foreseen = kinbid(client, "unlink", family.tablet, family.anna, "--dry-run", result=True)
    assert not foreseen["carried_out"]
    assert len(family.known(family.members(family.tablet))) == 3, "a dry run changed somebody"
    assert "The two would belong to two persons." in kinbid(
        client, "unlink", family.tablet, family.anna, "--dry-run"
    )
    report = kinbid(
        client, "unlink", family.tablet, family.anna, "--by", "olga", "--why", "wrong tablet",
        result=True,
    )  # fmt: skip
    assert report["carried_out"]
    assert report["after"] == foreseen["after"]
    assert not report["is_one"]
    assert family.after(report) == {
        (family.tablet_node,): (1, 3), (family.anna_node, family.anna_card): (2, 4)
    }  # fmt: skip
    assert family.summary(family.tablet) == {(family.tablet_node,): (1, 3)}
    before = export(tmp_path / "before.jsonl")
    repeated = kinbid(client, "unlink", family.tablet, family.anna)
    assert "The same was decided before." in repeated
    told = kinbid(client, "person", family.tablet, "--history", result=True)["history"]
    assert [one["what"] for one in told].count("rejected") == 1
    assert export(tmp_path / "after.jsonl") == before
    # Evidence that comes now does not bring it back.
    client.produce(
        client.sign_in(family.tablet_node, family.anna_node), family.order(family.tablet_node)
    )
    client.until(
        lambda: family.summary(family.tablet), lambda seen: seen == {(family.tablet_node,): (2, 3)}
    )
    told = kinbid(client, "person", family.tablet, "--history")
    assert "link withdrawn by olga: 'wrong tablet'" in told
    approved = kinbid(client, "links", "approve", family.tablet, family.anna, result=True)
    assert approved["verdict_before"] == "rejected"
    assert family.after(approved) == {
        (family.tablet_node, family.anna_node, family.anna_card): (4, 7)
    }


def test_a_link_that_is_held_back_is_listed_and_made_when_somebody_approves_it(
    family: Family,
) -> None:
    client = family.client
    family.share_with_anna()
    client.produce(
        family.card(family.boris_card, family.boris_node),
        client.sign_in(family.tablet_node, family.boris_node),
    )

    def held_back() -> set[tuple[str, str]]:
        report = kinbid(
            client, "links", "--reason", "shared_device", "--identifier", family.tablet, result=True
        )
        assert {one["kind"] for one in report} <= {"sign_in"}
        return {(one["a"], one["b"]) for one in report}

    pairs = {
        pair_of(family.tablet_node, family.anna_node),
        pair_of(family.tablet_node, family.boris_node),
    }
    client.until(held_back, lambda seen: seen == pairs)
    assert "stands alone" in kinbid(client, "links", "--identifier", family.boris)
    approved = kinbid(
        client, "links", "approve", family.boris_node, family.tablet_node, result=True
    )
    assert approved["is_one"]
    assert family.after(approved) == {
        (family.tablet_node, family.boris_node, family.boris_card): (1, 3)
    }
    client.until(held_back, lambda seen: seen == {pair_of(family.tablet_node, family.anna_node)})
    told = kinbid(client, "person", family.tablet, "--history", result=True)
    changes = [(one["what"], set(one["joined"]), set(one["left"])) for one in told["history"]]
    anna, boris = {family.anna_node, family.anna_card}, {family.boris_node, family.boris_card}
    assert [change for change in changes if change[1] or change[2]] == [
        ("seen", anna, set()), ("seen", set(), anna), ("approved", boris, set())
    ]  # fmt: skip
    # Approved both, the tablet is whose sign-in came first, and nobody else's.
    moved = kinbid(client, "links", "approve", family.tablet, family.anna, result=True)
    assert family.after(moved) == {
        (family.tablet_node, family.anna_node, family.anna_card): (3, 7),
        (family.boris_node, family.boris_card): (0, 0),
    }
    again = kinbid(client, "links", "approve", family.tablet, family.boris, result=True)
    assert not again["is_one"]
    assert again["reason"] == "two_crm_persons"


def test_the_history_tells_when_the_crm_merged_two_cards_and_when_it_split_them(
    family: Family,
) -> None:
    client = family.client
    family.share_with_anna()
    cards = (family.anna_card, family.boris_card)
    client.produce(family.card(family.boris_card, family.boris_node))
    for kind, count in ((CrmMerge, 5), (CrmSplit, 3)):
        word = kind(event_id=uuid.uuid4().hex, ids=cards, event_time_ms=client.now_ms())
        client.produce(word)
        client.until(lambda: len(family.members(family.tablet)), count.__eq__)
    told = kinbid(client, "person", family.tablet, "--history", result=True)
    about = [one for one in told["history"] if (one["a"], one["b"]) == pair_of(*cards)]
    others = {family.boris_card, family.boris_node}
    assert [(one["what"], set(one["joined"]), set(one["left"])) for one in about] == [
        ("seen", others, set()), ("crm_split", set(), others)
    ]  # fmt: skip
    assert about[0]["survivor"] == family.anna_card
    assert "the CRM has split the cards" in kinbid(client, "person", family.boris, "--history")


def test_a_bad_verdict_is_a_dead_letter_and_stops_nobody(family: Family) -> None:
    client = family.client
    family.share_with_anna()
    before = dead_letters(client)
    a, b = pair_of(family.tablet_node, family.anna_node)
    good = VerdictRecord(a=a, b=b, verdict="rejected", at_ms=client.now_ms())
    topic = Topics.VERDICTS.name(client.settings.owner)
    client.produce_raw(
        topic,
        [
            (b"no pair", encode_link_record(good)),
            (pair_key(a, b), b'{"a": "k", "verdict": "perhaps"}'),
            (pair_key(a, b), b""),
        ],
    )
    report = kinbid(client, "links", "reject", a, b, result=True)
    assert report["carried_out"]
    assert dead_letters(client) - before == 3


def test_a_verdict_given_while_streams_is_away_waits_for_it(family: Family) -> None:
    client = family.client
    family.share_with_anna()
    client.stack.stop_part("streams")
    told = kinbid(client, "unlink", family.tablet, family.anna, "--wait", "1", code=1)
    assert "is `kinbid streams` running" in told
    assert "verdicts.v1 and will be carried out" in told
    assert "waits for streams" in kinbid(client, "person", family.tablet, "--history")
    client.stack.restart_part("streams")
    client.until(
        lambda: family.summary(family.tablet), lambda seen: seen == {(family.tablet_node,): (1, 3)}
    )
    assert "waits for streams" not in kinbid(client, "person", family.tablet, "--history")


def test_unlinking_what_is_linked_by_others_names_the_links_that_remain(family: Family) -> None:
    client = family.client
    family.share_with_anna()
    told = kinbid(client, "unlink", family.tablet, family.anna_card, code=1)
    assert "no event named both" in told
    for one, other in (
        (family.tablet_node, family.anna_node), (family.anna_node, family.anna_card)
    ):  # fmt: skip
        assert f"kinbid unlink {' '.join(pair_of(one, other))}" in told
    client.produce(client.sign_in(family.tablet_node, family.anna_card))
    client.until(
        lambda: kinbid(client, "person", family.tablet, "--history", result=True)["links"],
        lambda links: len(links) == 3,
    )
    told = kinbid(client, "unlink", family.tablet, family.anna)
    assert "The two belong to one person." in told
    assert f"kinbid unlink {' '.join(pair_of(family.tablet_node, family.anna_card))}" in told
    stranger = kinbid(client, "unlink", family.tablet, "email:stranger@b.example", code=1)
    assert "nothing was seen of" in stranger
