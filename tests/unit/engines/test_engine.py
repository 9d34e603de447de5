import contextlib
import socket
from collections.abc import Sequence

import pytest

from kinbid.engines import EngineStartError
from kinbid.engines.engine import START_ATTEMPTS, start_on_ports


def failure() -> EngineStartError:
    return EngineStartError("redis", "ended with code 1 before it was ready", "in use")


def test_a_given_port_is_kept_and_the_open_ones_are_filled() -> None:
    first, second, third = start_on_ports((None, 6379, None), tuple)
    assert second == 6379
    assert first != third


def test_a_port_taken_in_between_leads_to_another_try_with_another_port() -> None:
    tried: list[int] = []
    with contextlib.ExitStack() as thieves:

        def attempt(ports: Sequence[int]) -> int:
            tried.append(ports[0])
            if len(tried) < START_ATTEMPTS:
                thieves.enter_context(socket.create_server(("127.0.0.1", ports[0])))
                raise failure()
            return ports[0]

        assert start_on_ports((None,), attempt) == tried[-1]
    assert len(set(tried)) == START_ATTEMPTS


@pytest.mark.parametrize("wanted", [None, 6379])
def test_a_failure_for_another_reason_is_raised_at_once(wanted: int | None) -> None:
    tried: list[int] = []

    def attempt(ports: Sequence[int]) -> int:
        tried.extend(ports)
        raise failure()

    with pytest.raises(EngineStartError, match="Its last words:\nin use"):
        start_on_ports((wanted,), attempt)
    assert len(tried) == 1
