"""The page of the training evolution: what it says without checkpoints, what the browser gets."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from training_run import STEPS, write_run

from introspect import library
from introspect.atlas import Atlas
from introspect.classifier import Classifier
from introspect.evolution import Evolution, evolve
from introspect.ui import MAIN, nav, shelf
from introspect.ui.evolution import pack_evolution, to_npz
from introspect.ui.routes import BLOBS


@pytest.fixture(scope="module")
def found(atlas: Atlas, mlp: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Evolution:
    return evolve(atlas, write_run(mlp.module, tmp_path_factory.mktemp("run")))


@pytest.fixture
def home(
    tmp_path: Path, atlas: Atlas, found: Evolution, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A library with the small atlas, once without and once with its training."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    replace(atlas, evolution=found, name="grown").save(library.place("grown"))
    shelf.changed()
    yield tmp_path
    shelf.changed()


def open_page(name: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params["atlas"] = name
    app.run()
    app.switch_page(str(nav.page_files()["evolution"])).run()
    assert not app.exception
    return app


def test_page_is_named_in_full_and_stands_between_trajectory_and_reliability() -> None:
    names = list(nav.page_files())
    at = names.index("evolution")
    assert nav.TITLES["evolution"] == "Training evolution" and "evolution" in nav.ICONS
    assert names.index("trajectory") < at < names.index("reliability")


def test_atlas_without_checkpoints_says_how_to_get_them(home: Path) -> None:
    app = open_page("digits")
    assert app.title[0].value == "Training evolution"
    assert "built without checkpoints" in app.info[0].value
    shown = "\n".join(block.value for block in app.code)
    assert "--checkpoints checkpoints/" in shown and "checkpoints=" in shown
    assert "save_file(module.state_dict()" in shown
    assert not app.get("bidi_component")


def test_page_gives_the_browser_little_and_blobs_for_the_rest(home: Path) -> None:
    app = open_page("grown")
    [given] = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    assert given["code"].endswith("/evolution.js") and len(json.dumps(given)) < 500
    held = BLOBS.read(given["manifest"])
    assert held is not None
    manifest = json.loads(held[0])
    assert manifest["steps"] == list(STEPS) and manifest["samples"] == 300
    assert all(BLOBS.read(key) for key in (manifest["map"], *manifest["parts"].values()))
    told = "\n".join(element.value for element in app.caption)
    assert "How to read this figure." in told and "300 test samples" in told
    assert "5 moments" in told and "step 0 to step 1,000" in told


def test_damaged_training_is_told_in_a_sentence(home: Path) -> None:
    file = next(home.glob("grown.atlas/v*/checkpoints.safetensors"))
    file.write_bytes(file.read_bytes()[:-40])
    shelf.changed()
    app = open_page("grown")
    assert "cut short" in app.error[0].value or "damaged" in app.error[0].value


def _parts(atlas: Atlas, found: Evolution) -> tuple[dict[str, Any], dict[str, bytes]]:
    packed = pack_evolution(atlas, found, "map")
    manifest = json.loads(bytes(packed.parts[packed.manifest]))  # pyright: ignore
    return manifest, {name: packed.parts[key] for name, key in manifest["parts"].items()}  # pyright: ignore


def test_parts_hold_places_answers_and_how_sure_they_were(atlas: Atlas, found: Evolution) -> None:
    manifest, parts = _parts(atlas, found)
    s, n = 5, 300
    np.testing.assert_array_equal(np.frombuffer(parts["row"], "<i4"), found.row)
    np.testing.assert_array_equal(np.frombuffer(parts["z"], "<f4").reshape(s, n, 2), found.z)
    predicted = np.frombuffer(parts["predicted"], "u1").reshape(s, n)
    np.testing.assert_array_equal(predicted, found.predicted)
    sure, own = (np.frombuffer(parts[name], "u1").reshape(s, n) for name in ("sure", "own"))
    right = found.predicted == found.label
    np.testing.assert_array_equal(sure[right], own[right])
    assert (own[~right] <= sure[~right]).all()
    # Random weights have made up no mind; the learnt ones have.
    assert own[0].mean() < 60 < 150 < own[-1].mean()
    assert manifest["kind"] == "u1"


def test_samples_without_a_label_and_hundreds_of_classes_are_packed() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet(np.ones(300), (3, 40)).astype(np.float16)
    label = rng.integers(-1, 300, 40)
    many = Evolution(
        step=np.array([1, 2, 4]),
        row=np.arange(40),
        id=np.arange(40),
        label=label,
        z=rng.normal(size=(3, 40, 2)).astype(np.float32),
        outputs=outputs,
        predicted=outputs.argmax(2),
    )
    wide = SimpleNamespace(name="wide", classes=tuple(map(str, range(300))))
    packed = pack_evolution(wide, many, "map")  # type: ignore[arg-type]
    manifest = json.loads(bytes(packed.parts[packed.manifest]))  # pyright: ignore
    assert manifest["kind"] == "u2"
    own = np.frombuffer(packed.parts[manifest["parts"]["own"]], "u1").reshape(3, 40)  # pyright: ignore
    assert not own[:, label < 0].any()


def test_arrays_to_take_away_are_those_that_were_recorded(found: Evolution) -> None:
    with np.load(io.BytesIO(to_npz(found))) as held:
        assert set(held) == set(vars(found))
        np.testing.assert_array_equal(held["z"], found.z)
