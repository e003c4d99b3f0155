"""What a file is, from its first bytes and the names inside a zip: nothing is loaded, no torch."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from introspect.errors import BadInput
from introspect.formats.members import check_list

READABLE = ("safetensors", "checkpoint", "pt2", "onnx")
"""Kinds of file that have a reader."""

HEAD = 4096
NATIVE = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".th", ".pkl")
EXPORT = "introspect export my_module:build model.pt2"
"""What turns any model of one's own into a file that is read."""


@dataclass(frozen=True)
class Sniffed:
    """What a file is: a short word, and what to call it; `refused` says why and what to do."""

    kind: str
    """pt2, onnx, safetensors, checkpoint, layers, data or folder; empty where it is refused."""
    name: str
    refused: str = ""


def sniff(file: str | Path) -> Sniffed:
    """What kind of model file this is.

    Raises:
        BadInput: there is no such file.
    """
    path = Path(file)
    if path.is_dir():
        known = (path / "model.safetensors").is_file()
        return Sniffed("folder", "a model folder") if known else _folder(path)
    if path.exists() and not path.is_file():
        return _refuse(path, "no model file but a device or a pipe", "give a file")
    if not path.is_file():
        raise BadInput(f"There is no model {path.name}: check the name.")
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if not head:
        return _refuse(path, "an empty file", "save or upload it again")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        return _sniff_zip(path)
    if _is_safetensors(head, size):
        return Sniffed("safetensors", "safetensors weights")
    return _sniff_plain(path, head)


def look(path: Path) -> Sniffed:
    """As `sniff`, but what is sound and still no model is refused too.

    Raises:
        BadInput: there is no such file.
    """
    found = sniff(path)
    if found.refused or found.kind in (*READABLE, "folder"):
        return found
    if found.kind == "layers":
        why = "is a layer list: give the weights as the model and this as its layer list."
    else:
        why = f"holds data ({found.name}), no model: give it as the data, and the weights as model."
    return replace(found, refused=f"{path.name} {why}")


def _refuse(path: Path, what: str, todo: str) -> Sniffed:
    return Sniffed("", what, f"{path.name} is {what}: {todo}.")


def _folder(path: Path) -> Sniffed:
    names = {child.name for child in list(path.iterdir())[:1000]}
    if "saved_model.pb" in names:
        return _tensorflow(path)
    return _refuse(path, "a folder without model.safetensors", "give the file of the weights")


def _is_safetensors(head: bytes, size: int) -> bool:
    length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else 0
    return 2 <= length <= size - 8 and head[8:9] == b"{" and head[9:10] in b'"} \n'


def _sniff_plain(path: Path, head: bytes) -> Sniffed:
    """Files that are no zip."""
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return _keras(path, "a Keras or HDF5 file")
    if head[:4] == b"GGUF" or head[:4] in (b"ggml", b"lmgg", b"tjgg", b"fmgg"):
        return _refuse(
            path,
            "a GGUF language model",
            "Introspect studies classifiers; load yours in torch and run on your own machine: "
            + EXPORT,
        )
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and b"." not in head[:2]:
        return Sniffed("checkpoint", "a PyTorch checkpoint in the old format")
    if head[:6] == b"\x93NUMPY":
        return Sniffed("data", "a NumPy array")
    if head[:4] == b"PAR1":
        return Sniffed("data", "a parquet table")
    if head.startswith(NATIVE):
        return _refuse(
            path,
            "a program or native library",
            f"Introspect never runs one; export the model itself on your own machine: {EXPORT}",
        )
    if head[4:8] == b"TFL3":
        return _tensorflow(path, "a TensorFlow Lite file")
    if head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b":
        return _refuse(
            path,
            "a tar or gzip archive",
            "unpack it on your own machine and give the model file in it",
        )
    if head[:2] in (b"\xff\xd8", b"BM") or head[:8] == b"\x89PNG\r\n\x1a\n":
        return Sniffed("data", "a picture")
    if _is_layer_list(path, head):
        return Sniffed("layers", "a layer list")
    if _is_onnx(head):
        return Sniffed("onnx", "an ONNX network")
    if path.suffix.lower() in CHECKPOINTS:
        # pickles of the first protocols begin with anything; their reader says what they ask for
        return Sniffed("checkpoint", "called a PyTorch checkpoint")
    return _refuse(
        path, "of no kind that Introspect knows", f"export your model on your own machine: {EXPORT}"
    )


def _is_layer_list(path: Path, head: bytes) -> bool:
    try:
        text = head.decode("utf-8", "strict" if len(head) < HEAD else "ignore")
    except UnicodeDecodeError:
        return False
    if text.lstrip().startswith("{"):
        try:
            return "layers" in json.loads(text)
        except (ValueError, RecursionError):
            return '"layers"' in text
    return path.suffix in (".yaml", ".yml", ".json") or bool(
        re.search(r"^(layers|input_shape)\s*:", text, re.MULTILINE)
    )


def _is_onnx(head: bytes) -> bool:
    """Field 1, the version, as a small number, then one of the fields that may follow it."""
    if len(head) < 4 or head[0] != 0x08 or not 1 <= head[1] <= 20:
        return False
    return head[2] in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)


def _sniff_zip(path: Path) -> Sniffed:
    try:
        check_list(path)
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            inner = [name.partition("/")[2] for name in names]
            return _by_members(path, archive, infos, names, inner)
    except BadInput as error:
        return Sniffed("", "a zip of very many files", str(error))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError,
            struct.error, OverflowError):  # fmt: skip
        return _refuse(path, "a damaged or cut-short zip", "save or upload it again")


def _by_members(
    path: Path,
    archive: zipfile.ZipFile,
    infos: list[zipfile.ZipInfo],
    names: list[str],
    inner: list[str],
) -> Sniffed:
    if any(name.startswith("data/aotinductor/") or name.endswith(".so") for name in inner):
        return _refuse(
            path,
            "compiled by AOTInductor, native code that would have to be run unread",
            f"on your own machine run: {EXPORT}",
        )
    if any(re.fullmatch(r"models/[^/]+\.json", name) for name in inner):
        return Sniffed("pt2", "an exported PyTorch network")
    if any("serialized_exported_program" in name for name in names):
        return _refuse(
            path,
            "an export of torch before 2.8",
            f"export it again with a newer torch, on your own machine: {EXPORT}",
        )
    if any(name.startswith("code/") or name == "constants.pkl" for name in inner):
        shown = path.name if re.fullmatch(r"[\w.-]+", path.name) else "file.pt"
        return _refuse(
            path,
            "a TorchScript program, which cannot be run safely",
            f"on your own machine run: introspect export --torchscript {shown} model.pt2 "
            "--input-shape 3,32,32 (the shape of your inputs)",
        )
    if any(name.endswith(".npy") for name in names):
        return Sniffed("data", "NumPy arrays")
    if any(name.rpartition("/")[2] == "saved_model.pb" for name in names):
        return _tensorflow(path)
    if {"config.json", "model.weights.h5"} <= set(names):
        return _keras(path, "a Keras file")
    if any(name == "data.pkl" for name in inner):
        return Sniffed("checkpoint", "a PyTorch checkpoint")
    if any(name.startswith("MAR-INF/") for name in names):
        return _refuse(
            path, "a TorchServe archive", "unpack it on your own machine and give the weights in it"
        )
    if "manifest.json" in names or "CURRENT" in names:
        return _refuse(path, "an atlas, not a model", "open it with: introspect app FILE")
    if any(name.lower().endswith((".png", ".jpg", ".jpeg", ".bmp", ".webp")) for name in names):
        return Sniffed("data", "pictures")
    return _refuse(
        path,
        "a zip of no kind that Introspect knows",
        f"export your model on your own machine: {EXPORT}",
    )


def _keras(path: Path, what: str) -> Sniffed:
    return _refuse(
        path,
        what,
        "save the network as ONNX on your own machine, with model.export('model.onnx', "
        "format='onnx') in Keras 3, and give that",
    )


def _tensorflow(path: Path, what: str = "a TensorFlow SavedModel") -> Sniffed:
    return _refuse(
        path,
        what,
        "turn it into ONNX on your own machine: python -m tf2onnx.convert --saved-model FOLDER "
        "--opset 17 --output model.onnx",
    )
