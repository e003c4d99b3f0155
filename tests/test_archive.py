"""An atlas travels as one zip; a stranger's zip changes nothing until all of it is believed."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from introspect.archive import Caps, is_member, pack, unpack
from introspect.errors import BadInput, NewerFormat
from introspect.store import open_folder, write_folder

FILES = {
    "settings.json": b'{"name": "map"}',
    "points.parquet": b"points",
    "model/graph.json": b"{}",
    "thumbs/000.webp": bytes(range(256)),
    "activations/layer_000.npy": b"half precision",
}


def fill(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    path = tmp_path / "map.atlas"
    write_folder(path, fill)
    return path


def listing(files: dict[str, bytes]) -> dict[str, dict[str, object]]:
    return {
        name: {"size": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in files.items()
    }


def manifest(files: dict[str, bytes] | None = None, **changed: object) -> bytes:
    files = {"settings.json": b"{}"} if files is None else files
    return json.dumps({"format": 1, "kind": "atlas", "files": listing(files), **changed}).encode()


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], compression: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return path


def contents(version: Path) -> dict[str, bytes]:
    return {
        file.relative_to(version).as_posix(): file.read_bytes()
        for file in version.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }


def refuse(zip_path: Path, sentence: str, **options) -> None:
    """The archive is refused with a sentence, and the folder it was to go to stays as it was."""
    before = sorted(os.listdir(zip_path.parent))
    with pytest.raises(BadInput, match=sentence) as caught:
        unpack(zip_path, zip_path.parent / "made.atlas", **options)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(zip_path.parent)) == before


def test_unpacked_equals_packed(atlas: Path, tmp_path: Path) -> None:
    zip_path = pack(atlas, tmp_path / "map.zip", activations=True)
    assert contents(unpack(zip_path, tmp_path / "made.atlas")) == FILES
    assert contents(open_folder(tmp_path / "made.atlas", verify=True)) == FILES


def test_activations_travel_only_when_asked(atlas: Path, tmp_path: Path) -> None:
    zip_path = pack(atlas, tmp_path / "map.zip")
    kept = {name: text for name, text in FILES.items() if not name.startswith("activations/")}
    assert contents(unpack(zip_path, tmp_path / "made.atlas")) == kept


def test_same_version_packs_to_the_same_bytes(atlas: Path, tmp_path: Path) -> None:
    first = pack(atlas, tmp_path / "a.zip").read_bytes()
    assert pack(atlas, tmp_path / "b.zip").read_bytes() == first


def test_members_are_stored_and_need_no_folder(atlas: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack(atlas, tmp_path / "map.zip")) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None


def test_full_disk_keeps_the_older_zip(atlas: Path, tmp_path: Path, monkeypatch) -> None:
    pack(atlas, tmp_path / "map.zip")
    before = (tmp_path / "map.zip").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match="The disk is full"):
        pack(atlas, tmp_path / "map.zip")
    assert (tmp_path / "map.zip").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["map.atlas", "map.zip"]


def test_full_disk_leaves_nothing_of_an_import(atlas: Path, tmp_path: Path, monkeypatch) -> None:
    zip_path = pack(atlas, tmp_path / "map.zip")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refuse(zip_path, "The disk is full")


def test_unknown_file_is_not_packed(tmp_path: Path) -> None:
    path = tmp_path / "map.atlas"
    write_folder(path, lambda folder: (folder / "notes.pkl").write_bytes(b"x"))
    with pytest.raises(ValueError, match="notes.pkl"):
        pack(path, tmp_path / "map.zip")


@pytest.mark.parametrize(
    "name",
    [
        "../settings.json",
        "/settings.json",
        "a/../../settings.json",
        "model/../settings.json",
        "./settings.json",
        "settings.json/",
        "model\\graph.json",
        "C:settings.json",
        "weights.pkl",
        "CURRENT",
        ".hidden",
        "model/",
        "thumbs/000.svg",
        "activations/../x.npy",
        "activations/a/b.npy",
        "settings.json\n",
        "thumbs/٠٠٠.webp",
    ],
)
def test_unknown_name_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "bad.zip", ("manifest.json", manifest()), (name, b"{}"))
    refuse(path, "is no file an atlas consists of")
    assert not is_member(name)


def test_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("settings.json")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    files = {"settings.json": b"/etc/passwd"}
    path = zipped(tmp_path / "bad.zip", ("manifest.json", manifest(files)), (link, b"/etc/passwd"))
    refuse(path, "is a link or a device")


@pytest.mark.parametrize("second", ["settings.json", "activations/A.npy"])
def test_duplicate_is_refused(tmp_path: Path, second: str) -> None:
    # On many disks names that differ in case are one file.
    first = second.lower()
    path = zipped(
        tmp_path / "bad.zip", ("manifest.json", manifest()), (first, b"{}"), (second, b"{}")
    )
    refuse(path, "is in it twice")


def test_compressed_bomb_is_refused_unread(tmp_path: Path) -> None:
    bomb = bytes(50_000_000)
    path = zipped(
        tmp_path / "bad.zip",
        ("manifest.json", manifest({"points.parquet": bomb})),
        ("points.parquet", bomb),
        compression=zipfile.ZIP_DEFLATED,
    )
    assert path.stat().st_size < 100_000
    refuse(path, "is compressed; use the file that Introspect exported")


def patched(path: Path, change: Callable[[bytearray, int, int], None]) -> Path:
    """The archive with the headers of settings.json changed by hand."""
    data = bytearray(path.read_bytes())
    central, local = data.index(b"PK\x01\x02"), 0
    assert data[central : central + 4] == b"PK\x01\x02" and data[local : local + 4] == b"PK\x03\x04"
    change(data, central, local)
    path.write_bytes(data)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return zipped(tmp_path / "bad.zip", ("settings.json", b"{}"), ("manifest.json", manifest()))


def test_encrypted_is_refused(small: Path) -> None:
    def encrypt(data: bytearray, central: int, local: int) -> None:
        data[central + 8] |= 1
        data[local + 6] |= 1

    refuse(patched(small, encrypt), "encrypted")


def test_members_that_overlap_are_refused(small: Path) -> None:
    def grow(data: bytearray, central: int, local: int) -> None:
        for place in (central + 20, central + 24, local + 18, local + 22):
            struct.pack_into("<I", data, place, 50_000)

    refuse(patched(small, grow), "larger than allowed in sum")


def test_two_names_for_one_member_are_refused(small: Path) -> None:
    def rename(data: bytearray, central: int, local: int) -> None:
        data[local + 30 : local + 43] = b"classesparque"

    refuse(patched(small, rename), "is damaged")


def test_changed_bytes_are_refused(small: Path) -> None:
    def change(data: bytearray, central: int, local: int) -> None:
        data[local + 43 : local + 45] = b"[]"

    refuse(patched(small, change), "is damaged")


def test_bytes_the_manifest_does_not_state_are_refused(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "bad.zip",
        ("manifest.json", manifest({"settings.json": b"{}"})),
        ("settings.json", b"[]"),
    )
    refuse(path, "content of settings.json has changed")


def test_wrong_size_missing_and_unlisted_files_are_named(tmp_path: Path) -> None:
    text = manifest({"settings.json": b"{}", "points.parquet": b"12"})
    path = tmp_path / "bad.zip"
    zipped(path, ("manifest.json", text), ("settings.json", b"{}"))
    refuse(path, "'points.parquet' is missing")
    zipped(path, ("manifest.json", text), ("settings.json", b"{}"), ("points.parquet", b"1"))
    refuse(path, "points.parquet does not have the size")
    zipped(path, ("manifest.json", manifest({})), ("settings.json", b"{}"))
    refuse(path, "does not list settings.json")


def test_manifest_cannot_name_a_way_out(tmp_path: Path) -> None:
    text = manifest({"../settings.json": b"{}"})
    path = zipped(tmp_path / "bad.zip", ("manifest.json", text), ("settings.json", b"{}"))
    refuse(path, "manifest.json cannot be read")


def test_newer_other_and_unnamed_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    zipped(path, ("manifest.json", manifest(format=9)), ("settings.json", b"{}"))
    with pytest.raises(NewerFormat, match="update Introspect"):
        unpack(path, tmp_path / "made.atlas")
    zipped(path, ("manifest.json", manifest(kind="recording")), ("settings.json", b"{}"))
    refuse(path, "'atlas' is needed")
    refuse(zipped(path, ("settings.json", b"{}")), "has no manifest.json")


def test_caps_bound_members_sizes_and_texts(atlas: Path, tmp_path: Path) -> None:
    path = pack(atlas, tmp_path / "map.zip")
    refuse(path, "more than 3 files", caps=Caps(members=3))
    refuse(path, "'thumbs/000.webp' is larger", caps=Caps(member=255))
    refuse(path, "larger than allowed in sum", caps=Caps(total=600))
    refuse(path, "'manifest.json' is larger", caps=Caps(text=100))


def test_endless_list_of_files_is_refused_before_it_is_read(tmp_path: Path) -> None:
    # A million names would take a gigabyte once parsed.
    path = tmp_path / "bad.zip"
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 4) + bytes(16) + b"name"
    directory = entry * 100_000
    end = b"PK\x05\x06" + bytes(4) + struct.pack("<HHIIH", 65535, 65535, len(directory), 0, 0)
    path.write_bytes(directory + end)
    refuse(path, "list of files is too long")


def test_long_list_hidden_in_a_zip64_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    directory = bytes(5 * 2**20)
    large = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 9, 9, len(directory), 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(directory), 1)
    end = b"PK\x05\x06" + bytes(4) + struct.pack("<HHIIH", 9, 9, 46, 0, 0)
    path.write_bytes(directory + large + locator + end)
    refuse(path, "list of files is too long")


def test_no_zip_is_said(atlas: Path, tmp_path: Path) -> None:
    whole = pack(atlas, tmp_path / "map.zip").read_bytes()
    path = tmp_path / "bad.zip"
    for content in (
        b"",
        b"hello",
        bytes(1000),
        whole[:-30],
        whole[: len(whole) // 2],
        whole + b"x",
    ):
        path.write_bytes(content)
        refuse(path, "no whole zip file")
    path.write_bytes(whole[40:])
    refuse(path, "is damaged")
    with pytest.raises(BadInput, match="There is no file at"):
        unpack(tmp_path / "gone.zip", tmp_path / "made.atlas")
    with pytest.raises(BadInput, match="cannot be read"):
        unpack(tmp_path, tmp_path / "made.atlas")


def test_no_damage_of_one_byte_gets_in(small: Path, tmp_path: Path) -> None:
    """Every byte of an archive flipped in turn: refused in one sentence, or read as it was."""
    whole = small.read_bytes()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x55
        small.write_bytes(data)
        made = tmp_path / f"{place}.atlas"
        try:
            version = unpack(small, made)
        except BadInput:
            assert not made.exists()
        else:
            assert contents(version) == {"settings.json": b"{}"}


def test_existing_atlas_is_not_replaced(atlas: Path, tmp_path: Path) -> None:
    path = pack(atlas, tmp_path / "map.zip")
    version = open_folder(atlas)
    with pytest.raises(BadInput, match="There already is something at"):
        unpack(path, atlas)
    assert open_folder(atlas) == version


def test_large_member_is_read_in_pieces(tmp_path: Path) -> None:
    big = os.urandom(5_000_000)
    path = tmp_path / "map.atlas"
    write_folder(path, lambda folder: (folder / "weights.safetensors").write_bytes(big))
    version = unpack(pack(path, tmp_path / "map.zip"), tmp_path / "made.atlas")
    assert contents(version) == {"weights.safetensors": big}


def test_other_tools_read_the_zip(atlas: Path, tmp_path: Path) -> None:
    data = io.BytesIO(pack(atlas, tmp_path / "map.zip").read_bytes())
    with zipfile.ZipFile(data) as archive:
        assert archive.read("thumbs/000.webp") == FILES["thumbs/000.webp"]
