"""Array files: read without running anything, refused in a sentence when they are not whole."""

import gzip
import pickle
import struct
import zipfile

import numpy as np
import pytest

from introspect.errors import BadInput
from introspect.samples import load_samples


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30, 6, 6), np.uint8), np.arange(30) % 3


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.csv", "a-images-idx3-ubyte.gz"])
def test_missing_and_empty_files_are_said(tmp_path, name):
    with pytest.raises(BadInput, match="There is no file or folder"):
        load_samples(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(BadInput, match="is empty"):
        load_samples(tmp_path / name)


def test_truncated_files_are_said(tmp_path, arrays):
    x, y = arrays
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.savez_compressed(tmp_path / "b.npz", x=x, y=y)
    np.save(tmp_path / "c.npy", x)
    body = struct.pack(">IIII", 0x803, 30, 6, 6) + x.tobytes()
    (tmp_path / "d-images-idx3-ubyte").write_bytes(body)
    (tmp_path / "e-images-idx3-ubyte.gz").write_bytes(gzip.compress(body))
    for file in list(tmp_path.iterdir()):
        whole = file.read_bytes()
        assert len(load_samples(file)) == 30
        for cut in (len(whole) - 1, len(whole) // 2, 20):
            file.write_bytes(whole[:cut])
            with pytest.raises(BadInput):
                load_samples(file)


def test_idx_with_more_bytes_than_it_says_is_refused(tmp_path, arrays):
    body = struct.pack(">IIII", 0x803, 30, 6, 6) + arrays[0].tobytes() + b"more"
    file = tmp_path / "a-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(body))
    with pytest.raises(BadInput, match="should hold 1,080 values"):
        load_samples(file)


def test_labels_beside_an_idx_file_are_found(tmp_path, arrays):
    x, y = arrays
    images = struct.pack(">IIII", 0x803, 30, 6, 6) + x.tobytes()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">II", 0x801, 30) + y.astype(np.uint8).tobytes())
    )
    assert load_samples(tmp_path / "train-images-idx3-ubyte").y.tolist() == y.tolist()
    assert load_samples(tmp_path).y.tolist() == y.tolist()


class Bomb:
    def __reduce__(self):
        return (open, ("pickle-ran", "w"))


def test_objects_and_pickles_are_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = np.array([Bomb()], object)
    np.save("a.npy", evil, allow_pickle=True)
    np.savez("b.npz", x=evil, y=np.zeros(1))
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "d.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(BadInput, match="Python objects, which Introspect never unpickles"):
            load_samples(tmp_path / name)
    for name in ("c.pkl", "d.npy"):
        with pytest.raises(BadInput, match="not a data file"):
            load_samples(tmp_path / name)
    assert not (tmp_path / "pickle-ran").exists()


def test_compressed_bomb_is_refused_by_what_it_declares(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((100_000, 28, 28), np.uint8))
    with pytest.raises(BadInput, match="zip bomb"):
        load_samples(tmp_path / "a.npz")


def test_header_that_claims_more_than_is_there_is_refused(tmp_path):
    for shape in ("(1099511627776, 28, 28)", "(4, 28, 29)", "(4, 28, 27)"):
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
        body += bytes(4 * 28 * 28)
        (tmp_path / "a.npy").write_bytes(body)
        with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", body)
        for name in ("a.npy", "b.npz"):
            with pytest.raises(BadInput, match="says it holds"):
                load_samples(tmp_path / name)


def test_gzip_bomb_is_read_no_further_than_its_header_says(tmp_path):
    body = struct.pack(">IIII", 0x803, 10, 28, 28) + bytes(60 << 20)
    file = tmp_path / "a-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(body, 1))
    with pytest.raises(BadInput, match="should hold 7,840 values"):
        load_samples(file)
    file.write_bytes(gzip.compress(struct.pack(">IIII", 0x803, 1 << 30, 28, 28)))
    with pytest.raises(BadInput, match="zip bomb"):
        load_samples(file)


def test_fortran_order_and_compression_change_nothing(tmp_path, arrays):
    x, y = arrays
    np.savez(tmp_path / "a.npz", x=np.asfortranarray(x), y=y)
    np.savez_compressed(tmp_path / "b.npz", x=np.asfortranarray(x), y=y)
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    for name in ("a.npz", "b.npz", "x.npy"):
        assert np.array_equal(load_samples(tmp_path / name).x[:, 0], x)


def test_archive_without_x_names_what_it_has(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.zeros(3), bias=np.zeros(3))
    with pytest.raises(BadInput, match="holds weight, bias but no array named x"):
        load_samples(tmp_path / "a.npz")


def test_weights_given_as_data_are_recognised(tmp_path):
    from safetensors.numpy import save_file

    save_file({"0.weight": np.zeros((3, 3), np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match="holds 0.weight but no array named x"):
        load_samples(tmp_path / "a.safetensors")
