"""MNIST, Fashion-MNIST and CIFAR-10 by name: found, read in every official form, or fetched."""

import gzip
import hashlib
import io
import os
import tarfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from introspect import datasets
from introspect.datafile import Columns
from introspect.datasets import CIFAR_ARCHIVE, CIFAR_FILES, IDX_FILES, official_split, read_dataset
from introspect.errors import BadInput
from introspect.samples import SPLITS, load_samples

full_data = pytest.mark.skipif(
    not os.environ.get("INTROSPECT_DATA"), reason="needs INTROSPECT_DATA, the full data sets"
)


def idx(values):
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return head + values.tobytes()


@pytest.fixture
def digits_like():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6100, 5, 4), np.uint8)
    return x, (np.arange(6100) % 10).astype(np.uint8)


def write_idx(folder, x, y, packed=True):
    folder.mkdir(parents=True)
    for name, part in zip(IDX_FILES, (x[:6000], y[:6000], x[6000:], y[6000:]), strict=True):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(part), 1))
        else:
            (folder / name).write_bytes(idx(part))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A cache that is empty, no data folder, and no mirror but a closed port."""
    monkeypatch.delenv("INTROSPECT_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets, "MIRRORS", dict.fromkeys(datasets.DATASETS, ()))
    monkeypatch.setenv("INTROSPECT_MIRROR", "http://127.0.0.1:9/")
    return tmp_path / "cache"


@pytest.mark.parametrize("layout", ["mnist", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_found_in_either_layout(
    nowhere, tmp_path, monkeypatch, digits_like, layout, packed
):
    x, y = digits_like
    write_idx(tmp_path / "data" / layout, x, y, packed)
    monkeypatch.setenv("INTROSPECT_DATA", str(tmp_path / "data"))
    found = read_dataset("mnist", nowhere)
    assert np.array_equal(found.x[:, 0], x) and np.array_equal(found.y, y)
    assert found.ids.tolist() == list(range(6100))


def test_official_split_is_the_seeded_one():
    split = official_split(60_000, 70_000)
    rows = np.random.default_rng(0).permutation(60_000)[:5000]
    assert np.bincount(split).tolist() == [55_000, 5_000, 10_000]
    assert set(np.flatnonzero(split == 1)) == set(rows.tolist())
    assert (split[60_000:] == 2).all()


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (600, 3, 32, 32), np.uint8)
    return x, (np.arange(600) % 10).astype(np.uint8)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(datasets, "_BIN_BYTES", 100 * 3073)


def pack(x, y):
    rows = np.concatenate([y[:, None], x.reshape(len(x), -1)], 1)
    return {name: rows[i * 100 : i * 100 + 100].tobytes() for i, name in enumerate(CIFAR_FILES)}


def make_archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def test_cifar_is_the_same_from_records_archive_and_mosaics(
    nowhere, tmp_path, monkeypatch, records, small_batches
):
    x, y = records
    monkeypatch.setenv("INTROSPECT_DATA", str(tmp_path))
    for layout in ("cifar-10-batches-bin", "cifar10"):
        (tmp_path / layout).mkdir()
    for name, body in pack(x, y).items():
        (tmp_path / "cifar-10-batches-bin" / name).write_bytes(body)
    first = read_dataset("cifar10", nowhere)
    assert np.array_equal(first.x, x) and np.array_equal(first.y, y)
    (tmp_path / "cifar10" / CIFAR_ARCHIVE).write_bytes(make_archive(pack(x, y)))
    assert np.array_equal(read_dataset("cifar10", nowhere).x, x)
    (tmp_path / "cifar10" / CIFAR_ARCHIVE).unlink()
    names = [*(f"train_{i}" for i in range(1, 6)), "test"]
    for i, name in enumerate(names):
        tiles = x[i * 100 : i * 100 + 100].transpose(0, 2, 3, 1).reshape(1, 100, 32, 32, 3)
        sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(32, 3200, 3)
        Image.fromarray(sheet).save(tmp_path / "cifar10" / f"{name}.webp", lossless=True, quality=0)
    np.savez(tmp_path / "cifar10" / "labels.npz", y_train=y[:500], y_test=y[500:])
    assert np.array_equal(read_dataset("cifar10", nowhere).x, x)
    assert read_dataset("cifar10", nowhere).classes[9] == "truck"


def test_archive_with_members_missing_or_cut_is_refused(
    nowhere, tmp_path, monkeypatch, records, small_batches
):
    monkeypatch.setenv("INTROSPECT_DATA", str(tmp_path))
    files = pack(*records)
    whole = make_archive(files)
    target = tmp_path / CIFAR_ARCHIVE
    target.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="damaged or cut short"):
        read_dataset("cifar10", nowhere)
    for change in ({"test_batch.bin": b""}, {"data_batch_3.bin": bytes(10)}):
        target.write_bytes(make_archive(files | change))
        with pytest.raises(BadInput, match="lacks"):
            read_dataset("cifar10", nowhere)


def test_cache_then_bundle_then_mirror(nowhere, digits_like):
    x, y = digits_like
    bundle = Columns(x[:5, None], y[:5].astype(np.int64))
    assert read_dataset("mnist", nowhere, lambda: bundle) is bundle
    write_idx(nowhere / "mnist", x, y)
    assert len(read_dataset("mnist", nowhere, lambda: bundle).x) == 6100


def test_data_set_is_fetched_checked_and_kept(
    nowhere, tmp_path, monkeypatch, digits_like, records, small_batches
):
    write_idx(tmp_path / "site" / "mnist", *digits_like)
    files = pack(*records)
    (tmp_path / "site" / "cifar10").mkdir()
    (tmp_path / "site" / "cifar10" / CIFAR_ARCHIVE).write_bytes(make_archive(files))
    parts = [gzip.decompress((tmp_path / "site/mnist" / f"{n}.gz").read_bytes()) for n in IDX_FILES]
    sums = {
        "mnist": tuple(hashlib.sha256(part).hexdigest() for part in parts),
        "cifar10": (hashlib.sha256(b"".join(files.values())).hexdigest(),),
    }
    monkeypatch.setattr(datasets, "SHA256", sums)

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "site")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("INTROSPECT_MIRROR", f"http://127.0.0.1:{server.server_port}")
        seen = []
        found = read_dataset("mnist", nowhere, on_bytes=lambda *at: seen.append(at))
        assert np.array_equal(found.x[:, 0], digits_like[0]) and seen
        assert np.array_equal(read_dataset("cifar10", nowhere).x, records[0])
        monkeypatch.setitem(sums, "fashion_mnist", sums["mnist"])
        wrong = tmp_path / "site" / "fashion_mnist"
        write_idx(wrong, digits_like[0] ^ 1, digits_like[1])
        with pytest.raises(BadInput, match="checksum is wrong"):
            read_dataset("fashion_mnist", nowhere)
        server.shutdown()
    monkeypatch.setenv("INTROSPECT_MIRROR", "http://127.0.0.1:9")
    assert np.array_equal(read_dataset("mnist", nowhere).x, found.x)
    assert not list(nowhere.rglob("*.part"))


def test_offline_without_data_says_what_to_do(nowhere):
    with pytest.raises(BadInput) as error:
        read_dataset("mnist", nowhere)
    sentence = str(error.value)
    for words in ("mnist is not on this machine", "train-images-idx3-ubyte.gz", "INTROSPECT_DATA"):
        assert words in sentence
    assert "\n" not in sentence and "Traceback" not in sentence


def test_damaged_files_are_said_not_used(nowhere, tmp_path, monkeypatch, digits_like):
    x, y = digits_like
    write_idx(tmp_path / "mnist", x, y)
    monkeypatch.setenv("INTROSPECT_DATA", str(tmp_path))
    labels = tmp_path / "mnist" / f"{IDX_FILES[1]}.gz"
    labels.write_bytes(gzip.compress(idx(y[:5000])))
    with pytest.raises(BadInput, match="do not belong together"):
        read_dataset("mnist", nowhere)
    labels.write_bytes(labels.read_bytes()[:30])
    with pytest.raises(BadInput, match="damaged or cut short"):
        read_dataset("mnist", nowhere)


@full_data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_real_data_are_the_published_ones(name):
    samples = load_samples(name)
    train = 50_000 if name == "cifar10" else 60_000
    assert [len(samples.of(s)) for s in SPLITS] == [train - 5000, 5000, 10_000]
    assert samples.ids.tolist() == list(range(train + 10_000))
    bytes_y = samples.y.astype(np.uint8)
    if name == "cifar10":
        rows = np.concatenate([bytes_y[:, None], samples.x.reshape(len(samples), -1)], 1)
        sums = (hashlib.sha256(rows.tobytes()).hexdigest(),)
    else:
        parts = (samples.x[:train, 0], bytes_y[:train], samples.x[train:, 0], bytes_y[train:])
        sums = tuple(hashlib.sha256(idx(part)).hexdigest() for part in parts)
    assert sums == datasets.SHA256[name]
    test = load_samples(f"{name}:test")
    assert test.ids[0] == train and test.name == f"{name}:test"
