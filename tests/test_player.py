"""The attack player from the server: what it computes, packs, exports, and says when it cannot."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.attacks.pgd import Pgd
from introspect.errors import BadInput
from introspect.trajectory import Trajectory, trace
from introspect.ui import player, player_knobs, player_payload
from introspect.ui.player_export import modules, to_gif, to_html, to_npz
from introspect.ui.player_payload import (
    Ground,
    Played,
    Units,
    alarm_share,
    frames_of,
    pack_delta,
    pack_ground,
    pack_player,
    with_alarm,
)
from introspect.ui.player_run import Run
from introspect.ui.routes import FRONTEND

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
def units(atlas: Atlas) -> Units:
    found = Units.of(atlas)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def played(atlas: Atlas, ground: Ground, walk: Trajectory, units: Units) -> Played:
    return pack_player(atlas, ground, walk, "#5", units)


# ---------------------------------------------------------------- packing
def test_perturbation_travels_to_within_half_a_level(walk: Trajectory) -> None:
    change = walk.x - walk.clean
    levels, largest = pack_delta(change)
    back = levels / 127 * largest[:, None, None, None, None]
    assert np.abs(back - change).max() <= largest.max() / 254 * 1.0001
    np.testing.assert_allclose(largest, walk.linf.max(1), rtol=1e-6)


def test_answers_that_halves_cannot_tell_apart_travel_as_they_are(
    atlas: Atlas, ground: Ground, walk: Trajectory
) -> None:
    outputs = walk.outputs.copy()
    outputs[..., :3] = [0.99998, 0.99999, 0.5]
    sure = replace(walk, outputs=outputs)
    packed = np.frombuffer(pack_player(atlas, ground, sure, "#5").parts["predicted"], "<u2")
    assert (sure.outputs.astype(np.float16).argmax(2) != sure.predicted).any()
    np.testing.assert_array_equal(packed.reshape(sure.predicted.shape), sure.predicted)


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


def test_units_are_the_sorted_activations_of_the_step(
    atlas: Atlas, walk: Trajectory, units: Units
) -> None:
    h, _ = atlas.engine.tap(torch.from_numpy(np.array(walk.x[3])))
    sorted_h = h.detach().numpy()[:, units.brainbow.order]
    wanted = np.clip((sorted_h - units.low) / (units.high - units.low), 0, 1)
    np.testing.assert_allclose(units.levels(atlas, walk.x[3]) / 255, wanted, atol=1 / 500)
    assert [layer["to"] - layer["from"] for layer in units.layers] == [32, 32, 32]


def test_wide_layers_are_shown_by_the_means_of_neighbours(
    atlas: Atlas, walk: Trajectory, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_payload, "CELLS", 8)
    few = Units.of(atlas)
    assert few is not None and len(few.starts) == 3 * 8
    fine = units.levels(atlas, walk.x[3]).astype(float)
    coarse = few.levels(atlas, walk.x[3])
    inside = ((fine > 0) & (fine < 255)).reshape(21, 24, 4).all(2)
    wanted = fine.reshape(21, 24, 4).mean(2)
    assert inside.any() and np.abs(coarse - wanted)[inside].max() <= 1


def test_another_alarm_packs_nothing_again(
    atlas: Atlas, played: Played, walk: Trajectory, ground: Ground, units: Units
) -> None:
    quiet = replace(walk, threshold=walk.threshold - 1)
    wanted = pack_player(atlas, ground, quiet, "#5", units)
    assert json.loads(with_alarm(played, atlas, quiet).manifest) == json.loads(wanted.manifest)


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
    atlas: Atlas, played: Played, walk: Trajectory, units: Units, tmp_path: Path
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
          units: [...a.activations(3, 17)], preferred: [...a.preferred],
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
    levels = units.levels(atlas, walk.x[3, 17:18])[0].astype(int)
    np.testing.assert_allclose(found["units"], levels, atol=1)
    np.testing.assert_array_equal(np.int16(np.uint16(found["preferred"])), units.preferred)
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
    hundred = list(range(100))
    player.check_size(Huge, Fgsm(steps=20), hundred)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="fewer targets or fewer steps"):
        player.check_size(Huge, Fgsm(steps=20), hundred, models=2)  # type: ignore[arg-type]
