"""The compose file's services, run natively: their own commands, settings and health checks.

Only what a container would give is put in by hand: host names, ports, mounted files.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from kinbid.engines import ChildProcess, EmbeddedKafka, RedisEngine, find_apache_kafka
from kinbid.engines.apache_kafka import start_broker
from kinbid.engines.kafka_broker import is_broker_on
from kinbid.engines.ports import free_port, free_ports
from kinbid.engines.redis_server import choose_redis
from tests.unit.deploy.compose_file import (
    COMPOSE_FILE,
    EXAMPLE,
    ROOT,
    SECRETS,
    compose,
    kinbid_services,
)

pytestmark = pytest.mark.system

BIN = Path(sys.executable).parent
HEALTHY_SECONDS = 60.0
SCRAPED_SECONDS = 30.0


def seconds(text: str) -> float:
    """A duration of the compose file; all of ours are in whole seconds."""
    assert text.endswith("s")
    return float(text.removesuffix("s"))


def until(is_so: Callable[[], bool], what: str, limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {limit_seconds:.0f} s"
        time.sleep(0.2)


def fetch(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status, answer.read()


# -- docker-compose itself -------------------------------------------------------------------------


def docker_compose(secrets: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed: run `make engines`")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [program, "-f", str(COMPOSE_FILE), "--env-file", str(EXAMPLE), "config"],
        env={**environment, **secrets},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_docker_compose_accepts_the_file_and_reads_it_as_we_do() -> None:
    done = docker_compose(SECRETS)
    assert done.returncode == 0, done.stderr
    theirs, ours = yaml.safe_load(done.stdout)["services"], compose()["services"]
    assert theirs.keys() == ours.keys()
    for name, service in ours.items():
        for key in ("environment", "command", "image"):
            assert theirs[name].get(key) == service.get(key), (name, key)
        assert theirs[name].get("depends_on", {}) == service.get("depends_on", {})


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_docker_compose_says_which_secret_is_missing(name: str) -> None:
    done = docker_compose({key: value for key, value in SECRETS.items() if key != name})
    assert done.returncode != 0
    assert done.stderr.rstrip().endswith(f"set {name}, see deploy/.env.example")


# -- engines with the flags of their services ------------------------------------------------------


def test_redis_starts_with_the_flags_of_its_service(tmp_path: Path) -> None:
    service = compose()["services"]["redis"]
    name, *flags = service["command"]
    port = free_port()
    assert flags[:2] == ["--port", "6379"]
    program, _ = choose_redis(None, "installed")
    command = [str(program.path), "--port", str(port), *flags[2:]]
    command += ["--bind", "127.0.0.1", "--dir", str(tmp_path)]
    with ChildProcess.start(name, command, log_path=tmp_path / "redis.log") as child:
        child.wait_until(lambda: "Ready to accept" in child.output(), deadline_seconds=10)
        with redis.Redis(port=port) as client:
            settings = client.config_get("*")
        kind, check = service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        if shutil.which("redis-cli"):
            for asked, is_well in ((str(port), True), ("1", False)):
                done = subprocess.run(check.replace("6379", asked), shell=True, check=False)
                assert (done.returncode == 0) == is_well
    for flag, value in zip(flags[2::2], flags[3::2], strict=True):
        assert settings[flag.removeprefix("--")] == value


def kafka_from_its_service(folder: Path, stack: ExitStack) -> str:
    """Apache Kafka with the service's properties on ports of this machine; its address."""
    lib = find_apache_kafka(ROOT)
    if lib is None or shutil.which("java") is None:
        pytest.skip("Apache Kafka or Java is missing: run `make engines`")
    given = dict(compose()["services"]["kafka"]["environment"])
    cluster_id = given.pop("CLUSTER_ID")
    client, host, controller = free_ports(3)
    native = {
        "://:9092": f"://127.0.0.1:{client}", "kafka:9092": f"127.0.0.1:{client}",
        "://:29092": f"://127.0.0.1:{host}", "localhost:29092": f"127.0.0.1:{host}",
        "://:9093": f"://127.0.0.1:{controller}", "kafka:9093": f"127.0.0.1:{controller}",
        "/var/lib/kafka/data": str(folder / "data"),
    }  # fmt: skip
    folder.mkdir()
    (folder / "server.properties").write_text(
        "".join(
            f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={put_in(value, native)}\n"
            for name, value in given.items()
        )
    )
    tool = ["java", "-cp", f"{lib}/*", "kafka.tools.StorageTool", "format"]
    subprocess.run(
        [*tool, "-t", cluster_id, "-c", "server.properties"],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    broker = stack.enter_context(start_broker(folder, lib, "java"))
    broker.wait_until(
        lambda: "Kafka Server started" in broker.output() and is_broker_on(client),
        deadline_seconds=HEALTHY_SECONDS,
    )
    assert is_broker_on(host)
    return f"127.0.0.1:{client}"


def put_in(text: str, native: Mapping[str, str]) -> str:
    for name, value in native.items():
        text = text.replace(name, value)
    return text


# -- kinbid's services -----------------------------------------------------------------------------


class Service:
    """One service of the compose file as a process on this machine."""

    def __init__(self, name: str, folder: Path, native: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.content = kinbid_services()[name]
        self.ports: dict[str, int] = {}
        given: dict[str, str] = self.content["environment"]
        for variable, value in given.items():
            if variable.endswith("_PORT"):
                self.ports[value] = free_port()
        mounted = {
            inner: str(ROOT / outer)
            for outer, inner, *_ in (one.split(":") for one in self.content.get("volumes", []))
        }
        self._native = {
            **native,
            **mounted,
            **{f"127.0.0.1:{port}": f"127.0.0.1:{own}" for port, own in self.ports.items()},
        }
        self._environment = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            **{
                variable: str(self.ports.get(value, put_in(value, self._native)))
                for variable, value in given.items()
            },
        }
        self.process: ChildProcess | None = None

    def start(self, extra: Mapping[str, str]) -> ChildProcess:
        self.folder.mkdir()
        self.process = ChildProcess.start(
            self.name,
            [put_in(part, self._native) for part in self.content["command"]],
            log_path=self.folder / "log",
            cwd=self.folder,
            env={**self._environment, **extra},
            death_signal=signal.SIGKILL,
        )
        return self.process

    def is_healthy(self) -> bool:
        """What the service's own health check says."""
        kind, *command = self.content["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            [put_in(part, self._native) for part in command],
            env=self._environment, capture_output=True, check=False,
            timeout=seconds(self.content["healthcheck"]["timeout"]),
        )  # fmt: skip
        return done.returncode == 0

    def wait(self) -> None:
        """Until whoever waits for this service may start."""
        assert self.process is not None
        if "healthcheck" in self.content:
            self.process.wait_until(self.is_healthy, deadline_seconds=HEALTHY_SECONDS)
        else:
            code = self.process.wait(HEALTHY_SECONDS)
            assert code == 0, self.process.log_tail()

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def stop(self) -> None:
        assert self.process is not None
        self.process.stop()


def in_order_of_waiting(services: Mapping[str, Any]) -> list[str]:
    """Names, each after those that it waits for."""
    order: list[str] = []

    def place(name: str) -> None:
        for other in services[name].get("depends_on", {}):
            if other in services:
                place(other)
        if name not in order:
            order.append(name)

    for name in services:
        place(name)
    return order


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("apache", marks=pytest.mark.apache)]
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Service]]:
    """All of kinbid's services, started in the order in which they wait for each other."""
    folder = tmp_path_factory.mktemp("compose")
    with ExitStack() as stack:
        extra = {}
        if request.param == "embedded":
            broker = stack.enter_context(EmbeddedKafka.start(folder / "kafka"))
            kafka = broker.bootstrap
            extra["KINBID_KAFKA_IDEMPOTENCE"] = str(broker.supports_idempotence).lower()
        else:
            kafka = kafka_from_its_service(folder / "kafka", stack)
        server = stack.enter_context(RedisEngine.start(folder / "redis"))
        native = {
            "kafka:9092": kafka,
            "redis:6379": f"127.0.0.1:{server.port}",
            "0.0.0.0": "127.0.0.1",
        }
        services: dict[str, Service] = {}
        for name in in_order_of_waiting(kinbid_services()):
            service = services[name] = Service(name, folder / name, native)
            assert "healthcheck" not in service.content or not service.is_healthy()
            service.start(extra)
            stack.callback(service.stop)
            service.wait()
        yield services
        for name in reversed(services):
            grace = seconds(services[name].content.get("stop_grace_period", "10s"))
            process = services[name].process
            assert process is not None
            assert process.stop(grace) == 0, process.log_tail()


def bid_request() -> bytes:
    banner = {"w": 300, "h": 250}
    slot = {"id": "1", "banner": banner, "bidfloor": 0.01, "secure": 0}
    return json.dumps({"id": "r", "imp": [slot], "site": {"domain": "news.example"}}).encode()


def first_bid(bidder: Service) -> dict[str, Any]:
    status, body = fetch(f"{bidder.url('8080')}/openrtb2/north/bid", bid_request())
    assert status == 200
    bid: dict[str, Any] = json.loads(body)["seatbid"][0]["bid"][0]
    return bid


def test_the_catalogue_is_published_and_every_bidder_bids_from_it(
    running: dict[str, Service],
) -> None:
    published = running["catalog"].process
    assert published is not None
    assert "published" in published.output()
    for name in ("bidder-1", "bidder-2"):
        bid = first_bid(running[name])
        assert bid["cid"] == "air-brand"
        assert bid["burl"].startswith(running[name].content["environment"]["KINBID_PUBLIC_URL"])


def test_a_notice_of_one_bidders_bid_is_taken_by_the_other(running: dict[str, Service]) -> None:
    bid = first_bid(running["bidder-1"])
    notice = urllib.parse.urlsplit(bid["burl"].replace("${AUCTION_PRICE}", str(bid["price"])))
    status, _ = fetch(f"{running['bidder-2'].url('8080')}{notice.path}?{notice.query}")
    assert status == 204
    _, metrics = fetch(f"{running['bidder-2'].url('9110')}/metrics")
    assert re.search(rb'bidder_notices_total\{result="billing_accepted"\} [1-9]', metrics)


# -- Prometheus ------------------------------------------------------------------------------------


def start_prometheus(folder: Path, services: Mapping[str, Service]) -> tuple[ChildProcess, str]:
    """Prometheus with its service's flags and configuration; and its address."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed: run `make engines`")
    port = free_port()
    native = {
        f"{name}:{inner}": f"127.0.0.1:{outer}"
        for name, service in services.items()
        for inner, outer in service.ports.items()
    }
    native |= {"127.0.0.1:9090": f"127.0.0.1:{port}", "0.0.0.0:9090": f"127.0.0.1:{port}"}
    config = folder / "etc"
    shutil.copytree(ROOT / "deploy" / "prometheus", config)
    main = config / "prometheus.yml"
    main.write_text(put_in(main.read_text(), native))
    flags = [
        put_in(flag, {"/etc/prometheus": str(config), "=/prometheus": f"={folder}/data", **native})
        for flag in compose()["services"]["prometheus"]["command"]
    ]
    child = ChildProcess.start("prometheus", [program, *flags], log_path=folder / "log", cwd=folder)
    return child, f"http://127.0.0.1:{port}"


def query(url: str, expression: str) -> list[Any]:
    """The instant vector that an expression gives now; an HTTPError if it is not PromQL."""
    asked = urllib.parse.urlencode({"query": expression})
    _, body = fetch(f"{url}/api/v1/query?{asked}")
    result: list[Any] = json.loads(body)["data"]["result"]
    return result


def dashboard_expressions() -> Sequence[str]:
    path = ROOT / "deploy" / "grafana" / "dashboards" / "kinbid.json"
    return [
        target["expr"].replace("$__rate_interval", "1m")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", [])
    ]


def is_ready(url: str) -> bool:
    try:
        return fetch(f"{url}/-/ready")[0] == 200
    except OSError:
        return False


def test_prometheus_scrapes_every_process_and_answers_every_panel(
    running: dict[str, Service], tmp_path: Path
) -> None:
    child, url = start_prometheus(tmp_path, running)
    with child:
        child.wait_until(lambda: is_ready(url), deadline_seconds=SCRAPED_SECONDS)
        wanted = {("bidder", "1"): 2, ("streams", "1"): 1, ("prometheus", "1"): 1}

        def scraped() -> bool:
            counts: dict[tuple[str, str], int] = {}
            for one in query(url, "up"):
                state = (one["metric"]["job"], one["value"][1])
                counts[state] = counts.get(state, 0) + 1
            return counts == wanted

        until(scraped, "every target is up", SCRAPED_SECONDS)
        first_bid(running["bidder-1"])
        shown = 'sum(rate(bidder_answer_duration_seconds_bucket{le="+Inf"}[1m])) > 0'
        until(lambda: bool(query(url, shown)), "a bid is counted", SCRAPED_SECONDS)
        for expression in dashboard_expressions():
            query(url, expression)
        assert query(url, "sum(bidder_bids_total) > 0")
