"""Atlases that carry the inputs of some rows only."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from introspect import kept as kept_module
from introspect import units
from introspect.archive import pack
from introspect.atlas import Atlas
from introspect.errors import BadInput
from introspect.evolution import watched
from introspect.experiments.base import papers_row
from introspect.flow import choose_rows
from introspect.kept import Kept, find_rest, read_kept
from introspect.samples import Samples
from introspect.ui.chooser import _first
from introspect.ui.recheck import recheck
from introspect.ui.sample_card import caption
from introspect.units import find_strongest, strongest


@pytest.fixture(scope="module")
def part(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The digits' atlas with the inputs of its 300 test samples only."""
    path = tmp_path_factory.mktemp("part") / "part.atlas"
    rows = np.flatnonzero(atlas.points.split == 2)
    atlas.save(path, keep=rows[::-1])
    return Atlas.load(path)


@pytest.fixture(scope="module")
def rows(part: Atlas) -> np.ndarray:
    return np.flatnonzero(part.points.split == 2)


def test_all_points_stand_on_the_map_and_the_kept_inputs_are_bit_equal(
    atlas: Atlas, part: Atlas, rows: np.ndarray
) -> None:
    assert_array_equal(part.z, atlas.z)
    assert part.samples is None and part.kept is not None and atlas.samples is not None
    assert_array_equal(part.kept.rows, rows)
    assert_array_equal(part.kept.samples.x, atlas.samples.x[rows])
    assert_array_equal(part.inputs(rows[:3]), atlas.samples.floats(rows[:3]))


def test_a_kept_row_is_located_on_its_dot_and_another_says_what_to_do(
    part: Atlas, rows: np.ndarray
) -> None:
    assert_allclose(part.locate(part.inputs(rows[5])).z[0], part.z[rows[5]], atol=1e-5)
    absent = int(np.flatnonzero(part.points.split == 0)[7])
    with pytest.raises(BadInput, match=rf"row {absent} did not: choose a test sample"):
        part.inputs([int(rows[0]), absent])


def test_pictures_are_exact_where_kept_and_thumbnails_elsewhere(
    atlas: Atlas, part: Atlas, rows: np.ndarray
) -> None:
    assert_array_equal(part.picture(int(rows[9])), atlas.picture(int(rows[9])))
    absent = int(np.flatnonzero(part.points.split == 0)[7])
    small, true = part.picture(absent).astype(int), atlas.picture(absent).astype(int)
    assert small.shape == true.shape
    assert 0 < np.abs(small - true).mean() < 40


def test_neighbours_and_strongest_are_rows_of_the_atlas_among_the_kept(
    atlas: Atlas, part: Atlas, rows: np.ndarray
) -> None:
    h = np.asarray(atlas.recording.h[rows], np.float32)
    found, distances = part.neighbours(part.inputs(rows[4]), 6)
    apart = np.linalg.norm(h - h[4], axis=1)
    assert_array_equal(found[0], rows[np.argsort(apart, kind="stable")[:6]])
    assert_allclose(distances[0], np.sort(apart)[:6], atol=2e-2)
    best = strongest(part)
    assert np.isin(best.rows, rows).all()
    assert_allclose(best.values, find_strongest(h).values, atol=2e-2)


def test_the_same_place_is_checked_on_kept_rows(part: Atlas, rows: np.ndarray) -> None:
    found = recheck(part, 3)
    assert found.ok and found.row in rows


def test_attacks_on_many_draw_from_the_kept_rows(part: Atlas, rows: np.ndarray) -> None:
    found = choose_rows(part, 400, split="all")
    assert 250 < len(found) <= len(rows) and np.isin(found, rows).all()


def test_whatever_runs_samples_of_its_own_choice_takes_those_at_hand(
    part: Atlas, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert part.kept is not None
    few = rows[7::3]
    monkeypatch.setitem(vars(part), "kept", Kept(few, part.kept.samples[7::3]))
    here = part.kept.mask(len(part.points))
    followed = watched(part.points, 30, at_hand=here)
    for chosen in (units.choose_rows(part, 50), followed, [_first(part), papers_row(part)]):
        assert len(chosen) and np.isin(chosen, few).all()
        assert len(part.inputs(chosen)) == len(chosen)
    assert f"compared with the {len(few):,} whose inputs are at hand" in caption(part, 1)


def test_strongest_of_some_rows_do_not_stand_for_all_once_the_rest_is_there(
    atlas: Atlas, part: Atlas, rows: np.ndarray
) -> None:
    assert np.isin(strongest(part).rows, rows).all()
    whole = replace(part, made_of=atlas.samples)
    assert whole.fingerprint == part.fingerprint
    assert not np.isin(strongest(whole).rows, rows).all()


def test_zipped_and_saved_again_the_kept_inputs_travel_along(
    part: Atlas, rows: np.ndarray, tmp_path: Path
) -> None:
    part.save(tmp_path / "again.atlas")
    pack(tmp_path / "again.atlas", tmp_path / "again.zip")
    again = Atlas.load(tmp_path / "again.zip")
    assert part.kept is not None and again.kept is not None
    assert_array_equal(again.kept.rows, rows)
    assert_array_equal(again.kept.samples.x, part.kept.samples.x)


@pytest.mark.parametrize(
    "rows",
    [np.arange(299), np.arange(300)[::-1], np.arange(1600, 1900), np.zeros((300, 1), np.int64)],
    ids=["too few", "falling", "beyond the table", "two axes"],
)
def test_a_list_of_rows_that_cannot_be_is_refused(
    part: Atlas, rows: np.ndarray, tmp_path: Path
) -> None:
    assert part.folder is not None
    shutil.copytree(part.folder / "samples", tmp_path / "samples")
    np.save(tmp_path / "samples" / "rows.npy", rows)
    with pytest.raises(BadInput, match="other inputs than rows"):
        read_kept(tmp_path, len(part.points))


def test_a_truncated_list_of_rows_is_refused(part: Atlas, tmp_path: Path) -> None:
    assert part.folder is not None
    shutil.copytree(part.folder / "samples", tmp_path / "samples")
    file = tmp_path / "samples" / "rows.npy"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(BadInput, match="list of inputs in this atlas is damaged"):
        read_kept(tmp_path, len(part.points))


def test_the_rest_comes_from_this_machine_only_if_it_is_the_same_data(
    atlas: Atlas, part: Atlas, digits: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(digits, name="mnist")
    monkeypatch.setattr(kept_module, "is_at_hand", lambda name, cache: True)
    monkeypatch.setattr(kept_module, "load_samples", lambda name: whole)
    some, n = part.kept, len(part.points)
    assert isinstance(some, Kept)

    def found(name: str, fingerprint: str) -> int:
        return len(find_rest(some, name, fingerprint, lambda samples: samples, n))

    assert found("mnist", digits.fingerprint) == n
    assert found("mnist", "another") == len(some)
    assert found("digits", digits.fingerprint) == len(some)
