"""An upload is parsed where it can do no harm, and every way to go wrong is one sentence."""

import sys
import time

import numpy as np
import pytest

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
def test_memory_limit_becomes_a_sentence(tmp_path):
    big = tmp_path / "big.npz"
    np.savez(big, x=np.full((1000, 64, 64, 3), 0.3), y=np.arange(1000) % 2)
    with pytest.raises(BadInput, match="needs more than 300 MB of memory"):
        run(DECODE, big, tmp_path / "job", Limits(memory=300 << 20))


@only_unix
def test_child_that_cannot_even_start_is_a_sentence(upload, tmp_path):
    with pytest.raises(BadInput, match="could not be read"):
        run(DECODE, upload, tmp_path / "job", Limits(memory=30 << 20))


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
