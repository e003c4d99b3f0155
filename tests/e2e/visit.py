"""What the browser tests share: a running app, and waiting without sleeping."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from playwright.sync_api import Page, expect

from introspect.bundled import site

CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START = 90.0


@dataclass(frozen=True)
class Server:
    """The app as a visitor meets it: its address, and the folders it keeps things in."""

    url: str
    home: Path
    cache: Path
    process: subprocess.Popen

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(folder: Path, **environment: str) -> Server:
    """Starts `streamlit run app.py` on a free port, with its library and cache in `folder`."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home, cache = folder / "library", folder / "cache"
    command = [sys.executable, "-m", "streamlit", "run", str(site() / "app.py")]
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--server.port", str(port), "--server.headless", "true"],
            cwd=site(),
            stdout=log,
            stderr=log,
            env=os.environ
            | {"INTROSPECT_HOME": str(home), "INTROSPECT_CACHE": str(cache)}
            | environment,
        )
    server = Server(f"http://127.0.0.1:{port}", home, cache, process)
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=5):
                return server
        except (URLError, OSError):
            time.sleep(0.1)
    server.stop()
    raise RuntimeError((folder / "server.log").read_text()[-2000:])


def find_chromium() -> str | None:
    """Chromium or Chrome of this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def settle(page: Page, timeout: float = 60_000) -> None:
    """Waits until the script has run to its end and every widget is drawn."""
    page.wait_for_selector(
        "[data-testid=stApp][data-test-script-state=notRunning]", timeout=timeout
    )
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=timeout)
