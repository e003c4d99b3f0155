"""The constellation page: the work behind it, its settings, and what the browser is given."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.constellation import scatter
from introspect.errors import Cancelled
from introspect.ui import MAIN, constellation, constellation_run, nav, shelf
from introspect.ui.constellation_run import Order, Run


@pytest.fixture(scope="module")
def x(atlas: Atlas) -> torch.Tensor:
    """A test sample that the network gets right."""
    samples = atlas.samples
    assert samples is not None
    return samples.floats([atlas.points.row_of("test:7")])[0]


# ---------------------------------------------------------------- the work behind the page
def _order(atlas: Atlas, x: torch.Tensor, seed: int = 0, **change: Any) -> Order:
    order = Order((atlas, atlas), x.numpy(), "noise", (0.0, 0.1), 10, seed, False)
    return replace(order, **change)


def test_run_ends_with_one_constellation_an_atlas_and_the_next_finds_it_done(
    atlas: Atlas, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = _order(atlas, x, seed=100)
    run = Run.start(order)
    assert run.wait(30) and run.found is not None and (run.done, run.total) == (40, 40)
    np.testing.assert_array_equal(run.found[0].z, scatter(atlas, x, (0.0, 0.1), 10, 100).z)
    monkeypatch.setattr(constellation_run, "scatter", _never)
    again = Run.start(order)
    assert again.wait(30) and again.found == run.found
    assert _order(atlas, x).keys() != _order(atlas, 1 - x).keys()


def _never(*_: Any) -> None:
    raise AssertionError("computed anew")


def test_run_is_stopped_half_way(
    atlas: Atlas, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def slowly(*args: Any) -> Any:
        tell = args[6]
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            going.set()
            if tell(1, 20) is False:
                raise Cancelled("stopped")
            time.sleep(0.005)

    monkeypatch.setattr(constellation_run, "scatter", slowly)
    run = Run.start(_order(atlas, x, seed=101))
    assert going.wait(10) and not run.wait(0.05)
    run.stop()
    assert run.wait(10) and run.stopped and run.found is None and not run.problem


def test_run_that_cannot_be_says_why(atlas: Atlas, x: torch.Tensor) -> None:
    run = Run.start(_order(atlas, x, seed=102, levels=(0.0, 1e38)))
    assert run.wait(30) and run.found is None and "overflow" in run.problem


# ---------------------------------------------------------------- the page
@pytest.fixture
def home(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library with the small atlas of digits."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    yield tmp_path
    shelf.changed()


def open_page() -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params["atlas"] = "digits"
    app.run()
    app.switch_page(str(nav.page_files()["constellation"])).run()
    assert not app.exception
    return app


def given(app: AppTest) -> dict[str, Any]:
    """What the page gives the constellation in the browser."""
    parts = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return next(part for part in parts if part["code"].endswith("/constellation.js"))


def manifest(app: AppTest) -> dict[str, Any]:
    found = constellation.BLOBS.read(given(app)["manifest"])
    assert found is not None
    return json.loads(found[0])


def test_page_shows_the_paper_s_noise_first(home: Path) -> None:
    app = open_page()
    shown = manifest(app)
    assert shown["corruption"] == "noise" and shown["copies"] == 200
    assert {0.0, 0.1, 0.2, 0.3} <= set(shown["levels"])
    assert len(json.dumps(given(app))) < 1000
    captions = "\n".join(element.value for element in app.caption)
    assert "How to read this constellation." in captions and "200 copies" in captions


def test_page_takes_another_corruption_and_another_number_of_copies(home: Path) -> None:
    app = open_page()
    app.number_input(key="constellation-copies").set_value(20).run()
    assert manifest(app)["copies"] == 20
    app.selectbox(key="constellation-corruption").select("blur").run()
    assert not app.exception
    shown = manifest(app)
    assert shown["corruption"] == "blur" and shown["copies"] == 1
    assert "pixels" in shown["quantity"]


def test_page_shows_two_models_side_by_side(home: Path, atlas: Atlas) -> None:
    replace(atlas, fingerprint="f" * 64, name="twin").save(library.place("twin"))
    shelf.changed()
    app = open_page()
    other = next(box for box in app.selectbox if box.label == "Beside it")
    assert "twin" in other.options and "mnist-net1" not in other.options
    other.select("twin").run()
    assert not app.exception
    panels = manifest(app)["panels"]
    assert len(panels) == 2 and panels[0]["kept"] == panels[1]["kept"]


def test_page_says_that_noise_is_too_much(home: Path) -> None:
    app = open_page()
    app.number_input(key="constellation-top-noise").set_value(1e38).run()
    assert not app.exception
    assert "overflow" in app.error[0].value
    app.number_input(key="constellation-top-noise").set_value(0.0).run()
    assert not app.exception
    assert manifest(app)["levels"] == [0.0]


def test_long_work_tells_how_far_it_is_and_can_be_cancelled(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*args: Any) -> Any:
        deadline = time.monotonic() + 20
        while args[6](50, 200) is not False and time.monotonic() < deadline:
            time.sleep(0.005)
        raise Cancelled("stopped")

    monkeypatch.setattr(constellation_run, "scatter", slowly)
    monkeypatch.setattr(constellation, "SOON", 0.1)
    app = open_page()
    # A seed of its own: what other tests have computed is kept.
    app.number_input(key="constellation-seed").set_value(4321).run()
    run = app.session_state["constellation-run"][1]
    assert 0 < run.done < run.total
    app.button(key="constellation-cancel").click().run()
    assert run.wait(10)
    app.run()
    assert not app.exception
    assert "stopped before it was whole" in "".join(element.value for element in app.info)
