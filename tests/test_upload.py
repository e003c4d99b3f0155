"""Files a visitor hands in: what is refused before anything is read, and where the rest waits."""

from __future__ import annotations

import gzip
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from introspect.errors import BadInput
from introspect.samples import load_samples
from introspect.ui import upload


@dataclass
class File:
    """An upload as Streamlit hands it over."""

    name: str
    content: bytes
    claimed: int | None = None

    @property
    def size(self) -> int:
        return len(self.content) if self.claimed is None else self.claimed

    def getbuffer(self) -> memoryview:
        return memoryview(self.content)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def idx(array) -> bytes:
    sizes = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


def test_file_is_kept_byte_for_byte_under_a_harmless_name():
    kept = upload.keep([File("..\\../etc/my model (1).safetensors", b"weights")], 1)
    assert kept.name == "my_model_1_.safetensors"
    assert kept.read_bytes() == b"weights"
    assert kept.is_absolute() and kept.parent.parent.name == "uploads"


@pytest.mark.parametrize("name", ["", ".", "...", "/", "..", "\u202e"])
def test_any_name_becomes_a_file_of_its_own(name):
    kept = upload.keep([File(name, b"x")], 1)
    assert kept.is_file() and kept.parent.parent.name == "uploads"


def test_same_content_is_kept_once_and_other_content_apart():
    first = upload.keep([File("a.npz", b"one")], 1)
    assert upload.keep([File("a.npz", b"one")], 1) == first
    assert upload.keep([File("a.npz", b"two")], 1).parent != first.parent
    assert first.read_bytes() == b"one"


def test_half_written_file_is_written_again():
    first = upload.keep([File("a.npz", b"whole")], 1)
    first.write_bytes(b"wh")
    assert upload.keep([File("a.npz", b"whole")], 1).read_bytes() == b"whole"


def test_empty_and_too_large_files_are_refused_in_a_sentence():
    with pytest.raises(BadInput, match="a.npz is empty"):
        upload.keep([File("a.npz", b"")], 1)
    with pytest.raises(BadInput, match="larger than the 1 MB allowed"):
        upload.keep([File("a.npz", b"x", claimed=2**20 + 1)], 1)


def test_inputs_and_labels_are_told_apart_by_size_and_read_as_a_pair():
    x, y = np.zeros((30, 4, 4), np.uint8), np.arange(30) % 3
    x[:, 0, 0] = np.arange(30)
    for files in ([File("x.npy", npy(x)), File("t.npy", npy(y))],
                  [File("answers.npy", npy(y)), File("digits.npy", npy(x))]):  # fmt: skip
        samples = load_samples(upload.keep(files, 1))
        assert samples.x[:, 0, 0, 0].tolist() == list(range(30))
        assert samples.y.tolist() == y.tolist()


def test_idx_pair_with_any_names_is_read_as_a_pair():
    x, y = np.zeros((20, 5, 5), np.uint8), (np.arange(20) % 2).astype(np.uint8)
    x[:, 1, 1] = np.arange(20)
    # Random bytes keep the pictures the larger file after compression.
    x[:, 2:] = np.random.default_rng(0).integers(0, 255, (20, 3, 5))
    samples = load_samples(upload.keep([File("labels.gz", idx(y)), File("pics.gz", idx(x))], 1))
    assert samples.x[:, 0, 1, 1].tolist() == list(range(20))
    assert samples.y.tolist() == y.tolist()


def test_mnists_four_files_are_one_set_with_its_split():
    rng = np.random.default_rng(0)
    files = []
    for part, n in (("train", 40), ("t10k", 20)):
        x = rng.integers(0, 255, (n, 6, 6)).astype(np.uint8)
        files.append(File(f"{part}-images-idx3-ubyte.gz", idx(x)))
        files.append(File(f"{part}-labels-idx1-ubyte.gz", idx((np.arange(n) % 4).astype(np.uint8))))
    samples = load_samples(upload.keep(files[::-1], 1))
    assert len(samples) == 60
    assert len(samples.of("test")) == 20
    assert samples.of("test").y.tolist() == [i % 4 for i in range(20)]


@pytest.mark.parametrize(
    "names",
    [("a.npz", "b.npz"), ("a.npy", "b.gz"), ("a.npy", "b.npy", "c.npy"), ("a.zip", "y.npy")],
)
def test_files_that_do_not_belong_together_are_refused(names):
    with pytest.raises(BadInput, match="do not belong together"):
        upload.keep([File(name, b"content") for name in names], 1)


def test_layer_lists_are_text():
    for name in ("net.yaml", "net.yml", "net.json"):
        upload.check_layers(name)
    with pytest.raises(BadInput, match="no layer list"):
        upload.check_layers("net.txt")


def test_uploads_outlive_the_jobs_that_need_them_and_no_more():
    old = upload.keep([File("old.npz", b"old")], 1).parent
    recent = upload.keep([File("recent.npz", b"recent")], 1).parent
    day = 86_400
    now = recent.stat().st_mtime
    os.utime(old, (now, now - 32 * day))
    os.utime(recent, (now, now - 30 * day))
    upload.keep([File("new.npz", b"new")], 1)
    assert not old.exists() and recent.is_dir()


def test_full_disk_is_a_sentence(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BadInput, match="disk is full"):
        upload.keep([File("a.npz", b"content")], 1)
    monkeypatch.undo()


def test_reader_gives_the_bytes_in_pieces():
    stream = upload.reader(File("a.zip", b"0123456789"))
    assert (stream.read(4), stream.read()) == (b"0123", b"456789")


def test_kept_path_is_free_of_the_visitors_folders(tmp_path):
    kept = upload.keep([File("/secret/place/x.npz", b"1")], 1)
    assert "secret" not in str(kept) and Path(kept).is_relative_to(tmp_path)


# ---------------------------------------------------------------- read in quarantine
def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_data_become_plain_arrays_named_as_they_came():
    x = np.random.default_rng(0).integers(0, 255, (40, 6, 6)).astype(np.uint8)
    folder, about = upload.decode(
        upload.keep([File("petals.npz", npz(x=x, y=np.arange(40) % 4))], 1)
    )
    assert about == {"n": 40, "shape": [1, 6, 6], "notes": [], "classes": 4, "labelled": 40}
    samples = load_samples(folder)
    assert samples.name == "petals"
    assert np.array_equal(samples.x[:, 0], x)
    assert samples.y.tolist() == [i % 4 for i in range(40)]


def test_data_are_read_once_however_many_ask(monkeypatch):
    kept = upload.keep([File("petals.npz", npz(x=np.zeros((30, 4, 4)), y=np.arange(30) % 3))], 1)
    ran = []

    def read(function, path, folder, words):
        ran.append(path)
        time.sleep(0.2)
        return {"n": 30, "shape": [1, 4, 4], "notes": []}

    monkeypatch.setattr(upload.quarantine, "run", read)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: upload.decode(kept), range(4)))
    assert ran == [kept] and found == [found[0]] * 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (npz(x=np.full((30, 4, 4), np.nan), y=np.arange(30) % 3), "NaN|not finite|numbers"),
        (npz(x=np.zeros((30, 4, 4)), y=np.zeros(30, np.int64)), "two classes"),
        (npz(x=np.zeros((30, 4, 4)), y=np.arange(29) % 3), "29"),
        (b"PK\x03\x04 and then nothing", "damaged"),
    ],
)
def test_bad_data_are_refused_in_a_sentence_each_time_they_are_given(content, told):
    kept = upload.keep([File("petals.npz", content)], 1)
    for _ in range(2):
        with pytest.raises(BadInput, match=told):
            upload.decode(kept)
