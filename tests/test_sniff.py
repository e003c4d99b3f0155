"""What a file is, from a few bytes: named rightly, refused with the command that converts it."""

from __future__ import annotations

import pickle
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from introspect.cli import make_parser
from introspect.errors import BadInput
from introspect.formats.sniff import sniff

MEMBERS = {
    "pt2": (["net/archive_format", "net/models/model.json", "net/data/weights/weight_0"], "pt2"),
    "AOTInductor": (["net/models/model.json", "net/data/aotinductor/model/x.so"], "native code"),
    "old export": (["serialized_exported_program.json", "version"], "before 2.8"),
    "TorchScript": (["net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"],
                    "introspect export --torchscript"),
    "checkpoint": (["net/data.pkl", "net/data/0", "net/version"], "checkpoint"),
    "npz": (["x.npy", "y.npy"], "data"),
    "pictures": (["cats/1.PNG", "dogs/2.jpg"], "data"),
    "SavedModel": (["saved/saved_model.pb", "saved/variables/variables.index"], "tf2onnx"),
    "Keras 3": (["metadata.json", "config.json", "model.weights.h5"], "format='onnx'"),
    "TorchServe": (["MAR-INF/MANIFEST.json", "net.pt"], "TorchServe"),
    "atlas": (["manifest.json", "points.parquet"], "introspect app"),
    "other zip": (["readme.txt"], "introspect export my_module:build model.pt2"),
}  # fmt: skip

BYTES = {
    "old pickle": (pickle.dumps({"a": [1.0] * 100}), "checkpoint"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "format='onnx'"),
    "GGUF": (b"GGUF\x03\x00\x00\x00" + bytes(100), "GGUF"),
    "TensorFlow Lite": (b"\x1c\x00\x00\x00TFL3" + bytes(50), "tf2onnx"),
    "program": (b"\x7fELF" + bytes(100), "never runs one"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "unpack it"),
    "tar": (bytes(257) + b"ustar\x0000" + bytes(300), "unpack it"),
    "safetensors": (
        struct.pack("<Q", 66)
        + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}            ' + bytes(4),
        "safetensors",
    ),
    "onnx": (b"\x08\x08\x12\x07pytorch" + bytes(20), "onnx"),
    "layer list": (b"input_shape: [4]\nlayers:\n  - Linear: [4, 2]\n", "layers"),
    "layer list in JSON": (b'{"input_shape": [4], "layers": ["ReLU"]}', "layers"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(100), "data"),
    "parquet": (b"PAR1" + bytes(100), "data"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "data"),
    "empty": (b"", "save or upload it again"),
    "cut zip": (b"PK\x03\x04" + bytes(100), "damaged"),
    "noise": (bytes(range(7, 200)), "introspect export my_module:build model.pt2"),
    "text": (b"hello, I am a model", "of no kind"),
}  # fmt: skip


def check(file: Path, words: str) -> None:
    found = sniff(file)
    assert found.kind == words or (not found.kind and words in found.refused), found
    assert found.name and bool(found.kind) != bool(found.refused)
    if found.refused:
        assert found.refused.startswith(file.name) and found.refused.endswith((".", ")."))
        assert "\n" not in found.refused


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_zip_is_known_by_its_members(kind: str, tmp_path: Path) -> None:
    members, words = MEMBERS[kind]
    file = tmp_path / "upload.bin"
    with zipfile.ZipFile(file, "w") as archive:
        for name in members:
            archive.writestr(name, b"")
    check(file, words)


@pytest.mark.parametrize("kind", BYTES)
def test_a_plain_file_is_known_by_its_first_bytes(kind: str, tmp_path: Path) -> None:
    raw, words = BYTES[kind]
    file = tmp_path / "upload.bin"
    file.write_bytes(raw)
    check(file, words)


def test_folders_and_names_that_do_not_exist(tmp_path: Path) -> None:
    check(tmp_path, "without model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert sniff(tmp_path).kind == "folder"
    with pytest.raises(BadInput, match="no model nothing.pt"):
        sniff(tmp_path / "nothing.pt")


def test_the_commands_it_names_are_commands(tmp_path: Path) -> None:
    file = tmp_path / "script.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/code/x.py", b"")
    found = re.search(r"run: introspect (export .*) \(", sniff(file).refused)
    assert found is not None
    options = make_parser().parse_args(found.group(1).split())
    assert options.torchscript and options.model == "script.pt"
    assert options.input_shape == "3,32,32"


def test_looking_at_a_file_imports_no_torch(tmp_path: Path) -> None:
    file = tmp_path / "x.pt2"
    file.write_bytes(b"PK\x03\x04" + bytes(50))
    code = (
        "import sys; from introspect.formats.sniff import sniff; "
        f"assert sniff({str(file)!r}).refused; print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
