"""Catalogue files: what marketers write, and what they are told when it is wrong."""

from pathlib import Path

import pytest

import kinbid
from kinbid.catalog_file import (
    CatalogFileError,
    changes,
    check_references,
    read_catalog_file,
    without,
)
from models.catalog_records import (
    Advertiser,
    Campaign,
    Condition,
    Creative,
    Exchange,
    Segment,
    record_key,
)
from models.errors import InvalidFieldError, UnknownNameError
from models.templates import SLOTS, parse_template

DEMO = Path(kinbid.__file__).with_name("demo.toml")

SEGMENT = """
[[segment]]
id = "air/prospect"
advertiser = "air"
target_cpa = 12.50
caps = [{ impressions = 5, window_seconds = 86400 }]
creative_set = "prospect"
"""
CREATIVE = """
[[creative]]
id = "c"
campaign = "seats"
sizes = [[300, 250]]
html = "{fare}"
click_url = "https://air.example/"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "catalogue.toml"
    path.write_text(text)
    return path


def test_the_demos_catalogue_reads_and_its_references_check() -> None:
    records = {record_key(record): record for record in read_catalog_file(DEMO)}
    check_references(records)
    kinds = [type(record) for record in records.values()]
    assert (kinds.count(Advertiser), kinds.count(Exchange), kinds.count(Segment)) == (2, 3, 4)
    assert (kinds.count(Campaign), kinds.count(Creative)) == (3, 14)


def test_the_demos_creatives_use_only_slots_that_their_campaign_fills() -> None:
    records = {record_key(record): record for record in read_catalog_file(DEMO)}
    for record in records.values():
        if isinstance(record, Creative):
            campaign = records[f"campaign/{record.campaign}"]
            assert isinstance(campaign, Campaign)
            for field, text in record.templates():
                parse_template(text, field, SLOTS[campaign.goal])


def test_money_is_written_in_units_and_read_exactly(tmp_path: Path) -> None:
    (segment,) = read_catalog_file(written(tmp_path, SEGMENT + "mean_value = 0.1\n"))
    assert isinstance(segment, Segment)
    assert (segment.target_cpa_micros, segment.mean_value_micros) == (12_500_000, 100_000)


def test_limits_of_money_in_a_condition_are_in_units_and_all_others_are_as_written(
    tmp_path: Path,
) -> None:
    when = """
when = [
    { feature = "average_order", at_least = 50.5, at_most = 100 },
    { feature = "days_to_departure", at_most = 7 },
    { feature = "tier", one_of = ["gold"] },
]
"""
    (record,) = read_catalog_file(written(tmp_path, SEGMENT + when))
    assert isinstance(record, Segment)
    assert record.when == (
        Condition(feature="average_order", at_least=50_500_000, at_most=100_000_000),
        Condition(feature="days_to_departure", at_most=7),
        Condition(feature="tier", one_of=("gold",)),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SEGMENT.replace("[[segment]]", "[[segmnt]]"), r"unknown table 'segmnt'.*'segment'"),
        (SEGMENT.replace("[[segment]]", "[segment]"), r"write \[\[segment\]\] instead of"),
        (
            SEGMENT.replace("target_cpa", "target_cpq"),
            r"\[\[segment\]\] 1 \(air/prospect\): unknown field 'target_cpq'.*'target_cpa'",
        ),
        (
            SEGMENT.replace("caps", "cpas"),
            r"unknown field 'cpas'.*'caps'",
        ),
        (SEGMENT.replace("12.50", '"lots"'), "target_cpa: 'lots' is not an amount of money"),
        (SEGMENT.replace("12.50", "-1"), "target_cpa: '-1' is not an amount"),
        (SEGMENT.replace("12.50", "0.0000001"), "at most six decimals"),
        (SEGMENT.replace("12.50", "nan"), "target_cpa: 'nan' is not an amount"),
        (SEGMENT.replace("12.50", "inf"), "target_cpa"),
        (SEGMENT.replace("12.50", "true"), "target_cpa: 'True' is not an amount"),
        (SEGMENT.replace("= 5", '= "five"'), r"caps\[0\]\.impressions"),
        (SEGMENT.replace("= 5", "= 65"), "caps: impressions: 65 is not from 1 to 64"),
        (SEGMENT.replace("impressions", "impresions"), "caps\\[0\\]"),
        (SEGMENT + "spacing_seconds = -1", "spacing_seconds: -1 is not from 1"),
        (
            SEGMENT + "cap_adjustments = [{ when = 'days_to_departure', add = 1 }]",
            "cap_adjustments: 'days_to_departure' is not used with at_least",
        ),
        (SEGMENT.replace("86400", "0"), "caps: window_seconds: 0 is not"),
        (SEGMENT.replace('id = "air/prospect"', ""), r"\(without id\)"),
        (SEGMENT.replace('"air/prospect"', '"prospect"'), "of the form air/NAME"),
        (CREATIVE.replace("{fare}", "{fair}"), r"unknown slot in .*html 'fair'.*'fare'"),
        (CREATIVE.replace("https:", "http:"), "is not an https address"),
        ("x = 1", r"unknown table 'x'"),
        ("[[", "not a TOML file"),
    ],
)
def test_what_is_wrong_is_told_with_place_name_and_fix(
    tmp_path: Path, text: str, told: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CatalogFileError, match=told) as caught:
        read_catalog_file(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there_or_no_text_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CatalogFileError, match="cannot be read"):
        read_catalog_file(tmp_path / "absent.toml")
    with pytest.raises(CatalogFileError, match="cannot be read"):
        read_catalog_file(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff")
    with pytest.raises(CatalogFileError, match="not a TOML file"):
        read_catalog_file(binary)


def test_a_reference_to_what_is_not_there_names_both_and_what_there_is(tmp_path: Path) -> None:
    (segment,) = read_catalog_file(written(tmp_path, SEGMENT))
    with pytest.raises(
        InvalidFieldError, match="segment/air/prospect: advertiser: 'air' is not one of none"
    ):
        check_references({"segment/air/prospect": segment})
    (creative,) = read_catalog_file(written(tmp_path, CREATIVE))
    records = {record_key(record): record for record in read_catalog_file(DEMO)}
    with pytest.raises(
        InvalidFieldError, match="creative/c: campaign: 'seats' is not one of air-seats"
    ):
        check_references(records | {"creative/c": creative})


def test_only_what_is_new_or_differs_is_published(tmp_path: Path) -> None:
    before = {record_key(record): record for record in read_catalog_file(DEMO)}
    assert changes(before, read_catalog_file(DEMO)) == []
    text = DEMO.read_text().replace("target_cpa = 12.50", "target_cpa = 13.00")
    (changed,) = changes(before, read_catalog_file(written(tmp_path, text)))
    assert record_key(changed) == "segment/airline/prospect"


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("when = 5", "when: write a list, not a whole number"),
        ('when = [{ feature = "order", at_least = 1 }]',
         "when[0].feature: 'order' is not one of average_order, days_"),
        ('when = [{ feature = "orders", at_last = 1 }]',
         "unknown field of when[0] 'at_last'; did you mean 'at_least'?"),
        ('when = [{ feature = "orders", at_least = nan }]', "at_least: nan is not a number"),
        ('when = [{ feature = "orders", at_least = "3" }]', "when[0].at_least: write a number"),
        ('channels_off = ["tv"]', "channels_off[0]: 'tv' is not one of app, audio, banner, dooh"),
        ('silences = [{ action = "open", window_seconds = 5 }]',
         "is not one of clicked, opened, received"),
        ('cap_adjustments = [{ when = "departure", at_most = 7, add = 1 }]',
         "is not one of customer_value, days_to_departure"),
        ("spacing_seconds = true", "spacing_seconds: write a whole number, not true or false"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_the_field_and_what_would_be_right(
    tmp_path: Path, field: str, sentence: str
) -> None:
    with pytest.raises(CatalogFileError) as told:
        read_catalog_file(written(tmp_path, f"{SEGMENT}{field}\n"))
    assert sentence in str(told.value)
    assert "[[segment]] 1 (air/prospect)" in str(told.value)


def test_what_is_missing_is_named_as_files_write_it(tmp_path: Path) -> None:
    text = SEGMENT.replace("target_cpa = 12.50\n", "")
    with pytest.raises(CatalogFileError, match=r": target_cpa is missing$"):
        read_catalog_file(written(tmp_path, text))


def test_a_tracker_that_is_none_is_told_with_those_that_are(tmp_path: Path) -> None:
    text = CREATIVE.replace('html = "{fare}"\n', "").replace("sizes = [[300, 250]]\n", "")
    video = (
        '[creative.video]\ntitle = "x"\nduration_seconds = 5\n'
        'media = [{ mime = "video/mp4", url = "https://c.example/a.mp4", w = 1, h = 1 }]\n'
        '[creative.video.trackers]\ncompleted = ["https://t.example/"]\n'
    )
    with pytest.raises(
        CatalogFileError, match=r"video\.trackers: 'completed' is not one of complete, "
    ):
        read_catalog_file(written(tmp_path, text + video))


def test_a_record_that_stands_in_a_file_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogFileError, match="segment/air/prospect stands there twice"):
        read_catalog_file(written(tmp_path, SEGMENT + SEGMENT))


@pytest.mark.parametrize("name", ["", " seats", "seats\\n", "air/seats"])
def test_an_id_that_nobody_could_write_is_refused(tmp_path: Path, name: str) -> None:
    text = (
        f'[[campaign]]\nid = "{name}"\nadvertiser = "air"\ngoal = "flight"\nsegments = ["air/a"]\n'
    )
    with pytest.raises(CatalogFileError, match=r"id: .* is not a name without"):
        read_catalog_file(written(tmp_path, text))


def test_what_is_withdrawn_is_named_by_nobody_who_stays() -> None:
    records = {record_key(record): record for record in read_catalog_file(DEMO)}
    with pytest.raises(
        InvalidFieldError,
        match=r"'air-brand' is not there any more, but used: withdraw creative/air-brand",
    ):
        without(records, ["campaign/air-brand"])
    own = [key for key, one in records.items() if getattr(one, "campaign", "") == "air-brand"]
    left = without(records, ["campaign/air-brand", *own])
    assert records.keys() - left.keys() == {"campaign/air-brand", *own}
    with pytest.raises(UnknownNameError, match="did you mean 'campaign/air-brand'"):
        without(records, ["campaign/air-bran"])
