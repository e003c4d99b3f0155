"""The attack player from the server: what it computes, packs, exports, and says when it cannot."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.attacks.pgd import Pgd
from introspect.errors import BadInput
from introspect.trajectory import Trajectory, trace
from introspect.ui import MAIN, nav, player, player_knobs, shelf
from introspect.ui.player_export import modules, to_gif, to_html, to_npz
from introspect.ui.player_payload import (
    Ground,
    Played,
    alarm_share,
    frames_of,
    pack_delta,
    pack_ground,
    pack_player,
)
from introspect.ui.player_run import Run
from introspect.ui.routes import BLOBS, FRONTEND

NODE = shutil.which("node")
ROW = 5


@pytest.fixture(scope="module")
def ground(atlas: Atlas) -> Ground:
    return pack_ground(atlas)


@pytest.fixture(scope="module")
def walk(atlas: Atlas) -> Trajectory:
    """One digit towards all ten classes, 20 steps."""
    assert atlas.samples is not None
    x = atlas.samples.floats([ROW])[0]
    label = int(atlas.points.label[ROW])
    return trace(atlas, x, Fgsm(steps=20, epsilon=0.05), label=label)


@pytest.fixture(scope="module")
def played(atlas: Atlas, ground: Ground, walk: Trajectory) -> Played:
    return pack_player(atlas, ground, walk, "#5")


# ---------------------------------------------------------------- packing
def test_perturbation_travels_to_within_half_a_level(walk: Trajectory) -> None:
    change = walk.x - walk.clean
    levels, largest = pack_delta(change)
    back = levels / 127 * largest[:, None, None, None, None]
    assert np.abs(back - change).max() <= largest.max() / 254 * 1.0001
    np.testing.assert_allclose(largest, walk.linf.max(1), rtol=1e-6)


def test_walk_that_never_moves_is_packed_as_nothing() -> None:
    levels, largest = pack_delta(np.zeros((2, 3, 4), np.float32))
    assert not levels.any() and not largest.any()


def test_long_walks_of_large_inputs_travel_with_fewer_pictures() -> None:
    assert frames_of(101, 784, 10) == list(range(101))
    few = frames_of(1001, 3 * 224 * 224, 10)
    assert few[0] == 0 and few[-1] == 1000 and 2 <= len(few) * 10 * 3 * 224 * 224 <= 48 << 20
    assert (np.diff(few) >= 1).all() and np.ptp(np.diff(few)) <= 1


def test_manifest_tells_what_became_of_every_target(
    played: Played, walk: Trajectory, atlas: Atlas
) -> None:
    told = json.loads(played.manifest)
    assert told["success"] == walk.success_step.tolist()
    assert told["alarm"] == walk.alarm_step.tolist()
    assert told["targets"] == list(range(10)) and told["source"] == walk.source
    assert told["steps"] == 21 and told["shape"] == [1, 8, 8] and told["pictures"]
    assert told["settings"]["epsilon"] == 0.05
    assert len(played.manifest) < 8_000
    assert set(told["parts"].values()) <= set(played.blobs)


def test_fewer_false_alarms_mean_a_higher_threshold(atlas: Atlas) -> None:
    points = atlas.points
    assert player_knobs.threshold_of(atlas, 1.0) == pytest.approx(atlas.thresholds["log_error"])
    levels = [player_knobs.threshold_of(atlas, share) for share in player_knobs.FALSE_ALARMS]
    assert (np.diff(levels) < 0).all()
    right = (points.split == 2) & (points.label == points.predicted)
    level = float(np.median(points.log_error[right]))
    assert alarm_share(atlas, level) in (
        "50.0 % of right test answers",
        "49.8 % of right test answers",
    )


@pytest.mark.skipif(NODE is None, reason="needs node on the PATH")
def test_browser_reads_the_numbers_that_python_wrote(
    played: Played, walk: Trajectory, tmp_path: Path
) -> None:
    for path in FRONTEND.glob("*.js"):
        shutil.copy(path, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name, body in {**played.parts, "manifest": played.manifest}.items():
        (tmp_path / f"{name}.bin").write_bytes(body)
    (tmp_path / "read.mjs").write_text(
        """
        import { readFileSync } from "node:fs";
        import { Attack } from "./attack_player_data.js";
        const body = (name) => { const b = readFileSync(`${name}.bin`);
          return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
        const manifest = JSON.parse(new TextDecoder().decode(body("manifest")));
        const names = Object.keys(manifest.parts);
        const a = new Attack(manifest, Object.fromEntries(names.map((n) => [n, body(n)])));
        const picture = ({ levels, unit }) => [...levels].map((v, i) => a.clean[i] + v * unit);
        console.log(JSON.stringify({ z: [...a.z], outputs: [...a.outputs], error: [...a.log_error],
          map: [...a.log_error_map], linf: [...a.linf], l2: [...a.l2], stalled: [...a.stalled],
          predicted: [...a.predicted], picture: picture(a.perturbation(3, 17)),
          dots: a.points.x.length, place: a.place(3, 17) }));
        """
    )
    done = subprocess.run(
        [str(NODE), "read.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    exact = {"z": walk.z, "error": walk.log_error, "map": walk.log_error_map, "l2": walk.l2}
    for name, values in {**exact, "linf": walk.linf, "stalled": walk.stalled}.items():
        np.testing.assert_array_equal(np.float32(found[name]), values.ravel(), name)
    np.testing.assert_allclose(found["outputs"], walk.outputs.ravel(), atol=5e-4)
    np.testing.assert_allclose(found["picture"], walk.x[3, 17].ravel(), atol=1 / 254)
    np.testing.assert_allclose(found["place"], walk.z[3, 17], rtol=1e-6)
    agree = np.equal(found["predicted"], walk.predicted.ravel()).mean()
    assert agree == 1 and found["dots"] == 1797


# ---------------------------------------------------------------- files to take away
def hostile(atlas: Atlas, ground: Ground, walk: Trajectory) -> Played:
    """The attack with a class and a sample that are named like markup."""
    packed = pack_player(atlas, ground, walk, "<img src=x>")
    told = json.loads(packed.manifest)
    told["classes"][3] = "</script><script>alert(1)</script>&amp;"
    return Played(json.dumps(told).encode(), packed.parts)


def test_page_of_its_own_holds_everything_and_asks_nobody(
    atlas: Atlas, ground: Ground, walk: Trajectory
) -> None:
    packed = hostile(atlas, ground, walk)
    text = to_html(packed, "How <b>to</b> read this.").decode()
    assert "default-src 'none'" in text
    assert "alert(1)</script>" not in text and "<img src" not in text and "<b>to</b>" not in text
    page = re.sub(r"(<(?:script|style)[^>]*>).*?(</)", r"\1\2", text, flags=re.DOTALL)
    assert not re.search(r"\b(?:src|href)=", page.replace("&lt;img src=x", "")), page
    assert "http:" not in text and "url(" not in text
    part = re.search(r'id="part-delta">([^<]+)<', text)
    assert part is not None and base64.b64decode(part[1]) == packed.parts["delta"]
    told = re.search(r'<script type="application/json" id="manifest">(.*?)</script>', text)
    assert told is not None and json.loads(told[1]) == json.loads(packed.manifest)
    addresses = re.search(r'<script type="importmap">(.*?)</script>', text)
    assert addresses is not None
    assert set(json.loads(addresses[1])["imports"]) == {f"introspect/{name}" for name in modules()}


def test_every_import_of_the_page_of_its_own_is_in_it() -> None:
    found = modules()
    assert {"attack_player_view.js", "attack_player_clock.js", "raster.js"} <= set(found)
    for name, text in found.items():
        assert '"./' not in text, name
        wanted = set(re.findall(r'from "introspect/([\w.]+)"', text))
        assert wanted <= set(found), name


def test_npz_has_every_step_at_full_precision(walk: Trajectory) -> None:
    with np.load(io.BytesIO(to_npz(walk)), allow_pickle=False) as found:
        for name in ("x", "z", "outputs", "log_error", "log_error_map", "linf", "l2", "target"):
            np.testing.assert_array_equal(found[name], getattr(walk, name), name)
        np.testing.assert_array_equal(found["success_step"], walk.success_step)
        assert json.loads(str(found["settings"]))["steps"] == 20
        assert float(found["threshold"]) == walk.threshold


def test_gif_has_one_picture_for_every_step(walk: Trajectory) -> None:
    with Image.open(io.BytesIO(to_gif(walk, 3))) as image:
        assert image.n_frames == 21  # type: ignore[attr-defined]
        assert image.size == (2 * 224, 224 + 6)
        first = np.asarray(image.convert("RGB"), int)
        image.seek(20)
        last = np.asarray(image.convert("RGB"), int)
    clean = np.kron(np.round(walk.clean[0] * 255), np.ones((28, 28)))
    assert np.abs(first[:224, :224, 0] - clean).max() <= 8  # a palette has 256 colours
    assert np.abs(last[:224, :224, 0] - clean).mean() > 20


# ---------------------------------------------------------------- running
def test_stopped_attack_keeps_the_steps_that_were_made(atlas: Atlas, walk: Trajectory) -> None:
    begin = threading.Event()

    def work(on_step: Any) -> Trajectory:
        begin.wait(60)

        def tell(done: int, total: int) -> bool:
            if done == 6:
                run.cancel()
            return on_step(done, total)

        return trace(atlas, walk.clean, Fgsm(steps=20, epsilon=0.05), on_step=tell)

    run = Run(work, "#5", "")
    begin.set()
    assert run.wait(60) and run.stopped and not run.problem
    assert run.walk is not None and run.walk.z.shape[1] == 6
    np.testing.assert_allclose(run.walk.x, walk.x[:, :6], atol=1e-6)
    assert run.share == pytest.approx(6 / 21)


def test_attack_that_fails_says_why_in_a_sentence(atlas: Atlas, walk: Trajectory) -> None:
    run = Run(lambda on_step: trace(atlas, walk.clean, Fgsm(epsilon=7.0)), "#5", "")
    assert run.wait(60) and run.walk is None
    assert "epsilon 7 does not fit" in run.problem

    def crash(on_step: Any) -> Trajectory:
        raise RuntimeError("mat1 and mat2")

    run = Run(crash, "#5", "")
    assert run.wait(60) and "could not be attacked: RuntimeError: mat1" in run.problem


def test_attack_that_would_not_fit_into_memory_is_refused(atlas: Atlas) -> None:
    class Huge:
        fingerprint = ""
        classifier = type("C", (), {"classes": range(1000), "input_shape": (3, 224, 224)})

    with pytest.raises(BadInput, match="fewer targets or fewer steps"):
        player.check_size(Huge, Fgsm(steps=100), [])  # type: ignore[arg-type]
    player.check_size(atlas, Pgd(steps=1000), [])


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


@pytest.fixture
def app(home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page on the digits, whose clicks wait until the attack is over."""
    monkeypatch.setattr(player, "QUICK", 60)
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(atlas="digits", sample=str(ROW))
    app.run().switch_page(str(nav.page_files()["trajectory"]))
    app.query_params.update(atlas="digits", sample=str(ROW))
    app.run()
    assert not app.exception
    return app


def button(app: AppTest, label: str) -> Any:
    return next(found for found in app.button if found.label == label)


def number(app: AppTest, label: str) -> Any:
    return next(found for found in app.number_input if found.label == label)


def ran(app: AppTest) -> AppTest:
    button(app, "Run the attack").click().run()
    assert not app.exception
    return app


def given(app: AppTest) -> dict[str, Any]:
    """The manifest that the player in the browser was given."""
    (element,) = [
        json.loads(found.proto.json)
        for found in app.get("bidi_component")
        if "attack_player.js" in found.proto.json
    ]
    assert len(json.dumps(element)) < 500
    found = BLOBS.read(element["manifest"])
    assert found is not None and found[1] == "application/json"
    manifest = json.loads(found[0])
    assert all(BLOBS.read(key) for key in manifest["parts"].values())
    return manifest


def test_page_begins_with_what_to_do(app: AppTest) -> None:
    assert "Nothing is computed yet" in app.info[0].value
    assert "attack_player.js" not in str([found.proto.json for found in app.get("bidi_component")])
    text = "\n".join(found.value for found in app.markdown)
    assert "sign ∇" in text  # the attack's own docstring


def test_attack_runs_and_the_player_is_given_all_of_it(app: AppTest) -> None:
    manifest = given(ran(app))
    assert (manifest["steps"], len(manifest["targets"])) == (101, 10)
    assert manifest["title"].startswith("#5, ")
    caption = "\n".join(found.value for found in app.caption)
    assert "How to read this figure." in caption and "1,797 recorded samples" in caption
    assert len(app.dataframe[0].value) == 10


def test_knobs_and_targets_reach_the_attack(app: AppTest) -> None:
    next(found for found in app.selectbox if found.label == "Attack").set_value("pgd").run()
    number(app, "Steps").set_value(12).run()
    number(app, "Epsilon").set_value(0.2).run()
    app.multiselect[0].set_value([3, 7]).run()
    manifest = given(ran(app))
    assert manifest["attack"] == "pgd" and manifest["targets"] == [3, 7]
    assert manifest["steps"] == 13 and manifest["settings"]["epsilon"] == 0.2


def test_another_false_alarm_rate_moves_the_alarm_without_a_new_run(
    app: AppTest, atlas: Atlas
) -> None:
    first = given(ran(app))
    assert first["threshold"] == pytest.approx(atlas.thresholds["log_error"])
    alarm = next(found for found in app.selectbox if found.label == "Alarm")
    second = given(alarm.set_value(10.0).run())
    assert second["threshold"] < first["threshold"]
    assert second["parts"]["delta"] == first["parts"]["delta"]
    heard = [step if step >= 0 else 999 for step in first["alarm"]]
    sooner = [step if step >= 0 else 999 for step in second["alarm"]]
    assert all(a <= b for a, b in zip(sooner, heard, strict=True)) and sooner != heard


def test_another_sample_leaves_the_player_and_says_what_it_shows(app: AppTest) -> None:
    first = given(ran(app))
    box = next(found for found in app.text_input if found.label == "Sample")
    box.set_value("17").run()
    assert given(app)["title"] == first["title"]
    assert any("press **Run the attack** for what is chosen now" in c.value for c in app.caption)
    assert given(ran(app))["title"].startswith("#17, ")


def test_result_stays_while_other_pages_are_visited(app: AppTest) -> None:
    first = given(ran(app))
    app.switch_page(str(nav.page_files()["load"])).run()
    app.switch_page(str(nav.page_files()["trajectory"])).run()
    assert given(app) == first


def test_attack_on_the_way_shows_progress_and_can_be_stopped(
    app: AppTest, atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "QUICK", 0)
    number(app, "Steps").set_value(1000).run()
    button(app, "Run the attack").click().run()
    run = app.session_state[f"bench-{atlas.fingerprint[:12]}"].run
    if not run.over:  # a machine may be quicker than the page
        assert button(app, "Run the attack").disabled
        button(app, "Cancel").click().run()
    assert run.wait(60)
    app.run()
    steps = given(app)["steps"]
    assert 1 <= steps <= 1001
    if run.stopped:
        assert f"the {steps - 1} steps made until then are shown" in app.warning[0].value


def test_atlas_without_its_network_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Atlas, "complete", property(lambda self: False))
    app = AppTest.from_file(str(nav.page_files()["trajectory"]), default_timeout=60)
    app.query_params["atlas"] = "digits"
    app.run()
    assert "came without its network" in app.info[0].value and not app.exception


def test_table_tells_the_distances_of_the_step_that_mattered(walk: Trajectory) -> None:
    rows = player.table(walk, tuple("0123456789"))
    for place, row in enumerate(rows):
        step = int(walk.success_step[place])
        assert row["reached at step"] == (step if step >= 0 else None)
        assert row["L2"] == pytest.approx(float(walk.l2[place, step]))
