"""The app beside a running program: opened without waiting, and what was chosen in it read back."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from introspect.errors import BadInput

STARTS_WITHIN = 120.0
VARIABLE = "INTROSPECT_SELECTION"
"""Names the file into which the app that a program has opened writes what was chosen last."""


class Window:
    """The app on one atlas, run by this program; a `with` block closes it at its end.

    A program that is read from a file stays until the app is closed (Ctrl-C), so that a script may
    end with `atlas.open()`; a notebook or prompt goes on at once and closes it when it ends.

    Args:
        save: writes the atlas into the folder it is given.
        name: of the atlas.
        port: where the app listens; any free one when None.
        browser: whether to show it in the browser.

    Raises:
        BadInput: the port is taken, or the app does not start; gives its last words.
    """

    def __init__(
        self, save: Callable[[Path], object], name: str, port: int | None, browser: bool
    ) -> None:
        self.port = _free_port(port)
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="introspect-")
        home = Path(self._folder.name)
        self._chosen = home / "selection.json"
        self._log = home / "app.log"
        path = home / f"{name}.atlas"
        save(path)
        command = [sys.executable, "-m", "introspect.cli", "app", os.fspath(path)]
        environment = os.environ | {
            VARIABLE: os.fspath(self._chosen),
            # Whether a browser opens is decided here, not by Streamlit's own settings.
            "STREAMLIT_SERVER_HEADLESS": "false" if browser else "true",
        }
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)], stdout=log, stderr=log, env=environment
            )
        atexit.register(self._at_exit)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def selection(self) -> Int64[np.ndarray, " m"]:
        """Ids of the samples drawn round last on the map, the most doubtful first; maybe none."""
        try:
            told = json.loads(self._chosen.read_bytes())
        except (OSError, ValueError):
            told = []
        return np.array(told, np.int64)

    @property
    def is_open(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        """Returns when the app has been closed."""
        self._process.wait()

    def close(self) -> None:
        """Ends the app; what was saved in it stays."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        atexit.unregister(self._at_exit)
        self._folder.cleanup()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Introspect at {self.url}, {'open' if self.is_open else 'closed'}>"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while self.is_open and time.monotonic() < deadline:
            # Any answer will do: a server with a password says 401.
            with contextlib.suppress(OSError):
                try:
                    urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5).close()
                except urllib.error.HTTPError as answer:
                    answer.close()
                return
            time.sleep(0.1)
        words = self._log.read_text(errors="replace").strip()[-500:]
        raise BadInput(f"The app did not start. It said: {words}")

    def _at_exit(self) -> None:
        if not _is_interactive():
            with contextlib.suppress(KeyboardInterrupt):
                self.wait()
        self.close()


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or "ipykernel" in sys.modules


def _free_port(wanted: int | None) -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except (OSError, OverflowError) as error:
            raise BadInput(f"Port {wanted} cannot be used ({error}): choose another.") from error
        return probe.getsockname()[1]
