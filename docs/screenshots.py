"""Takes the README's pictures from the running app, light and dark: `make screenshots`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal
from urllib.error import URLError

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from introspect.bundled import site

FOLDER = site() / "assets/screenshots"
SIZE = ViewportSize(width=1440, height=900)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
PATIENCE = 60.0
RING = [
    (dx, dy)
    for reach in range(0, 60, 4)
    for dx, dy in ((reach, 0), (0, reach), (-reach, 0), (0, -reach))
]


@contextmanager
def serve(home: Path) -> Iterator[str]:
    """The address of the app, started with an empty library."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    own = {"INTROSPECT_HOME": str(home), "STREAMLIT_SERVER_HEADLESS": "true"}
    command = [sys.executable, "-m", "introspect.cli", "app", "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ | own, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=5).close()
                break
            except (URLError, OSError):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("The app did not start.") from None
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def settle(page: Page) -> None:
    """Waits until the script has run and every widget is drawn."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")


def show_map(page: Page) -> None:
    """Waits for all points, and points at one near the middle so that its card shows."""
    settle(page)
    page.wait_for_function("window.__map && window.__map.ready && window.__map.rev > 0")
    stage = page.locator("canvas").first.bounding_box()
    assert stage is not None
    x, y = stage["x"] + 0.42 * stage["width"], stage["y"] + 0.45 * stage["height"]
    for dx, dy in RING:
        page.mouse.move(x + dx, y + dy)
        page.wait_for_timeout(30)
        if page.evaluate("window.__map.hovered !== null"):
            break
    page.wait_for_timeout(600)


def show_pin(page: Page) -> None:
    """Waits for all points; the address has pinned a sample and looks at the mistakes."""
    settle(page)
    page.wait_for_function("window.__map && window.__map.ready && window.__map.pinned !== null")
    settle(page)
    page.wait_for_timeout(800)


SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "map": ("activation_map?atlas=mnist-net1", show_map),
    "sample": ("activation_map?atlas=mnist-net1&wrong=1&pin=60247", show_pin),
    "load": ("load", settle),
}


def take(browser: Browser, url: str, theme: Literal["light", "dark"]) -> None:
    """One picture of each scene in one theme."""
    # Waiting for a condition evaluates text in the page, which our policy forbids.
    context = browser.new_context(viewport=SIZE, color_scheme=theme, base_url=url, bypass_csp=True)
    for name, (address, arrange) in SCENES.items():
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        arrange(page)
        file = FOLDER / f"{name}-{theme}.png"
        page.screenshot(path=file)
        print(file.relative_to(site()))
        page.close()
    context.close()


def main() -> None:
    """Starts the app and a browser, and writes every scene in both themes."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("The pictures need Chromium on the PATH: install the package chromium.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        serve(Path(home)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        for theme in THEMES:
            take(browser, url, theme)
        browser.close()


if __name__ == "__main__":
    main()
