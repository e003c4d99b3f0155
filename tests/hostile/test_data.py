"""Data made to do harm: no code runs, memory stays bounded, each gets one clear sentence."""

from __future__ import annotations

import io
import os
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile import misleading_files  # noqa: F401  (adds its own to FILES)
from hostile.data_files import FILES, Touch, image, npy_of_objects, npz, packed, x, y

from introspect import quarantine
from introspect.errors import BadInput
from introspect.intake import check_names
from introspect.quarantine import Limits
from introspect.recipe import read_names, split_names
from introspect.samples import load_samples

DECODE, SURVEY = "introspect.samples:decode_upload", "introspect.survey:survey_upload"
LIMITS = Limits(memory=1 << 30, output=1 << 28, cpu=20, seconds=30)
GROWTH = 100 << 20
"""Bytes by which this process may grow over all files together."""


def memory() -> int:
    """Bytes this process has in memory now; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with all the files, each in its own, and the marker that none may make."""
    folder = tmp_path_factory.mktemp("hostile")
    marker = folder / "marker"
    for kind, (name, maker, _) in FILES.items():
        home = folder / kind
        home.mkdir()
        (home / name).write_bytes(maker(marker))
    return folder, marker


@pytest.fixture(scope="module")
def grown(made: tuple[Path, Path]) -> Callable[[], int]:
    import gc

    gc.collect()
    before = memory()
    return lambda: memory() - before


def test_there_are_enough_kinds_of_them() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("kind", FILES)
def test_hostile_data_run_nothing_and_get_one_sentence(
    kind: str, made: tuple[Path, Path], tmp_path: Path, grown: Callable[[], int]
) -> None:
    folder, marker = made
    name, _, words = FILES[kind]
    with pytest.raises(BadInput) as refusal:
        quarantine.run(DECODE, folder / kind / name, tmp_path / "out", LIMITS)
    said = str(refusal.value)
    assert re.search(words, said), said
    assert said.isprintable() and len(said) < 500 and said.endswith(".")
    assert str(folder) not in said and "Traceback" not in said
    assert not marker.exists()
    assert not (tmp_path / "out" / "meta.json").exists()
    assert grown() < GROWTH


@pytest.mark.parametrize(
    "kind", [kind for kind, (name, _, _) in FILES.items() if "npz" not in name]
)
def test_look_at_hostile_data_runs_nothing_either(
    kind: str, made: tuple[Path, Path], tmp_path: Path
) -> None:
    """The page looks before it reads: it learns what is there, or one sentence."""
    folder, marker = made
    try:
        found = quarantine.run(SURVEY, folder / kind / FILES[kind][0], tmp_path / "out", LIMITS)
    except BadInput as refusal:
        assert str(refusal).isprintable() and str(refusal).endswith(".")
    else:
        assert found["kind"] in ("pictures", "table", "arrays")
    assert not marker.exists()


def test_fixtures_would_have_run_in_a_careless_reader(tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing."""
    raw = npy_of_objects(tmp_path / "marker")
    np.load(io.BytesIO(raw), allow_pickle=True)
    assert (tmp_path / "marker").exists()
    pickle.loads(pickle.dumps(Touch(tmp_path / "other")))
    assert (tmp_path / "other").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows needs a right to make links")
def test_links_in_an_uploaded_folder_and_pipes_are_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "data"
    for name in "ab":
        (home / name).mkdir(parents=True)
        (home / name / "0.png").write_bytes(image())
    os.mkfifo(home / "a" / "1.png")
    (home / "b" / "1.png").symlink_to(home / "b" / "1.png")
    assert len(load_samples(home)) == 2


def test_markup_and_control_characters_in_names_are_text_of_one_line(tmp_path: Path) -> None:
    """Pages escape text; what they cannot escape, such as turned writing, never reaches them."""
    evil = ["<img src=x onerror=alert(1)>", "a\u202egnp.exe", "b\x1b[31m\nred"]
    (tmp_path / "a.npz").write_bytes(npz(x=x(), y=y(), classes=np.array(evil)))
    members = [(f"{name}/0.png", image()) for name in evil]
    (tmp_path / "b.zip").write_bytes(packed(members))
    for name in ("a.npz", "b.zip"):
        quarantine.run(DECODE, tmp_path / name, tmp_path / "out" / name, LIMITS)
        classes = load_samples(tmp_path / "out" / name).classes
        assert len(classes) == 3 and all(one.isprintable() for one in classes)
        assert evil[0].split("/")[0] in classes


def test_markup_in_the_name_of_a_file_is_quoted_as_text_of_one_line(tmp_path: Path) -> None:
    members = [("a/0.png", image()), ("b/\x1b[2J<script>\n.png", b"no picture")]
    (tmp_path / "a.zip").write_bytes(packed(members))
    with pytest.raises(BadInput) as refusal:
        quarantine.run(DECODE, tmp_path / "a.zip", tmp_path / "out", LIMITS)
    assert "<script>" in str(refusal.value) and str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x80\x04\x95", "holds no class names"),
        (b"a" * 5000, "5,000 characters long"),
        (b"[[[[" * 30_000, "holds no class names"),
        (b'["a", 3]', "holds no class names"),
        (b"cat\ndog\ncat\n", "Two classes are called"),
        (b"\n".join(b"%d" % i for i in range(20_000)), "20,000 class names"),
        (b"x" * (5 << 20), "too large for class names"),
        (b'{"a": 0, "b": 7}', "holds no class names"),
    ],
)
def test_files_of_class_names_are_no_way_in(raw: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / ("names.json" if raw[:1] in b"[{" else "names.txt")
    file.write_bytes(raw)
    with pytest.raises(BadInput, match=words):
        read_names(file)


def test_class_names_are_read_as_people_write_them(tmp_path: Path) -> None:
    assert split_names("cat, dog , cow") == ("cat", "dog", "cow")
    assert split_names("cat\n\ndog, a\n") == ("cat", "dog, a")
    for text in ('["cat", "dog"]', '{"0": "cat", "1": "dog"}', '{"dog": 1, "cat": 0}'):
        (tmp_path / "a.json").write_text(text)
        assert read_names(tmp_path / "a.json") == ("cat", "dog")
    assert check_names(["a\tb"]) == ("a\ufffdb",)


def test_quarantine_serves_on_after_all_of_that_and_its_parent_stayed_small(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(x=x(), y=y()))
    assert quarantine.run(DECODE, tmp_path / "a.npz", tmp_path / "out", LIMITS)["n"] == 40
    if quarantine.warm_parent.pid is not None:
        status = Path(f"/proc/{quarantine.warm_parent.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None and int(peak[1]) < 1 << 20
