"""The bidder's supervisor: one port, several workers, an admin port for each.

It probes the port alone first, since a second SO_REUSEPORT bind would succeed silently, then owns
one listening socket a worker. A worker that ends unasked is replaced by a successor on the same
socket, so connections that wait in its queue are served and not reset. SIGHUP replaces all workers,
one after another, each by a successor that is warm before the old one leaves.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bidder.entrance import ACCEPT_QUEUE
from bidder.worker_slot import WorkerSlot
from models.errors import KinbidError
from runtime import logs
from runtime.settings import Settings

__all__ = ["PortBusyError", "roll", "run"]

logger = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.05
STOP_SECONDS: Final = 10.0
READY_SECONDS: Final = 60.0


class PortBusyError(KinbidError):
    """Somebody else listens on the bidder's port."""


def run(settings: Settings, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Runs the workers until SIGTERM or SIGINT, then lets them drain.

    Args:
        settings: host, port, number of workers.
        on_ready: called once with the addresses and process ids when all workers take requests.

    Raises:
        PortBusyError: the port is taken.
        KinbidError: a worker did not come to take requests.
    """
    logs.configure("bidder", settings.log_level)
    stopping, rolling = threading.Event(), threading.Event()
    _heed_signals(stopping, rolling)
    slots = [WorkerSlot(n, settings, one) for n, one in enumerate(_listen(settings))]
    try:
        for slot in slots:
            slot.start()
        if _wait_until_serving(slots, stopping):
            host, port = slots[0].listener.getsockname()[:2]
            on_ready(
                {
                    "bidder": f"http://{host}:{port}",
                    "metrics": [slot.admin.url for slot in slots],
                    "pids": [process.pid for slot in slots for process in slot.processes()],
                }
            )
            _watch(slots, stopping, rolling)
    finally:
        _stop(slots)


def _heed_signals(stopping: threading.Event, rolling: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    had_terminal = _has_terminal()

    def hang_up(*_: object) -> None:
        # A terminal that is closed sends the same signal as somebody who wants new workers.
        (stopping if had_terminal and not _has_terminal() else rolling).set()

    signal.signal(signal.SIGHUP, hang_up)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _listen(settings: Settings) -> list[socket.socket]:
    """One listening socket a worker, all on one port; port 0 picks a free one."""
    host, port = settings.bidder_host, settings.bidder_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise PortBusyError(
                f"the bidder cannot listen on {host}:{port} ({error.strerror}); "
                "another program may be there: choose another with --bidder-port"
            ) from error
        port = probe.getsockname()[1]
    listeners: list[socket.socket] = []
    for _ in range(settings.bidder_workers):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(ACCEPT_QUEUE)
        listener.settimeout(0)
        listeners.append(listener)
    return listeners


def _wait_until_serving(slots: Sequence[WorkerSlot], stopping: threading.Event) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    starting = [process for slot in slots for process in slot.processes()]
    while not all(process.counters.is_serving for process in starting):
        if stopping.wait(POLL_SECONDS):
            return False
        for number, process in enumerate(starting):
            if process.exit_code is not None:
                raise KinbidError(f"bidder worker {number} ended before it was ready")
        if time.monotonic() > deadline:
            raise KinbidError(f"no bidder worker became ready within {READY_SECONDS:.0f} s")
    return True


def _watch(
    slots: Sequence[WorkerSlot], stopping: threading.Event, rolling: threading.Event
) -> None:
    steps: Iterator[None] | None = None
    while not stopping.wait(POLL_SECONDS):
        for slot in slots:
            slot.tend()
        if steps is None and rolling.is_set():
            rolling.clear()
            steps = roll(slots)
        if steps is not None and next(steps, "over") == "over":
            steps = None


def roll(slots: Sequence[WorkerSlot], ready_seconds: float = READY_SECONDS) -> Iterator[None]:
    """Replaces the workers one after another; yields whenever there is nothing to do but wait.

    A successor that does not come to take requests ends the round: what is wrong with it is
    wrong with the others, and the old workers still work.

    Args:
        slots: the places.
        ready_seconds: how long a successor may take.
    """
    logger.info("roll_begins", extra={"workers": len(slots)})
    for slot in slots:
        deadline = time.monotonic() + ready_seconds
        successor = slot.start_successor()
        while not successor.counters.is_serving:
            if successor.exit_code is not None or time.monotonic() > deadline:
                logger.error(
                    "roll_ends_early",
                    extra={"number": slot.number, "exit_code": successor.exit_code},
                )
                slot.give_up_successor()
                return
            yield
        slot.hand_over()
        while slot.is_leaving:
            yield
    logger.info("roll_ends", extra={"workers": len(slots)})


def _stop(slots: Sequence[WorkerSlot]) -> None:
    for slot in slots:
        # First ours: while any copy is open, the kernel goes on letting clients in, to nobody.
        slot.listener.close()
    running = [process for slot in slots for process in slot.processes()]
    for process in running:
        process.leave()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        process.wait(deadline - time.monotonic())
    for slot in slots:
        slot.close()
