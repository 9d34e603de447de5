import socket

import pytest

from kinbid.engines import EngineError, PortBusyError, ensure_port_is_free, free_port
from kinbid.engines.ports import free_ports, is_port_free


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.create_server(("127.0.0.1", ports[0])):
        assert not is_port_free(ports[0])
    assert is_port_free(ports[0])


def test_a_busy_port_is_told_in_a_sentence_with_the_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        with pytest.raises(PortBusyError) as info:
            ensure_port_is_free("127.0.0.1", port, flag="--bidder-port")
    assert (info.value.port, info.value.flag) == (port, "--bidder-port")
    assert str(info.value) == (
        f"Port {port} on 127.0.0.1 is in use by another program: "
        "stop that program or choose another port with --bidder-port."
    )


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system shares no ports")
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_its_owner_shares_is_busy_all_the_same(address: str) -> None:
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        owner.bind((address, 0))
        owner.listen()
        with pytest.raises(PortBusyError):
            ensure_port_is_free("127.0.0.1", owner.getsockname()[1], flag="--bidder-port")


def test_closing_connections_of_a_stopped_server_do_not_make_its_port_busy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server closes first, so TIME_WAIT is on its side
            assert client.recv(1) == b""
    ensure_port_is_free("127.0.0.1", port, flag="--bidder-port")


def test_an_address_of_another_machine_is_refused_in_a_sentence() -> None:
    with pytest.raises(EngineError, match=r"Cannot listen on port \d+ of 192\.0\.2\.1 .*--host"):
        ensure_port_is_free("192.0.2.1", free_port(), flag="--host")
