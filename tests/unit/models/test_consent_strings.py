"""Consent strings: read as written, closed where broken, bounded where hostile."""

import string
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.consent_strings import (
    LONGEST_CHARS,
    RestrictionKind,
    Vendors,
    decode_canada_string,
    decode_tc_string,
    decode_us_section,
    is_opted_out,
    sections_of,
)
from models.consent_strings.us_sections import US_SECTIONS
from tests.fakes.consent_strings import (
    Restricted,
    Told,
    base64url,
    bit,
    canada_string,
    fibonacci,
    gpp_string,
    tc_string,
    us_section,
    vendor_ranges,
)

PURPOSES = st.lists(st.integers(1, 24), unique=True)
VENDORS = st.lists(st.integers(1, 2_000), unique=True, max_size=40)
INTERVALS = st.lists(
    st.tuples(st.integers(1, 65_000), st.integers(0, 500)).map(lambda one: (one[0], sum(one))),
    max_size=5,
).map(tuple)
TOLD = st.builds(
    Told,
    consents=PURPOSES,
    interests=PURPOSES,
    vendors=VENDORS,
    vendor_interests=VENDORS,
    restrictions=st.lists(
        st.builds(
            Restricted, purpose=st.integers(0, 63), kind=st.integers(0, 3), vendors=INTERVALS
        ),
        max_size=4,
    ),
    disclosed=st.none() | VENDORS,
    as_ranges=st.booleans(),
    updated_ms=st.integers(0, 2**36 - 1).map(lambda deciseconds: deciseconds * 100),
    policy_version=st.integers(0, 63),
    special_features=st.lists(st.integers(1, 12), unique=True),
)
BASE64URL = st.text(string.ascii_letters + string.digits + "-_.~", max_size=200)
JUNK = st.text(max_size=60) | BASE64URL


def members(vendors: Vendors | None) -> set[int] | None:
    return None if vendors is None else {one for one in range(1, 2_100) if one in vendors}


def numbers(bits: str) -> set[int]:
    return {number for number, bit in enumerate(bits, 1) if bit == "1"}


# -- TCF ----------------------------------------------------------------------------------------


@given(TOLD)
def test_r3_what_a_tc_string_was_told_it_says(told: Told) -> None:
    """R3, R4: all that a decision rests on, in both encodings of vendors."""
    tc = decode_tc_string(tc_string(told))
    assert tc is not None
    assert numbers(tc.purpose_consents) == set(told.consents)
    assert numbers(tc.purpose_interests) == set(told.interests)
    assert numbers(tc.special_features) == set(told.special_features)
    assert members(tc.vendor_consents) == set(told.vendors)
    assert members(tc.vendor_interests) == set(told.vendor_interests)
    assert members(tc.disclosed) == (None if told.disclosed is None else set(told.disclosed))
    assert (tc.last_updated_ms, tc.policy_version) == (told.updated_ms, told.policy_version)
    assert len(tc.restrictions) == len(told.restrictions)
    for one, wanted in zip(tc.restrictions, told.restrictions, strict=True):
        assert (one.purpose, one.kind) == (wanted.purpose, wanted.kind)
        for first, last in wanted.vendors:
            assert first in one.vendors
            assert last in one.vendors


@given(TOLD, st.data())
def test_r3_a_tc_string_that_is_cut_off_is_none(told: Told, data: st.DataObject) -> None:
    """R3: a truncated string is no consent, not a shorter list of vendors."""
    core, *segments = tc_string(told).split(".")
    cut = core[: data.draw(st.integers(0, len(core) - 1))]
    assert decode_tc_string(".".join([cut, *segments])) is None


@given(st.lists(st.integers(1, 2_000), unique=True, min_size=1), st.booleans(), st.data())
def test_r3_a_list_of_disclosed_vendors_that_is_cut_off_makes_the_string_none(
    disclosed: list[int], as_ranges: bool, data: st.DataObject
) -> None:
    """R3: who was told is not guessed from half a list."""
    core, segment = tc_string(Told(disclosed=disclosed, as_ranges=as_ranges)).split(".")
    cut = segment[: data.draw(st.integers(1, len(segment) - 1))]
    assert decode_tc_string(f"{core}.{cut}") is None


@pytest.mark.parametrize("version", [0, 1, 3, 63])
def test_r3_a_tc_string_of_another_version_is_none(version: int) -> None:
    """R3: version 1 has been out of use since 2020."""
    assert decode_tc_string(tc_string(Told(version=version))) is None


def test_r3_the_restrictions_of_one_vendor_are_those_that_name_it() -> None:
    """R4: for the purpose and the vendor, and no other."""
    only = Restricted(3, RestrictionKind.NOT_ALLOWED, ((700, 712), (800, 900)))
    other = Restricted(4, RestrictionKind.REQUIRE_CONSENT, ((1, 711), (713, 65_535)))
    tc = decode_tc_string(tc_string(Told(restrictions=[only, other])))
    assert tc is not None
    assert tc.said_of(712).demands == {3: {RestrictionKind.NOT_ALLOWED}}
    assert tc.said_of(713).demands == {4: {RestrictionKind.REQUIRE_CONSENT}}
    assert tc.said_of(800).demands.keys() == {3, 4}


@pytest.mark.parametrize(
    ("interval", "is_read"), [((5, 5), True), ((5, 6), True), ((6, 5), False), ((0, 5), False)]
)
def test_r3_a_range_that_cannot_be_makes_the_string_none(
    interval: tuple[int, int], is_read: bool
) -> None:
    """R3: no repair of what an encoder got wrong."""
    made = tc_string(Told(restrictions=[Restricted(3, 0, (interval,))]))
    assert (decode_tc_string(made) is not None) == is_read


def test_r3_a_range_above_the_highest_vendor_makes_the_string_none() -> None:
    """R3: the two do not agree, so one of them is wrong."""
    core = tc_string(Told(as_ranges=True, disclosed=None))
    bits = "".join(bit(one, 6) for one in map(ALPHABET.index, core))
    assert decode_tc_string(base64url(bits)) is not None
    lower = bits[:213] + bit(711, 16) + bits[229:]
    assert decode_tc_string(base64url(lower)) is None


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


# -- GPP ----------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(1, 2_000), st.text(ALPHABET + ".", min_size=1), max_size=12))
def test_r7_a_gpp_string_gives_its_sections_back(sections: dict[int, str]) -> None:
    """R7: ids in Fibonacci's code, single or in ranges."""
    assert sections_of(gpp_string(sections)) == sections


@pytest.mark.parametrize(
    "text",
    [
        "", "~", "DBAA~1YNN", "DBABTA", "DBABTA~1YNN~1YNN", "DBABT", "EBABTA~1YNN", "DAABTA~1YNN",
        "1YNN", "DB", "DBABTA~1YNN" + "~x" * 70,
    ],
)  # fmt: skip
def test_r7_a_header_that_does_not_match_the_sections_is_not_read(text: str) -> None:
    """R7: the count, the type, the version and the end of the header are checked."""
    assert sections_of(text) is None


@pytest.mark.parametrize("section", sorted(US_SECTIONS))
@given(data=st.data())
def test_r7_a_section_of_the_united_states_is_read_digit_by_digit(
    section: int, data: st.DataObject
) -> None:
    """R7, R8: whatever stands in its fields, and whether the control is on."""
    version = data.draw(st.sampled_from([1, 2] if section == 7 else [1]))
    known = decode_us_section(section, us_section("0" * 60, version=version))
    assert known is not None
    width = max(place.stop for place in known.layout.values())
    values = data.draw(st.text("0123", min_size=width, max_size=width))
    has_control = section not in {25, 26, 27}
    gpc = data.draw(st.sampled_from([None, False, True] if has_control else [None]))
    read = decode_us_section(section, us_section(values, version=version, gpc=gpc))
    assert read is not None
    assert "".join(read.values(field) for field in read.layout) == values
    assert read.is_gpc == bool(gpc)
    assert read.values("NoSuchField") == ""
    # Characters have three values each, so a shorter text may still have all of them.
    short = us_section(values, version=version)[: 1 + (width - 1) // 3]
    assert decode_us_section(section, short) is None


@pytest.mark.parametrize("section", [0, 1, 2, 5, 6, 28, 99])
def test_r7_a_section_that_is_not_known_is_not_read(section: int) -> None:
    """R7: new states are closed until their layout is known."""
    assert decode_us_section(section, us_section("0" * 60)) is None


@pytest.mark.parametrize(("section", "version"), [(7, 3), (8, 2), (9, 0), (26, 2)])
def test_r7_a_version_that_is_not_known_is_not_read(section: int, version: int) -> None:
    """R7: another version may mean other fields."""
    assert decode_us_section(section, us_section("0" * 60, version=version)) is None


@pytest.mark.parametrize(
    "broken", ["BAAAAAAAAAAAA.", "BAAAAAAAAAAAA.?", "BAAAA AAAAAAA", "B٣٣٣٣٣٣٣٣٣٣"]
)
def test_r7_a_section_with_a_character_of_no_value_is_not_read(broken: str) -> None:
    """R7: nothing is skipped."""
    assert decode_us_section(8, broken) is None


@pytest.mark.parametrize(
    ("bits", "is_gpc"), [("010000", False), ("011000", True), ("011111", True)]
)
def test_r8_the_control_is_one_bit_behind_the_type(bits: str, is_gpc: bool) -> None:
    """R8: whatever fills the character up; other subsections are nothing to it."""
    core = us_section("0" * 30)
    for others in ([bits], ["101111", bits]):
        section = decode_us_section(8, ".".join([core, *map(base64url, others)]))
        assert section is not None
        assert section.is_gpc == is_gpc


def test_r7_sensitive_data_of_a_subsection_stand_beside_the_core() -> None:
    """R7: Indiana, Kentucky and Rhode Island keep them apart."""
    core = us_section("2011112200")
    section = decode_us_section(25, f"{core}.{base64url('01' * 8)}")
    assert section is not None
    assert section.values("SensitiveDataProcessing") == "1" * 8
    assert decode_us_section(25, f"{core}.{base64url('01' * 3)}") is None


# -- Canada, US Privacy -------------------------------------------------------------------------


@given(PURPOSES, VENDORS)
def test_r7_canadas_section_says_what_it_was_told(purposes: list[int], vendors: list[int]) -> None:
    """R7: express consent; restrictions are there or, in its first edition, not."""
    for edition in (canada_string(purposes, vendors), canada_string(purposes, vendors, None)):
        canada = decode_canada_string(edition)
        assert canada is not None
        assert numbers(canada.express_purposes) == set(purposes)
        assert members(canada.express_vendors) == set(vendors)


def test_r7_canadas_consent_ends_where_the_publisher_restricts_it() -> None:
    """R7, R4: whatever is demanded; implied consent is not relied upon."""
    canada = decode_canada_string(canada_string(restrictions=[(3, 2, (700, 712)), (4, 0, (1,))]))
    assert canada is not None
    assert [canada.has_consent(purpose, 712) for purpose in (2, 3, 4)] == [True, False, True]


@given(VENDORS, VENDORS, PURPOSES)
@example([7, 1675], [], [])
def test_r7_canadas_vendors_in_the_encoding_of_tcf_name_nobody(
    express: list[int], implied: list[int], purposes: list[int]
) -> None:
    """R7: older encoders wrote so; read in the wrong code they could name anybody."""
    head = "".join(bit(ALPHABET.index(one), 6) for one in canada_string(purposes))[:199]
    text = base64url(head + vendor_ranges(express) + vendor_ranges(implied) + bit(0, 12))
    canada = decode_canada_string(text)
    if canada is not None:
        assert members(canada.express_vendors) == set(express) == set()


@pytest.mark.parametrize("behind", ["000001", "0" * 24])
def test_r7_what_stands_behind_canadas_lists_is_padding_or_the_section_is_not_read(
    behind: str,
) -> None:
    """R7: what is left over says that something was misread."""
    assert decode_canada_string(canada_string()) is not None
    bits = "".join(bit(ALPHABET.index(one), 6) for one in canada_string())
    assert decode_canada_string(base64url(bits + behind)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1YNN", False), ("1---", False), ("1-N-", False), ("1YYN", True), ("1yyn", True),
        ("1NYN", True), ("", None), ("1", None), ("1Y", None), ("2YNN", None), ("1YXN", None),
        ("1YNNN", None), ("1YN", None), ("null", None), (" 1YN", None),
    ],
)  # fmt: skip
def test_r6_the_third_character_is_the_opt_out_and_other_texts_say_nothing(
    text: str, said: bool | None
) -> None:
    """R6: version 1, four characters."""
    assert is_opted_out(text) is said


# -- hostile texts ------------------------------------------------------------------------------


@given(JUNK)
def test_r3_r7_junk_is_none_and_never_an_error(text: str) -> None:
    """R3, R7: nothing that can be sent raises."""
    for decode in (decode_tc_string, decode_canada_string, sections_of, is_opted_out):
        decode(text)
    for section in US_SECTIONS:
        decode_us_section(section, text)


@given(st.sampled_from(["C", "BQuhuiPP3tAUAAAAAAENAACAAf_AAAAAAA", "DBAC"]), BASE64URL)
def test_r3_r7_what_begins_well_and_goes_on_as_junk_is_never_an_error(
    start: str, rest: str
) -> None:
    """R3, R7: the depths of each decoder."""
    for decode in (decode_tc_string, decode_canada_string, sections_of):
        decode(start + rest)


HOSTILE = [
    tc_string(Told())[:35] + "_" * (LONGEST_CHARS - 35),
    tc_string(Told(restrictions=[Restricted(1, 0, ((1, 2),) * 1_400)])),
    tc_string(Told(restrictions=[Restricted(1, 0, ())] * 2_000)),
    gpp_string({2: "x"})[:4] + "_" * 8_000,
    "D" * LONGEST_CHARS,
    "~" * LONGEST_CHARS,
    "." * LONGEST_CHARS,
    base64url(bit(3, 6) + bit(1, 6) + bit(1, 12) + "1" + fibonacci(1) + fibonacci(70_000)) + "~x",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_work_for_a_hostile_string_is_bounded(text: str) -> None:
    """R3, R7: by its length; 1.5 ms were measured for the worst, other machines may take longer."""
    started = time.process_time()
    for decode in (decode_tc_string, decode_canada_string, sections_of):
        decode(text)
    assert time.process_time() - started < 0.1


def test_a_string_that_is_too_long_is_not_read_at_all() -> None:
    """R3, R7: also one that would be right."""
    long = Told(restrictions=[Restricted(1, 0, ((1, 2),) * 1_500)])
    assert len(tc_string(long)) > LONGEST_CHARS
    assert decode_tc_string(tc_string(long)) is None
    assert sections_of(gpp_string({2: "x" * LONGEST_CHARS})) is None
    assert decode_us_section(7, us_section("0" * 600)) is None
