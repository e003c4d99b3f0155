"""Files a visitor hands in: size caps, what kinds are welcome, and where they wait for the work.

A file is written to the cache as it came, under the hash of its content, and is never parsed in
the process that serves the pages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from introspect import limits, quarantine
from introspect.datasets import IDX_FILES
from introspect.errors import BadInput
from introspect.process import lock
from introspect.space import within
from introspect.store import cache_dir, write_file

WEIGHTS_MB, LAYERS_MB, DATA_MB, ATLAS_MB = 1024, 1, 1024, 1024
"""Largest upload of each kind, in megabytes; the browser refuses more, and so does the server."""

KEPT = 31 * 86_400.0
"""Uploads outlive the jobs that may be resumed with them, which are forgotten after 30 days."""

LATER = {
    ".pt2": "a torch.export archive",
    ".onnx": "an ONNX model",
    ".pt": "a PyTorch checkpoint",
    ".pth": "a PyTorch checkpoint",
    ".ckpt": "a training checkpoint",
    ".bin": "a PyTorch checkpoint",
    ".pkl": "a Python pickle",
    ".h5": "a Keras model",
    ".keras": "a Keras model",
}
DECODE = "introspect.samples:decode_upload"
RECIPE = "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"


@runtime_checkable
class Upload(Protocol):
    """A file from the browser, as Streamlit hands it over."""

    name: str
    size: int

    def getbuffer(self) -> memoryview: ...


def check_weights(name: str) -> None:
    """Refuses a model file of a kind that cannot be read yet, saying which can.

    Raises:
        BadInput: its name does not end in .safetensors.
    """
    ending = Path(name).suffix.lower()
    if ending == ".safetensors":
        return
    kind = LATER.get(ending)
    what = f"{name} is {kind}, which cannot be read yet" if kind else f"{name} holds no weights"
    raise BadInput(
        f"{what}: weights are read from .safetensors, with a layer list beside them; "
        f"save them with {RECIPE}."
    )


def check_layers(name: str) -> None:
    """Refuses a file that cannot be a layer list.

    Raises:
        BadInput: it is neither YAML nor JSON by its name.
    """
    if Path(name).suffix.lower() not in (".yaml", ".yml", ".json"):
        raise BadInput(f"{name} is no layer list: give a .yaml or .json file.")


def keep(files: Sequence[Upload], limit_mb: int) -> Path:
    """Writes the files of one upload into a folder of their own and answers what to read there.

    The same files twice are kept once. Inputs and labels in two files, and the four files of
    MNIST, get the names by which the reader knows them.

    Raises:
        BadInput: a file is empty or too large, they do not belong together, or the disk is full.
    """
    for file in files:
        if file.size == 0:
            raise BadInput(f"{file.name} is empty (0 bytes): save or upload it again.")
        if file.size > limit_mb * 2**20:
            raise BadInput(f"{file.name} is larger than the {limit_mb} MB allowed here.")
    _forget_old()
    limits.check_room(sum(file.size for file in files))
    files = sorted(files, key=lambda file: -file.size)
    names = _names(files)
    digest = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        digest.update(f"{name}:{file.size}:".encode())
        digest.update(file.getbuffer())
    folder = _folder() / digest.hexdigest()[:32]
    folder.mkdir(exist_ok=True)
    for name, file in zip(names, files, strict=True):
        if not (folder / name).is_file() or (folder / name).stat().st_size != file.size:
            write_file(folder / name, bytes(file.getbuffer()))
    os.utime(folder)
    return (folder if len(files) > 2 else folder / names[0]).resolve()


def decode(kept: Path) -> tuple[Path, dict[str, Any]]:
    """Turns kept data, which may be anyone's, into plain arrays by a child in quarantine.

    Returns:
        The folder of the arrays, made once; and what was read: `n`, `shape` and `notes`.

    Raises:
        BadInput: the data cannot be read; says why in one sentence.
    """
    home = kept if kept.is_dir() else kept.parent
    folder = home / "plain" / kept.name.split(".")[0]
    about = home / "about.json"
    # Two tabs with the same file: one reads, the other waits for it.
    with lock(home / ".reading"):
        if not about.is_file():
            told = quarantine.run(DECODE, kept, folder)
            write_file(about, json.dumps(told).encode())
    return folder, json.loads(about.read_bytes())


def reader(file: Upload) -> BinaryIO:
    """The upload as a stream, without a second copy in memory."""
    import io

    return io.BytesIO(file.getbuffer())


def _names(files: Sequence[Upload]) -> list[str]:
    """Names under which the reader finds labels beside inputs; the larger file comes first."""
    given = [_tamed(file.name) for file in files]
    endings = {Path(name).suffix.lower() for name in given}
    if len(files) == 1:
        return given
    if len(files) == 2 and endings == {".npy"}:
        return ["x.npy", "y.npy"]
    if {name.removesuffix(".gz") for name in given} == set(IDX_FILES):
        return given
    if len(files) == 2 and endings == {".gz"}:
        return ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"]
    raise BadInput(
        f"{', '.join(file.name for file in files[:4])} do not belong together: give one file, "
        "or inputs and labels as two .npy or two idx.gz files."
    )


def _tamed(name: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name.replace("\\", "/")).name).lstrip(".")
    return kept[-80:] or "file"


def _folder() -> Path:
    folder = within(cache_dir()) / "uploads"
    folder.mkdir(exist_ok=True)
    return folder


def _forget_old() -> None:
    everyone = cache_dir().glob("visitors/*/uploads/*")
    for folder in [*_folder().iterdir(), *everyone]:
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > KEPT:
                shutil.rmtree(folder, ignore_errors=True)
