import socket
import threading
from pathlib import Path

import pytest

from kinbid.engines import ApacheKafka, EngineMissingError, free_port
from kinbid.engines.apache_kafka import (
    BrokerPlan,
    new_cluster_id,
    require_java,
    server_properties,
)
from kinbid.engines.kafka_broker import find_tansu, is_broker_on


def settings_of(plan: BrokerPlan) -> dict[str, str]:
    return dict(line.split("=", 1) for line in server_properties(plan).splitlines())


def test_one_broker_is_its_own_quorum_on_loopback() -> None:
    settings = settings_of(BrokerPlan(node_id=1, port=9092, voters={1: 9093}))
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert settings["offsets.topic.replication.factor"] == "1"
    assert settings["offsets.topic.num.partitions"] == "4"
    assert settings["group.min.session.timeout.ms"] == "1000"


def test_three_brokers_need_no_more_than_a_wider_plan() -> None:
    voters = {1: 9001, 2: 9002, 3: 9003}
    plan = BrokerPlan(node_id=2, port=9092, voters=voters, replication_factor=3, min_in_sync=2)
    settings = settings_of(plan)
    assert settings["controller.quorum.voters"].count("127.0.0.1") == 3
    assert settings["listeners"].endswith("CONTROLLER://127.0.0.1:9002")
    assert settings["transaction.state.log.min.isr"] == "2"


def test_cluster_ids_have_22_characters_and_never_look_like_a_flag() -> None:
    ids = {new_cluster_id() for _ in range(2_000)}
    assert {len(each) for each in ids} == {22}
    assert not any(each.startswith("-") for each in ids)


def test_missing_jars_and_missing_java_are_told_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError, match="run `make engines`"):
        ApacheKafka.start(tmp_path / "work", lib=tmp_path)
    with pytest.raises(EngineMissingError, match="needs Java 17, and kinbid-no-java does not run"):
        require_java("kinbid-no-java")
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    with pytest.raises(EngineMissingError, match="is Java 11"):
        require_java(str(old))


def test_a_broker_program_that_cannot_run_in_place_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "wheel" / "tansu"
    plain.parent.mkdir()
    plain.write_text("#!/bin/sh\n")
    monkeypatch.setattr("kinbid.engines.kafka_broker.find_in_wheel", lambda *parts: plain)
    monkeypatch.setattr("os.access", lambda path, mode: path != plain)
    copy = find_tansu(tmp_path)
    assert copy == tmp_path / "tansu"
    assert copy.stat().st_mode & 0o777 == 0o700


def test_without_the_wheel_the_error_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinbid.engines.kafka_broker.find_in_wheel", lambda *parts: None)
    with pytest.raises(EngineMissingError, match=r"kinbid\[local\]"):
        find_tansu(tmp_path)


def test_silence_and_an_echo_are_not_a_broker() -> None:
    assert not is_broker_on(free_port())
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100))

        thread = threading.Thread(target=echo)
        thread.start()
        assert not is_broker_on(server.getsockname()[1])
        thread.join()
