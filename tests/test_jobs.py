"""Long work outlives whoever started it, and never pretends: real processes, real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from introspect import jobs
from introspect.errors import BadInput, Cancelled
from introspect.jobs.report import Report
from introspect.process import Owner, started

COUNT = "introspect.jobs.rehearsal:count"
ENDLESS = {"to": 100_000, "pause": 0.02}


@pytest.fixture(autouse=True)
def own_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    yield
    for job in jobs.all():
        if job.state().live and owner(job).pid != os.getpid():
            kill(job)


def owner(job: jobs.Job) -> Owner:
    found = Owner.parse((job.folder / "owner").read_text())
    assert found is not None
    return found


def kill(job: jobs.Job) -> None:
    os.kill(owner(job).pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)


def wait(
    job: jobs.Job, until: Callable[[jobs.JobState], bool], seconds: float = 20
) -> jobs.JobState:
    deadline = time.monotonic() + seconds
    while not until(state := job.state()):
        assert time.monotonic() < deadline, f"{state} {job.log.read_text()}"
        time.sleep(0.02)
    return state


def ended(state: jobs.JobState) -> bool:
    return not state.live


def counting(state: jobs.JobState) -> bool:
    return state.state == "running" and state.done >= 3


def in_another_process(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", "from introspect import jobs; import sys\n" + script]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_work_runs_in_its_own_process_and_returns_its_result() -> None:
    job = jobs.start(COUNT, {"to": 3}, "Counting to three")
    assert job.state().live
    state = wait(job, ended)
    assert (state.state, state.title) == ("done", "Counting to three")
    assert state.result == {"reached": 3, "begun": 0}
    assert (state.stage, state.done, state.total) == ("counting", 3, 3)
    assert owner(job).pid != os.getpid()
    assert not (job.folder / "work").exists()


def test_progress_grows_and_says_how_long_it_takes() -> None:
    job = jobs.start(COUNT, ENDLESS, "Counting")
    first = wait(job, counting)
    later = wait(job, lambda state: state.done > first.done + 10)
    assert later.total == 100_000
    assert later.started == first.started
    assert later.eta is not None
    # 20 ms and a little for each number; a busy machine needs longer, never less.
    assert later.eta > 0.9 * 0.02 * (100_000 - later.done)
    job.cancel()
    wait(job, ended)


@pytest.mark.skipif(sys.platform == "win32", reason="priorities and sessions are a POSIX matter")
def test_worker_is_polite_and_apart() -> None:
    job = jobs.start(COUNT, ENDLESS, "Counting")
    wait(job, counting)
    pid = owner(job).pid
    assert os.getpriority(os.PRIO_PROCESS, pid) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert os.getsid(pid) == pid
    if sys.platform == "linux":
        environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
        assert "OMP_WAIT_POLICY=PASSIVE" in environment
        assert any(line.startswith("OMP_NUM_THREADS=") for line in environment)


def test_threads_leave_a_core_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    assert jobs.environment()["OMP_NUM_THREADS"] == str(max(1, cores - 1))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert jobs.environment()["OMP_NUM_THREADS"] == "7"


def test_cancel_stops_at_the_next_report() -> None:
    job = jobs.start(COUNT, ENDLESS, "Counting")
    wait(job, counting)
    job.cancel()
    state = wait(job, ended, 3)
    assert (state.state, state.message) == ("cancelled", "Stopped.")


def test_cancel_ends_work_that_does_not_report() -> None:
    job = jobs.start(COUNT, {"to": 2, "pause": 60}, "Sleeping")
    wait(job, lambda state: state.stage == "counting")
    begun = time.monotonic()
    job.cancel()
    assert wait(job, ended).state == "cancelled"
    assert time.monotonic() - begun < 15
    deadline = time.monotonic() + 5
    while owner(job).alive and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not owner(job).alive


def test_killed_worker_is_dead_and_resumes_where_it_was() -> None:
    job = jobs.start(COUNT, {"to": 60, "pause": 0.02}, "Counting")
    wait(job, counting)
    kill(job)
    state = wait(job, ended, 5)
    assert state.state == "dead"
    assert "resume" in state.message
    job.resume()
    state = wait(job, ended)
    assert state.state == "done"
    assert state.result is not None and state.result["reached"] == 60
    assert state.result["begun"] >= 2


def test_cancelled_work_resumes_where_it_was() -> None:
    job = jobs.start(COUNT, {"to": 40, "pause": 0.02}, "Counting")
    wait(job, counting)
    job.cancel()
    wait(job, ended)
    job.resume()
    state = wait(job, ended)
    assert state.result is not None and state.result["begun"] >= 2


def test_pid_of_another_process_does_not_count_as_alive() -> None:
    job = jobs.start(COUNT, {"to": 1}, "Counting")
    wait(job, ended)
    (job.folder / "outcome.json").unlink()
    reused = Owner(os.getpid(), "1", Owner.me().host)
    (job.folder / "owner").write_text(str(reused))
    assert job.state().state == "dead"
    (job.folder / "owner").write_text(str(Owner.me()))
    assert job.state().live


def test_folder_whose_server_died_before_the_worker_began_is_dead() -> None:
    job = jobs.start(COUNT, {"to": 1}, "Counting")
    wait(job, ended)
    for name in ("outcome.json", "owner"):
        (job.folder / name).unlink()
    (job.folder / "progress.json").write_text(json.dumps({"state": "queued", "queued": 0}))
    assert job.state().state == "dead"
    job.cancel()
    assert job.state().state == "cancelled"


def test_one_job_works_at_a_time_in_order() -> None:
    first = jobs.start(COUNT, ENDLESS, "first")
    wait(first, counting)
    second = jobs.start(COUNT, {"to": 1}, "second")
    third = jobs.start(COUNT, {"to": 1}, "third")
    assert (second.state().state, second.state().position) == ("queued", 1)
    assert (third.state().state, third.state().position) == ("queued", 2)
    third.cancel()
    assert wait(third, ended).state == "cancelled"
    assert second.state().state == "queued"
    kill(first)
    assert wait(second, ended).state == "done"
    began, stopped = second.state().started, (first.folder / "progress.json").stat().st_mtime
    assert began is not None and began > stopped


def test_bad_input_becomes_its_sentence() -> None:
    job = jobs.start(COUNT, {"to": 0}, "Counting")
    state = wait(job, ended)
    assert state.state == "failed"
    assert state.message == "There is nothing to count: choose a number of at least 1."


def test_unexpected_error_points_to_the_log() -> None:
    job = jobs.start(COUNT, {"to": "three"}, "Counting")
    state = wait(job, ended)
    assert state.state == "failed"
    assert "unexpected" in state.message and str(job.log) in state.message
    assert "Traceback" not in state.message and "\n" not in state.message
    assert "Traceback" in job.log.read_text() and "TypeError" in job.log.read_text()


def test_only_listed_functions_run() -> None:
    with pytest.raises(ValueError, match="os:system"):
        jobs.start("os:system", {}, "Nothing good")
    job = jobs.start(COUNT, {"to": 1}, "Counting")
    wait(job, ended)
    text = json.loads((job.folder / "job.json").read_text())
    (job.folder / "job.json").write_text(json.dumps({**text, "function": "os:getcwd"}))
    (job.folder / "outcome.json").write_text(json.dumps({"state": "cancelled", "message": ""}))
    job.resume()
    state = wait(job, ended)
    assert (state.state, state.message) == ("failed", "This job asks for something no job may run.")


@pytest.mark.parametrize(
    "identity",
    ["", "..", "../jobs", "0" * 16, "0" * 15 + "\n", "A" * 16, "/etc", "0123456789abcde/"],
)
def test_strange_ids_find_nothing(identity: str) -> None:
    with pytest.raises(BadInput, match="There is no such job"):
        jobs.get(identity)


def test_another_server_sees_and_cancels_the_same_job() -> None:
    # Started by a process that is gone: as after a restart of the server.
    identity = in_another_process(
        "print(jobs.start(sys.argv[1], {'to': 100000, 'pause': 0.02}, 'Counting').id)", COUNT
    )
    job = jobs.get(identity)
    before = wait(job, counting)
    after = wait(job, lambda state: state.done > before.done)
    assert after.state == "running"
    assert [known.id for known in jobs.all()] == [identity]
    in_another_process("jobs.get(sys.argv[1]).cancel()", identity)
    assert wait(job, ended).state == "cancelled"


def test_resume_by_two_tabs_starts_one_worker() -> None:
    job = jobs.start(COUNT, {"to": 0}, "Counting")
    wait(job, ended)
    text = json.loads((job.folder / "job.json").read_text())
    text["arguments"] = {"to": 30, "pause": 0.02}
    (job.folder / "job.json").write_text(json.dumps(text))
    script = "jobs.get(sys.argv[1]).resume()"
    command = [sys.executable, "-c", "from introspect import jobs; import sys\n" + script, job.id]
    tabs = [subprocess.Popen(command) for _ in range(2)]
    assert [tab.wait() for tab in tabs] == [0, 0]
    state = wait(job, ended)
    assert state.result == {"reached": 30, "begun": 0}


def test_second_worker_of_a_folder_leaves_at_once() -> None:
    job = jobs.start(COUNT, ENDLESS, "Counting")
    wait(job, counting)
    before = owner(job)
    command = [sys.executable, "-m", "introspect.jobs", str(job.folder)]
    assert subprocess.run(command, timeout=10).returncode == 0
    assert owner(job) == before and job.state().state == "running"


def test_ended_jobs_are_removed_and_live_ones_are_not() -> None:
    job = jobs.start(COUNT, ENDLESS, "Counting")
    wait(job, counting)
    with pytest.raises(BadInput, match="still running"):
        job.remove()
    job.cancel()
    wait(job, ended)
    job.remove()
    assert jobs.all() == []
    with pytest.raises(BadInput, match="There is no such job"):
        jobs.get(job.id)


def test_jobs_of_last_month_are_forgotten() -> None:
    old = jobs.start(COUNT, {"to": 1}, "old")
    wait(old, ended)
    os.utime(old.folder / "job.json", (0, 0))
    new = jobs.start(COUNT, {"to": 1}, "new")
    assert jobs.all() == [new]
    wait(new, ended)


def test_no_worker_stays_behind_as_a_zombie() -> None:
    job = jobs.start(COUNT, {"to": 1}, "Counting")
    wait(job, ended)
    pid = owner(job).pid
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if sys.platform != "linux" or not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.02)
    assert started(pid) is None
    assert sys.platform != "linux" or not Path(f"/proc/{pid}").exists()


def test_report_is_cheap_and_written_by_the_clock(tmp_path: Path) -> None:
    report = Report(tmp_path)
    begun = time.perf_counter()
    for step in range(2_000):
        report("recording", step, 2_000, "batch")
    spent = time.perf_counter() - begun
    assert spent < 0.5
    time.sleep(0.3)
    written = json.loads((tmp_path / "progress.json").read_text())
    assert (written["stage"], written["done"], written["stage_done"]) == ("recording", 1_999, 0)
    (tmp_path / "cancel").touch()
    with pytest.raises(Cancelled):
        report("recording", 2_000, 2_000)
    report.end("cancelled", "Stopped.")
    report.end("done", "too late")
    assert json.loads((tmp_path / "outcome.json").read_text())["state"] == "cancelled"
