"""Archives that are hostile as zips: nothing unpacks to more than the file itself has."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from pt2_files import Archive

from introspect.errors import BadInput
from introspect.formats.pt2 import read_pt2


def _refused(file: Path, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_pt2(file)


def test_a_deflated_bomb_is_not_unpacked(tmp_path: Path) -> None:
    made = Archive()
    made.members["data/weights/weight_0"] = bytes(1 << 26)
    file = made.write(tmp_path / "bomb.pt2", zipfile.ZIP_DEFLATED)
    assert file.stat().st_size < 1 << 20
    _refused(file, "compressed")


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    file = Archive().write(tmp_path / "twice.pt2")
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("net/models/model.json", b"{}")
    _refused(file, "in it twice")


def test_a_link_is_refused(tmp_path: Path) -> None:
    file = Archive().write(tmp_path / "link.pt2")
    link = zipfile.ZipInfo("net/data/weights/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    _refused(file, "link or a device")


def test_files_in_several_folders_are_refused(tmp_path: Path) -> None:
    file = Archive().write(tmp_path / "roots.pt2")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("other/x", b"")
    _refused(file, "not in one folder")


def test_members_that_lie_on_top_of_each_other_are_refused(tmp_path: Path) -> None:
    made = Archive()
    made.members["data/weights/weight_0"] = bytes(4000)
    raw = made.write(tmp_path / "over.pt2").read_bytes()
    # The list of members once more for the largest: both entries point to the same bytes.
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        start = archive.start_dir
        count = len(archive.infolist())
    entry = raw.index(b"PK\x01\x02", start)
    while b"weight_0" not in raw[entry : entry + 90]:
        entry = raw.index(b"PK\x01\x02", entry + 4)
    end = raw.index(b"PK\x01\x02", entry + 4)
    more = [raw[entry:end].replace(b"weight_0", b"weight_%d" % i) for i in range(2, 8)]
    tail = raw[raw.index(b"PK\x05\x06") :]
    listed = raw[start : raw.index(b"PK\x05\x06")] + b"".join(more)
    tail = tail[:8] + struct.pack("<HHI", *[count + 6] * 2, len(listed)) + tail[16:]
    file = tmp_path / "overlap.pt2"
    file.write_bytes(raw[:start] + listed + tail)
    _refused(file, "larger in sum|damaged")


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
def test_an_archive_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    raw = Archive().write(tmp_path / "whole.pt2").read_bytes()
    file = tmp_path / "cut.pt2"
    file.write_bytes(raw[: int(len(raw) * keep)])
    _refused(file, "damaged or cut short")


def test_every_changed_byte_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    raw = bytearray(Archive().write(tmp_path / "whole.pt2").read_bytes())
    random = torch.Generator().manual_seed(0)
    refused = 0
    for _ in range(120):
        at = int(torch.randint(len(raw), (1,), generator=random))
        changed = bytearray(raw)
        changed[at] ^= 1 << int(torch.randint(8, (1,), generator=random))
        file = tmp_path / "changed.pt2"
        file.write_bytes(changed)
        try:
            read_pt2(file)
        except BadInput:
            refused += 1
    assert refused > 10
