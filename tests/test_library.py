"""The shelf: names, a trash with a way back, and two tabs that do it at once."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from introspect import library, store
from introspect.archive import Caps, pack
from introspect.errors import BadInput
from introspect.store import open_folder, write_folder


def save(path: Path, text: str = '{"samples": 70000}') -> Path:
    write_folder(path, lambda folder: (folder / "settings.json").write_text(text))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    sample = save(tmp_path / "site" / "mnist-net1" / "mnist-net1.atlas")
    monkeypatch.setattr(library, "sample_atlases", lambda: {"mnist-net1": sample})
    return store.library_dir()


def entry(name: str) -> library.Entry:
    return next(found for found in library.shelf() if found.name == name)


def names() -> list[str]:
    return [found.name for found in library.shelf()]


def test_shelf_shows_bundled_first_then_the_newest(home: Path) -> None:
    for age, name in enumerate(("new", "older", "oldest")):
        path = save(home / f"{name}.atlas", f'{{"samples": {age}}}')
        os.utime(path / "CURRENT", (1e9 - age, 1e9 - age))
    found = library.shelf()
    assert [(e.name, e.kind) for e in found] == [
        ("mnist-net1", "bundled"),
        ("new", "mine"),
        ("older", "mine"),
        ("oldest", "mine"),
    ]
    assert [e.summary["samples"] for e in found] == [70000, 0, 1, 2]
    assert found[1].modified == 1e9
    assert found[1].size == len('{"samples": 0}')


def test_shelf_leaves_out_what_is_no_atlas_yet(home: Path) -> None:
    (home / "building.atlas").mkdir()
    (home / ".upload-1" / "made.atlas").mkdir(parents=True)
    (home / "notes.txt").touch()
    (home / "file.atlas").touch()
    assert names() == ["mnist-net1"]


def test_damaged_atlas_is_shown_with_its_problem(home: Path) -> None:
    save(home / "cut.atlas")
    (open_folder(home / "cut.atlas") / "settings.json").write_text("{")
    save(home / "odd.atlas", "[1, 2]")
    assert "settings.json has 1 bytes" in entry("cut").problem
    assert "settings.json cannot be read" in entry("odd").problem
    assert entry("cut").summary == {}
    library.delete(entry("cut"))
    assert names() == ["mnist-net1", "odd"]


def test_renamed_atlas_is_found_under_its_new_name(home: Path) -> None:
    version = open_folder(save(home / "old.atlas"))
    renamed = library.rename(entry("old"), "  Ziffern – größer 数字  ")
    assert renamed.name == "Ziffern – größer 数字"
    assert open_folder(library.find("Ziffern – größer 数字")).name == version.name
    assert names() == ["mnist-net1", "Ziffern – größer 数字"]


def test_equal_looking_names_are_one(home: Path) -> None:
    save(home / "a.atlas")
    composed, decomposed = "größe", unicodedata.normalize("NFD", "größe")
    assert composed != decomposed
    assert library.rename(entry("a"), decomposed).name == composed
    assert library.find(decomposed) == library.find(composed)


@pytest.mark.parametrize("taken", ["b", "B", "b.atlas", "mnist-net1", "MNIST-Net1"])
def test_taken_name_is_refused(home: Path, taken: str) -> None:
    save(home / "a.atlas")
    save(home / "b.atlas")
    with pytest.raises(BadInput, match="There already is an atlas called"):
        library.rename(entry("a"), taken)
    assert sorted(names()) == ["a", "b", "mnist-net1"]


def test_case_of_a_name_may_change(home: Path) -> None:
    save(home / "digits.atlas")
    assert library.rename(entry("digits"), "Digits").name == "Digits"
    assert library.rename(entry("Digits"), "Digits").name == "Digits"
    assert names() == ["mnist-net1", "Digits"]


@pytest.mark.parametrize(
    "name",
    ["", "  ", ".", "..", ".hidden", "a/b", "../a", "a\\b", "C:a", "a\0b", "a\nb", "end.", "nul",
     "COM1.x", "x" * 81, "数" * 70, "a\u202egpj", "a\u200bb", "what?", "\ud800"],
)  # fmt: skip
def test_name_no_system_takes_is_refused(home: Path, name: str) -> None:
    save(home / "a.atlas")
    with pytest.raises(BadInput):
        library.rename(entry("a"), name)
    with pytest.raises(BadInput):
        library.place(name)
    assert names() == ["mnist-net1", "a"]


def test_new_atlas_gets_a_place_or_a_free_name(home: Path) -> None:
    assert library.place("fresh") == home / "fresh.atlas"
    assert library.free_name("fresh") == "fresh"
    (home / "fresh.atlas").mkdir()
    with pytest.raises(BadInput, match="already"):
        library.place("fresh")
    assert library.free_name("fresh") == "fresh 2"
    save(home / "fresh 2.atlas")
    assert library.free_name("Fresh") == "Fresh 3"
    assert library.free_name("mnist-net1") == "mnist-net1 2"


def test_deleted_atlas_comes_back_as_it_was(home: Path) -> None:
    version = open_folder(save(home / "a.atlas"))
    token = library.delete(entry("a"))
    assert names() == ["mnist-net1"]
    assert [(kept.token, kept.name) for kept in library.trash()] == [(token, "a")]
    restored = library.restore(token)
    assert restored.name == "a"
    assert open_folder(restored.path, verify=True).name == version.name
    assert library.trash() == []


def test_restored_atlas_makes_way_for_one_of_its_name(home: Path) -> None:
    save(home / "a.atlas", '{"which": "first"}')
    token = library.delete(entry("a"))
    save(home / "a.atlas", '{"which": "second"}')
    assert library.restore(token).name == "a 2"
    assert entry("a").summary == {"which": "second"}
    assert entry("a 2").summary == {"which": "first"}


@pytest.mark.parametrize("token", ["", "..", "../a.atlas", "0" * 16, "x" * 16])
def test_strange_tokens_restore_nothing(home: Path, token: str) -> None:
    save(home / "a.atlas")
    library.delete(entry("a"))
    with pytest.raises(BadInput, match="cannot be brought back"):
        library.restore(token)
    assert len(library.trash()) == 1


def test_trash_is_emptied_after_a_month(home: Path) -> None:
    for name in ("old", "young"):
        save(home / f"{name}.atlas")
    old, young = library.delete(entry("old")), library.delete(entry("young"))
    for token, days in ((old, 31), (young, 29)):
        then = time.time() - days * 86_400
        os.utime(home / ".trash" / token, (then, then))
    library.shelf()
    assert [kept.token for kept in library.trash()] == [young]
    assert not (home / ".trash" / old).exists()


def test_cache_forgets_what_was_not_used_for_a_month(home: Path, tmp_path: Path) -> None:
    zips = [pack(save(tmp_path / f"{name}.atlas"), tmp_path / f"{name}.zip") for name in "ab"]
    made = [library.find(path) for path in zips]
    builds = [store.cache_dir() / "builds" / name for name in ("old", "young")]
    for folder in builds:
        folder.mkdir(parents=True)
    for folder, days in zip([*made, *builds], (31, 31, 31, 29), strict=True):
        then = time.time() - days * 86_400
        os.utime(folder, (then, then))
    assert library.find(zips[1]) == made[1]
    library.shelf()
    assert [folder.exists() for folder in (*made, *builds)] == [False, True, False, True]


def test_upload_cut_off_by_a_kill_goes_after_a_day(home: Path) -> None:
    for name in (".upload-old", ".upload-young"):
        (home / name).mkdir()
    os.utime(home / ".upload-old", (0, 0))
    library.shelf()
    assert [left for left in os.listdir(home) if left.startswith(".upload")] == [".upload-young"]


def test_bundled_atlas_stays(home: Path) -> None:
    bundled = entry("mnist-net1")
    with pytest.raises(BadInput, match="comes with Introspect"):
        library.rename(bundled, "mine")
    with pytest.raises(BadInput, match="comes with Introspect"):
        library.delete(bundled)
    assert open_folder(bundled.path)


def test_atlas_opened_from_elsewhere_is_not_moved(home: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "elsewhere.atlas")
    opened = library.describe(path, "opened")
    assert opened is not None and opened.summary == {"samples": 70000}
    with pytest.raises(BadInput, match="lies outside the library"):
        library.rename(opened, "mine")
    with pytest.raises(BadInput, match="lies outside the library"):
        library.delete(opened)
    assert open_folder(path)


def test_what_another_tab_took_is_said(home: Path) -> None:
    save(home / "a.atlas")
    seen = entry("a")
    library.delete(seen)
    for act in (lambda: library.rename(seen, "b"), lambda: library.delete(seen)):
        with pytest.raises(BadInput, match="renamed or deleted elsewhere: reload"):
            act()
    assert len(library.trash()) == 1


def test_find_takes_names_folders_and_zips(home: Path, tmp_path: Path) -> None:
    mine = save(home / "a.atlas")
    outside = save(tmp_path / "elsewhere.atlas", '{"where": "outside"}')
    zip_path = pack(outside, tmp_path / "sent.atlas.zip")
    assert library.find("mnist-net1").parent.name == "mnist-net1"
    assert library.find("a") == mine
    assert library.find(outside) == outside
    made = library.find(zip_path)
    assert (open_folder(made) / "settings.json").read_text() == '{"where": "outside"}'
    assert made.is_relative_to(store.cache_dir())
    version = open_folder(made)
    assert open_folder(library.find(zip_path)) == version
    save(outside, '{"where": "new"}')
    pack(outside, zip_path)
    assert (open_folder(library.find(zip_path)) / "settings.json").read_text() == '{"where": "new"}'
    with pytest.raises(BadInput, match="There is no atlas 'b': .*: mnist-net1, a"):
        library.find("b")


def test_zip_of_the_cache_is_made_again_when_damaged(home: Path, tmp_path: Path) -> None:
    zip_path = pack(save(tmp_path / "x.atlas"), tmp_path / "x.zip")
    (open_folder(library.find(zip_path)) / "settings.json").unlink()
    assert (open_folder(library.find(zip_path)) / "settings.json").is_file()


def test_uploaded_zip_lands_on_the_shelf_under_a_free_name(home: Path, tmp_path: Path) -> None:
    data = pack(save(tmp_path / "x.atlas"), tmp_path / "x.zip").read_bytes()
    added = [library.add(io.BytesIO(data), name) for name in ("map.atlas.zip", "map.zip")]
    assert [found.name for found in added] == ["map", "map 2"]
    assert library.add(io.BytesIO(data), "../../etc/<b>pass\nwd</b>?.ZIP").name == "b"
    assert library.add(io.BytesIO(data), "..zip").name == "atlas"
    assert library.add(io.BytesIO(data), "C:\\nul\0.zip").name == "atlas 2"
    assert sorted(names()) == ["atlas", "atlas 2", "b", "map", "map 2", "mnist-net1"]
    assert added[0].summary == {"samples": 70000}


def test_refused_upload_leaves_nothing(home: Path, tmp_path: Path) -> None:
    data = pack(save(tmp_path / "x.atlas"), tmp_path / "x.zip").read_bytes()
    before = sorted(os.listdir(home))
    with pytest.raises(BadInput, match="map.zip is damaged"):
        library.add(io.BytesIO(data[:-7]), "map.zip")
    with pytest.raises(BadInput, match="larger than allowed"):
        library.add(io.BytesIO(data), "map.zip", Caps(total=100))
    assert sorted(os.listdir(home)) == before


def test_two_tabs_at_once_lose_nothing_and_do_not_crash(home: Path) -> None:
    """Two processes rename, delete and restore the same atlases; each one survives, once."""
    wanted = {f'{{"number": {number}}}' for number in range(4)}
    for number, text in enumerate(sorted(wanted)):
        save(home / f"m{number}.atlas", text)
    script = (
        "import random, sys\n"
        "from introspect import library\n"
        "from introspect.errors import BadInput\n"
        "dice = random.Random(int(sys.argv[1]))\n"
        "for _ in range(120):\n"
        "    try:\n"
        "        mine = [e for e in library.shelf() if e.kind == 'mine']\n"
        "        act = dice.randrange(3)\n"
        "        if act == 0 and mine:\n"
        "            library.rename(dice.choice(mine), f'm{dice.randrange(6)}')\n"
        "        elif act == 1 and mine:\n"
        "            library.delete(dice.choice(mine))\n"
        "        elif kept := library.trash():\n"
        "            library.restore(dice.choice(kept).token)\n"
        "    except BadInput as error:\n"
        "        print(error)\n"
    )
    tabs = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for seed in range(2)
    ]
    for tab in tabs:
        _, complaints = tab.communicate(timeout=60)
        assert (tab.returncode, complaints) == (0, b"")
    for kept in library.trash():
        library.restore(kept.token)
    texts = [
        (open_folder(found.path) / "settings.json").read_text()
        for found in library.shelf()
        if found.kind == "mine"
    ]
    assert sorted(texts) == sorted(wanted)
