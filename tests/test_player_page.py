"""The trajectory page: choose, run, keep, show; and say what cannot be done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from introspect import library
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.trajectory import Trajectory, trace
from introspect.ui import MAIN, nav, player, shelf
from introspect.ui.routes import BLOBS

ROW = 5


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
    assert any("after its random start" in found.value for found in app.caption)


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


def test_two_attacks_are_kept_side_by_side(app: AppTest) -> None:
    first = given(ran(app))
    button(app, "Keep to compare").click().run()
    assert given(app) == first  # nothing to compare with yet
    number(app, "Steps").set_value(12).run()
    ran(app)
    keys = [
        json.loads(found.proto.json)["manifest"]
        for found in app.get("bidi_component")
        if "attack_player.js" in found.proto.json
    ]
    shown = [BLOBS.read(key) for key in keys]
    assert [json.loads(found[0])["steps"] for found in shown if found] == [13, 101]
    button(app, "Remove").click().run()
    assert given(app)["steps"] == 13


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


def test_table_tells_the_distances_of_the_step_that_mattered(atlas: Atlas) -> None:
    walk: Trajectory = trace(atlas, atlas.samples.floats([ROW])[0], Fgsm(20, 0.05))
    rows = player.table(walk, tuple("0123456789"))
    for place, row in enumerate(rows):
        step = int(walk.success_step[place])
        assert row["reached at step"] == (step if step >= 0 else None)
        assert row["L2"] == pytest.approx(float(walk.l2[place, step]))
