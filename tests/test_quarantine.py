"""An upload is parsed where it can do no harm, and every way to go wrong is one sentence."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from introspect import quarantine
from introspect.errors import BadInput, Cancelled
from introspect.quarantine import Limits, run
from introspect.samples import load_samples

DECODE = "introspect.samples:decode_upload"

only_unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")


@pytest.fixture
def upload(tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "mine.npz"
    np.savez_compressed(file, x=rng.random((30, 6, 6), np.float32), y=np.arange(30) % 3)
    return file


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """98 MB that take a while to read."""
    file = tmp_path_factory.mktemp("big") / "big.npz"
    np.savez(file, x=np.full((1000, 64, 64, 3), 0.3), y=np.arange(1000) % 2)
    return file


def test_upload_comes_back_as_plain_arrays(upload, tmp_path):
    answer = run(DECODE, upload, tmp_path / "job")
    assert (answer["n"], answer["shape"]) == (30, [1, 6, 6])
    found, direct = load_samples(tmp_path / "job"), load_samples(upload)
    assert found.fingerprint == direct.fingerprint
    assert isinstance(found.x.base, np.memmap | np.ndarray) and not found.x.flags.writeable
    assert found.classes == ("0", "1", "2")
    assert sorted(p.name for p in (tmp_path / "job").iterdir()) == [
        "ids.npy", "meta.json", "split.npy", "x.npy", "y.npy",
    ]  # fmt: skip


def test_refusal_of_the_reader_arrives_word_for_word(tmp_path):
    bad = tmp_path / "bad.npz"
    np.savez(bad, x=np.full((4, 6, 6), np.nan), y=np.arange(4))
    with pytest.raises(BadInput) as alone:
        load_samples(bad)
    with pytest.raises(BadInput) as inside:
        run(DECODE, bad, tmp_path / "job")
    assert str(inside.value) == str(alone.value)


@only_unix
def test_memory_limit_becomes_a_sentence(big, tmp_path):
    with pytest.raises(BadInput, match="needs more than 150 MB of memory"):
        run(DECODE, big, tmp_path / "job", Limits(memory=150 << 20))


@only_unix
def test_output_limit_becomes_a_sentence(upload, tmp_path):
    with pytest.raises(BadInput, match="unpacks to more than"):
        run(DECODE, upload, tmp_path / "job", Limits(output=1000))


def test_clock_limit_ends_the_child(upload, tmp_path):
    start = time.monotonic()
    with pytest.raises(BadInput, match="took longer than 0.01 seconds"):
        run(DECODE, upload, tmp_path / "job", Limits(seconds=0.01))
    assert time.monotonic() - start < 5


def test_cancelling_ends_the_child(upload, tmp_path):
    def stop():
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        run(DECODE, upload, tmp_path / "job", on_wait=stop)
    assert not (tmp_path / "job" / "x.npy").exists()


def test_only_named_functions_run(upload, tmp_path):
    with pytest.raises(ValueError, match="may not run"):
        run("os:system", upload, tmp_path / "job")


def test_child_imports_nothing_from_where_the_upload_lies(upload, tmp_path, monkeypatch):
    job = tmp_path / "job"
    job.mkdir()
    for place in (tmp_path, job):
        (place / "numpy.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(DECODE, upload, job)["n"] == 30


def test_name_of_a_data_set_is_only_a_file_name_here(tmp_path):
    file = tmp_path / "mnist"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match="not a data file"):
        run(DECODE, file, tmp_path / "job")


# ---------------------------------------------------------------- the warm parent
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no child is forked")


def children_of(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@only_linux
def test_warm_parent_reads_in_a_tenth_of_the_time_and_has_one_thread_only(upload, tmp_path):
    run(DECODE, upload, tmp_path / "first")
    start = time.monotonic()
    run(DECODE, upload, tmp_path / "second")
    assert time.monotonic() - start < 1
    pid = quarantine.warm_parent.pid
    assert len(os.listdir(f"/proc/{pid}/task")) == 1  # a fork would lose any other


@only_linux
def test_children_of_the_warm_parent_know_nothing_of_our_environment(upload, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "word")
    run(DECODE, upload, tmp_path / "job")
    known = Path(f"/proc/{quarantine.warm_parent.pid}/environ").read_bytes()
    names = {entry.split(b"=")[0].decode() for entry in known.split(b"\0") if entry}
    assert names == {
        "CUDA_VISIBLE_DEVICES", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS", "ARROW_NUM_THREADS",
    }  # fmt: skip


@only_linux
def test_killed_warm_parent_is_replaced(upload, tmp_path):
    run(DECODE, upload, tmp_path / "first")
    old = quarantine.warm_parent.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    assert run(DECODE, upload, tmp_path / "second")["n"] == 30
    assert quarantine.warm_parent.pid not in (None, old)


@only_linux
def test_killed_child_is_one_sentence_and_the_parent_lives_on(big, upload, tmp_path):
    run(DECODE, upload, tmp_path / "first")
    parent = quarantine.warm_parent.pid
    assert parent is not None

    def strike():
        for child in children_of(parent):
            os.kill(child, signal.SIGKILL)

    with pytest.raises(BadInput, match=r"big\.npz could not be read: it needs more memory"):
        run(DECODE, big, tmp_path / "job", on_wait=strike)
    assert quarantine.warm_parent.pid == parent
    assert run(DECODE, upload, tmp_path / "after")["n"] == 30


@only_linux
def test_cancelled_child_is_gone_when_run_returns(big, upload, tmp_path):
    run(DECODE, upload, tmp_path / "first")
    parent = quarantine.warm_parent.pid
    assert parent is not None
    seen: list[int] = []

    def stop():
        seen.extend(children_of(parent))
        if seen:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        run(DECODE, big, tmp_path / "job", on_wait=stop)
    assert seen and not Path(f"/proc/{seen[0]}").exists()


def test_several_threads_are_served_at_once(upload, tmp_path):
    answers = []
    threads = [
        threading.Thread(
            target=lambda i=i: answers.append(run(DECODE, upload, tmp_path / str(i))["n"])
        )
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [30] * 6
