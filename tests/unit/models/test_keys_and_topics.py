import re

from hypothesis import given
from hypothesis import strategies as st

from models.identifiers import Namespace, NodeId
from models.keys import KEY_PATTERNS, Keys
from models.topics import ALL_TOPICS, Topics
from models.units import DAY_MS

KEYS = Keys("owner")
NODE = NodeId("k" + "n" * 22)
MADE = {
    "n": KEYS.parent, "p": KEYS.person, "b": KEYS.bid_view, "w": KEYS.evidence, "u": KEYS.match,
}  # fmt: skip
FROZEN = {"q": KEYS.frozen_person, "z": KEYS.frozen_bid_view}


def test_the_keys_of_a_node_share_one_slot_of_a_cluster() -> None:
    """Redis hashes what stands between the first ``{`` and the next ``}``."""
    made = [*(make(NODE) for make in MADE.values()), *(make(NODE, "t") for make in FROZEN.values())]
    assert {key[key.index("{") + 1 : key.index("}")] for key in made} == {NODE}


def test_every_pattern_is_a_key_and_every_key_a_pattern() -> None:
    made = {f"{{owner}}:{letter}:{{node}}" for letter in MADE}
    made |= {f"{{owner}}:{letter}:{{node}}:{{token}}" for letter in FROZEN}
    others = {
        "{owner}:epoch:{topic}:{partition}",
        "{owner}:number:{number}",
        "{owner}:lines:{advertiser}",
        "{owner}:rebuild",
    }
    assert made | others == set(KEY_PATTERNS)
    for letter, make in MADE.items():
        assert make(NODE) == f"owner:{letter}:{{{NODE}}}"
    for letter, freeze in FROZEN.items():
        assert freeze(NODE, "t1") == f"owner:{letter}:{{{NODE}}}:t1"
    assert KEYS.number("+12127365000") == "owner:number:+12127365000"
    assert KEYS.lines("air") == "owner:lines:air"
    assert KEYS.epoch("owner.events.v1", 3) == "owner:epoch:owner.events.v1:3"


@given(st.lists(st.sampled_from([NodeId(one.letter + "n" * 22) for one in Namespace]), min_size=2))
def test_no_two_keys_are_the_same(nodes: list[NodeId]) -> None:
    made = {make(node) for node in nodes for make in MADE.values()}
    assert len(made) == len(set(nodes)) * len(MADE)


def test_owners_share_no_key_and_no_topic() -> None:
    assert Keys("a").person(NODE) != Keys("b").person(NODE)
    assert Topics.EVENTS.name("a") == "a.events.v1"


def test_topics_carry_their_version_and_compacted_ones_keep_the_latest_for_ever() -> None:
    assert len({topic.suffix for topic in ALL_TOPICS}) == len(ALL_TOPICS)
    for topic in ALL_TOPICS:
        assert re.fullmatch(r"[a-z-]+\.v\d+", topic.suffix)
        assert topic.configs()["cleanup.policy"] == topic.cleanup
        if topic.cleanup == "compact":
            assert topic.configs()["retention.ms"] == "-1"
    assert Topics.INVENTORY.configs()["retention.ms"] == str(7 * 86_400_000)


def test_what_an_erasure_takes_out_of_compacted_topics_is_gone_within_a_day() -> None:
    """The erasures themselves stay: they are what keeps a replay from bringing anybody back."""
    named = {Topics.EVIDENCE, Topics.LINK_HISTORY, Topics.QUARANTINE, Topics.VERDICTS}
    assert {topic for topic in ALL_TOPICS if topic.compact_within_ms is not None} == named
    for topic in named:
        configs = topic.configs()
        assert configs["max.compaction.lag.ms"] == configs["segment.ms"] == str(86_400_000)


def test_what_is_kept_for_a_time_stays_a_day_longer_at_most() -> None:
    """Brokers delete whole segments, by default of a week: a watch would stay for eight days."""
    kept = [topic for topic in ALL_TOPICS if topic.retention_ms is not None]
    assert Topics.RECEIPTS in kept
    for topic in kept:
        segment_ms = int(topic.configs()["segment.ms"])
        assert 0 < segment_ms <= min(DAY_MS, (topic.retention_ms or 0) // 12)


def test_one_identifiers_events_and_outcomes_come_from_as_many_partitions() -> None:
    """Their watermarks are kept apart; equal counts keep both with one worker."""
    assert Topics.EVENTS.partitions == Topics.OUTCOMES.partitions
