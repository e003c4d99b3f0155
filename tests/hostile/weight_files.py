"""Weights made to do harm: makers of files, each with what the sentence about it must say.

The "code" in them would create an empty marker file, and nothing else.
"""

from __future__ import annotations

import collections
import io
import os
import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn


class Marks:
    """Unpickled without care, it creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (os.mknod, (str(self.marker),))


class MarksByBuild(Marks):
    def __reduce__(self):
        return (exec, (f"open({str(self.marker)!r}, 'w').close()",))


class MarksByImport(Marks):
    def __reduce__(self):
        return (__import__("runpy").run_path, (str(self.marker) + ".py",))


class Foreign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)


def state() -> dict[str, torch.Tensor]:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).state_dict()


def rezip(source: Path, target: Path, change: Callable[[str, bytes], bytes | None], **how) -> None:
    """Copies a zip member by member, changing or leaving out what `change` says."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **how) as new:
        for member in old.infolist():
            content = change(member.filename, old.read(member))
            if content is not None:
                new.writestr(member.filename, content)


def saved(folder: Path, value: object, **how) -> Path:
    torch.save(value, folder / "whole.pt", **how)
    return folder / "whole.pt"


def with_pickle(folder: Path, raw: bytes) -> bytes:
    """A checkpoint whose pickle is replaced."""
    rezip(
        saved(folder, state()),
        folder / "other.pt",
        lambda name, content: raw if name.endswith("data.pkl") else content,
    )
    return (folder / "other.pt").read_bytes()


# Each maker gets an empty folder and the marker's path, and gives a file's content.
Maker = Callable[[Path, Path], bytes]
FILES: dict[str, tuple[str, Maker, str]] = {}


def hostile(name: str, words: str) -> Callable[[Maker], Maker]:
    """Registers a file of this name, and what the sentence about it must say."""

    def register(maker: Maker) -> Maker:
        FILES[maker.__name__] = (name, maker, words)
        return maker

    return register


# ---------------------------------------------------------------- pickles in every disguise
@hostile("net.pt", r"asks for posix\.mknod, which no weights need.*introspect export")
def plain_pickle_in_a_checkpoint(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"state_dict": state(), "x": Marks(marker)}).read_bytes()


@hostile("net.pth", r"asks for builtins\.exec")
def pickle_that_builds_source(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"a": MarksByBuild(marker)}).read_bytes()


@hostile("net.ckpt", r"asks for runpy\.")
def pickle_that_runs_a_path(folder: Path, marker: Path) -> bytes:
    Path(str(marker) + ".py").write_text(f"open({str(marker)!r}, 'w').close()")
    return saved(folder, {"a": MarksByImport(marker)}).read_bytes()


@hostile("net.pth", r"asks for posix\.mknod")
def pickle_of_the_old_torch_format(folder: Path, marker: Path) -> bytes:
    value = {"w": torch.ones(3, 3), "x": Marks(marker)}
    return saved(folder, value, _use_new_zipfile_serialization=False).read_bytes()


@hostile("net.th", r"asks for posix\.mknod")
def bare_pickle(folder: Path, marker: Path) -> bytes:
    return pickle.dumps(Marks(marker), protocol=2)


@hostile("net.pt", r"asks for posix\.mknod|is damaged")
def bare_pickle_of_protocol_zero(folder: Path, marker: Path) -> bytes:
    return pickle.dumps(Marks(marker), protocol=0)


@hostile("net.pt", r"asks for posix\.mknod")
def pickle_of_protocol_five(folder: Path, marker: Path) -> bytes:
    return with_pickle(folder, pickle.dumps({"w": Marks(marker)}, protocol=5))


@hostile("weights.safetensors", r"asks for posix\.mknod|not a safetensors file|pickle")
def pickle_called_safetensors(folder: Path, marker: Path) -> bytes:
    return pickle.dumps({"a": Marks(marker)}, protocol=4)


@hostile("weights.safetensors", r"asks for posix\.mknod|pickle|no model file")
def checkpoint_called_safetensors(folder: Path, marker: Path) -> bytes:
    return saved(folder, Marks(marker)).read_bytes()


@hostile("net.pt", r"whole pickled Python model \(it needs .*Foreign.*introspect export my_module")
def whole_pickled_module(folder: Path, marker: Path) -> bytes:
    return saved(folder, Foreign()).read_bytes()


@hostile("net.pt", r"whole pickled Python model")
def whole_pickled_module_of_torch_alone(folder: Path, marker: Path) -> bytes:
    return saved(folder, nn.Sequential(nn.Linear(3, 3))).read_bytes()


@hostile(
    "net.ckpt", r"Python objects beside the weights \(it needs argparse\.Namespace\).*python -c"
)
def settings_of_a_training(folder: Path, marker: Path) -> bytes:
    import argparse

    return saved(folder, {"state_dict": state(), "args": argparse.Namespace(lr=1)}).read_bytes()


@hostile("net.pt", r"asks for|is damaged")
def pickle_that_hides_its_class_on_the_stack(folder: Path, marker: Path) -> bytes:
    raw = b"\x80\x04\x8c\x02os\x94\x8c\x05mknod\x94\x93\x94\x8c"
    name = str(marker).encode()
    return with_pickle(folder, raw + bytes([len(name)]) + name + b"\x94\x85\x94R\x94.")


@hostile("net.pt", r"asks for|is damaged")
def pickle_that_names_a_class_through_a_dotted_path(folder: Path, marker: Path) -> bytes:
    call = f"(S'{marker}'\ntR.".encode()
    return with_pickle(folder, b"\x80\x02ctorch.serialization\nos.mknod\n" + call)


@hostile("net.pt", r"is damaged|asks for")
def pickle_that_never_ends(folder: Path, marker: Path) -> bytes:
    return with_pickle(folder, b"\x80\x02" + b"]" * 200_000)


@hostile("net.pt", r"is damaged|no named weights")
def pickle_nested_beyond_reason(folder: Path, marker: Path) -> bytes:
    return with_pickle(folder, b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".")


@hostile("net.pt", r"is damaged|holds|no named")
def dict_that_contains_itself(folder: Path, marker: Path) -> bytes:
    value: dict = {}
    value["again"] = value
    return saved(folder, value).read_bytes()


@hostile("script.pt", r"TorchScript program.*introspect export --torchscript script\.pt")
def torchscript(folder: Path, marker: Path) -> bytes:
    with zipfile.ZipFile(folder / "s.pt", "w") as archive:
        for name in ("s/data.pkl", "s/constants.pkl", "s/code/__torch__.py"):
            archive.writestr(name, b"")
    return (folder / "s.pt").read_bytes()


@hostile("net.pt", r"tar or gzip archive")
def tar_of_the_oldest_format(folder: Path, marker: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        raw = pickle.dumps(Marks(marker), protocol=2)
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return buffer.getvalue()


@hostile("net.pkl", r"asks for posix\.mknod")
def pickle_by_its_own_name(folder: Path, marker: Path) -> bytes:
    return pickle.dumps(Marks(marker), protocol=4)


# ---------------------------------------------------------------- bombs and lies in a zip
@hostile("net.pth", r"compressed inside, which torch\.save never does")
def deflated_bomb(folder: Path, marker: Path) -> bytes:
    source = saved(folder, {"w": torch.zeros(8 << 20)})
    rezip(source, folder / "b.pt", lambda n, c: c, compression=zipfile.ZIP_DEFLATED)
    raw = (folder / "b.pt").read_bytes()
    assert len(raw) < 1 << 20
    return raw


@hostile("net.pt", r"claims more numbers than there is room for")
def stride_of_zero_stands_for_2_to_the_40_numbers(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"w": torch.zeros(1).expand(2**20, 2**20)}).read_bytes()


@hostile("net.pt", r"is damaged|claims more")
def storage_larger_than_its_member(folder: Path, marker: Path) -> bytes:
    source = saved(folder, {"w": torch.zeros(64, 64)})
    rezip(source, folder / "b.pt", lambda n, c: c[:16] if re.search(r"data/\d", n) else c)
    return (folder / "b.pt").read_bytes()


@hostile("net.pt", r"damaged or cut-short zip|is damaged|no model file")
def central_directory_cut_off(folder: Path, marker: Path) -> bytes:
    raw = saved(folder, state()).read_bytes()
    return raw[: len(raw) * 2 // 3]


@hostile("net.pt", r"two members of one name|no model file|is damaged")
def two_members_of_one_name(folder: Path, marker: Path) -> bytes:
    source = saved(folder, state())
    with pytest.warns(UserWarning, match="Duplicate name"):
        with zipfile.ZipFile(source, "a") as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            archive.writestr(name, pickle.dumps(Marks(marker)))
    return source.read_bytes()


@hostile("net.pt", r"lead out of it")
def member_that_leads_out(folder: Path, marker: Path) -> bytes:
    source = saved(folder, state())
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("../../marker", b"")
    return source.read_bytes()


@hostile("net.pt", r"lead out of it|no model file|is damaged")
def symlink_in_the_zip(folder: Path, marker: Path) -> bytes:
    source = saved(folder, state())
    with zipfile.ZipFile(source, "a") as archive:
        link = zipfile.ZipInfo("whole/../data/0")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return source.read_bytes()


@hostile("net.pt", r"claims to hold more than its own size|damaged|no model file")
def members_that_overlap(folder: Path, marker: Path) -> bytes:
    source = saved(folder, {"w": torch.zeros(1 << 18)})
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        start = archive.start_dir
    raw = source.read_bytes()
    big = next(m for m in members if m.file_size == 4 << 18)
    # the directory names the same megabyte nine times
    central = raw[start:]
    pieces, where = [], 0
    while central[where : where + 4] == b"PK\x01\x02":
        sizes = struct.unpack_from("<HHH", central, where + 28)
        stop = where + 46 + sum(sizes)
        pieces.append(central[where:stop])
        where = stop
    own = next(p for p in pieces if big.filename.encode() in p)
    copies = [
        own.replace(big.filename.encode(), (big.filename[:-1] + str(i)).encode())
        for i in range(1, 9)
    ]
    whole = b"".join([*pieces, *copies])
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(pieces) + 8, len(pieces) + 8, len(whole), start, 0
    )
    return raw[:start] + whole + end


@hostile("net.pt", r"is damaged|no model file|needs more than")
def old_format_that_claims_a_terabyte(folder: Path, marker: Path) -> bytes:
    raw = saved(folder, {"w": torch.ones(5)}, _use_new_zipfile_serialization=False).read_bytes()
    return raw.replace(b"K\x05", b"\x8a\x06\x00\x00\x00\x00\x00\x01", 3)


# ---------------------------------------------------------------- weights that are none
@hostile("net.pt", r"NaN or infinite")
def nan_in_a_weight(folder: Path, marker: Path) -> bytes:
    value = state()
    value["0.weight"][1, 1] = torch.nan
    return saved(folder, value).read_bytes()


@hostile("net.pt", r"sparse, complex or without values")
def sparse_weights(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"w": torch.eye(4).to_sparse()}).read_bytes()


@hostile("net.pt", r"sparse, complex or without values")
def complex_weights(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"w": torch.ones(3, 3, dtype=torch.complex64)}).read_bytes()


@hostile("net.pt", r"sparse, complex or without values|is damaged")
def weights_without_values(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"w": torch.empty(2**20, 2**18, device="meta")}).read_bytes()


@hostile("net.pt", r"holds one tensor, no weights")
def a_tensor_alone(folder: Path, marker: Path) -> bytes:
    return saved(folder, torch.ones(3, 3)).read_bytes()


@hostile("net.pt", r"holds a list, no named weights")
def a_list(folder: Path, marker: Path) -> bytes:
    return saved(folder, [torch.ones(3, 3)]).read_bytes()


@hostile("net.pt", r"impossible name")
def name_of_control_characters(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"\x1b[31m\n.weight": torch.ones(3, 3)}).read_bytes()


@hostile("net.pt", r"impossible name")
def name_without_end(folder: Path, marker: Path) -> bytes:
    return saved(folder, {"a" * 100_000: torch.ones(3, 3)}).read_bytes()


@hostile("net.pt", r"weights only.*mlp|look nothing|of no network")
def names_of_python_itself(folder: Path, marker: Path) -> bytes:
    names = ("__class__.weight", "__dict__.weight", "forward.weight")
    return saved(folder, {name: torch.ones(3, 4) for name in names}).read_bytes()


@hostile("net.pt", r"lists 100,001 tensors|needs more|is damaged|more than")
def a_hundred_thousand_tensors(folder: Path, marker: Path) -> bytes:
    one = torch.zeros(1, 1)
    return saved(
        folder, collections.OrderedDict((str(i), one) for i in range(100_001))
    ).read_bytes()
