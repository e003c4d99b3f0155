"""Recordings on disk: killed, cancelled, spoilt or crowded out, they go on and end up the same."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from networks import digests

import introspect.shards
from introspect.classifier import save_classifier
from introspect.errors import BadInput, Cancelled
from introspect.recording import Recording, read_recording, record

CHILD = """
import sys
import numpy as np
from introspect.classifier import read_classifier
from introspect.recording import record
from introspect.samples import Samples
import introspect.shards
introspect.shards.SHARD_BYTES = 1 << 14
model, data, folder, kill = sys.argv[1:]
columns = np.load(data)
samples = Samples(classes=tuple("0123456789"), name="child", **columns)
def on_batch(done, n):
    if done >= int(kill):
        print("ready", flush=True)
        sys.stdin.read()
record(read_classifier(model), samples, folder, batch=16, on_batch=on_batch, device="cpu")
"""


def test_record_survives_kill(mlp, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(introspect.shards, "SHARD_BYTES", 1 << 14)
    part = digits[:600]
    save_classifier(mlp, tmp_path / "model")
    columns = {"x": part.x, "y": part.y, "split": part.split, "ids": part.ids}
    np.savez(tmp_path / "data.npz", **columns)
    record(mlp, part, tmp_path / "undisturbed", batch=16)
    arguments = [str(tmp_path / name) for name in ("model", "data.npz", "killed")]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments, "300"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 20
        journal = tmp_path / "killed" / "journal.txt"
        while len(journal.read_text().splitlines()) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(BadInput, match="no finished recording"):
        read_recording(tmp_path / "killed")
    done: list[int] = []
    record(mlp, part, tmp_path / "killed", batch=16, on_batch=lambda a, n: done.append(a))
    assert 16 < done[0] <= 304 and done[-1] == 600
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")


@pytest.fixture
def halted(mlp, digits, tmp_path, monkeypatch):
    """A recording of 600 digits, stopped at the 400th, and the digests of a whole one."""
    monkeypatch.setattr(introspect.shards, "SHARD_BYTES", 1 << 14)
    record(mlp, digits[:600], tmp_path / "whole", batch=16)
    with pytest.raises(Cancelled):
        record(mlp, digits[:600], tmp_path / "part", batch=16, on_batch=lambda done, n: done < 400)
    return tmp_path / "part", digests(tmp_path / "whole")


def resumed(mlp, samples, folder) -> int:
    """The first progress that finishing a recording reports."""
    done: list[int] = []
    record(mlp, samples, folder, batch=16, on_batch=lambda a, n: done.append(a))
    return done[0] if done else 0


def test_a_cancelled_recording_goes_on_where_it_was(mlp, digits, halted):
    folder, wanted = halted
    assert resumed(mlp, digits[:600], folder) > 300
    assert digests(folder) == wanted


@pytest.mark.parametrize("spoil", ["torn", "zeros", "garbage", "gone", "short"])
def test_what_did_not_reach_the_disk_is_made_again(mlp, digits, halted, spoil):
    folder, wanted = halted
    journal = folder / "journal.txt"
    lines = journal.read_text().splitlines(keepends=True)
    if spoil == "torn":
        journal.write_text("".join(lines[:4]) + lines[4][:7])
    elif spoil == "garbage":
        journal.write_bytes(b"\xff\x00" * 40)
    elif spoil == "gone":
        journal.unlink()
    elif spoil == "short":
        os.truncate(folder / "h.npy", 5000)
    else:
        with (folder / "h.npy").open("r+b") as stream:
            stream.seek(128 + 96 * 2 * 200)
            stream.write(bytes(4096))
    first = resumed(mlp, digits[:600], folder)
    assert {"torn": 100 < first < 400, "zeros": 16 < first < 216}.get(spoil, first == 16)
    assert digests(folder) == wanted


def test_a_stopped_recording_of_something_else_is_begun_anew(mlp, cnn, digits, halted):
    folder, wanted = halted
    assert resumed(mlp, digits[600:1200], folder) == 16
    assert digests(folder) != wanted
    again = record(mlp, digits[600:1200])
    assert np.array_equal(read_recording(folder).h, again.h)


def test_two_at_once_record_one_after_the_other(mlp, digits, tmp_path):
    wanted = record(mlp, digits, batch=16)
    made: list[Recording] = []

    def work() -> None:
        made.append(record(mlp, digits, tmp_path / "r", batch=16))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3 and all(np.array_equal(one.h, wanted.h) for one in made)


def test_a_disk_too_small_is_told_before_the_work(mlp, digits, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(introspect.shards.shutil, "disk_usage", lambda path: usage)
    needed = 100 * (96 * 2 + 10 * 4 + 10 * 4)
    with pytest.raises(BadInput, match=f"needs {needed:,} more bytes .* 1,000 are free"):
        record(mlp, digits[:100], tmp_path / "r")
    assert not list((tmp_path / "r").glob("*.npy"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fills_up_loses_nothing_that_was_done(
    mlp, digits, tmp_path, monkeypatch, number
):
    monkeypatch.setattr(introspect.shards, "SHARD_BYTES", 1 << 14)
    record(mlp, digits[:600], tmp_path / "whole", batch=16)
    write = introspect.shards.Shards._write_shard

    def fails(self, journal, start, block):
        if start > 200:
            raise OSError(number, os.strerror(number))
        write(self, journal, start, block)

    with monkeypatch.context() as patch:
        patch.setattr(introspect.shards.Shards, "_write_shard", fails)
        words = "disk is full" if number == errno.ENOSPC else "cannot be written"
        with pytest.raises(BadInput, match=words):
            record(mlp, digits[:600], tmp_path / "part", batch=16)
    assert resumed(mlp, digits[:600], tmp_path / "part") > 200
    assert digests(tmp_path / "part") == digests(tmp_path / "whole")


def test_a_folder_that_cannot_be_made_is_told(mlp, digits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        record(mlp, digits[:5], tmp_path / "file" / "r")


def test_recording_never_holds_h_in_memory(tmp_path):
    resource = pytest.importorskip("resource")
    script = """
import resource, sys, numpy as np, torch
from torch import nn
from introspect.classifier import Classifier
from introspect.recording import record
from introspect.samples import Samples
n = 20_000
module = nn.Sequential(nn.Linear(4, 4000), nn.ReLU(), nn.Linear(4000, 2))
samples = Samples(
    x=np.zeros((n, 4), np.float32), y=np.zeros(n, np.int64), split=np.zeros(n, np.uint8),
    classes=("0", "1"), ids=np.arange(n), name="zeros",
)
classifier = Classifier.of(module, input_shape=(4,))
record(classifier, samples[:512], sys.argv[1] + "/a", batch=256)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
record(classifier, samples, sys.argv[1] + "/b", batch=256)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    assert resource is not None
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, cwd=root, check=True
    )
    grown = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert (tmp_path / "b" / "h.npy").stat().st_size > 160e6
    assert grown < 60e6
