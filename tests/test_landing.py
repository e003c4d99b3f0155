"""New pictures: read as sent, placed as located, told when they are strangers."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from standin import CLASSES, pretend

from introspect.errors import BadInput
from introspect.ui.landing import (
    first_pictures,
    is_centred,
    is_dark,
    land,
    nearest_rows,
    picture_shape,
    plain_error,
    read_drawing,
    to_bars,
    to_facts,
    to_probe,
    verdict,
    warn,
)
from introspect.ui.later import KEPT, Later
from introspect.ui.recheck import recheck, tell


def drawing(values: np.ndarray) -> dict[str, Any]:
    return {"pixels": base64.b64encode(values.tobytes()).decode(), "turn": 1}


def test_drawing_arrives_byte_for_byte() -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(np.uint8)
    np.testing.assert_array_equal(read_drawing(drawing(values), (3, 5, 7)), values)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "x",
        {},
        {"pixels": "not base64!"},
        {"pixels": 3},
        {"pixels": ["a"]},
        {"pixels": "AAAA"},
    ],
)
def test_drawing_that_is_none_is_refused_in_a_sentence(raw: Any) -> None:
    with pytest.raises(BadInput, match="draw it again|reload the page"):
        read_drawing(raw, (1, 28, 28))


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((1, 28, 28), (1, 28, 28)), ((3, 32, 30), (3, 32, 30)), ((8, 9), (1, 8, 9)), ((4,), None)],
)
def test_pictures_are_told_from_tables(shape: tuple[int, ...], wanted: Any) -> None:
    assert picture_shape(shape) == wanted


def test_landing_is_what_locate_says() -> None:
    atlas = pretend()
    x = torch.full((1, 1, 12, 12), 0.5)
    landing = land(atlas, x, "drawing", "your drawing")
    assert landing.z.tolist() == [0.5, 1.0]
    assert (landing.predicted, landing.log_error, landing.log_error_map) == (1, -1.5, -2.5)
    assert landing.picture.shape == (12, 12) and (landing.picture == 128).all()
    assert not landing.stranger


def test_probe_lies_at_its_place_and_at_its_neighbours_mean_elsewhere() -> None:
    atlas = pretend()
    landing = land(atlas, torch.full((1, 1, 12, 12), 0.25), "key", "a file.png")
    probe = to_probe(atlas, landing)
    assert probe["at"]["infovae"] == [0.25, 0.5]
    around = nearest_rows(atlas.points.z, landing.z, 12)
    assert probe["at"]["umap"] == pytest.approx(
        atlas.points.views["umap"][around].mean(0).tolist(), abs=1e-5
    )
    assert probe["approximate"] == ["umap"]
    assert probe["title"] == CLASSES[1] and "a file.png" in probe["note"]


def test_stranger_is_told_above_99_percent_only() -> None:
    atlas = pretend()
    familiar, strange = (
        land(atlas, torch.full((1, 1, 12, 12), value), "k", "t") for value in (0.99, 0.995)
    )
    assert not familiar.stranger and strange.stranger
    assert to_probe(atlas, strange)["warn"] is True
    assert warn(99.0) is None
    assert "Off the map" in (warn(99.5) or "")


def test_nearest_rows_are_the_honest_search() -> None:
    z = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    place = np.array([0.1, -0.2], np.float32)
    wanted = np.argsort(((z - place) ** 2).sum(1), kind="stable")[:9]
    np.testing.assert_array_equal(nearest_rows(z, place, 9), wanted)
    assert len(nearest_rows(z[:4], place, 9)) == 4


def test_dark_and_centred_pictures_are_recognised(tmp_path: Path) -> None:
    assert is_dark(pretend(tmp_path / "a")) and is_centred(pretend(tmp_path / "a"))
    bright = pretend(tmp_path / "b", paint=lambda x: 255 - x)
    assert not is_dark(bright)
    aside = pretend(tmp_path / "c", paint=lambda x: np.roll(x, 3, axis=3))
    assert is_dark(aside) and not is_centred(aside)
    assert not is_dark(pretend()) and not is_centred(pretend())


def test_first_pictures_are_the_stored_ones(tmp_path: Path) -> None:
    atlas = pretend(tmp_path)
    pictures = first_pictures(atlas, 20)
    assert len(pictures) == 20
    for row, picture in enumerate(pictures):
        np.testing.assert_array_equal(picture, atlas.picture(row))


def test_bars_mark_the_label_and_keep_names_as_text() -> None:
    bars = to_bars(np.float32([0.1, 0.7, 0.2]), CLASSES, label=2)
    assert [bar["name"] for bar in bars] == list(CLASSES)
    assert [bar["label"] for bar in bars] == [False, False, True]
    assert len({bar["colour"] for bar in bars}) == len({bar["dark"] for bar in bars}) == 3


@pytest.mark.parametrize(
    ("off_map", "start"),
    [(12.3, "On the map"), (95.0, "At the edge"), (99.0, "At the edge"), (99.4, "Off the map")],
)
def test_strangeness_is_told_in_words(off_map: float, start: str) -> None:
    assert verdict(off_map).startswith(start) and f"{off_map:.1f} %" in verdict(off_map)


def test_strangeness_that_nobody_knows_is_said_to_be_unknown() -> None:
    assert "unknown" in verdict(float("nan"))


@pytest.mark.parametrize(
    ("log_error", "text"),
    [(-0.3, "0.5"), (-2.0, "0.01"), (-4.2, "6.3 × 10⁻⁵"), (float("nan"), "unknown")],
)
def test_estimated_error_is_written_as_a_person_would(log_error: float, text: str) -> None:
    assert plain_error(log_error) == text


def test_facts_say_place_and_strangeness() -> None:
    facts = {
        name: value for name, value, _ in to_facts(np.float32([-1.5, 0.25]), -1.0, -2.0, 12.34)
    }
    assert facts["place"] == "−1.500, 0.250"
    assert facts["strangeness"] == "12.3 %"


# ---------------------------------------------------------------- same input, same place
def place_stored(atlas: Any) -> Any:
    atlas.points.z = atlas.locate(atlas.samples.floats()).z
    return atlas


def test_recheck_finds_the_same_place() -> None:
    atlas = place_stored(pretend())
    found = recheck(atlas, seed=3)
    assert found.ok and found.stored <= 1e-6
    assert "landed on its own dot again" in tell(atlas, found)
    assert f"#{atlas.points.id[found.row]:,}" in tell(atlas, found)


def test_recheck_tells_when_a_batch_moves_a_sample() -> None:
    atlas = place_stored(pretend())
    honest = atlas.locate

    def shifting(inputs: Any) -> Any:
        found = honest(inputs)
        found.z = found.z + np.float32(0.01 * (len(inputs) - 1))
        return found

    atlas.locate = shifting
    found = recheck(atlas, seed=3)
    assert not found.ok and found.in_batch == pytest.approx(0.63, abs=1e-3)
    assert "did not land" in tell(atlas, found)


def test_recheck_tells_when_the_stored_place_is_another() -> None:
    found = recheck(pretend(), seed=3)
    assert not found.ok and found.alone_twice == 0 and found.stored > 1e-4


# ---------------------------------------------------------------- work nobody waits for
def test_work_is_done_once_for_all_who_ask() -> None:
    later, calls = Later(), []
    gate = threading.Event()

    def slow(value: int) -> int:
        gate.wait(10)
        calls.append(value)
        return value * 2

    first, second = (later.ask("k", slow, 21) for _ in range(2))
    assert first is second and not first.done()
    gate.set()
    assert first.result(10) == 42 and calls == [21]


def test_failed_work_is_tried_again() -> None:
    later, outcomes = Later(), iter([BadInput("no recording"), 5])

    def work() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(BadInput, match="no recording"):
        later.ask("k", work).result(10)
    assert later.ask("k", work).result(10) == 5


def test_results_do_not_pile_up() -> None:
    later = Later()
    for number in range(KEPT + 20):
        later.ask(str(number), int, number).result(10)
    assert len(later._futures) == KEPT
