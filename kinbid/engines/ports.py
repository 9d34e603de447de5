"""TCP ports: finding free ones, and refusing one that somebody else owns."""

import contextlib
import errno
import socket

from kinbid.engines.errors import EngineError, PortBusyError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> tuple[int, ...]:
    """Returns ``count`` different loopback ports that were free a moment ago.

    Another program may take one before its user binds it, so whoever starts a server on one
    must be ready to try again.
    """
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)


def free_port() -> int:
    """Returns one loopback port that was free a moment ago; see `free_ports`."""
    return free_ports(1)[0]


def ensure_port_is_free(host: str, port: int, *, flag: str) -> None:
    """Checks that nobody listens on a port, and lets go of it again.

    A server that shares its port between processes cannot find out by binding: with
    ``SO_REUSEPORT`` a second bind succeeds silently. This probe does not ask for sharing, so it
    fails beside any listener. It does set ``SO_REUSEADDR``, without which the closing connections
    of a server that stopped a minute ago would pass for a listener; since that option alone lets
    two sockets bind as long as neither listens, the probe listens as well.

    Args:
        host: a name or address of this machine.
        port: the port that a server of ours is about to own.
        flag: the command-line flag that chooses another port, for the error's text.

    Raises:
        PortBusyError: somebody listens there.
        EngineError: the address is not one of this machine's, or the port needs more rights.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortBusyError(host, port, flag) from error
        reason = error.strerror or error
        raise EngineError(
            f"Cannot listen on port {port} of {host} ({reason}): choose another with {flag}."
        ) from error


def is_port_free(port: int) -> bool:
    """Whether a loopback port could be listened on right now."""
    try:
        ensure_port_is_free(LOOPBACK, port, flag="another port")
    except EngineError:
        return False
    return True
