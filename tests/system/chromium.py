"""Chromium without a screen, driven over its debugging pipe; every request is answered by a test.

Nothing reaches a network: requests are stopped before they leave (the DevTools protocol's Fetch
domain) and answered by a function of their address.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

__all__ = ["Answer", "Browser", "Page", "find_chromium"]

Answer: TypeAlias = tuple[int, dict[str, str], bytes]
PATIENCE_SECONDS: Final = 20.0
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--mute-audio", "--autoplay-policy=no-user-gesture-required",
    "--disable-features=HttpsUpgrades,MediaRouter,IsolateOrigins,site-per-process",
    "--remote-debugging-pipe",
    "--window-size=900,700",
)  # fmt: skip


ATTACH: Final[dict[str, Any]] = {
    "autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True,
}  # fmt: skip
INTERCEPT: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}),
    ("Page.enable", {}),
    ("Target.setAutoAttach", ATTACH),
)
"""What every tab and frame is told before it may do anything."""


def find_chromium() -> str | None:
    """The program, if it is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


class Browser:
    """A running Chromium.

    Args:
        program: see :func:`find_chromium`.
        profile: an empty folder for its files.
    """

    def __init__(self, program: str, profile: Path) -> None:
        there, ours = os.pipe(), os.pipe()
        reader, writer = there[0], ours[1]
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{reader} 4>&{writer}', program]
        self._process = subprocess.Popen(
            [*command, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(reader, writer), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(reader)
        os.close(writer)
        self._out, self._in = there[1], ours[0]
        self._buffer = b""
        self._count = 0
        self._replies: dict[int, dict[str, Any]] = {}
        self.answer: Callable[[str], Answer] = lambda _: (404, {}, b"")
        self.requested: list[str] = []
        self.dialogs: list[str] = []
        self._sessions: dict[str, str] = {}
        self.call("Target.setAutoAttach", **ATTACH)

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def close_tabs(self) -> None:
        """Closes every tab that was opened; the first one stays, or Chromium would end."""
        found = self.call("Target.getTargets")["targetInfos"]
        for tab in found:
            if tab["type"] == "page" and tab["url"] != "about:blank":
                self.call("Target.closeTarget", targetId=tab["targetId"])

    def open(self, url: str) -> "Page":
        """A tab with an address, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        end = time.monotonic() + PATIENCE_SECONDS
        while target not in self._sessions:
            assert time.monotonic() < end, "the new tab was not attached"
            self.pump(0.1)
        page = Page(self, self._sessions[target], target)
        page.call("Page.navigate", url=url)
        page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """Asks, and waits for the reply; requests that come meanwhile are answered."""
        number = self._send(method, session, parameters)
        end = time.monotonic() + PATIENCE_SECONDS
        while number not in self._replies:
            assert time.monotonic() < end, f"{method}: no reply"
            self.pump(0.1)
        reply = self._replies.pop(number)
        assert "error" not in reply, f"{method}: {reply}"
        result: dict[str, Any] = reply["result"]
        return result

    def pump(self, seconds: float) -> None:
        """Handles what Chromium says within a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._in], [], [], left)[0]:
                return
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
            for message in self._messages():
                self._handle(message)
                end = min(end, time.monotonic())

    def _messages(self) -> Iterator[dict[str, Any]]:
        *whole, self._buffer = self._buffer.split(b"\0")
        for text in whole:
            yield json.loads(text)

    def _send(self, method: str, session: str | None, parameters: dict[str, Any]) -> int:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._count

    def _handle(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._replies[message["id"]] = message
            return
        parameters, session = message["params"], message.get("sessionId")
        match message["method"]:
            case "Fetch.requestPaused":
                self._respond(parameters, session)
            case "Target.attachedToTarget":
                new = parameters["sessionId"]
                self._sessions[parameters["targetInfo"]["targetId"]] = new
                for method, options in INTERCEPT:
                    self._send(method, new, options)
                self._send("Runtime.runIfWaitingForDebugger", new, {})
            case "Page.javascriptDialogOpening":
                self.dialogs.append(parameters["message"])
                self._send("Page.handleJavaScriptDialog", session, {"accept": True})
            case _:
                pass

    def _respond(self, paused: dict[str, Any], session: str | None) -> None:
        url = paused["request"]["url"]
        self.requested.append(url)
        status, headers, body = self.answer(url)
        self._send(
            "Fetch.fulfillRequest",
            session,
            {
                "requestId": paused["requestId"],
                "responseCode": status,
                "responseHeaders": [{"name": k, "value": v} for k, v in headers.items()],
                "body": base64.b64encode(body).decode(),
            },
        )


class Page:
    """A tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """See :meth:`Browser.call`."""
        return self._browser.call(method, self._session, **parameters)

    def value(self, expression: str) -> Any:  # noqa: ANN401 - whatever the script gives
        """What an expression gives; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.value(expression):
            assert time.monotonic() < end, expression
            self._browser.pump(0.05)

    def click(self, x: float, y: float) -> None:
        """Clicks at a point of the window, as a person does."""
        self.call("Page.bringToFront")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Writes what is seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Closes the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)
