"""What can go wrong with an engine, by what a person can do about it."""

from models.errors import KinbidError


class EngineError(KinbidError):
    """Base of every error of this package; its text is a sentence for a person."""


class EngineMissingError(EngineError):
    """No usable program on this machine; the text names the fix."""


class EngineStartError(EngineError):
    """A program of ours ended, or stayed silent, before it was ready.

    Args:
        engine: what was to start, such as ``redis``.
        reason: what was seen, as the end of a sentence that begins with the engine.
        log_tail: the last lines that the program wrote; they are part of the text.
    """

    def __init__(self, engine: str, reason: str, log_tail: str) -> None:
        self.engine = engine
        self.reason = reason
        self.log_tail = log_tail
        super().__init__(f"{engine} {reason}. Its last words:\n{log_tail or '(nothing)'}")


class PortBusyError(EngineError):
    """Somebody else listens on a port that we were told to use.

    Args:
        host: the address that was tried.
        port: the port that was tried.
        flag: the command-line flag that chooses another port.
    """

    def __init__(self, host: str, port: int, flag: str) -> None:
        self.host = host
        self.port = port
        self.flag = flag
        super().__init__(
            f"Port {port} on {host} is in use by another program: "
            f"stop that program or choose another port with {flag}."
        )
