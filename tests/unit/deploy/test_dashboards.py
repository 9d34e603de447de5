"""Every metric and label that a dashboard or an alert names exists in the code."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.compose_file import ROOT, compose
from tests.unit.deploy.metric_names import bidder_metrics, series, streams_metrics

GRAFANA = ROOT / "deploy" / "grafana"
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES_TEST = Path(__file__).with_name("rules_test.yml")

# What Prometheus itself adds.
TARGET_LABELS = frozenset({"job", "instance"})
KEYWORDS = frozenset({"and", "or", "unless", "offset", "bool"})


def dashboard(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Where an expression stands, and the expression."""
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]
    for path in PROMETHEUS.glob("*rules*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield f"{path.name}: {rule.get('alert') or rule['record']}", rule["expr"]


def metrics_in(expression: str) -> set[str]:
    """The series that a PromQL expression names."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return set(names) - KEYWORDS


def labels_in(expression: str) -> set[str]:
    """The labels that a PromQL expression selects or groups by."""
    matchers = " ".join(re.findall(r"\{([^}]*)\}", expression))
    grouped = ",".join(re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression))
    found = set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", matchers))
    return found | {name.strip() for name in grouped.split(",") if name.strip()}


def test_there_is_something_to_check() -> None:
    assert len(list(expressions())) > 40


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_an_expression_names_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    known = {**series(), "up": frozenset[str]()}
    named = metrics_in(expression)
    assert named, where
    assert named - known.keys() == set(), where
    labels = TARGET_LABELS.union(*(known[name] for name in named))
    assert labels_in(expression) - labels == set(), where


def test_a_misspelt_metric_or_label_would_be_found() -> None:
    assert metrics_in('sum by (le) (rate(bidder_bid_total{a="bidder_x"}[5m])) / 1e6 > 3') == {
        "bidder_bid_total"
    }
    assert labels_in('sum by (le, topc) (rate(a{jb=~"x"}[5m]))') == {"le", "topc", "jb"}


def test_the_first_dashboard_shows_what_matters() -> None:
    shown = {
        metric
        for path in DASHBOARDS
        for panel in panels(path)
        for target in panel["targets"]
        for metric in metrics_in(target["expr"])
    }
    every = {
        f"{name}_bucket" if metric.kind == "histogram" else name
        for name, metric in {**bidder_metrics(), **streams_metrics()}.items()
    }
    assert every - shown == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_have_their_own_ids_and_do_not_overlap(path: Path) -> None:
    everything = dashboard(path)["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_dashboards_and_datasource_are_provisioned_where_the_container_sees_them() -> None:
    mounted = dict(volume.split(":")[:2] for volume in compose()["services"]["grafana"]["volumes"])
    provisioning = GRAFANA / "provisioning"
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/kinbid.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounted["./deploy/grafana/dashboards"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    for path in DASHBOARDS:
        for panel in panels(path):
            assert panel["datasource"]["uid"] == source["uid"], panel["title"]
    home = compose()["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert home in {f"{provider['options']['path']}/{path.name}" for path in DASHBOARDS}


@pytest.fixture
def promtool() -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: run `make engines`")
    return program


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", str(PROMETHEUS / "prometheus.yml")), ("test", "rules", str(RULES_TEST))],
    ids=["config", "rules"],
)
def test_promtool_accepts_the_configuration_and_the_alerts_fire(
    promtool: str, arguments: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
