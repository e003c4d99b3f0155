"""Stored folders stay readable whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from introspect import store
from introspect.errors import BadInput, NewerFormat
from introspect.process import Owner
from introspect.store import open_folder, write_file, write_folder

WRITER = """
import sys
from pathlib import Path
from introspect.store import write_folder

path, word, times = sys.argv[1], sys.argv[2], int(sys.argv[3])

def fill(folder):
    (folder / "deep").mkdir()
    for name in ("one", "two", "deep/three"):
        (folder / name).write_text(word * 20_000 + str(number))

for number in range(times):
    write_folder(path, fill)
    print(number, flush=True)
"""


def writer(path: Path, word: str = "a", times: int = 1_000_000) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), word, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def holding(**texts: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for name, text in texts.items():
            (folder / name).write_text(text)

    return fill


def read(path: Path) -> dict[str, str]:
    version = open_folder(path, verify=True)
    return {
        file.relative_to(version).as_posix(): file.read_text()
        for file in version.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }


def damage(path: Path, change: Callable[[dict], object]) -> None:
    file = open_folder(path) / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "map.atlas"
    write_folder(path, holding(one="first", two="second"))
    return path


def test_what_is_written_is_read(saved: Path) -> None:
    assert read(saved) == {"one": "first", "two": "second"}


def test_manifest_states_size_and_sha256_of_every_file(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "graph.json").write_bytes(b"abc")

    version = write_folder(tmp_path / "map.atlas", fill)
    manifest = json.loads((version / "manifest.json").read_bytes())
    assert manifest["files"] == {
        "model/graph.json": {"size": 3, "sha256": sha256(b"abc").hexdigest()}
    }
    assert manifest["format"] == store.FORMAT
    assert manifest["version"] == version.name


def test_each_version_names_its_parent_and_one_earlier_stays(saved: Path) -> None:
    names = [open_folder(saved).name]
    names += [write_folder(saved, holding(one=str(number))).name for number in range(3)]
    assert sorted(entry.name for entry in saved.iterdir() if entry.name[0] == "v") == names[2:]
    assert json.loads((saved / names[3] / "manifest.json").read_text())["parent"] == names[2]


def test_readers_keep_the_version_they_opened(saved: Path) -> None:
    version = open_folder(saved)
    write_folder(saved, holding(one="new"))
    assert (version / "one").read_text() == "first"
    assert read(saved) == {"one": "new"}


def test_failed_fill_changes_nothing(saved: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "one").write_text("half")
        raise RuntimeError("in the middle")

    before = sorted(os.listdir(saved))
    with pytest.raises(RuntimeError, match="in the middle"):
        write_folder(saved, fill)
    assert sorted(os.listdir(saved)) == before
    assert read(saved)["one"] == "first"


def test_failed_first_save_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise RuntimeError("at once")

    with pytest.raises(RuntimeError):
        write_folder(tmp_path / "new.atlas", fill)
    assert not (tmp_path / "new.atlas").exists()


def test_folder_is_whole_after_every_kill(saved: Path) -> None:
    dice = random.Random(0)
    versions = set()
    for _ in range(12):
        child = writer(saved, "k")
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(dice.uniform(0, 0.05))
        child.kill()
        child.wait()
        child.stdout.close()
        texts = read(saved)
        assert len(set(texts.values())) == 1
        assert set(texts) == {"one", "two", "deep/three"}
        versions.add(open_folder(saved).name)
    assert len(versions) == 12
    write_folder(saved, holding(one="after"))
    assert read(saved) == {"one": "after"}
    left = [entry.name for entry in saved.iterdir() if entry.name[0] == "v"]
    assert len(left) == 2
    assert sorted(set(os.listdir(saved)) - set(left)) == [".lock", "CURRENT"]


def test_two_processes_may_save_at_once(tmp_path: Path) -> None:
    path = tmp_path / "map.atlas"
    children = [writer(path, word, 25) for word in "ab"]
    seen = set()
    while any(child.poll() is None for child in children):
        if (path / "CURRENT").exists():
            # One copied whole: either writer's, never a mixture.
            version = open_folder(path)
            seen.add(version.name)
    for child in children:
        assert child.stdout is not None
        assert child.stdout.read().split() == [str(number) for number in range(25)]
        child.stdout.close()
        assert child.returncode == 0
    texts = read(path)
    assert len(set(texts.values())) == 1
    assert texts["one"][-2:] == "24"
    assert len(seen) > 1


def test_leftovers_go_only_when_their_writer_is_dead(saved: Path) -> None:
    dead = Owner(os.getpid(), "1", Owner.me().host)
    stranger = Owner(os.getpid(), "1", "0" * 8)
    for owner in (dead, stranger, Owner.me()):
        (saved / f".tmp-{owner}-00000000").mkdir()
    (saved / ".CURRENT.0123abcd.tmp").touch()
    write_folder(saved, holding(one="new"))
    left = {entry.name for entry in saved.iterdir() if entry.name.startswith(".")}
    assert left == {".lock", f".tmp-{stranger}-00000000", f".tmp-{Owner.me()}-00000000"}


def test_leftovers_of_another_machine_go_after_a_day(saved: Path) -> None:
    stranger = saved / f".tmp-{Owner(1, '1', '0' * 8)}-00000000"
    stranger.mkdir()
    os.utime(stranger, (0, 0))
    write_folder(saved, holding(one="new"))
    assert not stranger.exists()


def test_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no atlas at .*gone.atlas"):
        open_folder(tmp_path / "gone.atlas")


def test_strange_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(BadInput, match="no CURRENT file"):
        open_folder(tmp_path)
    with pytest.raises(BadInput, match="is a file"):
        open_folder(tmp_path / "photo.jpg")


def test_strange_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(BadInput, match="is not empty and holds no atlas"):
        write_folder(tmp_path, holding(one="x"))
    with pytest.raises(BadInput, match="is a file"):
        write_folder(tmp_path / "photo.jpg", holding(one="x"))
    assert os.listdir(tmp_path) == ["photo.jpg"]


@pytest.mark.parametrize(
    "text", ["", "../elsewhere", "v1-00", "/etc", "v000001-0000000g", "x" * 99]
)
def test_pointer_that_names_no_version_is_refused(saved: Path, text: str) -> None:
    (saved / "CURRENT").write_text(text)
    with pytest.raises(BadInput, match="CURRENT file names no version"):
        open_folder(saved)


def test_missing_file_is_named(saved: Path) -> None:
    (open_folder(saved) / "two").unlink()
    with pytest.raises(BadInput, match="two is missing"):
        open_folder(saved)


def test_truncated_file_is_named(saved: Path) -> None:
    (open_folder(saved) / "two").write_text("sec")
    with pytest.raises(BadInput, match="two has 3 bytes instead of 6"):
        open_folder(saved)


def test_altered_file_is_named_when_verified(saved: Path) -> None:
    version = open_folder(saved)
    (version / "two").write_text("SECOND")
    assert open_folder(saved) == version
    with pytest.raises(BadInput, match="content of two has changed"):
        open_folder(saved, verify=True)


def test_missing_manifest_is_said(saved: Path) -> None:
    (open_folder(saved) / "manifest.json").unlink()
    with pytest.raises(BadInput, match="manifest.json is missing"):
        open_folder(saved)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1]", b"\xff\xfe", b'{"format": "1"}', b"[" * 100_000, b" " * (17 * 2**20)],
    ids=["empty", "half", "list", "binary", "text-format", "deep", "huge"],
)
def test_unreadable_manifest_is_said(saved: Path, text: bytes) -> None:
    (open_folder(saved) / "manifest.json").write_bytes(text)
    with pytest.raises(BadInput, match="manifest.json cannot be read"):
        open_folder(saved)


@pytest.mark.parametrize("name", ["../one", "/one", "a/../../one", "a\\one", "c:one", "", "a//b"])
def test_manifest_that_leaves_its_folder_is_refused(saved: Path, name: str) -> None:
    damage(saved, lambda manifest: manifest["files"].update({name: {"size": 1, "sha256": "0"}}))
    with pytest.raises(BadInput, match="manifest.json cannot be read"):
        open_folder(saved)


def test_newer_format_asks_for_an_update_and_is_not_saved_over(saved: Path) -> None:
    damage(saved, lambda manifest: manifest.update(format=store.FORMAT + 1))
    with pytest.raises(NewerFormat, match="newer version of Introspect .* update"):
        open_folder(saved)
    with pytest.raises(NewerFormat):
        write_folder(saved, holding(one="old"))


def test_another_kind_is_refused(saved: Path) -> None:
    with pytest.raises(BadInput, match="holds a 'atlas', where 'recording' is needed"):
        open_folder(saved, kind="recording")
    with pytest.raises(BadInput, match="'recording' is needed"):
        write_folder(saved, holding(one="x"), kind="recording")


def test_damaged_folder_may_be_saved_over(saved: Path) -> None:
    (open_folder(saved) / "two").unlink()
    (saved / "CURRENT").write_text("nonsense")
    write_folder(saved, holding(one="mended"))
    assert read(saved) == {"one": "mended"}


def test_one_version_alone_opens(saved: Path) -> None:
    version = open_folder(saved)
    assert open_folder(version) == version


def raised_as_libraries_do() -> list[Exception]:
    return [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ]


@pytest.mark.parametrize("error", raised_as_libraries_do(), ids=["system", "library"])
def test_full_disk_is_said_and_the_old_version_stays(saved: Path, error: Exception) -> None:
    def fill(folder: Path) -> None:
        (folder / "one").write_text("half")
        raise error

    before = sorted(os.listdir(saved))
    with pytest.raises(BadInput, match="The disk is full"):
        write_folder(saved, fill)
    assert sorted(os.listdir(saved)) == before
    assert read(saved)["one"] == "first"


@pytest.mark.skipif(sys.platform == "win32", reason="limits of one process are a POSIX matter")
def test_file_that_may_not_grow_is_said_and_the_old_version_stays(saved: Path) -> None:
    # A limit on this process's own files stands for a full disk, with the system's real errors.
    script = (
        "import resource, signal, sys\n"
        "from introspect.errors import BadInput\n"
        "from introspect.store import write_file, write_folder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "def fill(folder): (folder / 'one').write_bytes(bytes(100_000))\n"
        "for write in (lambda: write_folder(sys.argv[1], fill),\n"
        "              lambda: write_file(sys.argv[1] + '/note', bytes(100_000))):\n"
        "    try: write()\n"
        "    except BadInput as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(saved)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(said) == 2
    assert all(line.startswith("The disk is full") for line in said)
    assert read(saved)["one"] == "first"
    assert not [name for name in os.listdir(saved) if name.startswith((".tmp", "note", ".note"))]


def test_known_size_is_refused_before_the_work(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise AssertionError("must not begin")

    with pytest.raises(BadInput, match="The disk is full: .* make room"):
        write_folder(tmp_path / "map.atlas", fill, size=2**60)
    assert not (tmp_path / "map.atlas").exists()


def test_folder_deleted_under_the_writer_is_said(saved: Path) -> None:
    def fill(folder: Path) -> None:
        saved.rename(saved.with_name("moved.atlas"))

    with pytest.raises(BadInput, match="moved or deleted while it was written"):
        write_folder(saved, fill)
    assert read(saved.with_name("moved.atlas"))["one"] == "first"


def test_write_file_replaces_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "note"
    write_file(file, b"old")
    with open(file, "rb") as reader:
        write_file(file, b"new")
        assert reader.read() == b"old"
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["note"]


def test_own_folders_follow_the_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "a" / "home"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "b" / "cache"))
    assert store.library_dir() == tmp_path / "a" / "home"
    assert store.cache_dir() == tmp_path / "b" / "cache"
    assert store.library_dir().is_dir() and store.cache_dir().is_dir()


def test_own_folder_that_cannot_be_is_said(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(BadInput, match="set INTROSPECT_HOME to a folder"):
        store.library_dir()


def test_plain_file_modules_start_without_torch() -> None:
    script = (
        "import sys, introspect.store, introspect.archive, introspect.library, introspect.jobs\n"
        "print(sorted({'torch', 'streamlit', 'plotly', 'pyarrow'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"
