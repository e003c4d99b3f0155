"""The JavaScript of the map, under Node's own test runner; and its rules against Python's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from introspect.ui.payload import pack_score
from introspect.ui.routes import FRONTEND
from introspect.ui.selection import inside, passing

TESTS = Path(__file__).parent / "frontend"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None, reason="the tests of the JavaScript need node on the PATH"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules with their tests beside them, marked as modules for Node."""
    made = tmp_path_factory.mktemp("frontend")
    for path in [*FRONTEND.glob("*.js"), *TESTS.glob("*.mjs")]:
        shutil.copy(path, made)
    (made / "package.json").write_text('{"type": "module"}')
    return made


def run(folder: Path, *command: str, given: str = "") -> str:
    done = subprocess.run(
        [str(NODE), *command], cwd=folder, input=given, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in TESTS.glob("*.test.mjs")))
def test_frontend_module_passes_its_own_tests(folder: Path, name: str) -> None:
    assert "# fail 0" in run(folder, "--test", "--test-reporter=tap", name)


def test_every_module_can_be_parsed_and_names_nobody_else(folder: Path) -> None:
    for path in folder.glob("*.js"):
        run(folder, "--check", path.name)
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "innerHTML" not in text, path.name


@pytest.fixture(scope="module")
def points() -> SimpleNamespace:
    """4,000 samples of 3 classes with a few labels and estimates missing."""
    rng = np.random.default_rng(0)
    n = 4000
    label = rng.integers(-1, 3, n)
    log_error = rng.normal(-4, 1.5, n).astype(np.float32)
    log_error[::97] = np.nan
    return SimpleNamespace(
        id=np.arange(n),
        split=rng.integers(0, 3, n).astype(np.uint8),
        label=label,
        predicted=np.where(rng.random(n) < 0.8, np.maximum(label, 0), rng.integers(0, 3, n)),
        log_error=log_error,
        z=rng.normal(size=(n, 2)).astype(np.float32),
    )


FILTERS = [
    {},
    {"label": 3},
    {"label": 0, "predicted": 1},
    {"split": 2, "wrong": True},
    {"low": -5.25, "high": -3},
    {"high": -4.4},
    {"only": {"by": "correct", "codes": [0, 2]}, "low": -6},
    {"only": {"by": "label", "codes": [1, 2]}, "split": 0},
]


def test_filter_and_lasso_choose_the_same_samples_in_browser_and_python(
    folder: Path, points: SimpleNamespace
) -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    star = np.stack([np.cos(angle), np.sin(angle)], 1) * (1 + 0.6 * (np.arange(40) % 2))[:, None]
    polygon = np.round(star, 4)
    packed, low, high = pack_score(points.log_error)
    given = {
        "label": np.where(points.label < 0, 3, points.label).tolist(),
        "predicted": points.predicted.tolist(),
        "split": points.split.tolist(),
        "packed": packed.tolist(),
        "low": low,
        "high": high,
        "x": points.z[:, 0].astype(float).tolist(),
        "y": points.z[:, 1].astype(float).tolist(),
        "polygon": polygon.tolist(),
        "filters": FILTERS,
    }
    (folder / "given.json").write_text(json.dumps(given))
    (folder / "compare.mjs").write_text(
        """
        import { readFileSync } from "node:fs";
        import { EVERYTHING, passing } from "./filter.js";
        import { inside } from "./grid.js";
        import { Table, unpackScore } from "./table.js";
        const g = JSON.parse(readFileSync("given.json", "utf8"));
        const n = g.label.length;
        const table = new Table({ n, classes: ["a", "b", "c"], splits: [], views: [] }, "");
        Object.assign(table, { label: g.label, predicted: g.predicted, split: g.split });
        table.correct = g.label.map((l, i) => (l === 3 ? 2 : l === g.predicted[i] ? 1 : 0));
        const estimate = unpackScore(Uint16Array.from(g.packed), g.low, g.high);
        console.log(JSON.stringify({
          masks: g.filters.map((f) => [...passing(table, { ...EVERYTHING, ...f }, estimate)]),
          inside: [...inside(g.polygon, Float32Array.from(g.x), Float32Array.from(g.y))],
        }));
        """
    )
    found = json.loads(run(folder, "compare.mjs"))
    for wanted, mask in zip(FILTERS, found["masks"], strict=True):
        np.testing.assert_array_equal(passing(points, 3, wanted), np.array(mask, bool), str(wanted))
    np.testing.assert_array_equal(inside(polygon, points.z), np.array(found["inside"], bool))
    assert 0 < sum(found["inside"]) < len(points.z)
