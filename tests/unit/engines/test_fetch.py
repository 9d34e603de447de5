from pathlib import Path

import pytest

from kinbid.engines import fetch
from kinbid.engines.installed import KAFKA_FOLDER, apache_kafka_version, find_apache_kafka

FAKE_MAVEN = """#!/bin/sh
for argument in "$@"; do
  case "$argument" in -DoutputDirectory=*) lib="${argument#*=}" ;; esac
done
mkdir -p "$lib" && touch "$lib/kafka_2.13-0.jar"
echo "$@" >> "$(dirname "$0")/calls"
"""
BROKEN_MAVEN = "#!/bin/sh\necho '[ERROR] no route to the repository'\necho more\nexit 1\n"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands before PATH; Java looks new enough, and Debian's packages present."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(fetch, "java_major", lambda: 17)
    monkeypatch.setattr(fetch, "missing_packages", list)
    return folder


def install(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_the_jars_are_fetched_once_and_found_afterwards(tmp_path: Path, programs: Path) -> None:
    install(programs, "mvn", FAKE_MAVEN)
    assert find_apache_kafka(tmp_path) is None
    assert "is now in" in fetch.fetch_apache_kafka(tmp_path)
    lib = find_apache_kafka(tmp_path)
    assert lib == tmp_path / KAFKA_FOLDER / "lib"
    assert "is in" in fetch.fetch_apache_kafka(tmp_path)
    assert len((programs / "calls").read_text().splitlines()) == 1
    assert [path.name for path in (tmp_path / KAFKA_FOLDER).iterdir()] == ["lib"]


def test_jars_of_another_version_are_fetched_anew(tmp_path: Path, programs: Path) -> None:
    install(programs, "mvn", FAKE_MAVEN)
    lib = tmp_path / KAFKA_FOLDER / "lib"
    lib.mkdir(parents=True)
    (lib / "complete").write_text("3.0.0\n")
    (lib / "kafka_2.13-3.0.0.jar").touch()
    assert find_apache_kafka(tmp_path) is None
    fetch.fetch_apache_kafka(tmp_path)
    assert find_apache_kafka(tmp_path) == lib
    assert not (lib / "kafka_2.13-3.0.0.jar").exists()


def test_a_failed_download_names_its_reason_and_leaves_nothing(
    tmp_path: Path, programs: Path
) -> None:
    install(programs, "mvn", BROKEN_MAVEN)
    with pytest.raises(fetch.FetchError, match=r"mvn failed with code 1: \[ERROR\] no route"):
        fetch.fetch_apache_kafka(tmp_path)
    assert list((tmp_path / KAFKA_FOLDER).iterdir()) == []


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_failed_download_fails_the_command_in_ci_only(
    tmp_path: Path,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ci: str,
    code: int,
) -> None:
    install(programs, "mvn", BROKEN_MAVEN)
    monkeypatch.setenv("CI", ci)
    monkeypatch.chdir(tmp_path)
    assert fetch.main() == code
    assert "the tests that need it are skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("major", "sentence"),
    [(None, "Java is not installed: system tests"), (11, "Java 11 is too old"), (21, "Maven is")],
)
def test_what_is_missing_is_told_in_a_sentence_and_is_no_failure(
    tmp_path: Path,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    major: int | None,
    sentence: str,
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(fetch, "java_major", lambda: major)
    monkeypatch.chdir(tmp_path)
    assert fetch.main() == 0
    output = capsys.readouterr().out
    assert sentence in output
    assert "embedded broker" in output


def test_without_rights_missing_packages_are_told_with_what_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "missing_packages", lambda: ["prometheus"])
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (sentence,) = fetch.install_packages()
    assert sentence == "prometheus is missing: the checks of Prometheus rules will be skipped."


def test_packages_are_installed_with_their_daemons_off(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    install(programs, "apt-get", f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{policy}\necho $?\n')
    answers = iter([["prometheus"], []])
    monkeypatch.setattr(fetch, "missing_packages", lambda: next(answers))
    monkeypatch.setattr(fetch, "POLICY", policy)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "are installed" in fetch.install_packages()[0]
    update, installation = (tmp_path / "calls").read_text().splitlines()
    assert update.startswith("update")
    assert installation.startswith("install -y")
    assert installation.endswith("prometheus")
    assert not policy.exists()


def test_a_policy_that_exists_already_stays_as_it_is(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    with fetch.daemons_stay_off(policy):
        assert policy.read_text().endswith("exit 0\n")
    assert policy.exists()


def test_daemons_are_held_back_only_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with fetch.daemons_stay_off(policy):
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()


def test_the_pom_names_a_version() -> None:
    assert apache_kafka_version().count(".") == 2
