"""What the build form asks for when its button is pressed, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shelves import put
from streamlit.testing.v1 import AppTest

from introspect import building, jobs, library
from introspect.ui import checkup, upload, workbench

LAYERS = [
    {"name": "1", "op": "linear", "shape": [32], "units": 32, "hidden": False},
    {"name": "2", "op": "elu", "shape": [32], "units": 32, "hidden": True},
    {"name": "3", "op": "elu", "shape": [8, 4, 4], "units": 8, "hidden": True},
]
FIT = {
    "ok": True,
    "reason": "",
    "input_shape": [1, 8, 8],
    "classes": ["a", "b"],
    "accuracy": {"as the layer list says": 0.975, "-1 to 1": 0.5},
    "layers": LAYERS,
}


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The form with its files given; what it starts is kept here instead of being run."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    files = [tmp_path / name for name in ("net.safetensors", "net.yaml")]
    monkeypatch.setattr(workbench, "_model", lambda: files)
    monkeypatch.setattr(workbench, "_data", lambda: tmp_path / "petals")
    monkeypatch.setattr(checkup, "examine", lambda *files: FIT)
    calls: list[dict[str, Any]] = []

    def start(function: str, arguments: dict[str, Any], title: str) -> SimpleNamespace:
        calls.append({"function": function, "arguments": arguments, "title": title})
        return SimpleNamespace(id="0" * 16)

    monkeypatch.setattr(jobs, "start", start)
    return calls


def form() -> AppTest:
    def page() -> None:
        from introspect.ui import workbench

        workbench.draw()

    return AppTest.from_function(page, default_timeout=30).run()


def press(app: AppTest) -> AppTest:
    [button] = [button for button in app.button if button.label == "Build the atlas"]
    assert not button.disabled
    return button.click().run()


def test_button_starts_the_builder_with_everything_given(started, tmp_path: Path) -> None:
    app = form()
    assert "one input is 1 × 8 × 8, 2 classes, 97.5% right" in app.success[0].value
    app.text_input(key="build_name").set_value("my petals")
    app.selectbox(key="build_preset").set_value("fast")
    app.number_input(key="build_seed").set_value(7)
    app.number_input(key="build_epochs").set_value(3)
    press(app)
    assert not app.exception and not app.error
    [call] = started
    assert call["function"] in jobs.FUNCTIONS
    assert call["arguments"] == {
        "weights": str(tmp_path / "net.safetensors"),
        "layers": str(tmp_path / "net.yaml"),
        "data": str(tmp_path / "petals"),
        "name": "my petals",
        "out": str(tmp_path / "home" / "my petals.atlas"),
        "layers_chosen": ["2", "3"],
        "preset": "fast",
        "epochs": 3,
        "seed": 7,
        "device": "auto",
    }
    assert app.query_params["job"] == "0" * 16


def test_every_preset_is_one_the_builder_knows() -> None:
    assert set(workbench.PRESETS) == set(building.PRESETS)


def test_name_is_proposed_from_the_model_and_free(started, tmp_path: Path) -> None:
    put(library.place("net"))
    assert form().text_input(key="build_name").value == "net 2"


def test_name_that_is_taken_is_refused_and_everything_stays(started) -> None:
    put(library.place("petals"))
    app = form()
    app.text_input(key="build_name").set_value("petals")
    app.number_input(key="build_seed").set_value(7)
    press(app)
    assert "already is an atlas called" in app.error[0].value
    assert started == []
    assert app.text_input(key="build_name").value == "petals"
    assert app.number_input(key="build_seed").value == 7


def test_name_that_is_being_built_in_another_tab_is_refused(
    started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SimpleNamespace(
        arguments={"out": str(tmp_path / "home" / "petals.atlas")},
        state=lambda: SimpleNamespace(live=True),
    )
    monkeypatch.setattr(jobs, "all", lambda: [other])
    app = form()
    app.text_input(key="build_name").set_value("petals")
    press(app)
    assert "being built just now" in app.error[0].value
    assert started == []


def test_model_that_does_not_fit_is_told_and_cannot_be_built(started, monkeypatch) -> None:
    refused = {"ok": False, "reason": "Tensor 1.weight is 32 x 64 but 33 x 64 is needed."}
    monkeypatch.setattr(checkup, "examine", lambda *files: refused)
    app = form()
    assert "1.weight" in app.error[0].value.replace("\\", "")
    [button] = [button for button in app.button if button.label == "Build the atlas"]
    assert button.disabled
    monkeypatch.setattr(checkup, "examine", lambda *files: FIT)
    [again] = [button for button in app.button if button.label == "Check again"]
    press(again.click().run())
    assert len(started) == 1


def test_better_preprocessing_is_told_beside_the_verdict(started, monkeypatch) -> None:
    advice = "The model is right more often on inverted pictures."
    monkeypatch.setattr(checkup, "examine", lambda *files: FIT | {"reason": advice})
    assert advice in form().warning[0].value.replace("\\", "")


def test_nothing_can_be_built_before_all_is_given(started, monkeypatch) -> None:
    monkeypatch.setattr(workbench, "_data", lambda: None)
    [button] = [button for button in form().button if button.label == "Build the atlas"]
    assert button.disabled


# ---------------------------------------------------------------- the look at the files
def test_look_at_files_that_are_no_model_is_one_sentence(tmp_path: Path) -> None:
    for name in ("net.safetensors", "net.yaml"):
        (tmp_path / name).write_bytes(b"nonsense")
    found = checkup.examine(
        str(tmp_path / "net.safetensors"), str(tmp_path / "net.yaml"), str(tmp_path)
    )
    assert not found["ok"]
    assert found["reason"].endswith(".") and "Traceback" not in found["reason"]


def test_recipe_for_weights_names_the_function_that_exists() -> None:
    import safetensors.torch

    assert upload.RECIPE.startswith("safetensors.torch.save_file(")
    assert callable(safetensors.torch.save_file)
