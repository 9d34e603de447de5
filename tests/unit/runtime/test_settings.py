"""Settings: where each value comes from, and how a wrong one is told."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.consent_strings import TcfVendor
from models.errors import InvalidFieldError, KinbidError, UnknownNameError
from models.identifiers import NodeId
from runtime.settings import (
    OPTIONAL_SECRETS,
    SECRETS,
    Settings,
    SettingsError,
    as_environment,
    load,
    masked,
    require_secrets,
)

SECRET = "do not print this"


def toml(folder: Path, text: str) -> Path:
    path = folder / "kinbid.toml"
    path.write_text(text)
    return path


def test_default_running_stack_file_and_environment_in_this_order(tmp_path: Path) -> None:
    path = toml(tmp_path, 'seat = "file"\nowner = "file"\n')
    running = {"seat": "running", "owner": "running", "currency": "EUR"}
    loaded = load(path, {"KINBID_SEAT": "environment"}, running=running)
    settings, sources = loaded.settings, loaded.sources
    assert (settings.seat, sources["seat"]) == ("environment", "environment")
    assert (settings.owner, sources["owner"]) == ("file", str(path))
    assert (settings.currency, sources["currency"]) == ("EUR", "running stack")
    assert (settings.bidder_port, sources["bidder_port"]) == (8080, "default")
    assert sources.keys() == set(Settings.__struct_fields__)


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    path = toml(tmp_path, "bidder_workers = 3")
    assert load(None, {"KINBID_CONFIG": str(path)}).settings.bidder_workers == 3
    other = tmp_path / "other.toml"
    other.write_text("bidder_workers = 4")
    assert load(other, {"KINBID_CONFIG": str(path)}).settings.bidder_workers == 4


def test_a_name_that_does_not_exist_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"in environment.*'bidder_prt'.*'bidder_port'"):
        load(None, {"KINBID_BIDDER_PRT": "1"})
    path = toml(tmp_path, 'redis_ulr = "redis://x"')
    with pytest.raises(UnknownNameError, match=r"kinbid\.toml.*'redis_ulr'.*'redis_url'"):
        load(path, {})


def test_types_of_identifiers_have_limits_of_their_own() -> None:
    told = {"KINBID_IDENTITY_TYPE_LINKS": "phone=20, crm=1000", "KINBID_IDENTITY_DEVICE_LINKS": "3"}
    limits = load(None, told).settings.limits
    nodes = {letter: NodeId(letter + "a" * 22) for letter in "pcek"}
    assert {letter: limits.links(node) for letter, node in nodes.items()} == {
        "p": 20, "c": 1000, "e": 300, "k": 3,
    }  # fmt: skip


def test_patience_with_streams_is_no_longer_than_redis_keeps_what_it_needs() -> None:
    with pytest.raises(KinbidError, match="at most 60"):
        load(None, {"KINBID_STREAMS_PATIENCE_SECONDS": "61"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("phone", "'phone' is not NAMESPACE=NUMBER"),
        ("phone=0", "'phone=0' is not NAMESPACE=NUMBER"),
        ("phon=5", "did you mean 'phone'"),
    ],
)
def test_a_limit_that_cannot_be_read_is_told_with_the_right_form(text: str, wanted: str) -> None:
    with pytest.raises(KinbidError, match=wanted):
        load(None, {"KINBID_IDENTITY_TYPE_LINKS": text})


def test_r4_our_entry_in_the_vendor_list_is_told_by_settings() -> None:
    """R3, R4: id, bases and features; none of it unless told."""
    told = {
        "KINBID_TCF_VENDOR_ID": "712", "KINBID_TCF_INTEREST_PURPOSES": "2, 7",
        "KINBID_TCF_FLEXIBLE_PURPOSES": "7,", "KINBID_TCF_FEATURES": "1,2",
    }  # fmt: skip
    assert load(None, told).settings.tcf_vendor == TcfVendor(
        id=712,
        interest_purposes=frozenset({2, 7}),
        flexible_purposes=frozenset({7}),
        features=frozenset({1, 2}),
    )
    assert Settings().tcf_vendor == TcfVendor()


@pytest.mark.parametrize("name", ["KINBID_RUN_FILE", "PATH", "kinbid_seat"])
def test_other_variables_are_no_settings(name: str) -> None:
    assert load(None, {name: "x"}).settings == Settings()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("BIDDER_PORT", "http", "a whole number"),
        ("BIDDER_PORT", "", "a whole number"),
        ("BIDDER_PORT", "70000", "a port, 0 to 65535"),
        ("STREAMS_ADMIN_PORT", "-1", "a port, 0 to 65535"),
        ("BIDDER_WORKERS", "0", "1 or more"),
        ("CAP_EXACT_MARGIN", "-1", "0 or more"),
        ("TCF_VENDOR_ID", "-1", "0 or more"),
        ("TCF_VENDOR_ID", "70000", "a vendor id, up to 65535"),
        ("TCF_FEATURES", "1,4", "numbers with commas between, of 1, 2, 3"),
        ("TCF_FEATURES", "one", "numbers with commas between, of 1, 2, 3"),
        ("TCF_FLEXIBLE_PURPOSES", "1", "numbers with commas between, of 2, 7, 8, 9, 10, 11"),
        ("TCF_INTEREST_PURPOSES", "2,3", "numbers with commas between, of 2, 7, 8, 9, 10, 11"),
        ("PHONE_REGION", "Russia", "a country of ISO 3166, such as US"),
        ("KAFKA_IDEMPOTENCE", "perhaps", "true or false"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_what_would_be_right(
    name: str, value: str, wanted: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        load(None, {f"KINBID_{name}": value})
    assert str(caught.value) == f"{name.lower()}: {_read(name, value)} is not {wanted}"


def _read(name: str, value: str) -> str:
    is_text = name in {"LOG_LEVEL", "PHONE_REGION"} or name.endswith(("PURPOSES", "FEATURES"))
    is_number = not is_text and value.lstrip("-").isdigit()
    return value if is_number else repr(value)


def test_a_wrong_type_in_the_file_is_told_and_a_secret_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError, match="seat: 5 is not a text"):
        load(toml(tmp_path, "seat = 5"), {})
    with pytest.raises(InvalidFieldError, match=r"bidder_port: \[1\] is not a whole number"):
        load(toml(tmp_path, "bidder_port = [1]"), {})
    with pytest.raises(InvalidFieldError, match=r"notice_secret: '\(hidden\)' is not a text"):
        load(toml(tmp_path, "notice_secret = 12345678"), {})


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: cannot be read \(No such file"):
        load(tmp_path / "absent.toml", {})
    with pytest.raises(SettingsError, match="not a TOML file"):
        load(toml(tmp_path, "seat ="), {})
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not a TOML file"):
        load(binary, {})


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("identity_pepper", SECRET, "(set)"),
        ("notice_secret", SECRET, "(set)"),
        ("notice_secret", "", "(not set)"),
        ("redis_url", f"redis://:{SECRET}@host:6379/1", "redis://(hidden)@host:6379/1"),
        ("redis_url", f"rediss://user:p@{SECRET}@host/0", "rediss://(hidden)@host/0"),
        ("redis_url", "redis://host:6379/0", "redis://host:6379/0"),
        ("bidder_port", 8080, "8080"),
    ],
)
def test_secrets_and_passwords_are_masked(name: str, value: object, shown: str) -> None:
    assert masked(name, value) == shown


@pytest.mark.parametrize("missing", sorted(SECRETS - OPTIONAL_SECRETS))
def test_a_production_process_names_the_secret_that_it_misses(missing: str) -> None:
    whole = Settings(identity_pepper=SECRET, notice_secret=SECRET)
    require_secrets(whole)
    with pytest.raises(SettingsError, match=rf"{missing} is not set.*KINBID_{missing.upper()}"):
        require_secrets(msgspec.structs.replace(whole, **{missing: ""}))
    with pytest.raises(SettingsError, match=f"{missing} is too short") as caught:
        require_secrets(msgspec.structs.replace(whole, **{missing: "1234567"}))
    assert "1234567" not in str(caught.value)


def test_a_short_secret_in_a_chain_of_peppers_is_told() -> None:
    chain = Settings(identity_pepper=f"{SECRET}, {SECRET} too", notice_secret=SECRET)
    require_secrets(chain)
    for pepper in (f"{SECRET},", f"{SECRET},   short   "):
        with pytest.raises(SettingsError, match="identity_pepper is too short"):
            require_secrets(msgspec.structs.replace(chain, identity_pepper=pepper))


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(
    st.builds(
        Settings,
        owner=texts, redis_url=texts, identity_pepper=texts, seat=texts,
        kafka_idempotence=st.booleans(), bidder_port=st.integers(0, 65_535),
        bidder_workers=st.integers(1, 64), cap_exact_margin=st.integers(0, 64),
    )
)  # fmt: skip
def test_a_child_process_reads_the_same_settings_from_its_environment(settings: Settings) -> None:
    environment = as_environment(settings)
    assert all(isinstance(value, str) for value in environment.values())
    assert load(None, environment).settings == settings
