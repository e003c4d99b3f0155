"""The attack flow: what the browser is given, the page, its runs in the background, its files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from introspect import jobs, library
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.flow import Flow, choose_rows, fan
from introspect.ui import MAIN, attack_flow_payload, nav, shelf
from introspect.ui.attack_flow_payload import (
    COLUMNS,
    pack_flow,
    pack_places,
    tally,
    to_csv,
    to_npz,
)
from introspect.ui.player_payload import Played, pack_ground
from introspect.ui.routes import BLOBS, FRONTEND

NODE = shutil.which("node")
STEPS = 12


@pytest.fixture(scope="module")
def flow(atlas: Atlas) -> Flow:
    rows = choose_rows(atlas, 20)
    return fan(atlas, rows, Fgsm(steps=STEPS, epsilon=0.05), [0, 3, 8])


@pytest.fixture(scope="module")
def packed(atlas: Atlas, flow: Flow) -> Played:
    return pack_flow(atlas, pack_ground(atlas), flow)


# ---------------------------------------------------------------- packing
def test_places_travel_to_within_half_a_level(flow: Flow) -> None:
    levels, (x0, x1, y0, y1) = pack_places(flow.z)
    back = levels / 65535 * [x1 - x0, y1 - y0] + [x0, y0]
    assert np.abs(back - flow.z).max() <= max(x1 - x0, y1 - y0) / 65535 * 0.51


def test_walks_are_tallied_by_both_classes(flow: Flow) -> None:
    walks, arrive = tally(flow), tally(flow, flow.success_step >= 0)
    for i in range(10):
        for j, target in enumerate(flow.target):
            mine = flow.source == i
            wanted = 0 if i == target else mine.sum()
            assert walks[i, j] == wanted
            hits = (flow.success_step[mine, j] >= 0).sum() if wanted else 0
            assert arrive[i, j] == hits
    np.testing.assert_allclose(
        arrive[walks > 0] / walks[walks > 0], flow.success_rate[walks > 0], rtol=1e-12
    )


def test_long_walks_of_many_samples_travel_with_fewer_steps(
    atlas: Atlas, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attack_flow_payload, "MOST", 4 * 20 * 3 * 5)
    told = json.loads(pack_flow(atlas, pack_ground(atlas), flow).manifest)
    frames = told["frames"]
    assert len(frames) == 5 and frames[0] == 0 and frames[-1] == STEPS


def test_manifest_has_the_whole_in_numbers(packed: Played, flow: Flow, atlas: Atlas) -> None:
    told = json.loads(packed.manifest)
    other = flow.source[:, None] != flow.target
    assert told["walks"] == other.sum() and told["targets"] == [0, 3, 8]
    assert told["arrived"] == (other & (flow.success_step >= 0)).sum()
    assert told["attack"] == "fgsm" and told["settings"]["epsilon"] == 0.05
    assert set(told["parts"].values()) <= set(packed.blobs)
    with pytest.raises(ValueError, match="without samples"):
        pack_flow(atlas, pack_ground(atlas), fan_of_none(flow))


def fan_of_none(flow: Flow) -> Flow:
    own = {
        name: value[:0]
        if name in ("row", "source", "label") or getattr(value, "ndim", 0) > 1
        else value
        for name, value in vars(flow).items()
    }
    return Flow(**own)


@pytest.mark.skipif(NODE is None, reason="needs node on the PATH")
def test_browser_reads_the_walks_and_rates_that_python_wrote(
    packed: Played, flow: Flow, tmp_path: Path
) -> None:
    for path in FRONTEND.glob("*.js"):
        shutil.copy(path, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name, body in {**packed.parts, "manifest": packed.manifest}.items():
        (tmp_path / f"{name}.bin").write_bytes(body)
    (tmp_path / "read.mjs").write_text(
        """
        import { readFileSync } from "node:fs";
        import { Walks } from "./attack_flow_data.js";
        const body = (name) => { const b = readFileSync(`${name}.bin`);
          return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
        const manifest = JSON.parse(new TextDecoder().decode(body("manifest")));
        const names = Object.keys(manifest.parts);
        const w = new Walks(manifest, Object.fromEntries(names.map((n) => [n, body(n)])));
        const all = w.chosen(null, null);
        const window = { x: 0, y: 0, scale: 60, width: 900, height: 900 };
        const { count } = w.passages(all, window, 900);
        console.log(JSON.stringify({ z: [...w.z], source: [...w.source], success: [...w.success],
          rate: [...w.rate], median: [...w.median], alarm: [...w.alarm], number: [...w.number],
          arrived: [...w.arrived], all: [...all], everywhere: Math.max(...count),
          near: w.near(all, ...w.place(all[0], 0), 0.05).walks }));
        """
    )
    done = subprocess.run(
        [str(NODE), "read.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    span = np.ptp(flow.z.reshape(-1, 2), axis=0).max()
    np.testing.assert_allclose(found["z"], flow.z.ravel(), atol=span / 65535)
    np.testing.assert_array_equal(found["source"], flow.source)
    np.testing.assert_array_equal(found["success"], flow.success_step.ravel())
    rates = {"rate": flow.success_rate, "median": flow.median_step, "alarm": flow.alarm_rate}
    for name, values in rates.items():
        np.testing.assert_allclose(np.array(found[name], float), values.ravel(), rtol=1e-6)
    np.testing.assert_array_equal(found["number"], tally(flow).ravel())
    other = flow.source[:, None] != flow.target
    np.testing.assert_array_equal(found["all"], np.flatnonzero(other))
    assert 0 < found["everywhere"] <= other.sum()
    start = flow.z[np.nonzero(other)[0][0], np.nonzero(other)[1][0], 0]
    close = np.hypot(*(flow.z - start).transpose(3, 0, 1, 2)) <= 0.05
    assert abs(found["near"] - (close.any(2) & other).sum()) <= 2


# ---------------------------------------------------------------- files to take away
def test_table_has_one_line_for_each_pair_with_walks(flow: Flow) -> None:
    names = ("=1+1", *"123456789")
    lines = list(csv.reader(io.StringIO(to_csv(flow, names).decode())))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) - 1 == (tally(flow) > 0).sum()
    assert all(not cell.startswith("=") for line in lines for cell in line)
    for source, target, walks, arrive, rate, *_ in lines[1:]:
        i = 0 if "1+1" in source else int(source)
        j = flow.target.tolist().index(0 if "1+1" in target else int(target))
        assert int(walks) == tally(flow)[i, j] > 0
        assert float(rate) == pytest.approx(int(arrive) / int(walks), rel=1e-5)


def test_npz_has_every_walk_at_full_precision(flow: Flow) -> None:
    with np.load(io.BytesIO(to_npz(flow)), allow_pickle=False) as found:
        for name in ("z", "success_step", "alarm_step", "linf", "row", "success_rate"):
            np.testing.assert_array_equal(found[name], getattr(flow, name), name)
        assert json.loads(str(found["settings"]))["steps"] == STEPS


# ---------------------------------------------------------------- the page
@pytest.fixture
def home(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library with the small atlas of digits, and no work going on."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    assert atlas.folder is not None
    shutil.copytree(atlas.folder.parent, library.place("digits"))
    shelf.changed()
    yield tmp_path
    for job in jobs.all():
        job.cancel()
    shelf.changed()


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(atlas="digits", **query)
    app.run().switch_page(str(nav.page_files()["attack_flow"]))
    app.query_params.update(atlas="digits", **query)
    app.run()
    assert not app.exception
    return app


def button(app: AppTest, label: str) -> Any:
    return next(found for found in app.button if found.label == label)


def number(app: AppTest, label: str) -> Any:
    return next(found for found in app.number_input if found.label == label)


def given(app: AppTest) -> dict[str, Any] | None:
    """The manifest that the browser was given, None where there is no figure."""
    found = [
        json.loads(one.proto.json)
        for one in app.get("bidi_component")
        if "attack_flow.js" in one.proto.json
    ]
    if not found:
        return None
    assert len(json.dumps(found[0])) < 500
    body = BLOBS.read(found[0]["manifest"])
    assert body is not None
    return json.loads(body[0])


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.error, app.warning, app.info)
    return "\n".join(element.value for kind in kinds for element in kind)


def ended(app: AppTest) -> AppTest:
    """Waits until nothing runs any more."""
    until = time.monotonic() + 90
    while any(job.state().live for job in jobs.all()) and time.monotonic() < until:
        time.sleep(0.1)
    app.run()
    assert not app.exception
    return app


def test_page_begins_with_what_to_do(home: Path) -> None:
    app = opened()
    assert "No flow is computed yet" in texts(app) and given(app) is None
    assert app.title[0].value == "Attack flow"


def test_flow_runs_in_the_background_and_is_found_again(home: Path, atlas: Atlas) -> None:
    app = opened()
    number(app, "Samples").set_value(20).run()
    number(app, "Steps").set_value(8).run()
    app.multiselect[0].set_value([3, 4]).run()
    app.multiselect[1].set_value([8]).run()
    button(app, "Run in the background").click().run()
    assert not app.exception
    (job,) = jobs.all()
    assert job.id in app.query_params["flow"]
    manifest = given(ended(app))
    assert manifest is not None
    assert (manifest["samples"], manifest["targets"], manifest["steps"]) == (20, [8], 9)
    assert job.arguments["threshold"] == pytest.approx(atlas.thresholds["log_error"])
    again = opened(flow=job.id)  # another visit, another browser
    assert given(again) == manifest
    assert "How to read this figure." in texts(again)
    assert "20 samples of 3, 4" in next(b for b in again.selectbox if b.label == "Shown").options[0]
    button(again, "Remove").click().run()
    assert jobs.all() == [] and "No flow is computed yet" in texts(again)


def test_stopped_flow_is_shown_as_far_as_it_got(home: Path, atlas: Atlas) -> None:
    app = opened()
    number(app, "Samples").set_value(240).run()
    number(app, "Steps").set_value(1000).run()
    button(app, "Run in the background").click().run()
    (job,) = jobs.all()
    until = time.monotonic() + 90
    while not list(job.folder.glob("work/part-*.npz")) and time.monotonic() < until:
        time.sleep(0.05)
    app.run()
    button(app, "Cancel").click().run()
    ended(app)
    manifest = given(app)
    assert manifest is not None and 0 < manifest["samples"] < 240
    assert f"the {manifest['samples']} samples finished until then are shown" in texts(app)
    button(app, "Resume").click().run()
    assert job.state().live


def test_flow_of_an_unknown_link_is_told(home: Path) -> None:
    app = opened(flow="../../etc/passwd")
    assert "not kept here any more" in texts(app)


def test_bad_choice_is_told_in_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened()
    number(app, "Steps").set_value(1000).run()
    number(app, "Samples").set_value(10_000).run()
    next(box for box in app.selectbox if box.label == "Out of").set_value("all").run()
    monkeypatch.setattr("introspect.flow.LARGEST", 1 << 20)
    button(app, "Run in the background").click().run()
    assert "choose fewer samples, classes or steps" in app.error[0].value
    assert jobs.all() == []


def test_atlas_without_its_network_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    app = opened()
    assert "came without its network" in texts(app)
