"""Zips whose list of members is not where, or not as long as, their end says at first sight."""

from __future__ import annotations

import resource
import struct
import time
import zipfile
from pathlib import Path

import pytest

from introspect.errors import BadInput
from introspect.formats.members import check_list, open_stored
from introspect.formats.sniff import sniff


def line() -> bytes:
    """A member of no bytes as the list has it: 46 bytes and a name of one letter."""
    return b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a"


def listing(count: int, told: int, large: bool = True) -> bytes:
    """A zip of so many members whose plain end tells of a list of `told` bytes."""
    length = count * len(line())
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, told, 0, 0)
    if large:
        more = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, length, 0)
        end = b"PK\x06\x06" + more + b"PK\x06\x07" + struct.pack("<IQI", 0, length, 1) + end
    return line() * count + end


@pytest.fixture
def bounded():
    """No more than 256 MB beyond what there is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (256 << 20), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_the_standard_library_believes_the_end_for_large_files(tmp_path: Path) -> None:
    """Otherwise the test below proves nothing."""
    file = tmp_path / "three.zip"
    file.write_bytes(listing(3, len(line())))
    with zipfile.ZipFile(file) as archive:
        assert len(archive.infolist()) == 3


@pytest.mark.parametrize(
    ("count", "told"), [(900_000, 47), (900_000, 0xFFFFFFFF), (400_000, 400_000 * 47)]
)
def test_a_list_of_very_many_members_is_never_read(
    tmp_path: Path, count: int, told: int, bounded: None
) -> None:
    file = tmp_path / "many.pt2"
    file.write_bytes(b"PK\x03\x04" + listing(count, told))
    start = time.process_time()
    found = sniff(file)
    assert not found.kind and "lists far more files" in found.refused
    with pytest.raises(BadInput, match="lists far more files"), open_stored(file):
        pass
    assert time.process_time() - start < 2


def test_a_list_larger_than_its_file_is_never_made_room_for(tmp_path: Path, bounded: None) -> None:
    raw = bytearray(listing(1, 47))
    at = raw.index(b"PK\x06\x06") + 40
    raw[at : at + 8] = struct.pack("<Q", 1 << 60)
    file = tmp_path / "lie.pt2"
    file.write_bytes(raw)
    with pytest.raises(BadInput, match="lists far more files"):
        check_list(file)


def test_zips_with_a_comment_or_in_the_large_form_are_read(tmp_path: Path) -> None:
    plain, large = tmp_path / "plain.zip", tmp_path / "large.zip"
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("net/data.pkl", b"x")
        archive.comment = b"a comment" * 100
    large.write_bytes(listing(2, 0xFFFFFFFF))
    check_list(plain)
    check_list(large)
    assert sniff(plain).kind == "checkpoint"
