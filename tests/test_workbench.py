"""What the build form asks for when its button is pressed, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shelves import put
from streamlit.testing.v1 import AppTest

from introspect import building, jobs, library
from introspect.forecast import forecast
from introspect.formats.pickled import tell_strange
from introspect.telling import find_command
from introspect.ui import checkup, workbench

LAYERS = [
    {"name": "1", "op": "linear", "shape": [32], "units": 32, "hidden": False,
     "reduced": {"mean": 32, "grid2": 32, "none": 32}},
    {"name": "2", "op": "elu", "shape": [32], "units": 32, "hidden": True,
     "reduced": {"mean": 32, "grid2": 32, "none": 32}},
    {"name": "3", "op": "elu", "shape": [8, 4, 4], "units": 8, "hidden": True,
     "reduced": {"mean": 8, "grid2": 32, "none": 128}},
]  # fmt: skip
STATED, SIGNED = {"mean": [0.1], "std": [0.3]}, {"mean": [0.5], "std": [0.5]}
FIT = {
    "format": "an exported PyTorch network",
    "ok": True,
    "reason": "",
    "input_shape": [1, 8, 8],
    "classes": ["a", "b"],
    "accuracy": {"as the layer list says": 0.975, "-1 to 1": 0.5},
    "ways": {"as the layer list says": STATED, "-1 to 1": SIGNED},
    "preprocessing": {"name": "as the layer list says", **STATED},
    "plausible": True,
    "verdict": "The model is right on 97.5% of 400 samples, so its accuracy is plausible.",
    "seconds": 1e-5,
    "samples": 4000,
    "architectures": [],
    "missing": [],
    "notes": [],
    "layers": LAYERS,
}
LOST = FIT | {
    "plausible": False,
    "verdict": "The model is right on 12.0%, so check it before you trust a map, or go on anyway.",
    "reason": "The model is right on 12.0%, so check it before you trust a map, or go on anyway.",
}
UNFIT = FIT | {
    "ok": False,
    "reason": "net.pt holds weights only; or run: introspect export my_module:build model.pt2",
    "layers": [],
    "accuracy": None,
    "architectures": [
        {"name": "resnet18", "fits": False, "share": 0.91, "misfit": "fc.weight is 3 x 4."},
    ],
}


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The form with its files given; what it starts is kept here instead of being run."""
    monkeypatch.setenv("INTROSPECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INTROSPECT_CACHE", str(tmp_path / "cache"))
    files = tmp_path / "net.safetensors", "net", tmp_path / "net.yaml"
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
    assert "right on 97" in app.success[0].value
    app.text_input(key="build_name").set_value("my petals")
    app.selectbox(key="build_preset").set_value("fast")
    app.radio(key="build_reduction").set_value("grid2")
    app.number_input(key="build_seed").set_value(7)
    app.number_input(key="build_epochs").set_value(3)
    press(app)
    assert not app.exception and not app.error
    [call] = started
    assert call["function"] in jobs.FUNCTIONS
    assert call["arguments"] == {
        "model": str(tmp_path / "net.safetensors"),
        "layers": str(tmp_path / "net.yaml"),
        "arch": None,
        "data": str(tmp_path / "petals"),
        "name": "my petals",
        "out": str(tmp_path / "home" / "my petals.atlas"),
        "layers_chosen": ["2", "3"],
        "reduction": "grid2",
        "preprocessing": STATED,
        "anyway": False,
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
    refused = FIT | {
        "ok": False,
        "accuracy": None,
        "reason": "Tensor 1.weight is 32 x 64 but 33 x 64 is needed.",
    }
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


def test_model_that_is_hardly_right_waits_for_the_person(started, monkeypatch) -> None:
    monkeypatch.setattr(checkup, "examine", lambda *files: LOST)
    app = form()
    [button] = [button for button in app.button if button.label == "Build the atlas"]
    assert button.disabled and "12" in app.warning[0].value
    [box] = [box for box in app.checkbox if "Go on anyway" in box.label]
    press(box.check().run())
    assert started[0]["arguments"]["anyway"] is True


def test_other_preparation_can_be_chosen(started, monkeypatch) -> None:
    app = form()
    [way] = [box for box in app.selectbox if box.label == "Prepare the inputs as"]
    assert way.value == "as the layer list says"
    press(way.set_value("-1 to 1").run())
    assert started[0]["arguments"]["preprocessing"] == SIGNED


def test_misfit_of_every_network_is_told_with_the_command_that_helps(started, monkeypatch) -> None:
    monkeypatch.setattr(checkup, "examine", lambda *files: UNFIT)
    app = form()
    table = app.dataframe[0].value
    assert list(table["What does not fit"]) == ["fc.weight is 3 x 4."]
    assert app.code[0].value == "introspect export my_module:build model.pt2"


# ---------------------------------------------------------------- the look at the files
def test_look_at_files_that_are_no_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"nonsense")
    found = checkup.examine(checkup.Order(str(tmp_path / "net.pt"), "net"))
    assert not found["ok"]
    assert found["reason"].endswith(".") and "Traceback" not in found["reason"]


@pytest.mark.parametrize(
    ("sentence", "command"),
    [
        ("on your own machine run: introspect export my_module:build model.pt2.",
         "introspect export my_module:build model.pt2"),
        ("run: introspect export --torchscript a.pt model.pt2 --input-shape 3,32,32 (the shape).",
         "introspect export --torchscript a.pt model.pt2 --input-shape 3,32,32"),
        ("run: python -m tf2onnx.convert --opset 17 --output model.onnx.",
         "python -m tf2onnx.convert --opset 17 --output model.onnx"),
        ("with model.export('model.onnx', format='onnx') in Keras 3, and give that.",
         "model.export('model.onnx', format='onnx')"),
        ("save it again with torch.save(model.state_dict(), 'weights.pt').",
         "torch.save(model.state_dict(), 'weights.pt')"),
        ("The file is empty: save or upload it again.", ""),
    ],
)  # fmt: skip
def test_command_in_a_sentence_is_found_whole(sentence: str, command: str) -> None:
    assert find_command(sentence) == command


def test_command_for_settings_beside_weights_is_found_whole() -> None:
    sentence = tell_strange("old.pt", ["argparse.Namespace"])
    command = find_command(sentence)
    assert command.startswith("python -c") and sentence.endswith(command)


# ---------------------------------------------------------------- size and time
def test_forecast_grows_with_samples_units_and_passes() -> None:
    told = forecast(70_000, 600, 10, (1, 28, 28), 2e-5)
    assert told.work == 2 * 70_000 * 600 and 30 < told.seconds < 300
    more = forecast(140_000, 600, 10, (1, 28, 28), 2e-5)
    assert more.work == 2 * told.work and more.seconds > 1.5 * told.seconds
    assert forecast(70_000, 600, 10, (1, 28, 28), 2e-5, "careful").seconds > told.seconds
    assert forecast(70_000, 600, 10, (1, 28, 28), 2e-2).seconds > 10 * told.seconds
