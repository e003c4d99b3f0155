"""Long work in its own process: it outlives the page, shows how far it is, stops and goes on.

A job is a folder: `job.json` (what to do), `owner` (which process does it), `progress.json`,
`outcome.json` (how it ended), `cancel` (someone asked it to stop) and `log.txt`. Everything is
read from there, so a reloaded page, a second tab and a restarted server see the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from introspect.errors import BadInput
from introspect.limits import check_jobs, number
from introspect.process import Owner, lock, started
from introspect.space import whose
from introspect.store import cache_dir, write_file

FUNCTIONS = (
    "introspect.building:build_folder",
    "introspect.fanning:run_fan",
    "introspect.jobs.rehearsal:count",
)
"""The only functions a worker runs; each is called with (arguments, report)."""

ID = re.compile(r"[0-9a-f]{16}([0-9a-f]{16})?")
FORGOTTEN_AFTER = 30 * 86_400.0
STARTING = 10.0

State = Literal["queued", "running", "done", "failed", "cancelled", "paused", "dead"]


DEAD: dict[str, Any] = {
    "state": "dead",
    "message": "The work ended without a word (killed, out of memory, or the machine was "
    "restarted): resume to go on from where it was.",
}


@dataclass(frozen=True)
class JobState:
    """How a job stands at one moment."""

    state: State
    title: str
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    """What the work says, or why it ended, in one sentence."""
    started: float | None = None
    """When it began to run, in seconds since 1970."""
    eta: float | None = None
    """Seconds left in this stage at the rate so far; None while unknown."""
    rate: float | None = None
    """Steps a second in this stage so far; None while unknown."""
    position: int = 0
    """How many jobs must end before this one begins; 0 when it does not wait."""
    result: dict[str, Any] | None = None

    @property
    def live(self) -> bool:
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Job:
    """One piece of long work; made by `start`, found again by `get`."""

    id: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def function(self) -> str:
        """What it does, "module:name"."""
        return _read(self.folder / "job.json").get("function", "")

    @property
    def arguments(self) -> dict[str, Any]:
        return _read(self.folder / "job.json").get("arguments", {})

    @property
    def visitor(self) -> str | None:
        """The space of the visitor who started it, None at home."""
        return _read(self.folder / "job.json").get("visitor")

    def state(self) -> JobState:
        """Reads how far it is; a few small files, cheap enough to ask twice a second."""
        title = _read(self.folder / "job.json").get("title", "")
        progress = _read(self.folder / "progress.json")
        outcome = _read(self.folder / "outcome.json")
        if not outcome and not self._is_alive(progress):
            # It may have ended properly between the two looks.
            outcome = _read(self.folder / "outcome.json")
            if not outcome:
                outcome = DEAD
        progress = _read(self.folder / "progress.json")
        state = outcome.get("state") or progress.get("state", "queued")
        return JobState(
            state=state,
            title=title,
            stage=progress.get("stage", ""),
            done=progress.get("done", 0),
            total=progress.get("total", 0),
            message=outcome.get("message", progress.get("message", "")),
            started=progress.get("started"),
            eta=_eta(progress) if state == "running" else None,
            rate=_rate(progress) if state == "running" else None,
            position=max(0, len(waiting(self)) + 1 - slots()) if state == "queued" else 0,
            result=outcome.get("result"),
        )

    def cancel(self) -> None:
        """Asks it to stop; it does so at its next report, or is ended a few seconds later."""
        state = self.state().state
        if state in ("queued", "running"):
            (self.folder / "pause").unlink(missing_ok=True)
            (self.folder / "cancel").touch()
        elif state in ("dead", "paused"):
            write_outcome(self.folder, "cancelled", "Stopped.")

    def pause(self) -> None:
        """Asks it to stop for a while: it frees its memory and its turn, and `resume` goes on."""
        if self.state().live:
            (self.folder / "pause").touch()
            (self.folder / "cancel").touch()

    def resume(self) -> None:
        """Starts it again with the same arguments unless it runs or is done."""
        with lock(self.folder / ".resume"):
            if self.state().state in ("queued", "running", "done"):
                return
            check_jobs(_live_count())
            for name in ("cancel", "pause", "outcome.json", "owner", "progress.json"):
                (self.folder / name).unlink(missing_ok=True)
            _launch(self)

    def told(self, most: int = 20_000) -> str:
        """The end of its log: what it did when, and what went wrong."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - most))
                return file.read(most).decode("utf-8", "replace")
        except OSError:
            return ""

    def remove(self) -> None:
        """Forgets a job that has ended, with its log and scratch files."""
        if self.state().live:
            raise BadInput("This work is still running: stop it before removing it.")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_alive(self, progress: dict[str, Any]) -> bool:
        try:
            owner = Owner.parse((self.folder / "owner").read_text())
        except OSError:
            # Between the folder and its process; a server that died there left it for ever.
            return time.time() - progress.get("queued", 0.0) < STARTING
        return owner is not None and owner.alive


def start(function: str, arguments: dict[str, Any], title: str) -> Job:
    """Starts work in a process of its own; it waits its turn when another job runs.

    Args:
        function: "module:name" from `FUNCTIONS`; called with (arguments, report). `report(stage,
            done, total, message="")` tells how far it is and raises `Cancelled` when asked to
            stop; `report.folder` keeps files for a resume. Returns what JSON can hold, a dict.
        arguments: what JSON can hold; absolute paths, as the worker may resume elsewhere.
        title: what the page calls it.

    Raises:
        ValueError: the function is not on the list.
        BadInput: a visitor has as much work going on as allowed.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"{function!r} is not one of the functions a job may run.")
    _forget_old()
    check_jobs(_live_count())
    identity = secrets.token_hex(16)
    job = Job(identity, jobs_dir() / identity)
    what = {"function": function, "arguments": arguments, "title": title, "visitor": whose()}
    text = json.dumps(what)
    job.folder.mkdir()
    write_file(job.folder / "job.json", text.encode())
    _launch(job)
    return job


def get(identity: str) -> Job:
    """The job of an id, which may come from anyone's URL.

    Raises:
        BadInput: there is no such job.
    """
    if ID.fullmatch(identity):
        job = Job(identity, jobs_dir() / identity)
        if (job.folder / "job.json").is_file() and job.visitor == whose():
            return job
    raise BadInput("There is no such job: it was removed, or the address is mistyped.")


def all() -> list[Job]:
    """Every job of one's own, the newest first."""
    return [job for job in everyone() if job.visitor == whose()]


def everyone() -> list[Job]:
    """The jobs of all visitors, the newest first."""
    dated = []
    for folder in jobs_dir().iterdir():
        if ID.fullmatch(folder.name):
            with contextlib.suppress(OSError):
                age = (folder / "job.json").stat().st_mtime_ns
                dated.append((age, Job(folder.name, folder)))
    return [job for _, job in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def jobs_dir() -> Path:
    """Where the folders of all jobs are."""
    folder = cache_dir() / "jobs"
    folder.mkdir(exist_ok=True)
    return folder


def slots() -> int:
    """How many jobs run at once, by `INTROSPECT_JOBS`; the others wait their turn."""
    return max(1, int(number("INTROSPECT_JOBS", 1)))


def waiting(job: Job) -> list[Job]:
    """The live jobs, of all visitors, that run before this one does."""
    mine = _place(job)
    before = []
    for folder in job.folder.parent.iterdir():
        other = Job(folder.name, folder)
        if not ID.fullmatch(folder.name) or other == job or (folder / "outcome.json").exists():
            continue
        progress = _read(folder / "progress.json")
        if not progress or not other._is_alive(progress):
            continue
        if progress.get("state") == "running" or _place(other) < mine:
            before.append(other)
    return before


def stopped(folder: Path) -> tuple[State, str]:
    """How a job ends that was asked to stop: for a while, or for good."""
    if (folder / "pause").exists():
        return "paused", "Paused."
    return "cancelled", "Stopped."


def write_outcome(folder: Path, state: State, message: str, result: Any = None) -> None:
    """Says how a job ended."""
    outcome = {"state": state, "message": message, "result": result}
    write_file(folder / "outcome.json", json.dumps(outcome).encode())


def _launch(job: Job) -> None:
    progress = {"state": "queued", "queued": time.time()}
    write_file(job.folder / "progress.json", json.dumps(progress).encode())
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    with open(job.log, "ab") as log:
        # Without -P an uploaded torch.py in the current folder would be imported.
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "introspect.jobs", str(job.folder.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
            start_new_session=True,
            creationflags=flags,
        )
    owner = Owner(worker.pid, started(worker.pid) or "0", Owner.me().host)
    write_file(job.folder / "owner", str(owner).encode(), durable=False)
    # Someone has to ask how it ended, or it stays behind as a zombie.
    threading.Thread(target=worker.wait, daemon=True, name=f"job-{job.id}").start()


def environment() -> dict[str, str]:
    """Leaves a core to the page, and lets waiting threads sleep instead of spin."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    threads = str(max(1, (cores - 1) // slots()))
    environment = dict(os.environ)
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        environment.setdefault(f"{name}_NUM_THREADS", threads)
    places = [str(Path(__file__).resolve().parents[2]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    return environment


def _rate(progress: dict[str, Any]) -> float | None:
    done = progress.get("done", 0) - progress.get("stage_done", 0)
    spent = progress.get("time", 0.0) - progress.get("stage_started", 0.0)
    return done / spent if done > 0 and spent > 0 else None


def _eta(progress: dict[str, Any]) -> float | None:
    rate = _rate(progress)
    left = progress.get("total", 0) - progress.get("done", 0)
    if rate is None or left < 0:
        return None
    return max(0.0, left / rate - (time.time() - progress["time"]))


def _live_count() -> int:
    return sum(job.state().live for job in all()) if whose() is not None else 0


def _place(job: Job) -> tuple[float, str]:
    return _read(job.folder / "progress.json").get("queued", 0.0), job.id


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _forget_old() -> None:
    for job in everyone():
        with contextlib.suppress(OSError, BadInput):
            if time.time() - (job.folder / "job.json").stat().st_mtime > FORGOTTEN_AFTER:
                job.remove()
