"""A browser, headless, that is asked through a pipe: no server, no port, no library.

The protocol is Chromium's own (https://chromedevtools.github.io/devtools-protocol/): JSON messages
that end in a NUL byte, read from file descriptor 3 and written to 4.
"""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

# Those that speak Chromium's protocol: what they are called on Linux, where they are on macOS.
_NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge",
    "brave-browser",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Brave Browser.app/Contents/MacOS/Brave Browser",
)  # fmt: skip
# It asks nobody for anything, whatever its settings.
_ALONE = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)  # fmt: skip
_PATIENCE = 120  # seconds


class Failed(Exception):
    """Why a browser did not do what it was asked, as the end of a sentence."""


def find() -> str | None:
    """Return the path of a browser on this machine: TENSOR_GUESS_BROWSER, or a usual one."""
    given = os.environ.get("TENSOR_GUESS_BROWSER")
    found = (shutil.which(name) for name in ((given,) if given else _NAMES))
    return next(filter(None, found), None)


class Tab:
    """An open page: what it said, what it asked for, and what can be done in it.

    All of it raises Failed if the browser ends, refuses or does not answer.
    """

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._buffer, self._number = send, receive, b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return what the browser answers; what it tells meanwhile is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        data = json.dumps(message).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self._send, data) :]
        except OSError as error:
            raise Failed("it has ended") from error
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise Failed(f"it refused {method}: {answer['error'].get('message')}")
        return dict(answer["result"])

    def open(self, path: Path) -> None:
        """Open the file and wait until all of it is there."""
        self.events.clear()
        failed = self.ask("Page.navigate", url=path.as_uri()).get("errorText")
        if failed:
            raise Failed(f"it could not open the page ({failed})")
        while not any(each["method"] == "Page.loadEventFired" for each in self.events):
            self.events.append(self._next())

    def run(self, expression: str) -> Any:
        """Return the value of the JavaScript expression, or of what it promises.

        The page's own policy does not bind it.
        """
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise Failed(details.get("exception", {}).get("description") or details["text"])
        return found["result"].get("value")

    def choose(self, selector: str, paths: Sequence[Path]) -> None:
        """Give files to the element for files, as somebody who chooses them does."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        files = [str(path.absolute()) for path in paths]
        self.ask("DOM.setFileInputFiles", files=files, nodeId=node)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            left = max(0, end - time.monotonic())
            if not select.select([self._receive], [], [], left)[0]:
                raise Failed(f"it did not answer for {_PATIENCE} seconds")
            chunk = os.read(self._receive, 1_000_000)
            if not chunk:
                raise Failed("it has ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


AnyTab = TypeVar("AnyTab", bound=Tab)


@contextmanager
def opened(path: str, kind: type[AnyTab], *flags: str) -> Iterator[AnyTab]:
    """Yield an empty tab, of this kind, of a new browser that knows nobody.

    Raise OSError if it cannot be started, and Failed if it ends or does not answer.
    """
    # Chromium's own sandbox refuses to be root's.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        to_browser, send = os.pipe()
        receive, from_browser = os.pipe()
        # The shell gives the pipes the numbers that the browser expects.
        script = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        try:
            browser = subprocess.Popen(
                ["bash", "-c", script, "bash", path, *_ALONE, *sandbox, *flags,
                 f"--user-data-dir={profile}"],
                pass_fds=(to_browser, from_browser),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            os.close(send)
            os.close(receive)
            raise
        finally:
            os.close(to_browser)
            os.close(from_browser)
        try:
            yield kind(send, receive)
        finally:
            os.close(send)  # it ends with the pipe
            os.close(receive)
            try:
                browser.wait(20)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()
