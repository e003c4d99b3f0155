"""How a worker says how far it is, and hears that it should stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from introspect.errors import BadInput, Cancelled
from introspect.jobs import stopped, write_outcome
from introspect.store import write_file

EVERY = 0.2
ENDED = {"done": "Done", "failed": "Failed", "cancelled": "Stopped", "paused": "Paused"}
PATIENCE = 3.0


class Report:
    """Called by the work with (stage, done, total, message); costs microseconds.

    A thread writes what was said five times a second, and ends the process when the work does not
    report within `PATIENCE` seconds after someone asked it to stop: folders survive that.
    """

    def __init__(self, job_folder: Path) -> None:
        self.folder = job_folder / "work"
        self.folder.mkdir(exist_ok=True)
        self._job_folder = job_folder
        self._flag = job_folder / "cancel"
        self._said: dict[str, Any] = {"state": "running", "started": time.time()}
        self._written: dict[str, Any] = {}
        self._ended = threading.Event()
        self._ending = threading.Lock()
        self._write()
        self._pulse = threading.Thread(target=self._watch, daemon=True)
        self._pulse.start()

    def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
        """Tells how far the stage is.

        Raises:
            Cancelled: someone asked the work to stop.
        """
        if self._flag.exists():
            raise Cancelled("Stopped.")
        now = time.time()
        said = dict(self._said, stage=stage, done=done, total=total, message=message, time=now)
        if said.get("stage_started") is None or self._said.get("stage") != stage:
            # A resumed stage starts in the middle: the rate counts from there.
            said.update(stage_started=now, stage_done=done)
            self._log(stage)
        self._said = said

    def end(self, state: Any, message: str, result: Any = None) -> None:
        """Writes how it ended, once; what comes after the first word is ignored."""
        with self._ending:
            if self._ended.is_set():
                return
            self._ended.set()
            with contextlib.suppress(BadInput, OSError):
                self._write()
            spent = time.time() - self._said["started"]
            self._log(f"{ENDED[state]} after {spent:.0f} s. {message}".rstrip())
            write_outcome(self._job_folder, state, message, result)

    def _log(self, text: str) -> None:
        """One line for people, beside whatever the libraries say."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n"
        with contextlib.suppress(OSError), open(self._job_folder / "log.txt", "a") as log:
            log.write(line)

    def _write(self) -> None:
        said = self._said
        if said is not self._written:
            text = json.dumps(said).encode()
            write_file(self._job_folder / "progress.json", text, durable=False)
            self._written = said

    def _watch(self) -> None:
        asked = None
        while not self._ended.wait(EVERY):
            with self._ending, contextlib.suppress(BadInput, OSError):
                self._write()
            if asked is None and self._flag.exists():
                asked = time.monotonic()
            if asked is not None and time.monotonic() - asked > PATIENCE:
                self.end(*stopped(self._job_folder))
                leave()


def leave() -> None:
    """Ends this process at once, with the children it started."""
    if os.name != "nt" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
