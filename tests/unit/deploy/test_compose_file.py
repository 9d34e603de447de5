"""The compose file fits the specification, the settings, the image and the scrape targets."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from runtime.settings import OPTIONAL_SECRETS, Settings, load
from runtime.settings import SECRETS as SECRET_SETTINGS
from tests.unit.deploy.compose_file import (
    COMPOSE_FILE,
    EXAMPLE,
    ROOT,
    SECRETS,
    VARIABLE,
    MissingVariableError,
    compose,
    interpolate,
    kinbid_services,
)

SCHEMA = Path(__file__).with_name("compose-spec.json")


def settings_of(service: dict[str, Any]) -> Settings:
    return load(environment=service["environment"]).settings


def test_the_file_is_valid_under_the_compose_specification() -> None:
    errors = Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(compose())
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_the_schema_refuses_a_misspelt_key() -> None:
    content = compose()
    content["services"]["redis"]["healtcheck"] = {}
    assert not Draft7Validator(json.loads(SCHEMA.read_text())).is_valid(content)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_missing_secret_is_named_and_so_is_the_fix(name: str) -> None:
    for without in ({**SECRETS, name: ""}, {k: v for k, v in SECRETS.items() if k != name}):
        with pytest.raises(MissingVariableError, match=rf"^{name}: .*deploy/\.env\.example"):
            compose(without)


def test_the_example_lists_exactly_the_variables_that_the_file_reads() -> None:
    wanted = {found["name"] for found in VARIABLE.finditer(COMPOSE_FILE.read_text())}
    listed = re.findall(r"^#?([A-Z][A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(wanted)


def test_the_example_holds_no_secret() -> None:
    given = re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert dict(given) == dict.fromkeys(SECRETS, "")


def test_every_kinbid_service_has_settings_that_kinbid_accepts() -> None:
    for service in kinbid_services().values():
        assert settings_of(service).admin_host == "0.0.0.0"


def test_secrets_reach_the_bidders_only() -> None:
    wanted = SECRET_SETTINGS - OPTIONAL_SECRETS
    for name, service in kinbid_services().items():
        settings = settings_of(service)
        given = {secret for secret in wanted if getattr(settings, secret)}
        assert given == (wanted if name.startswith("bidder") else set())


def test_every_service_that_stays_has_a_healthcheck() -> None:
    services = compose()["services"]
    assert {name for name, one in services.items() if "healthcheck" not in one} == {"catalog"}


def test_kinbid_runs_without_rights_on_a_read_only_system() -> None:
    for service in kinbid_services().values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]
        assert service["working_dir"] in service["tmpfs"]
        assert "user" not in service, "the image's own user, which is not root"


def test_whoever_is_waited_for_is_there_and_can_tell_that_it_is_ready() -> None:
    services = compose()["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert services[name]["restart"] == "on-failure"


def test_nobody_needs_a_topic_before_streams_has_made_it() -> None:
    services = compose()["services"]

    def waits_for(name: str) -> set[str]:
        direct = set(services[name].get("depends_on", {}))
        return direct.union(*(waits_for(other) for other in direct))

    assert services["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    for name in ("catalog", "bidder-1", "bidder-2"):
        assert {"streams", "kafka", "redis"} <= waits_for(name)


def test_what_is_mounted_exists_and_every_volume_is_declared() -> None:
    content = compose()
    for service in content["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in content["volumes"]


def test_prometheus_scrapes_the_admin_port_of_every_kinbid_process_that_stays() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {
        target
        for job in config["scrape_configs"]
        for one in job["static_configs"]
        for target in one["targets"]
    }
    wanted = set()
    for name, service in kinbid_services().items():
        settings = settings_of(service)
        if name.startswith("bidder"):
            wanted.add(f"{name}:{settings.bidder_admin_port}")
        elif name == "streams":
            wanted.add(f"{name}:{settings.streams_admin_port}")
    assert targets == {*wanted, "127.0.0.1:9090"}


def test_published_ports_lead_to_the_port_on_which_the_bidder_listens() -> None:
    for name, service in kinbid_services().items():
        for port in service.get("ports", []):
            address, outer, inner = port.split(":")
            assert address == "127.0.0.1"
            assert int(inner) == settings_of(service).bidder_port, name
            assert settings_of(service).public_url == f"http://localhost:{outer}"


@pytest.mark.parametrize(
    ("text", "environment", "result"),
    [
        ("${A:-1}", {}, "1"),
        ("${A:-1}", {"A": ""}, "1"),
        ("${A:-1}/${B:-2}", {"A": "x"}, "x/2"),
        ("${A:?why}", {"A": "x"}, "x"),
    ],
)
def test_variables_are_put_in_as_compose_does(
    text: str, environment: dict[str, str], result: str
) -> None:
    assert interpolate(text, environment) == result
