"""The reference pages say what the code does: each is read and compared, both ways."""

import importlib
import itertools
import re
import typing
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from bidder.lookup import reserve
from bidder.openrtb import BidRequest
from bidder.reservations import OwnReservations
from kinbid.catalog_file import read_catalog_file
from kinbid.engines import RedisEngine
from models.card_words import CardWord
from models.catalog_records import (
    Advertiser,
    Campaign,
    CatalogRecord,
    Exchange,
    Offer,
    Rates,
)
from models.commands import Steps
from models.events import (
    Billing,
    Call,
    Event,
    MissedReason,
    NumberLease,
    Outcome,
    ProductView,
    SignIn,
)
from models.evidence import Evidence, Kind, Limits, Reason
from models.facets import MAX_FACET_BYTES
from models.forest import FROZEN_SECONDS
from models.identifiers import Namespace, NodeId, Pepper
from models.keys import KEY_PATTERNS, Keys
from models.lines import LINE_SECONDS
from models.links import LinkResult, declare, judge, link
from models.matches import LONGEST_MATCH_DAYS, Match, keep_match
from models.number_book import BOOK_SECONDS
from models.profile import publish, publish_all
from models.rebuild_mark import mark_rebuild
from models.reservations import Reservation
from models.splits import SPLIT_SECONDS, note
from models.topics import ALL_TOPICS, Topics
from models.touches import KINDS, kind_of
from models.units import DAY_MS, DAY_S, AdvertiserId, CampaignId, CreativeId, ExchangeId
from models.value.price import Factors
from runtime import clock
from runtime.redis_link import FUNCTIONS
from runtime.settings import NOT_SETTINGS, PREFIX, SECRETS, Settings
from streams.link_ledger import LinkLedger
from streams.stage_clock import STAGES
from streams.stages.calls import (
    JoinResult,
    Linked,
    SoftLink,
    apply_soft_link,
    join_number,
    measure_lines,
)
from streams.stages.persons import KnownLinks, digest_events, digest_outcomes
from tests.fakes.phone_calls import AIR, NUMBER, a_call, a_lease, at_ms
from tests.unit.deploy.compose_file import COMPOSE_FILE, EXAMPLE, ROOT
from tests.unit.deploy.metric_names import Exposed, bidder_metrics, streams_metrics

PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
)  # fmt: skip
MADE_BY_READERS = "deploy/.env"


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def sections(text: str, level: int = 2) -> dict[str, str]:
    """Heading to the text below it, up to the next heading of the same level."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert len(found) == len(parts) // 2, "a heading stands twice"
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of the first table in a text, without its head."""
    table = re.search(r"^\|.+\|\n\|[ :|-]+\|\n((?:\|.*\|\n)*)", text, re.MULTILINE)
    assert table is not None, f"no table in: {text[:80]}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def bare(cell: str) -> str:
    return cell.strip("`")


# -- topics ----------------------------------------------------------------------------------------


def test_the_topics_page_lists_every_topic_as_it_is() -> None:
    wanted = [
        [
            f"`{topic.name('{owner}')}`",
            topic.key,
            topic.value,
            str(topic.partitions),
            topic.cleanup + within(topic.compact_within_ms),
            "for ever" if topic.retention_ms is None else f"{topic.retention_ms // DAY_MS} days",
        ]
        for topic in ALL_TOPICS
    ]
    assert rows(page("topics")) == wanted


def within(ms: int | None) -> str:
    return "" if ms is None else f" within {ms // DAY_MS} day"


def test_every_topic_has_a_section_with_its_writers_and_readers() -> None:
    found = sections(page("topics"))
    assert [bare(name) for name in found] == [topic.suffix for topic in ALL_TOPICS]
    for text in found.values():
        assert re.search(r"^Written by: .+ Read by: ", text, re.MULTILINE)


# -- metrics ---------------------------------------------------------------------------------------


def documented(process: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for name, kind, labels, meaning, remedy in rows(sections(page("metrics"))[process]):
        assert meaning.endswith("."), name
        assert remedy, name
        found[bare(name)] = (kind, tuple(sorted(re.findall(r"`(\w+)`", labels))))
    return found


@pytest.mark.parametrize(
    ("process", "metrics"), [("Bidder", bidder_metrics), ("Streams", streams_metrics)]
)
def test_the_metrics_page_lists_every_metric_with_its_labels(
    process: str, metrics: Callable[[], dict[str, Exposed]]
) -> None:
    exposed = {name: (one.kind, one.labels) for name, one in metrics().items()}
    assert documented(process) == exposed


def test_the_metrics_page_explains_every_value_of_a_closed_label() -> None:
    closed = {
        (label, name): set(values)
        for name, one in bidder_metrics().items()
        for label, values in one.values.items()
        if label != "exchange"  # the catalogue says which there are
    }
    closed["result", "streams_links_total"] = set(typing.get_args(LinkResult))
    closed["result", "streams_call_joins_total"] = set(typing.get_args(JoinResult))
    closed["result", "streams_calls_total"] = {
        reason or "answered" for reason in typing.get_args(MissedReason)
    }
    closed["stage", "streams_stage_cpu_seconds_total"] = set(STAGES)
    explained = {}
    for heading, text in sections(page("metrics") + "\n", 3).items():
        label, name = re.findall(r"`(\w+)`", heading)
        explained[label, name] = {
            value for cell, _ in rows(text) for value in re.findall(r"`(\w+)`", cell)
        }
    assert explained == closed


# -- configuration ---------------------------------------------------------------------------------


def shown_default(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else "(empty)"


def test_the_configuration_page_lists_every_setting_with_its_default() -> None:
    listed = {bare(name): default for name, default, _ in rows(page("configuration"))}
    defaults = msgspec.structs.asdict(Settings())
    wanted = {PREFIX + name.upper(): shown_default(value) for name, value in defaults.items()}
    assert listed == wanted


def test_the_configuration_page_says_which_settings_are_secret() -> None:
    meanings = {bare(name): meaning for name, _, meaning in rows(page("configuration"))}
    secret = {name for name, meaning in meanings.items() if meaning.startswith("Secret ")}
    assert secret == {PREFIX + name.upper() for name in SECRETS}


def test_the_configuration_page_lists_the_variables_that_are_no_settings() -> None:
    second = page("configuration").partition("These are read from the environment only:")[2]
    assert {bare(name) for name, _ in rows(second)} == NOT_SETTINGS


@pytest.mark.parametrize("path", [COMPOSE_FILE, EXAMPLE], ids=lambda path: path.name)
def test_every_kinbid_variable_of_the_compose_file_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\bKINBID_\w+", path.read_text()))
    settings = {PREFIX + name.upper() for name in Settings.__struct_fields__}
    assert named
    assert named - settings == set()


# -- Redis keys ------------------------------------------------------------------------------------

PLACEHOLDERS = {
    "NODE": r"[a-z][\w-]{22}",
    "EPOCH": r"\d+",
    "TOKENS": r"[^~]+(?:~[^~]+)*",
    "TOKEN": r"[^~]+",
    "WORKER": r"[^~]+",
    "LEASE": r"[^@]+",
    "CALL": r"[^@]+",
    "MILLISECONDS": r"\d{13}",
    "TOPIC": r"[\w.-]+",
    "PARTITION": r"\d+",
}


class KeyPage(msgspec.Struct):
    """What the page says of one key."""

    kind: str
    ttl_seconds: int | None
    fields: dict[str, re.Pattern[str]]


def key_pages() -> dict[str, KeyPage]:
    found: dict[str, KeyPage] = {}
    for heading, text in sections(page("redis-keys")).items():
        if heading == "Functions":
            continue
        facts = re.search(
            r"^Type: (\w+)\. TTL: (?:none(?:, but [^.]+)?|(\d+) s\b.*?)\. "
            r"Written by: .+\. Read by: .+\.$",
            text,
            re.MULTILINE,
        )
        assert facts is not None, heading
        ttl = int(facts[2]) if facts[2] else None
        names = [bare(row[0]) for row in rows(text)] if facts[1] == "hash" else []
        found[bare(heading)] = KeyPage(facts[1], ttl, {name: field_of(name) for name in names})
    return found


def field_of(name: str) -> re.Pattern[str]:
    words = "|".join(PLACEHOLDERS)
    parts = re.split(rf"\b({words})\b", name)
    return re.compile("".join(PLACEHOLDERS.get(part, re.escape(part)) for part in parts))


def key_of(pattern: str) -> re.Pattern[str]:
    """A key of the pattern; the braces around a node are in the key."""
    escaped = re.escape(pattern).replace(re.escape("{owner}"), "demo")
    escaped = escaped.replace(re.escape("{node}"), rf"\{{{PLACEHOLDERS['NODE']}\}}")
    return re.compile(re.sub(r"\\\{\w+\\\}", ".+", escaped))


def test_the_redis_page_lists_every_key_pattern() -> None:
    assert list(key_pages()) == list(KEY_PATTERNS)


class Watched:
    """A Redis under watch: after each step, all that stands in it is noted."""

    def __init__(self, connection: redis.Connection) -> None:
        self._connection = connection
        self.seen: defaultdict[str, set[str]] = defaultdict(set)
        self.kinds: dict[str, str] = {}

    def call(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - a reply
        self._connection.send_command(*command)  # type: ignore[no-untyped-call]  # redis-py's
        return self._connection.read_response()

    def steps(self, steps: Steps[Any]) -> Iterator[None]:
        """Runs a generator, and pauses after each of its steps."""
        replies: list[Any] | None = None
        while True:
            try:
                commands = steps.send(replies) if replies is not None else next(steps)
            except StopIteration:
                return
            replies = [self.call(*command) for command in commands]
            self.note()
            yield

    def run(self, steps: Steps[Any]) -> None:
        """Runs a generator to its end."""
        for _ in self.steps(steps):
            pass

    def note(self) -> None:
        for key in self.call("KEYS", "*"):
            name, kind = key.decode(), self.call("TYPE", key).decode()
            self.kinds[name] = kind
            fields = self.call("HKEYS", key) if kind == "hash" else []
            self.seen[name].update(field.decode() for field in fields)

    def ttl_seconds(self, key: str) -> int | None:
        seconds: int = self.call("TTL", key)
        return None if seconds == -1 else seconds

    def leads_on(self, key: str) -> bool:
        """Whether a bid view only says where its person is now."""
        return self.kinds[key] == "hash" and bool(self.call("HEXISTS", key, ">"))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with RedisEngine.start(tmp_path) as engine:
        connection = redis.Connection(port=engine.port, protocol=2)  # type: ignore[no-untyped-call]  # redis-py's
        try:
            watched = Watched(connection)
            watched.call("FUNCTION", "LOAD", FUNCTIONS)
            yield watched
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py's


def view(node: NodeId) -> ProductView:
    return ProductView(
        event_id="e", ids=(node,), event_time_ms=1, advertiser=AdvertiserId("shop"), item="i"
    )


def billing(node: NodeId) -> Billing:
    return Billing(
        node=node, nonce="n", campaign=CampaignId("c"), creative=CreativeId("k"),
        exchange=ExchangeId("north"), clearing_cpm_micros=1, notice_time_ms=1, personal=True,
    )  # fmt: skip


def write_everything(watched: Watched) -> None:
    """Two merges of which one is cut in half, reservations, notices, and a shared device."""
    pepper, keys = Pepper("a pepper for tests"), Keys("demo")
    cookies = sorted(
        (node for n in range(4) if (node := pepper.node(Namespace.COOKIE, f"cookie-{n}"))),
        key=lambda node: node[1:],
    )
    low, other, middle, _ = cookies
    crms = [node for n in (1, 2) if (node := pepper.node(Namespace.CRM, f"customer-{n}"))]
    tokens = (f"t{n}" for n in itertools.count())
    known = KnownLinks()

    def digest(node: NodeId, *events: Event) -> Steps[Any]:
        return digest_events(
            keys, node, 1, list(enumerate(events)), known=known, next_token=lambda: next(tokens)
        )

    def join(a: NodeId, b: NodeId) -> Steps[Any]:
        return link(keys, a, b, Evidence("sign_in", 1), lambda: next(tokens))

    epoch = keys.epoch(Topics.EVENTS.name("demo"), 0)
    watched.call("FCALL", "kinbid_v1_own", 1, epoch, 1)
    own = OwnReservations("w1")
    for node in (low, other, middle):
        watched.run(digest(node, view(node)))
        watched.run(digest_outcomes(keys, node, 1, [(0, billing(node))]))
        watched.run(publish(keys, node))
        own.add(node, Reservation("c", "n", 1, 1))
        watched.run(reserve(keys, node, own, 1))
    watched.run(join(low, middle))
    cut = watched.steps(join(other, middle))
    while "m:t1" not in watched.seen[keys.person(middle)]:
        next(cut)
    sign_in = SignIn(
        event_id="e", ids=(middle, crms[0]), event_time_ms=1, advertiser=AdvertiserId("shop")
    )
    watched.run(digest(middle, view(middle), sign_in))
    for _ in cut:
        pass
    watched.run(publish(keys, other))
    for node in (middle, other):
        own.add(node, Reservation("c", "n", 1, 1))
        watched.run(reserve(keys, node, own, 1))
    watched.run(join(middle, crms[1]))
    watched.run(split_and_noted(keys, middle, low, lambda: next(tokens)))
    word = CardWord(1, crms[0])
    watched.run(declare(keys, crms[0], crms[1], word, lambda: next(tokens)))
    watched.run(publish(keys, crms[0]))
    watched.run(killed(keys, crms[1]))
    write_calls(watched)
    write_crowd(watched)
    write_match(watched)
    watched.run(mark_rebuild(keys, {f"{Topics.EVENTS.name('demo')}:0": 1}))


def write_match(watched: Watched) -> None:
    """A cookie sync that is believed for as long as any is."""
    now_ms = clock.now_ms()
    match = Match(
        node=NodeId("u" + "m" * 22), cookie=NodeId("k" + "m" * 22), matched_ms=now_ms,
        expires_ms=now_ms + LONGEST_MATCH_DAYS * DAY_MS,
    )  # fmt: skip
    watched.run(keep_match(Keys("demo"), match, now_ms))


def write_crowd(watched: Watched) -> None:
    """A device with more links than are kept."""
    keys, tokens = Keys("demo"), (f"crowd{n}" for n in itertools.count())
    device, limits = NodeId("k" + "w" * 22), Limits(device_links=0)
    for number in range(2):
        account = NodeId(f"e{number:022}")
        told = Evidence("sign_in", 1)
        watched.run(link(keys, device, account, told, lambda: next(tokens), limits=limits))


def write_calls(watched: Watched) -> None:
    """A call that is joined to the session which saw its number, until another one saw it, too."""
    keys, tokens = Keys("demo"), (f"call{n}" for n in itertools.count())

    def apply(soft: SoftLink) -> Steps[Linked]:
        return apply_soft_link(keys, soft, lambda: next(tokens))

    call = a_call("c", 10)
    told: list[list[Call | NumberLease]] = [[a_lease(), call], [a_lease("late", 5, 30, "b")]]
    for news in told:
        watched.run(join_number(keys, NUMBER, news, now_ms=at_ms(20), apply=apply))
    watched.run(measure_lines(keys, AIR, [call], now_ms=at_ms(20)))
    watched.run(publish(keys, call.ids[0]))


def killed(keys: Keys, node: NodeId) -> Steps[list[Any]]:
    """An announced merge is taken back."""
    return (yield [("FCALL", "kinbid_v1_kill", 2, keys.parent(node), keys.person(node), "t9")])


def split_and_noted(
    keys: Keys, one: NodeId, other: NodeId, next_token: Callable[[], str]
) -> Steps[None]:
    """Somebody rejects a link and approves it again, and what follows is noted and published."""
    for verdict in ("rejected", "approved"):
        done = yield from judge(keys, one, other, verdict, next_token)
        yield from publish_all(keys, done.to_publish)
        yield from note(keys, done)


def lifetime_of(pattern: str) -> int:
    """Seconds that the keys of a pattern live which do not live for ever; of a split, if any."""
    lifetimes = {
        "{owner}:number:{number}": BOOK_SECONDS,
        "{owner}:lines:{advertiser}": LINE_SECONDS,
        "{owner}:u:{node}": LONGEST_MATCH_DAYS * DAY_S,
    }
    return lifetimes.get(pattern, SPLIT_SECONDS)


@pytest.mark.integration
def test_the_redis_page_names_every_key_and_field_that_is_written(watched: Watched) -> None:
    write_everything(watched)
    pages = key_pages()
    used: defaultdict[str, set[str]] = defaultdict(set)
    for key, fields in watched.seen.items():
        (pattern,) = [one for one in pages if key_of(one).fullmatch(key)]
        assert watched.kinds[key] == pages[pattern].kind
        used[pattern] |= {documented_field(pages[pattern], field) for field in fields}
    for pattern, one in pages.items():
        if "{token}" in pattern:  # may hold whatever its original held
            assert used[pattern] <= set(one.fields)
        else:
            assert used[pattern] == set(one.fields), pattern


def documented_field(page: KeyPage, field: str) -> str:
    """The page's name for a field that was seen; in full where it has none."""
    found = [name for name, form in page.fields.items() if form.fullmatch(field)]
    assert len(found) < 2, field
    return found[0] if found else f"{field}, which no page names"


@pytest.mark.integration
def test_the_redis_page_tells_how_long_a_key_lives(watched: Watched) -> None:
    write_everything(watched)
    pages = key_pages()
    for key in [key for key in watched.seen if watched.call("EXISTS", key)]:
        (pattern,) = [one for one in pages if key_of(one).fullmatch(key)]
        lives = watched.ttl_seconds(key)
        wanted = pages[pattern].ttl_seconds
        if wanted is None and watched.leads_on(key):
            assert lives is not None
            assert FROZEN_SECONDS / 2 < lives <= FROZEN_SECONDS, pattern
        elif wanted is None:
            assert lives is None, pattern
        else:
            assert wanted == lifetime_of(pattern)
            assert lives is not None
            limit = FROZEN_SECONDS if lives <= FROZEN_SECONDS else wanted  # of a merge
            assert limit / 2 < lives <= limit, pattern


# -- identity ------------------------------------------------------------------------------------


def test_the_identity_page_lists_every_kind_of_evidence_and_every_reason() -> None:
    text = sections(page("identity"))["Evidence"]
    kinds, _, reasons = text.partition("Persons are a function of the *set*")
    assert [bare(row[0]) for row in rows(kinds)] == list(typing.get_args(Kind))
    assert {bare(row[0]) for row in rows(reasons)} == set(typing.get_args(Reason))


def test_the_identity_page_names_keys_and_files_that_exist() -> None:
    text = page("identity")
    letters = {pattern.split(":")[1] for pattern in KEY_PATTERNS}
    assert set(re.findall(r"`([a-z]):(?:\{\w+\})?`", text)) - {"m"} <= letters
    for name in re.findall(r"`((?:models|tests)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_identity_page_names_every_topic_that_identity_uses() -> None:
    used = {
        *LinkLedger.TOPICS,
        Topics.LINK_HISTORY,
        Topics.ERASURES,
        Topics.EVENTS,
        Topics.OUTCOMES,
    }
    named = re.findall(r"`([\w-]+\.v\d+)`", page("identity"))
    assert set(named) == {topic.suffix for topic in used}


# -- glossary --------------------------------------------------------------------------------------


def glossary_entries() -> list[str]:
    return re.findall(r"^- (.+)$", page("glossary"), re.MULTILINE)


def names_in(entry: str) -> list[str]:
    return re.findall(r"`((?:models|bidder|streams|runtime|kinbid)\.[\w.]+)`", entry)


def resolve(dotted: str) -> object:
    """What a dotted name stands for; an AttributeError if it does not exist."""
    parts = dotted.split(".")
    for size in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for part in parts[size:]:
            found = getattr(found, part)
        return found
    raise AttributeError(dotted)


def test_every_name_in_the_glossary_exists() -> None:
    names = [name for entry in glossary_entries() for name in names_in(entry)]
    assert len(names) > 50
    for name in names:
        resolve(name)


def test_a_term_is_explained_once() -> None:
    terms = [
        term
        for entry in glossary_entries()
        for term in re.findall(r"\*\*(.+?)\*\*", entry.partition(":")[0])
    ]
    assert len(terms) >= len(glossary_entries())
    assert sorted(terms) == sorted(set(terms))


def test_the_glossary_explains_every_record_and_every_factor_of_the_price() -> None:
    explained = {name for entry in glossary_entries() for name in names_in(entry)}
    records = [
        record
        for union in (CatalogRecord, Offer, Event, Outcome)
        for record in typing.get_args(union)
    ]
    told = [resolve(name) for name in explained]
    assert [record for record in records if record not in told] == []
    factors = {f"models.value.price.Factors.{name}" for name in Factors.__struct_fields__}
    assert factors - explained == set()


# -- profiles --------------------------------------------------------------------------------------


def test_the_profiles_page_lists_every_kind_of_touch_and_how_many_are_kept() -> None:
    records: defaultdict[str, list[str]] = defaultdict(list)
    for record in typing.get_args(Event):
        kind = kind_of(record)
        if kind is not None:
            records[kind.name].append(record.__name__)
    listed = {
        bare(kind): (sorted(re.findall(r"`(\w+)`", names)), int(kept))
        for kind, names, kept, _ in rows(sections(page("profiles"))["Touches"])
    }
    assert listed == {kind.name: (sorted(records[kind.name]), kind.kept) for kind in KINDS.values()}
    assert f"{MAX_FACET_BYTES:,} bytes" in page("profiles")


# -- auctions --------------------------------------------------------------------------------------


def test_what_the_auctions_page_shows_can_be_published(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", page("auctions"), re.DOTALL)
    file = tmp_path / "shown.toml"
    file.write_text("\n".join(blocks))
    records = {type(record) for record in read_catalog_file(file)}
    assert records == {Campaign, Rates, Advertiser, Exchange}


def test_the_auctions_page_names_every_list_that_is_read() -> None:
    named = set(re.findall(r"`(\w+)`", page("auctions")))
    raw = {one.name for one in msgspec.structs.fields(BidRequest) if one.type is msgspec.Raw}
    assert raw
    assert raw <= named


# -- the other pages -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", PAGES)
def test_files_that_a_page_names_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    folders = "benchmarks|bidder|deploy|docs|kinbid|models|runtime|streams|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", text):
        assert path == MADE_BY_READERS or (ROOT / path).exists(), path


def test_contributing_names_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = {
        bare(command).removeprefix("make ")
        for command, _ in rows((ROOT / "CONTRIBUTING.md").read_text())
    }
    assert listed == targets


def test_contributing_lists_every_folder_of_tests() -> None:
    tables = (ROOT / "CONTRIBUTING.md").read_text().partition("## Tests")[2]
    listed = {bare(folder) for folder, _ in rows(tables)}
    assert listed == {
        f"tests/{path.name}"
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and any(path.rglob("test_*.py"))
    }


def test_the_changelog_has_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = sections(text)
    assert next(iter(versions)) == "[Unreleased]"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for entries in versions.values():
        assert set(sections(entries, 3)) <= kinds


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_a_gap_that_was_to_be_filled(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not [mark for mark in ("@@", "TODO", "TBD", "FIXME") if mark in text]
