"""Where are MNIST, Fashion-MNIST and CIFAR-10? On this machine, in the bundle, or on a mirror."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from introspect.datafile import Columns, read_idx
from introspect.download import fetch
from introspect.errors import BadInput
from introspect.plugin import Progress

DATASETS = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer",
        "dog", "frog", "horse", "ship", "truck",
    ),
}  # fmt: skip
"""Name of every data set known by name, and its class names."""

MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion_mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
}
"""Folders that hold the official files, best first; `$INTROSPECT_MIRROR` goes before them."""

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")

SHA256 = {
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    "cifar10": ("013ba16d14ecc4829da62bf2af648ca30f600491ecb3e7f329c827db0dd17522",),
}
"""Of the unpacked files (CIFAR-10: the six .bin files in order): mirrors pack differently."""

_FOLDERS = {
    "mnist": ("mnist", "MNIST/raw"),
    "fashion_mnist": ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
    "cifar10": ("cifar10", "cifar-10-batches-bin", "."),
}
_RECORD = 1 + 3 * 32 * 32
_BIN_BYTES = 10_000 * _RECORD
_MAX_UNPACKED = 1 << 28


def read_dataset(
    name: str,
    cache: Path,
    bundle: Callable[[], Columns | None] = lambda: None,
    on_bytes: Progress | None = None,
) -> Columns:
    """All of a data set in official order, test pictures last, split as DESIGN.md says.

    Looks into `$INTROSPECT_DATA`, then `cache`, then asks `bundle`, then downloads into `cache`.

    Args:
        name: a key of `DATASETS`.
        cache: folder that keeps downloads, one folder a data set.
        bundle: answers with the data when they came with the package.
        on_bytes: told the progress of a download.

    Raises:
        BadInput: a file is damaged, or the data are nowhere and cannot be downloaded; the sentence
            says where to put the files.
    """
    root = os.environ.get("INTROSPECT_DATA")
    places = [Path(root).expanduser() / folder for folder in _FOLDERS[name]] if root else []
    for place in [*places, cache / name]:
        found = _read_place(name, place)
        if found is not None:
            return _columns(name, *found)
    columns = bundle()
    if columns is not None:
        return columns
    _download(name, cache / name, on_bytes)
    found = _read_place(name, cache / name)
    assert found is not None
    return _columns(name, *found)


def _columns(name: str, x: np.ndarray, y: np.ndarray, train: int) -> Columns:
    labels = y.astype(np.int64)
    if len(labels) != len(x) or labels.max() > 9:
        raise BadInput(f"The files of {name} do not belong together: download them again.")
    return Columns(x, labels, official_split(train, len(x)), DATASETS[name], np.arange(len(x)))


def official_split(train: int, total: int) -> UInt8[np.ndarray, " n"]:
    """Split of each row: 5,000 of the training rows, drawn with seed 0, are for validation."""
    split = np.zeros(total, np.uint8)
    split[train:] = 2
    split[np.random.default_rng(0).permutation(train)[:5000]] = 1
    return split


def _read_place(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Pictures, labels and the number of training pictures in a folder, None when not there."""
    if name != "cifar10":
        paths = [_either(folder, file) for file in IDX_FILES]
        if not all(path.exists() for path in paths):
            return None
        train_x, train_y, test_x, test_y = (read_idx(path) for path in paths)
        if train_x.ndim != 3 or test_x.shape[1:] != train_x.shape[1:] or train_y.ndim != 1:
            raise BadInput(f"The files of {name} are mixed up: download them again.")
        x = np.concatenate([train_x, test_x])[:, None]
        return x, np.concatenate([train_y, test_y]), len(train_x)
    if all((folder / file).exists() for file in CIFAR_FILES):
        return _unpack_records([(folder / file).read_bytes() for file in CIFAR_FILES])
    if (folder / CIFAR_ARCHIVE).exists():
        return _unpack_records(_read_archive(folder / CIFAR_ARCHIVE))
    if (folder / "labels.npz").exists() and (folder / "test.webp").exists():
        return _read_mosaics(folder)
    return None


def _either(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).exists() else folder / f"{name}.gz"


def _unpack_records(files: list[bytes]) -> tuple[np.ndarray, np.ndarray, int]:
    """CIFAR-10's binary form: one label byte, then 3,072 bytes of red, green and blue planes."""
    if any(len(file) != _BIN_BYTES for file in files):
        raise BadInput("A file of cifar10 is cut short: download it again.")
    records = np.frombuffer(b"".join(files), np.uint8).reshape(-1, _RECORD)
    x = records[:, 1:].reshape(-1, 3, 32, 32)
    return x, records[:, 0], len(x) - len(files[-1]) // _RECORD


def _read_archive(path: Path) -> list[bytes]:
    """The six .bin members of the official archive, in memory; nothing else in it is touched."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                file = member.name.rsplit("/", 1)[-1]
                if file in CIFAR_FILES and member.isreg() and member.size == _BIN_BYTES:
                    stream = archive.extractfile(member)
                    found[file] = stream.read() if stream else b""
                elif member.size > _MAX_UNPACKED:
                    break
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path.name} is damaged or cut short: download it again.") from error
    if len(found) < len(CIFAR_FILES):
        raise BadInput(f"{path.name} lacks {CIFAR_FILES[len(found)]}: download it again.")
    return [found[file] for file in CIFAR_FILES]


def _read_mosaics(folder: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Lossless WebP mosaics of 100 x 100 pictures, with the labels in labels.npz."""
    try:
        names = (*(f"train_{i}.webp" for i in range(1, 6)), "test.webp")
        x = [read_mosaic(folder / name) for name in names]
        with np.load(folder / "labels.npz", allow_pickle=False) as labels:
            y = np.concatenate([labels["y_train"], labels["y_test"]])
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"The mosaics of cifar10 in {folder} are not whole.") from error
    return np.concatenate(x), y, sum(len(part) for part in x[:-1])


def read_mosaic(file: Path) -> UInt8[np.ndarray, "n 3 32 32"]:
    """The 32 x 32 pictures of one lossless WebP mosaic, 100 a row, row by row.

    Raises:
        OSError, ValueError: it is no such mosaic.
    """
    from PIL import Image

    with Image.open(file, formats=("WEBP",)) as image:
        sheet = np.asarray(image.convert("RGB"))
    tiles = sheet.reshape(-1, 32, 100, 32, 3).transpose(0, 2, 4, 1, 3)
    return tiles.reshape(-1, 3, 32, 32)


def is_at_hand(name: str, cache: Path) -> bool:
    """Whether a data set lies on this machine, so that reading it downloads nothing."""
    root = os.environ.get("INTROSPECT_DATA")
    places = [Path(root).expanduser() / folder for folder in _FOLDERS[name]] if root else []
    for place in [*places, cache / name]:
        if name != "cifar10":
            found = all(_either(place, file).exists() for file in IDX_FILES)
        else:
            mosaics = ("labels.npz", "test.webp")
            whole = ((*CIFAR_FILES,), (CIFAR_ARCHIVE,), mosaics)
            found = any(all((place / file).exists() for file in files) for files in whole)
        if found:
            return True
    return False


def _download(name: str, folder: Path, on_bytes: Progress | None) -> None:
    mirrors = MIRRORS[name]
    if own := os.environ.get("INTROSPECT_MIRROR"):
        mirrors = (own.rstrip("/") + f"/{name}/", *mirrors)
    files = [CIFAR_ARCHIVE] if name == "cifar10" else [f"{file}.gz" for file in IDX_FILES]
    for file, sha256 in zip(files, SHA256[name], strict=True):
        if (folder / file).exists():
            continue

        def check(path: Path, sha256: str = sha256) -> None:
            if _digest(path, packed=name == "cifar10") != sha256:
                raise BadInput("the checksum is wrong.")

        try:
            fetch([mirror + file for mirror in mirrors], folder / file, check, on_bytes=on_bytes)
        except BadInput as error:
            raise BadInput(
                f"{name} is not on this machine and {str(error).rstrip('.')}: connect to the "
                f"internet, or put {', '.join(files)} into a folder named {name} and set "
                "INTROSPECT_DATA to the folder around it."
            ) from error


def _digest(path: Path, packed: bool) -> str:
    digest = hashlib.sha256()
    if packed:
        for content in _read_archive(path):
            digest.update(content)
        return digest.hexdigest()
    try:
        with gzip.open(path, "rb") as file:
            left = _MAX_UNPACKED
            while left > 0 and (block := file.read(1 << 20)):
                digest.update(block)
                left -= len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput("the file is damaged.") from error
    return digest.hexdigest()
