"""The program's own browser, and what a person does in it: press keys, drop files, look."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensor_guess.exporting import browser

CHROMIUM = browser.find()


class Tab(browser.Tab):
    """An open page, in which tests can do what a person does."""

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        known = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        more = {"text": text} if text else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **known, **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **known)

    def sized(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Give the page this many pixels, as on a light or a dark screen."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def drop(self, *paths: Path) -> None:
        """Drag files from elsewhere onto the page and let them go."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.ask("Input.dispatchDragEvent", type=kind, x=200, y=300, data=data)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save what is seen as PNG."""
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def printed(self, path: Path) -> None:
        """Save it as PDF, as it would be printed."""
        path.write_bytes(base64.b64decode(self.ask("Page.printToPDF")["data"]))


@contextmanager
def opened_browser(*flags: str) -> Iterator[Tab]:
    """Yield an empty tab of a new browser that knows nobody."""
    assert CHROMIUM
    with browser.opened(CHROMIUM, Tab, *flags) as tab:
        yield tab
