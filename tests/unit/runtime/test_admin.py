"""The admin port over real HTTP."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from models.errors import KinbidError
from runtime.admin import AdminServer

Answer = tuple[int, str, str]


class State:
    """What the checks say."""

    unhealthy: str | None = None
    unready: str | None = None


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def get(state: State) -> Iterator[Callable[..., Answer]]:
    registry = CollectorRegistry()
    Counter("things_total", "Things.", registry=registry).inc(3)
    server = AdminServer(
        "127.0.0.1", 0, registry, healthy=lambda: state.unhealthy, ready=lambda: state.unready
    )

    def fetch(path: str, method: str = "GET") -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as client:
            client.request(method, path)
            response = client.getresponse()
            text = response.read().decode()
            return response.status, text, response.headers["Content-Type"]

    with closing(server):
        yield fetch


def test_metrics_are_what_prometheus_reads(get: Callable[..., Answer]) -> None:
    status, text, kind = get("/metrics")
    assert status == 200
    assert kind.startswith("text/plain")
    families = text_string_to_metric_families(text)
    values = {sample.name: sample.value for family in families for sample in family.samples}
    assert values["things_total"] == 3
    assert get("/metrics?name[]=things")[0] == 200


def test_health_and_readiness_answer_503_with_the_reason(
    get: Callable[..., Answer], state: State
) -> None:
    assert get("/healthz")[:2] == (200, "ok\n")
    assert get("/readyz")[:2] == (200, "ok\n")
    state.unready = "Redis is away"
    assert get("/healthz")[:2] == (200, "ok\n")
    assert get("/readyz")[:2] == (503, "Redis is away\n")
    state.unhealthy = "the loop is silent"
    assert get("/healthz")[:2] == (503, "the loop is silent\n")


def test_another_path_is_404_and_says_what_there_is(get: Callable[..., Answer]) -> None:
    status, text, _ = get("/")
    assert (status, text) == (404, "try /metrics, /healthz or /readyz\n")
    assert get("/metricsx")[0] == 404


def test_a_busy_port_is_a_sentence() -> None:
    def ok() -> None:
        return None

    first = AdminServer("127.0.0.1", 0, CollectorRegistry(), healthy=ok, ready=ok)
    with closing(first), pytest.raises(KinbidError, match=rf"admin port 127\.0\.0\.1:{first.port}"):
        AdminServer("127.0.0.1", first.port, CollectorRegistry(), healthy=ok, ready=ok)
