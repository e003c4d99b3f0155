"""From a table or pictures of many sizes to an atlas, by the options of the commands."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import torch
from test_parquet import png
from torch import nn

from introspect.classifier import Classifier, save_classifier
from introspect.cli import main


@pytest.fixture
def shapes(tmp_path):
    """Pictures of many sizes, bright or dark, and a small network that tells them apart."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "shapes.zip", "w") as archive:
        for i in range(120):
            height, width = rng.integers(6, 14, 2)
            shade = 200 if i % 2 else 20
            picture = rng.integers(shade, shade + 40, (height, width, 3)).astype(np.uint8)
            archive.writestr(f"{'light' if i % 2 else 'shade'}/{i}.png", png(picture))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 6), nn.ReLU(), nn.Linear(6, 2))
    net[1].weight.data.fill_(0.1)
    net[1].bias.data.fill_(-1.0)
    net[3].weight.data[:] = torch.tensor([[1.0], [-1.0]])
    net[3].bias.data[:] = torch.tensor([-3.0, 3.0])
    made = Classifier.of(net, input_shape=(1, 6, 6), classes=["light", "shade"], link="softmax")
    (tmp_path / "model").mkdir()
    assert save_classifier(made, tmp_path / "model")
    return tmp_path


def run(capsys, *words) -> tuple[int, str, str]:
    status = main([str(word) for word in words])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_pictures_of_many_sizes_become_an_atlas_that_fits_new_ones_alike(
    shapes, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("INTROSPECT_CACHE", str(shapes / "cache"))
    data, atlas = shapes / "shapes.zip", shapes / "shapes.atlas"
    status, out, err = run(capsys, "doctor", shapes / "model", "--data", data, "--json")
    assert status == 2 and "--size 32x32" in err
    fitted = ("--size", "6x6", "--fit", "pad", "--grey")
    status, out, err = run(capsys, "doctor", shapes / "model", "--data", data, *fitted, "--json")
    assert status == 0 and json.loads(out)["plausible"]
    build = ("build", shapes / "model", data, "-o", atlas, "--preset", "fast", "--epochs", "1")
    status, out, err = run(capsys, *build, *fitted, "--json")
    assert status == 0, err
    version = (atlas / "CURRENT").read_text().strip()
    intake = json.loads((atlas / version / "settings.json").read_text())["data"]["intake"]
    assert intake["size"] == [6, 6] and intake["fit"] == "pad" and intake["grey"] is True
    assert intake["order"][3] == "colour left out"
    status, out, err = run(capsys, "locate", atlas, data, "-o", shapes / "z.parquet", "--json")
    assert status == 0, err
    from pyarrow import parquet

    stored = parquet.read_table(atlas / version / "points.parquet")
    again = parquet.read_table(shapes / "z.parquet")
    assert np.allclose(stored["x"].to_numpy(), again["x"].to_numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--size", "32"), "give width and height as in 32x32"),
        (("--size", "0x9"), "sides of 1 to 4,096 pixels"),
        (("--class-names", "a,a"), "Two classes are called"),
        (("--label", "nowhere"), "no column nowhere"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_a_sentence(shapes, capsys, words, told) -> None:
    (shapes / "a.csv").write_text("a,class\n1,x\n2,y\n")
    status, _, err = run(capsys, "doctor", shapes / "model", "--data", shapes / "a.csv", *words)
    assert status == 2 and told in err
