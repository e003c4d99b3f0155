"""Model files of unknown origin: what a file is, and its canonical form, made in quarantine.

A file is only ever parsed in the quarantine child; here, its first bytes are looked at.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from introspect import quarantine
from introspect.errors import BadInput
from introspect.formats.canonical import DOCUMENT, WEIGHTS
from introspect.formats.safetensors import check_header
from introspect.process import lock
from introspect.quarantine import Limits
from introspect.store import cache_dir, write_file

READABLE = {
    "safetensors": "safetensors",
    "PyTorch pickle": "checkpoint",
    "PyTorch export (pt2)": "pt2",
    "ONNX": "onnx",
}
"""What a file is, in words, to the kind of its reader."""

KEPT = 31 * 86_400.0
PARSE = "introspect.formats.reader:parse_upload"
LIMITS = Limits(memory=8 << 30, cpu=120, output=5 << 30, files=64, seconds=180)
EXPORT = "introspect export my_module:build model.pt2"
BESIDE = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Opened:
    """What the quarantine child made of a file: a folder of our own two files, and notes."""

    folder: Path
    has_document: bool
    notes: tuple[str, ...]

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS


def tell_format(path: Path) -> str:
    """What kind of file this is, from its first bytes; empty when unknown."""
    if path.is_dir():
        return "model folder" if (path / WEIGHTS).is_file() else "folder"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] == b"PK\x03\x04":
        return _tell_zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "PyTorch pickle"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "Keras HDF5"
    if path.suffix == ".onnx":
        return "ONNX"
    if path.suffix in (".pt", ".pth", ".ckpt", ".th"):
        return "PyTorch pickle" if head else ""
    if path.suffix in BESIDE:
        return "layer list"
    return "safetensors" if path.suffix == ".safetensors" else ""


def _tell_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "damaged zip"
    if any(name.endswith(".npy") for name in names):
        return "NumPy arrays"
    if any("/models/" in f"/{name}" and name.endswith(".json") for name in names):
        return "PyTorch export (pt2)"
    if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in names):
        return "TorchScript"
    return "PyTorch pickle" if any(name.endswith("data.pkl") for name in names) else "zip"


def advise(path: Path, kind: str) -> str:
    """Why a file that is no model of ours is not read, and what to do, in one sentence."""
    own = f"on your own machine run: {EXPORT}"
    if path.is_file() and path.stat().st_size == 0:
        return f"{path.name} is empty: save or upload it again."
    if kind == "TorchScript":
        return (
            f"{path.name} is a TorchScript archive, which is a program and hides its layers: "
            f"on your own machine run: introspect export --torchscript {path.name}"
        )
    if kind == "NumPy arrays":
        return f"{path.name} holds data, not a model: give it with --data, and weights as MODEL."
    if kind == "layer list":
        return f"{path.name} is a layer list: give the weights as MODEL and this with --layers."
    if kind == "folder":
        return f"{path.name} is a folder without {WEIGHTS}: give the weights file."
    if kind in ("zip", "damaged zip", ""):
        return f"{path.name} is no model file Introspect knows: {own}"
    return f"{path.name} is a {kind} file, which is not read here: {own}"


def open_model(
    path: Path,
    kind: str,
    limits: Limits = LIMITS,
    on_wait: Callable[[], None] | None = None,
) -> Opened:
    """Has the quarantine child turn a model file into canonical weights; kept for the next time.

    Args:
        kind: as `tell_format` says.

    Raises:
        BadInput: it is not a file that can be read; says why in one sentence.
    """
    if kind not in READABLE or path.stat().st_size == 0:
        raise BadInput(advise(path, kind))
    if kind == "safetensors":
        check_header(path)
    facts = path.stat()
    said = f"{path.resolve()}:{facts.st_size}:{facts.st_mtime_ns}:{kind}"
    home = cache_dir() / "opened"
    home.mkdir(parents=True, exist_ok=True)
    _forget_old(home)
    folder = home / hashlib.sha256(said.encode()).hexdigest()[:32]
    folder.mkdir(exist_ok=True)
    about = folder / "about.json"
    with lock(folder / ".reading"):
        if not about.is_file():
            told = quarantine.run(PARSE, path, folder, limits, on_wait, [READABLE[kind]])
            write_file(about, json.dumps(told).encode())
    told = json.loads(about.read_bytes())
    check_header(folder / WEIGHTS)
    return Opened(folder, (folder / DOCUMENT).is_file(), tuple(map(str, told.get("notes", []))))


def _forget_old(home: Path) -> None:
    for folder in home.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > KEPT:
            shutil.rmtree(folder, ignore_errors=True)
