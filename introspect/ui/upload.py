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
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from introspect import limits, quarantine
from introspect.datafile import read_npy
from introspect.datasets import IDX_FILES
from introspect.errors import BadInput
from introspect.process import lock
from introspect.recipe import Recipe
from introspect.space import within
from introspect.store import cache_dir, write_file

UPLOAD_MB = max(1, int(limits.number("INTROSPECT_UPLOAD_MB", 1024)))
MODEL_MB, LAYERS_MB, DATA_MB, ATLAS_MB = UPLOAD_MB, 1, UPLOAD_MB, UPLOAD_MB
"""Largest upload of each kind, in megabytes; the browser refuses more, and so does the server.

`$INTROSPECT_UPLOAD_MB` sets another limit for models, data and atlases.
"""

KEPT = 31 * 86_400.0
"""Uploads outlive the jobs that may be resumed with them, which are forgotten after 30 days."""

DECODE = "introspect.samples:decode_upload"
SURVEY = "introspect.survey:survey_upload"
PICTURE = "introspect.pictures:decode_upload"
NAMES = "introspect.recipe:read_names_upload"


@runtime_checkable
class Upload(Protocol):
    """A file from the browser, as Streamlit hands it over."""

    name: str
    size: int

    def getbuffer(self) -> memoryview: ...


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
            write_file(folder / name, file.getbuffer(), durable=False)
    os.utime(folder)
    together = len(files) > 2 or names[-1].endswith(".parquet") and len(files) > 1
    return (folder if together else folder / names[0]).resolve()


def survey(kept: Path) -> dict[str, Any]:
    """What a child in quarantine says is in kept data; its examples lie in `looked(kept)`.

    Raises:
        BadInput: the data cannot be read; says why in one sentence.
    """
    return quarantine.run(SURVEY, kept, looked(kept))


def looked(kept: Path) -> Path:
    """The folder with the example pictures of kept data."""
    return (kept if kept.is_dir() else kept.parent) / "looked"


def read_names(file: Upload) -> tuple[str, ...]:
    """Class names out of an uploaded file, read by a child in quarantine.

    Raises:
        BadInput: it holds none.
    """
    kept = keep([file], LAYERS_MB)
    return tuple(quarantine.run(NAMES, kept, kept.parent / "plain")["classes"])


def decode_picture(data: bytes) -> UInt8[np.ndarray, "h w *c"]:
    """The values of one picture file, decoded by a child in quarantine.

    Raises:
        BadInput: it is no picture, or none that may be read; says why in one sentence.
    """
    with tempfile.TemporaryDirectory(dir=_folder(), prefix="picture-") as home:
        file = Path(home) / "The picture"
        file.write_bytes(data)
        quarantine.run(PICTURE, file, Path(home) / "plain")
        return np.array(read_npy(Path(home) / "plain" / "picture.npy"))


def decode(kept: Path, recipe: Recipe | None = None) -> tuple[Path, dict[str, Any]]:
    """Turns kept data, which may be anyone's, into plain arrays by a child in quarantine.

    Args:
        recipe: what is chosen for a table, or for pictures of many sizes; each has its own folder.

    Returns:
        The folder of the arrays, made once; and what was read: `n`, `shape` and `notes`.

    Raises:
        BadInput: the data cannot be read; says why in one sentence.
    """
    home = kept if kept.is_dir() else kept.parent
    chosen = json.dumps((recipe or Recipe()).document(), sort_keys=True)
    digest = hashlib.sha256(chosen.encode()).hexdigest()[:12]
    folder = home / f"plain-{digest}" / kept.name.split(".")[0]
    about = home / f"about-{digest}.json"
    # Two tabs with the same file: one reads, the other waits for it.
    with lock(home / ".reading"):
        if not about.is_file():
            told = quarantine.run(DECODE, kept, folder, words=[chosen])
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
    if endings == {".parquet"} and len(set(given)) == len(given):
        return given
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
