"""The brainbow page from the server: what the browser is given, and what its buttons do."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.brainbow import sort_units
from introspect.errors import Cancelled
from introspect.plots.palette import class_colours
from introspect.plugin import Progress
from introspect.ui import MAIN, nav, shelf
from introspect.ui.brainbow_payload import find_ways, pack_brainbow, pack_strongest, to_csv
from introspect.ui.brainbow_trial import Bench, take
from introspect.ui.brainbow_work import Work
from introspect.ui.payload import unpack_score
from introspect.units import strongest

CLASSES = tuple(map(str, range(10)))


# ---------------------------------------------------------------- what the page is given
def test_browser_gets_what_python_knows(atlas: Atlas) -> None:
    packed = pack_brainbow(atlas)
    manifest = json.loads(bytes(packed.parts[packed.manifest]))
    assert [way["name"] for way in manifest["ways"]] == ["decoder", "mean"]
    assert sum(layer["stop"] - layer["start"] for layer in manifest["layers"]) == 96
    assert manifest["samples"] == [
        int(((atlas.points.label == k) & (atlas.points.split == 0)).sum()) for k in range(10)
    ]
    for way in manifest["ways"]:
        found = sort_units(atlas, way["name"])
        levels = np.frombuffer(bytes(packed.parts[way["expected"]["key"]]), "<u2")
        seen = unpack_score(levels, way["expected"]["low"], way["expected"]["high"])
        np.testing.assert_allclose(seen.reshape(10, 96), found.expected, atol=1e-3)
        order = np.frombuffer(bytes(packed.parts[way["order"]]), "<i4")
        np.testing.assert_array_equal(order, found.order)
        colours = np.frombuffer(bytes(packed.parts[way["dark"]]), "u1").reshape(96, 3)
        np.testing.assert_array_equal(colours, found.painted(class_colours(10, dark=True)))


def test_strongest_samples_travel_with_ids_labels_and_values(atlas: Atlas) -> None:
    found = strongest(atlas)
    packed = pack_strongest(atlas, found)
    about = json.loads(bytes(packed.parts[packed.manifest]))
    body = bytes(packed.parts[about["key"]])
    size = found.rows.size
    ids = np.frombuffer(body, "<f8", size)
    np.testing.assert_array_equal(ids, atlas.points.id[found.rows].ravel())
    values = np.frombuffer(body, "<f4", size, offset=20 * size)
    np.testing.assert_array_equal(values, found.values.ravel())


def test_table_of_units_has_a_row_for_each(atlas: Atlas) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(find_ways(atlas)[0]).decode())))
    found = sort_units(atlas)
    assert len(rows) == 96
    row, unit = rows[40], 40
    layer, span = next((n, s) for n, s in found.spans.items() if s.start <= unit < s.stop)
    assert row["layer"] == layer and int(row["unit"]) == unit - span.start
    assert row["preferred_decoder"] == CLASSES[found.preferred[unit]]
    assert found.order[span.start + int(row["place_decoder"])] == unit
    told = [float(row[f"expected_decoder_{name}"]) for name in CLASSES]
    np.testing.assert_allclose(told, found.expected[:, unit], rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- the page
@pytest.fixture
def app(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The brainbow page on the small atlas of digits."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    opened = AppTest.from_file(str(MAIN), default_timeout=60)
    opened.query_params["atlas"] = "digits"
    opened.run()
    return opened.switch_page(str(nav.page_files()["brainbow"])).run()


def parts(app: AppTest) -> dict[str, dict]:
    given = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return {one["code"].rpartition("/")[2]: one for one in given}


def test_page_shows_figure_sample_and_caption(app: AppTest) -> None:
    assert not app.exception
    given = parts(app)
    assert set(given) == {"brainbow.js", "brainbow_sample.js"}
    assert len(given["brainbow_sample.js"]["samples"]) == 1
    assert any("96 units in 3 layers" in element.value for element in app.caption)
    for element in app.get("bidi_component"):
        assert len(element.proto.json) < 1_000


def test_second_sample_is_shown_beside_the_first(app: AppTest) -> None:
    app.toggle[0].set_value(True).run()
    assert not app.exception
    titles = [one["title"] for one in parts(app)["brainbow_sample.js"]["samples"]]
    assert [title[:2] for title in titles] == ["A:", "B:"]


def test_units_fall_silent_and_come_back(app: AppTest) -> None:
    def button(start: str):
        return next(one for one in app.button if one.label.startswith(start))

    assert button("Undo").disabled
    button("Silence").click().run()
    given = parts(app)["brainbow_trial.js"]
    assert given["count"] == 300 and len(given["was"]) == 10
    assert given["now"][0] < given["was"][0]
    assert any("units are silent" in element.value for element in app.markdown)
    assert button("Silence").disabled
    button("Undo").click().run()
    assert "brainbow_trial.js" not in parts(app)
    assert not app.exception


def test_atlas_without_its_network_still_shows_its_layers(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    app.run()
    assert not app.exception
    assert set(parts(app)) == {"brainbow.js"}
    assert sum("without its network" in element.value for element in app.info) == 2


# ---------------------------------------------------------------- work in the background
def test_work_tells_how_far_it_is_and_stops_on_a_word() -> None:
    def endless(start: int, on_batch: Progress) -> int:
        done = start
        while on_batch(done, 100) is not False:
            done = min(99, done + 1)
        raise Cancelled("It was stopped.")

    work = Work.start("Counting", endless, 3)
    deadline = time.monotonic() + 30
    while work.done < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert work.done >= 5 and work.total == 100
    work.stop()
    with pytest.raises(Cancelled):
        work.future.result(30)


def test_stopped_trial_leaves_no_unit_silent() -> None:
    bench = Bench(groups=[(4, None)])
    bench.work = Work.start("Trying", _stopped)
    bench.work.future.exception(30)
    take(bench, bench.work)
    assert bench.groups == [] and bench.after is None
    assert "no unit is silenced" in bench.problem


def _stopped(on_batch: Progress) -> None:
    raise Cancelled("It was stopped.")
