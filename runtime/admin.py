"""The admin port of a process: ``/metrics``, ``/healthz`` and ``/readyz``, off the hot loop.

``/healthz`` fails when the process should be restarted, ``/readyz`` when it should get no work.
"""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, exposition

from models.errors import KinbidError

__all__ = ["AdminServer"]

Check = Callable[[], str | None]
"""None when all is well, else a sentence."""


class AdminServer:
    """Serves one process's state from a thread of its own.

    Args:
        host, port: where to listen; port 0 picks a free one, see ``port``.
        registry: the metrics.
        healthy, ready: checks; each answers None or why not.

    Raises:
        KinbidError: the port is taken.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, *, healthy: Check, ready: Check
    ) -> None:
        handler = _handler(registry, {"/healthz": healthy, "/readyz": ready})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise KinbidError(
                f"admin port {host}:{port} cannot be used: {error.strerror}"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://{host}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()


def _handler(registry: CollectorRegistry, checks: dict[str, Check]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(
                    200, exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST
                )
            elif path in checks:
                reason = checks[path]()
                body = "ok\n" if reason is None else f"{reason}\n"
                self._answer(200 if reason is None else 503, body.encode(), "text/plain")
            else:
                self._answer(404, b"try /metrics, /healthz or /readyz\n", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the library's signature
            """Scrapes are not notable events."""

    return Handler
