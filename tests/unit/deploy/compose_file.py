"""docker-compose.yml as a program reads it: variables put in, extensions left out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[3]
COMPOSE_FILE: Final = ROOT / "docker-compose.yml"
EXAMPLE: Final = ROOT / "deploy" / ".env.example"

VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")

SECRETS: Final = {
    "KINBID_IDENTITY_PEPPER": "a pepper for tests",
    "KINBID_NOTICE_SECRET": "a secret for tests",
    "GRAFANA_ADMIN_PASSWORD": "a password for tests",
}


class MissingVariableError(Exception):
    """A variable that has no default was not given."""


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Puts variables in, as the compose specification says for ``${NAME:-default}``."""

    def value(found: re.Match[str]) -> str:
        given = environment.get(found["name"], "")
        if given or found["kind"] == "-":
            return given or found["text"]
        raise MissingVariableError(f"{found['name']}: {found['text']}")

    return VARIABLE.sub(value, text)


def compose(environment: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """The file's content; keys that begin with ``x-`` have done their work and are gone."""
    content: dict[str, Any] = yaml.safe_load(interpolate(COMPOSE_FILE.read_text(), environment))
    return {name: value for name, value in content.items() if not name.startswith("x-")}


def kinbid_services() -> dict[str, dict[str, Any]]:
    """The services that run kinbid."""
    services: dict[str, dict[str, Any]] = compose()["services"]
    return {name: one for name, one in services.items() if one["image"].startswith("kinbid")}
