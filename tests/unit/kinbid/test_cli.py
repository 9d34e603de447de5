"""The command line when it is asked wrongly: a sentence, a name, the right exit code."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

SECRET = "do not print this"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith("KINBID_")}
    return kept | {
        "KINBID_RUN_FILE": str(tmp_path / "run.json"), "COLUMNS": "200", "NO_COLOR": "1",
        "TERM": "dumb",
    }  # fmt: skip


def kinbid(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kinbid", *arguments],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bider"], "Did you mean 'bidder'?"),
        (["bidder", "--bidder-prt", "1"], "--bidder-port"),
        (["segments", "sett"], "set"),
        (["bench", "stream"], "Did you mean 'streams'?"),
        (["bidder", "--bidder-port", "70000"], "--bidder-port"),
        (["bidder", "--workers", "0"], "--workers"),
        (["apply"], "Missing argument"),
        (["links", "--reason", "shard_device"], "'shared_device'"),
        (["links", "approve", "cookie:a"], "Missing argument"),
        (["links", "approv", "cookie:a", "cookie:b"], "approve"),
    ],
)
def test_a_command_or_flag_that_does_not_exist_is_named_with_the_nearest_one(
    environment: dict[str, str], arguments: list[str], told: str
) -> None:
    done = kinbid(environment, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("variables", "arguments", "told", "code"),
    [
        ({}, ["config", "--config", "/absent.toml"], "/absent.toml: cannot be read", 2),
        ({"KINBID_BIDDER_PRT": "1"}, ["config"], "did you mean 'bidder_port'?", 2),
        ({}, ["explain"], "say the FILE of a request, or --receipt ID", 2),
        ({}, ["explain", "x.json", "--receipt", "r"], "or --receipt ID", 2),
        ({}, ["explain", "--receipt", "r", "--at", "noon"], "a time such as 2026", 2),
        ({}, ["receipts", "on"], "say one of --campaign, --exchange and --person", 2),
        ({"KINBID_RECEIPT_FULL_PERCENT": "101"}, ["config"], "from 0 to 100", 2),
        ({"KINBID_RECEIPT_SAMPLE_PERCENT": "nan"}, ["config"], "from 0 to 100", 2),
        ({"KINBID_BIDDER_PORT": "x"}, ["config"], "bidder_port: 'x' is not a whole number", 2),
        ({"KINBID_BIDDER_WORKERS": "0"}, ["config"], "bidder_workers: 0 is not 1 or more", 2),
        ({}, ["bidder"], "identity_pepper is not set", 2),
        ({"KINBID_IDENTITY_PEPPER": "x" * 8}, ["bidder"], "notice_secret is not set", 2),
        ({}, ["apply", "/absent.toml"], "/absent.toml: cannot be read", 1),
        (
            {"KINBID_IDENTITY_PEPPER": "x" * 8, "KINBID_NOTICE_SECRET": "y" * 8},
            ["person", "cokie:abc"], "unknown identifier namespace 'cokie'; did you mean 'cookie'?",
            2,
        ),
        (
            {"KINBID_IDENTITY_PEPPER": "x" * 8}, ["person", "foo:abc"],
            "unknown identifier namespace 'foo'; there are cookie, crm, eid, email,", 2,
        ),
        (
            {"KINBID_IDENTITY_PEPPER": "x" * 8, "KINBID_NOTICE_SECRET": "y" * 8},
            ["person", "abc"], "is not NAMESPACE:VALUE", 2,
        ),
        (
            {"KINBID_IDENTITY_PEPPER": "x" * 8}, ["unlink", "cookie:abc", "cookie: abc "],
            "is not another identifier than 'cookie:abc'", 2,
        ),
        ({}, ["unlink", "cookie:a", "cookie:b"], "give its KINBID_IDENTITY_PEPPER", 2),
        ({}, ["links", "--json", "/absent/x.json"], "--json /absent/x.json: cannot be written", 2),
        ({"KINBID_IDENTITY_PEPPER": "x" * 8}, ["person", "abc", "--history"], "NAMESPACE:VALUE", 2),
        (
            {"KINBID_IDENTITY_PEPPER": "x" * 8, "KINBID_NOTICE_SECRET": "y" * 8},
            ["explain", "/absent.json"], "/absent.json: cannot be read", 2,
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_on_purpose_is_one_sentence_on_standard_error(
    environment: dict[str, str],
    variables: dict[str, str],
    arguments: list[str],
    told: str,
    code: int,
) -> None:
    done = kinbid(environment | variables, *arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert told in done.stderr
    assert done.stderr.startswith("kinbid: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_kafka_that_is_not_there_is_a_sentence(environment: dict[str, str]) -> None:
    done = kinbid(environment | {"KINBID_KAFKA_BOOTSTRAP": "127.0.0.1:1"}, "segments")
    assert done.returncode == 1
    assert "kinbid: Kafka at 127.0.0.1:1 cannot be used" in done.stderr
    assert "Set KINBID_KAFKA_BOOTSTRAP, or kafka_bootstrap in the file of --config." in done.stderr
    assert "`kinbid up` starts it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "given", "told"),
    [
        ("streams", "127.0.0.1:1", "runs here with 127.0.0.1:2"),
        ("segments", "127.0.0.1:1", "runs here with 127.0.0.1:2"),
        ("segments", "127.0.0.1:2", None),
    ],
)
def test_beside_a_running_stack_it_is_said_whose_address_was_tried(
    environment: dict[str, str], command: str, given: str, told: str | None
) -> None:
    stack = {"pid": os.getpid(), "settings": {"kafka_bootstrap": "127.0.0.1:2"}}
    Path(environment["KINBID_RUN_FILE"]).write_bytes(msgspec.json.encode(stack))
    done = kinbid(environment | {"KINBID_KAFKA_BOOTSTRAP": given}, command)
    assert done.returncode == 1
    assert f"kinbid: Kafka at {given} cannot be used" in done.stderr
    assert "KINBID_KAFKA_BOOTSTRAP" in done.stderr
    assert ("runs here" in done.stderr) == (told is not None)
    assert (told or "") in done.stderr


def test_config_shows_every_value_and_its_source_and_no_secret(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "k.toml"
    path.write_text(f'seat = "from-file"\nidentity_pepper = "{SECRET}"\n')
    secrets = {
        "KINBID_NOTICE_SECRET": SECRET, "KINBID_REDIS_URL": f"redis://me:{SECRET}@host:6379/0"
    }  # fmt: skip
    done = kinbid(environment | secrets, "config", "--config", str(path))
    assert done.returncode == 0
    assert done.stderr == ""
    assert SECRET not in done.stdout
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "from-file" in rows["seat"]
    assert str(path) in rows["seat"]
    assert "(set)" in rows["identity_pepper"]
    assert "environment" in rows["notice_secret"]
    assert "redis://(hidden)@host:6379/0" in rows["redis_url"]
    assert "default" in rows["bidder_port"]


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        ([], "bidder streams config segments apply person explain links bench"),
        (["links", "--help"], "approve reject"),
        (["bench"], "streams identity bid-path latency identity-quality"),
    ],
)
def test_without_a_command_the_help_is_shown(
    environment: dict[str, str], arguments: list[str], commands: str
) -> None:
    done = kinbid(environment, *arguments)
    for command in commands.split():
        assert f"│ {command} " in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("kinbid.cli", "benchmarks streams bidder faust aiokafka hiredis numpy uvloop rich"),
        ("kinbid.show_person", "benchmarks streams bidder faust aiokafka hiredis numpy uvloop"),
        ("kinbid.inspect", "benchmarks streams faust numpy uvloop"),
        ("bidder.supervisor", "benchmarks streams faust aiokafka hiredis numpy"),
        ("streams.app", "benchmarks bidder numpy"),
    ],
)
def test_no_command_waits_for_the_imports_of_others(
    environment: dict[str, str], module: str, unwanted: str
) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert not set(unwanted.split()) & set(done.stdout.split())
