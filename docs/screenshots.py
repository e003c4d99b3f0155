"""Takes the documents' pictures from the running app, light and dark: `make screenshots`."""

from __future__ import annotations

import io
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

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from introspect.bundled import site

FOLDER = site() / "assets/screenshots"
SIZE = ViewportSize(width=1440, height=900)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
PATIENCE = 60.0


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


def show_pin(page: Page) -> None:
    """Waits for the pinned sample's card and its relatives; the address looks at the mistakes."""
    ready(page)
    page.get_by_text("Nearest in activation space").wait_for()
    page.get_by_text("the map stays free").wait_for(state="detached", timeout=300_000)
    settle(page)
    page.wait_for_timeout(1500)


def show_drawing(page: Page) -> None:
    """Draws a seven with a hook, and waits until it has landed."""
    ready(page)
    pad = page.locator("canvas.pad-canvas").bounding_box()
    assert pad is not None
    corners = [(0.28, 0.27), (0.72, 0.27), (0.62, 0.5), (0.48, 0.8)]
    places = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=12)
    page.mouse.up()
    page.wait_for_timeout(3000)
    settle(page)


def ready(page: Page) -> None:
    """Waits until all points are drawn."""
    settle(page)
    while not page.evaluate("window.__map && window.__map.ready && window.__map.rev > 0"):
        page.wait_for_timeout(50)
    settle(page)


def rest(page: Page) -> None:
    """Waits until nothing is computed and what was drawn has come to rest."""
    settle(page)
    page.wait_for_timeout(6000)
    settle(page)


def show_attack(page: Page) -> None:
    """Runs the attack and stops a third of the way."""
    settle(page)
    page.get_by_role("button", name="Run the attack").click()
    page.locator(".player-chip").nth(3).click(timeout=120_000)
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    rest(page)
    page.locator(".player-chip").nth(3).scroll_into_view_if_needed()


def show_flow(page: Page) -> None:
    """Runs an attack on a hundred samples and waits for its figure."""
    settle(page)
    count = page.get_by_role("spinbutton", name="Samples")
    count.fill("100")
    count.press("Enter")
    settle(page)
    page.get_by_role("button", name="Run in the background").click()
    page.get_by_role("button", name="Gateway 1").wait_for(timeout=300_000)
    rest(page)


def show_training(page: Page) -> None:
    """Halfway through the training."""
    settle(page)
    page.get_by_role("slider", name="Moment of the training").fill("11")
    rest(page)


SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "sample": ("activation_map?atlas=mnist-net1&wrong=1&pin=60247", show_pin),
    "drawing": ("activation_map?atlas=mnist-net1", show_drawing),
    "brainbow": ("brainbow?atlas=mnist-net1", rest),
    "constellation": ("constellation?atlas=mnist-net1&sample=60907", rest),
    "trajectory": ("trajectory?atlas=mnist-net1&sample=60907", show_attack),
    "evolution": ("evolution?atlas=mnist-net1", show_training),
    "reliability": ("reliability?atlas=mnist-net1", rest),
    "sample_card": ("sample_card?atlas=mnist-net1&a=60907&b=60247", rest),
    "attack_flow": ("attack_flow?atlas=mnist-net1", show_flow),
}
PAINTED = ("sample", "drawing")
"""Scenes kept as PNG; the others, of docs/pages.md, as smaller WebP."""


def take(browser: Browser, url: str, theme: Literal["light", "dark"]) -> None:
    """One picture of each scene in one theme."""
    # Waiting for a condition evaluates text in the page, which our policy forbids.
    context = browser.new_context(viewport=SIZE, color_scheme=theme, base_url=url, bypass_csp=True)
    chosen = sys.argv[1:] or SCENES
    for name, (address, arrange) in SCENES.items():
        if name not in chosen:
            continue
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        arrange(page)
        if name in PAINTED:
            file = FOLDER / f"{name}-{theme}.png"
            page.screenshot(path=file)
        else:
            file = FOLDER / f"{name}-{theme}.webp"
            Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(file, quality=82)
        print(file.relative_to(site()))
        page.close()
    context.close()


def main() -> None:
    """Starts the app and a browser, and writes every scene, or those named, in both themes."""
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
