"""The commands as a person or a script meets them: output, exit status, refusals."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from introspect import benchmark, cli
from introspect.building import PRESETS
from introspect.errors import BadInput, Cancelled

if TYPE_CHECKING:
    from introspect.classifier import Classifier
    from introspect.samples import Samples

COMMANDS = [
    "app",
    "doctor",
    "build",
    "locate",
    "attack",
    "noise",
    "judge",
    "reproduce",
    "export",
    "bench",
]
MEASUREMENT = """
def run():
    return {
        "ratios": {"speed": 9.5, "latency": 3.0},
        "goals": {"speed": {"value": 8, "op": ">="}, "latency": {"value": 2.3, "op": "<="}},
        "values": {"seconds": 1.25, "rows": 60000},
    }
"""


class Terminal(io.StringIO):
    """A stream that says it is watched by a person."""

    def isatty(self) -> bool:
        return True


def last_json(text: str) -> dict[str, Any]:
    return json.loads(text.splitlines()[-1])


def test_help_lists_exactly_the_commands_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    listed = re.findall(r"^    (\w+)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert ("--json" in shown) == (command != "app")


@pytest.mark.parametrize(
    "line",
    ["nonsense", "build", "build m d", "bench", "doctor a --link round", "locate a b --seed x"],
)
def test_a_wrong_command_line_is_one_sentence_and_status_2(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1 and printed.err.endswith("--help.\n")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("doctor nothing.safetensors", "There is no model 'nothing.safetensors'"),
        ("locate nothing.atlas mnist -o out.parquet", "There is no atlas 'nothing.atlas'"),
        ("app nothing.atlas", "There is no atlas 'nothing.atlas'"),
        ("app --port 99999", "99999 is not a port"),
        ("bench nothing", "There is no measurement 'nothing'"),
        ("build m.safetensors d -o o.atlas --epochs 0", "--epochs 0 is too few"),
        ("build m.safetensors d -o o.atlas --preprocess 0.1", "--preprocess 0.1 is not mean/std"),
        ("build m.safetensors d -o o.atlas --preprocess 1,2/3", "--preprocess 1,2/3 is not mean"),
        ("build m.safetensors d -o o.atlas --preprocess 0/0", "--preprocess 0/0 is not mean/std"),
    ],
)
def test_bad_input_is_one_sentence_on_stderr_and_status_2(
    line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"introspect: {sentence}") and printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (Cancelled("Stopped."), 130), (BadInput("No."), 2)],
)
def test_exit_status_tells_how_the_command_ended(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(name: str) -> None:
        raise error

    monkeypatch.setattr(benchmark, "measure", end)
    assert cli.main(["bench", "map"]) == status


@pytest.fixture(scope="session")
def model(mlp: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with weights and layer list of the small network of digits."""
    from introspect.classifier import save_classifier

    folder = tmp_path_factory.mktemp("model")
    assert save_classifier(mlp, folder)
    return folder


@pytest.fixture(scope="session")
def data(digits: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as an .npz file."""
    file = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(file, x=digits.x, y=digits.y, split=digits.split, ids=digits.ids + 500)
    return file


def test_doctor_tells_layers_and_accuracy(
    model: Path, data: Path, digits: Samples, mlp: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", str(model), "--data", str(data), "--json"]) == 0
    answer = last_json(capsys.readouterr().out)
    keys = "format ok reason layers input_shape classes accuracy preprocessing".split()
    assert list(answer)[: len(keys)] == keys
    more = "plausible verdict architectures missing notes ways seconds samples".split()
    assert list(answer)[len(keys) :] == more
    assert [layer["name"] for layer in answer["layers"]] == [layer.name for layer in mlp.layers]
    assert all({"name", "op", "shape", "units"} <= layer.keys() for layer in answer["layers"])
    seen = digits.of("validation")
    right = (mlp(seen.floats()).argmax(1).numpy() == seen.y).mean()
    assert answer["accuracy"]["0 to 1"] == pytest.approx(right)
    assert cli.main(["doctor", str(model), "--data", str(data)]) == 0
    told = capsys.readouterr().out
    assert f"{right:.2%} right with inputs as: 0 to 1" in told and "--preprocess 0/1" in told


def test_doctor_says_what_is_missing_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.save({"w": torch.zeros(3, 4), "v": torch.zeros(5, 7)}, tmp_path / "lonely.pth")
    assert cli.main(["doctor", str(tmp_path / "lonely.pth"), "--json"]) == 2
    printed = capsys.readouterr()
    answer = last_json(printed.out)
    assert not answer["ok"] and "layer list" in answer["reason"]
    assert printed.err == f"introspect: {answer['reason']}\n"


def test_doctor_finds_the_network_of_a_checkpoint(
    data: Path, mlp: Classifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.save({"state_dict": mlp.module.state_dict()}, tmp_path / "net.pth")
    assert cli.main(["doctor", str(tmp_path / "net.pth"), "--data", str(data)]) == 0
    told = capsys.readouterr().out
    assert "found under state_dict" in told and "[x]  elu1 " in told and "bytes a sample" in told
    assert "mlp-elu      fits" in told and "so its accuracy is plausible" in told
    line = ["doctor", str(tmp_path / "net.pth"), "--arch", "resnet18"]
    assert cli.main(line) == 2 and "look nothing like resnet18" in capsys.readouterr().err


def test_build_takes_a_checkpoint_and_the_name_of_its_network(
    data: Path, mlp: Classifier, digits: Samples, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import torch

    from introspect.atlas import Atlas

    torch.save(mlp.module.state_dict(), tmp_path / "net.pth")
    line = ["build", str(tmp_path / "net.pth"), str(data), "-o", str(tmp_path / "a.atlas")]
    line += ["--arch", "mlp-elu", "--link", "sigmoid", "--epochs", "1", "--json"]
    assert cli.main(line) == 0
    answer = last_json(capsys.readouterr().out)
    test = digits.of("test")
    right = (mlp(test.floats()).argmax(1).numpy() == test.y).mean()
    assert answer["accuracy"] == pytest.approx(right)
    assert Atlas.load(tmp_path / "a.atlas").classifier.classes == digits.classes


@pytest.fixture(scope="module")
def built(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas made by the command in a process of its own; its printed answer lies beside it."""
    folder = tmp_path_factory.mktemp("built")
    line = [str(model), str(data), "-o", "digits.atlas", "--epochs", "30", "--seed", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "introspect.cli", "build", *line],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (folder / "answer.txt").write_text(done.stdout)
    return folder / "digits.atlas"


def test_build_prints_what_it_measured(built: Path, own_home: Path) -> None:
    answer = last_json((built.parent / "answer.txt").read_text())
    keys = "n p k accuracy seconds z_mean z_std mmd2 label_knn trustworthiness device".split()
    assert set(keys) <= answer.keys()
    assert (answer["n"], answer["p"], answer["k"]) == (1797, 96, 10)
    assert answer["seconds"].keys() == {"record", "map", "estimator"}
    assert len(answer["z_mean"]) == len(answer["z_std"]) == 2
    assert 0.8 < answer["accuracy"] < 1 and 0.5 < answer["label_knn"] <= 1
    assert not list((own_home / "cache" / "builds").glob("*")), "nothing is kept of finished work"
    told = cli.tell_build(answer)
    assert f"{answer['accuracy']:.2%}" in told and "1,797 samples" in told


def test_locate_finds_stored_samples_where_they_are(
    built: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "placed.parquet"
    assert cli.main(["locate", str(built), f"{data}:test", "-o", str(out), "--json"]) == 0
    answer = last_json(capsys.readouterr().out)
    placed = pq.read_table(out).to_pydict()
    stored = pq.read_table(next(built.glob("v*/points.parquet"))).to_pydict()
    columns = ["id", "label", "predicted", "x", "y", "log_error", "log_error_map", "off_map"]
    assert list(placed) == columns
    test = np.flatnonzero(
        np.array(stored["split"]) == stored["split"][stored["id"].index(placed["id"][0])]
    )
    assert answer["n"] == len(test) == 300
    for name in columns:
        np.testing.assert_allclose(placed[name], np.array(stored[name])[test], atol=1e-4)


def test_locate_into_a_folder_that_is_not_there_is_refused(
    built: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "nowhere" / "placed.parquet")
    assert cli.main(["locate", str(built), str(data), "-o", out]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_build_that_fails_keeps_the_atlas_that_was_there(
    built: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (built / "CURRENT").read_bytes()
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.zeros((50, 9, 9), np.uint8), y=np.arange(50) % 10)
    assert cli.main(["build", str(model), str(wrong), "-o", str(built)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (built / "CURRENT").read_bytes() == before


def test_killed_build_leaves_no_half_atlas_and_can_be_given_again(
    model: Path, data: Path, tmp_path: Path, own_home: Path
) -> None:
    line = ["build", str(model), str(data), "-o", "digits.atlas", "--epochs", "40"]
    command = [sys.executable, "-m", "introspect.cli", *line]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    kept = own_home / "cache" / "builds"
    while not list(kept.glob("*/recording/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "digits.atlas").exists()
    assert len(list(kept.glob("*"))) == 1
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and last_json(done.stdout)["n"] == 1797
    assert not list(kept.glob("*"))


def test_no_arguments_open_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("runpy.run_module", lambda name, run_name: started.append(sys.argv))
    monkeypatch.setattr(sys, "argv", ["introspect"])
    assert cli.main() == 0
    command, verb, entry, *rest = started[0]
    assert (command, verb, Path(entry).name) == ("streamlit", "run", "app.py")
    assert rest == ["--server.address", "127.0.0.1"]


def test_app_hands_over_atlas_host_and_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = []
    monkeypatch.setattr("runpy.run_module", lambda name, run_name: started.append(sys.argv[3:]))
    monkeypatch.setattr(sys, "argv", ["introspect"])
    monkeypatch.setenv("INTROSPECT_ATLAS", "")
    monkeypatch.delenv("INTROSPECT_TOKEN", raising=False)
    assert cli.main(["app", str(tmp_path), "--port", "8600", "--host", "0.0.0.0"]) == 0
    assert started == [["--server.address", "0.0.0.0", "--server.port", "8600"]]
    assert cli.os.environ["INTROSPECT_ATLAS"] == str(tmp_path.resolve())
    assert "INTROSPECT_TOKEN" in capsys.readouterr().err


@pytest.fixture
def measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one measurement, `toy`."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "toy.py").write_text(MEASUREMENT)
    monkeypatch.setattr(benchmark, "site", lambda: tmp_path)
    return folder


def test_bench_prints_ratios_goals_values_and_machine(
    measurements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "toy", "--json"]) == 0
    printed = capsys.readouterr()
    answer = last_json(printed.out)
    assert list(answer) == ["name", "ratios", "goals", "values", "machine"]
    assert answer["ratios"].keys() == answer["goals"].keys()
    assert answer["machine"]["torch"].startswith("2.")
    speed, latency = printed.err.splitlines()[1:3]
    assert speed.split() == ["speed", "9.5", ">=", "8", "met"]
    assert latency.split() == ["latency", "3", "<=", "2.3", "missed"]


def test_bench_refuses_a_ratio_without_a_goal(measurements: Path) -> None:
    (measurements / "toy.py").write_text(MEASUREMENT.replace('"latency": 3.0', '"memory": 3.0'))
    with pytest.raises(ValueError, match="toy: ratios .* and goals .* differ"):
        benchmark.measure("toy")


def test_bench_without_a_checkout_says_where_the_measurements_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "site", lambda: tmp_path)
    assert cli.main(["bench", "map"]) == 2
    assert "checkout of the repository" in capsys.readouterr().err


def test_progress_is_drawn_for_a_person_and_silent_for_a_script(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, script = Terminal(), io.StringIO()
    for stream in (terminal, script):
        monkeypatch.setattr(sys, "stderr", stream)
        bar = cli.Bar()
        bar("record", 15, 30)
        bar("map", 30, 30)
        bar.close()
    assert script.getvalue() == ""
    lines = terminal.getvalue().split("\n")
    assert "record" in lines[0] and lines[0].count("█") == cli.Bar.WIDTH // 2
    assert "map" in lines[1] and lines[1].count("█") == cli.Bar.WIDTH and lines[2] == ""


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_asked_for(preset: str) -> None:
    options = cli.make_parser().parse_args(["build", "m", "d", "-o", "o", "--preset", preset])
    assert options.preset == preset
