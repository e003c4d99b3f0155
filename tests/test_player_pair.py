"""The attack player on two models: which fit together, what they are given, what can be taken."""

from __future__ import annotations

import io
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.trajectory import TraceCancelled, Trajectory, trace
from introspect.ui import MAIN, nav, player, player_pair, shelf
from introspect.ui.player_export import to_gif, to_html, to_npz
from introspect.ui.player_payload import pack_ground, pack_player
from introspect.ui.player_run import Run
from introspect.ui.routes import BLOBS

ROW = 5


@pytest.fixture(scope="module")
def walks(atlas: Atlas) -> list[Trajectory]:
    """The same digit attacked twice, the second time with smaller steps."""
    assert atlas.samples is not None
    x = atlas.samples.floats([ROW])[0]
    return [trace(atlas, x, Fgsm(steps=9, epsilon=size)) for size in (0.05, 0.01)]


# ---------------------------------------------------------------- running
def test_second_model_is_attacked_after_the_first(atlas: Atlas, walks: list[Trajectory]) -> None:
    told: list[tuple[int, int]] = []
    begin = threading.Event()

    def work(number: int) -> Callable[[Any], Trajectory]:
        def made(on_step: Any) -> Trajectory:
            begin.wait(60)
            for step in range(1, 11):
                on_step(step, 10)
                told.append((run.done, run.total))
            return walks[number]

        return made

    run = Run(work(0), "#5", "", (atlas, work(1)))
    begin.set()
    assert run.wait(60) and not run.problem
    assert run.walk is walks[0] and run.second is walks[1] and run.beside is atlas
    assert told[0] == (1, 20) and told[-1] == (20, 20) and run.share == 1


def test_stop_during_the_second_keeps_the_first_whole(
    atlas: Atlas, walks: list[Trajectory]
) -> None:
    def stopped(on_step: Any) -> Trajectory:
        raise TraceCancelled(walks[1])

    run = Run(lambda on_step: walks[0], "#5", "", (atlas, stopped))
    assert run.wait(60) and run.stopped
    assert run.walk is walks[0] and run.second is walks[1]
    run = Run(stopped, "#5", "", (atlas, lambda on_step: walks[0]))
    assert run.wait(60) and run.stopped
    assert run.walk is walks[1] and run.second is None


# ---------------------------------------------------------------- in words and files
def test_models_are_compared_by_the_classes_they_give_way_to(walks: list[Trajectory]) -> None:
    names, classes = ["net <one>", "net two"], tuple("0123456789")
    told = player_pair.compare(walks, names, classes)
    for walk, name in zip(walks, names, strict=True):
        others = walk.target != walk.source
        reached = int((walk.success_step[others] >= 0).sum())
        assert f"{name} says {walk.source} at first and gives way to {reached} of 9" in told
    rows = player_pair.table(walks, names, classes)
    assert len(rows) == 10 and set(rows[0]) >= {"target", "net two: reached at step"}
    for place, row in enumerate(rows):
        step = int(walks[1].success_step[place])
        assert row["net two: reached at step"] == (step if step >= 0 else None)


def test_npz_and_gif_hold_both_models(walks: list[Trajectory]) -> None:
    with np.load(io.BytesIO(to_npz(*walks)), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["x"], walks[0].x)
        np.testing.assert_array_equal(found["x_2"], walks[1].x)
        assert json.loads(str(found["settings_2"]))["epsilon"] == 0.01
    with Image.open(io.BytesIO(to_gif(walks[0], 3, walks[1]))) as image:
        assert image.size == (2 * 224, 2 * (224 + 6))
        assert image.n_frames == 10  # type: ignore[attr-defined]


def test_page_of_its_own_holds_both_players(atlas: Atlas, walks: list[Trajectory]) -> None:
    ground = pack_ground(atlas)
    first, second = (pack_player(atlas, ground, walk, "#5") for walk in walks)
    text = to_html(first, "How to read this.", second).decode()
    told = re.findall(r'<script type="application/json" id="(manifest[-2]*)">(.*?)</script>', text)
    assert [name for name, _ in told] == ["manifest", "manifest-2"]
    assert [json.loads(body) for _, body in told] == [
        json.loads(one.manifest) for one in (first, second)
    ]
    for name in first.parts:
        assert f'id="part-{name}"' in text and f'id="part-{name}-2"' in text


# ---------------------------------------------------------------- the page
@pytest.fixture
def app(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page on the digits, with a second model of the same kind on the shelf."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    monkeypatch.setattr(player, "QUICK", 60)
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    replace(atlas, fingerprint="f" * 64, name="twin").save(library.place("twin"))
    shelf.changed()
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(atlas="digits", sample=str(ROW))
    app.run().switch_page(str(nav.page_files()["trajectory"]))
    app.query_params.update(atlas="digits", sample=str(ROW))
    app.run()
    assert not app.exception
    yield app
    shelf.changed()


def test_only_models_of_the_same_classes_and_inputs_are_offered(app: AppTest) -> None:
    beside = next(box for box in app.selectbox if box.label == "Beside it")
    assert beside.options == [player_pair.ALONE, "twin"]


def test_both_models_are_given_to_one_player(app: AppTest) -> None:
    next(box for box in app.selectbox if box.label == "Beside it").select("twin").run()
    next(box for box in app.number_input if box.label == "Steps").set_value(9).run()
    next(one for one in app.button if one.label == "Run the attack").click().run()
    assert not app.exception
    (data,) = [
        json.loads(one.proto.json)
        for one in app.get("bidi_component")
        if "attack_player.js" in one.proto.json
    ]
    bodies = [BLOBS.read(data[name]) for name in ("manifest", "beside")]
    first, second = [json.loads(body[0]) for body in bodies if body is not None]
    assert (first["atlas"], second["atlas"]) == ("digits", "twin")
    assert first["success"] == second["success"] and first["steps"] == second["steps"] == 10
    text = "\n".join(one.value for one in [*app.markdown, *app.caption])
    assert "twin says" in text and "one slider moves both" in text
    assert "twin: reached at step" in app.dataframe[0].value.columns
    assert not [one for one in app.button if one.label == "Keep to compare"]
    next(box for box in app.selectbox if box.label == "Beside it").select(player_pair.ALONE).run()
    assert any("press **Run the attack** for what is chosen now" in c.value for c in app.caption)
