"""Doctor: says what a file is, what it lacks, and how the model wants its inputs."""

import json
import re
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from introspect import preparation
from introspect.classifier import Classifier, save_classifier
from introspect.doctor import examine
from introspect.errors import BadInput
from introspect.preparation import AS_GIVEN, BYTES, DATA, INVERTED, SIGNED, UNIT
from introspect.preprocessing import Preprocessing
from introspect.samples import save_samples

KEYS = {
    "format", "ok", "reason", "layers", "input_shape", "classes", "accuracy", "preprocessing",
    "plausible", "verdict", "architectures", "missing", "notes", "ways", "seconds",
    "samples",
}  # fmt: skip


@pytest.fixture
def model(tmp_path, mlp):
    assert save_classifier(mlp, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def data(tmp_path, digits):
    save_samples(digits, tmp_path / "digits")
    return tmp_path / "digits"


def share_right(classifier, samples):
    seen = samples.of("validation")
    with torch.no_grad():
        return (classifier(seen.floats()).argmax(1).numpy() == seen.y).mean()


def test_model_with_data_is_told_completely(model, data, mlp, digits):
    found = examine(model, data=data)
    assert set(found) == KEYS and found["ok"] and found["reason"] == ""
    assert found["format"] == "a model folder"
    assert found["input_shape"] == [1, 8, 8] and found["classes"] == list("0123456789")
    assert [layer["name"] for layer in found["layers"]] == [layer.name for layer in mlp.layers]
    assert all(set(layer) >= {"name", "op", "shape", "units"} for layer in found["layers"])
    assert found["accuracy"][UNIT] == pytest.approx(share_right(mlp, digits))
    assert max(found["accuracy"], key=found["accuracy"].get) == UNIT
    assert found["preprocessing"] == {"name": UNIT, "mean": [0.0], "std": [1.0]}
    assert found["plausible"] and "so its accuracy is plausible" in found["verdict"]
    assert all(layer["bytes"] == 2 * layer["units"] for layer in found["layers"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_without_data_no_accuracy_is_claimed(model):
    found = examine(model / "model.safetensors", model / "graph.json")
    assert found["ok"] and found["format"] == "safetensors weights" and found["accuracy"] is None
    assert found["preprocessing"]["name"] == UNIT


@pytest.mark.parametrize(
    ("name", "mean", "std"), [(SIGNED, 0.5, 0.5), (BYTES, 0.0, 1 / 255), (DATA, None, None)]
)
def test_preprocessing_of_the_training_is_found(tmp_path, data, mlp, digits, name, mean, std):
    """A model that undoes a preprocessing in its first layer is right only when it is applied."""
    if mean is None:
        train = digits.of("train").x / 255
        mean, std = float(train.mean()), float(train.std())
    undo = nn.Linear(64, 64)
    with torch.no_grad():
        undo.weight.copy_(torch.eye(64) * std)
        undo.bias.fill_(mean)
    module = nn.Sequential(mlp.module[0], undo, *mlp.module[1:])
    trained = Classifier.of(module, input_shape=(1, 8, 8), link="sigmoid")
    save_classifier(trained, tmp_path / "undo")
    found = examine(tmp_path / "undo", data=data)
    shares = found["accuracy"]
    # the digits' own mean and deviation are so near to -1 to 1 that it may do even better
    assert found["preprocessing"]["name"] in (name, DATA)
    assert shares[name] == pytest.approx(share_right(mlp, digits), abs=0.004)
    assert shares[name] > shares[UNIT]
    assert found["ok"] and found["preprocessing"]["name"] in found["reason"]
    told = Preprocessing((mean,), (std,))
    stated = Classifier.of(module, input_shape=(1, 8, 8), link="sigmoid", preprocessing=told)
    save_classifier(stated, tmp_path / "stated")
    again = examine(tmp_path / "stated", data=data)
    assert again["reason"] == "" and again["preprocessing"]["name"] == AS_GIVEN
    assert again["accuracy"][AS_GIVEN] == shares[name]


def test_inverted_data_are_recognised(tmp_path, model, digits):
    np.savez(tmp_path / "inverted.npz", x=255 - digits.x, y=digits.y, split=digits.split)
    found = examine(model, data=tmp_path / "inverted.npz")
    assert found["ok"] and found["preprocessing"]["inverted"] is True
    assert found["preprocessing"]["name"].endswith(INVERTED) and INVERTED in found["reason"]


def test_tables_are_tried_as_they_are_and_standardised(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal((100, 3000), (5, 100), (200, 2))
    y = (x[:, 1] > 3000).astype(int)
    np.savez(tmp_path / "t.npz", x=x, y=y)
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
        linear.bias.zero_()
    module = nn.Sequential(linear, nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        module[2].weight.copy_(torch.eye(2))
        module[2].bias.zero_()
    save_classifier(Classifier.of(module, input_shape=(2,)), tmp_path / "m")
    found = examine(tmp_path / "m", data=tmp_path / "t.npz")
    assert set(found["accuracy"]) == {UNIT, DATA}
    assert found["accuracy"][DATA] > 0.9 > found["accuracy"][UNIT]
    assert found["preprocessing"]["mean"] == pytest.approx(x.mean(0), rel=0.05)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((9, 28, 28), np.uint8), np.arange(9), "28 x 28 .* the model takes 8 x 8"),
        (np.zeros((12, 8, 8), np.uint8) + 9, np.arange(12), "label 11 .*10 classes"),
        (np.full((9, 8, 8), np.nan), np.arange(9), "9 of 9 samples hold NaN"),
    ],
)
def test_data_that_do_not_fit_are_the_reason(tmp_path, model, x, y, words):
    np.savez(tmp_path / "d.npz", x=x, y=y)
    found = examine(model, data=tmp_path / "d.npz")
    assert not found["ok"] and re.search(words, found["reason"])
    assert found["layers"] and found["accuracy"] is None


def test_data_without_labels_are_no_hindrance(tmp_path, model, digits):
    np.save(tmp_path / "new.npy", digits.x)
    found = examine(model, data=tmp_path / "new.npy")
    assert found["ok"] and found["accuracy"] is None and "no labels" in found["reason"]


def test_weights_without_layer_list_are_told_by_their_shapes(tmp_path, model, data):
    """Which activation an MLP has no shape tells: labelled data do."""
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((model / "model.safetensors").read_bytes())
    found = examine(alone)
    assert found["ok"] and found["input_shape"] == [1, 8, 8]
    fitting = [one["name"] for one in found["architectures"] if one["fits"]]
    assert fitting == ["mlp", "mlp-elu", "mlp-tanh", "mlp-sigmoid", "mlp-gelu"]
    assert "labelled data tell which" in found["notes"][-1] and "--data" in found["missing"][0]
    tried = examine(alone, data=data)
    assert tried["architectures"][0]["name"] == "mlp-elu" and tried["plausible"]
    assert max(tried["accuracy"].values()) == examine(model, data=data)["accuracy"][UNIT]


def test_weights_of_no_known_network_say_what_is_missing(tmp_path):
    save_file({"w": torch.zeros(3, 4), "v": torch.zeros(5, 7)}, tmp_path / "odd.safetensors")
    found = examine(tmp_path / "odd.safetensors")
    assert not found["ok"] and "weights only" in found["reason"]
    assert "give its layer list too" in found["reason"] and "--arch" in found["missing"][0]


def test_weights_that_do_not_fit_name_the_tensor(tmp_path, model):
    listed = json.loads((model / "graph.json").read_text())
    listed["layers"][1] = {"Linear": [64, 33]}
    (tmp_path / "other.json").write_text(json.dumps(listed))
    found = examine(model / "model.safetensors", tmp_path / "other.json")
    assert not found["ok"] and '"1.weight"' in found["reason"]


def write_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")


def test_every_other_file_is_named_and_never_opened(tmp_path):
    write_zip(tmp_path / "a.pth", ["a/data.pkl", "a/data/0"])
    write_zip(tmp_path / "b.pt", ["b/data.pkl", "b/constants.pkl", "b/code/b.py"])
    write_zip(tmp_path / "c.pt2", ["c/models/model.json"])
    write_zip(tmp_path / "d.npz", ["x.npy"])
    (tmp_path / "e.pkl").write_bytes(b"\x80\x04cos\nsystem\n.")
    (tmp_path / "f.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch")
    (tmp_path / "g.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(9))
    (tmp_path / "h.yaml").write_text("layers: [Flatten]")
    (tmp_path / "i.bin").write_bytes(b"whatever this is")
    (tmp_path / "j.safetensors").touch()
    (tmp_path / "k.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "l").mkdir()
    expected = {
        "a.pth": ("a PyTorch checkpoint", "is damaged"),
        "b.pt": ("a TorchScript program", "introspect export --torchscript b.pt"),
        "c.pt2": ("an exported PyTorch network", "c.pt2"),
        "d.npz": ("NumPy arrays", "holds data"),
        "e.pkl": ("a PyTorch checkpoint", "asks for os.system"),
        "f.onnx": ("an ONNX network", "f.onnx"),
        "g.h5": ("a Keras or HDF5 file", "format='onnx'"),
        "h.yaml": ("a layer list", "give the weights as the model"),
        "i.bin": ("of no kind", "introspect export my_module:build"),
        "j.safetensors": ("an empty file", "save or upload it again"),
        "k.zip": ("a damaged or cut-short zip", "save or upload it again"),
        "l": ("a folder", "without model.safetensors"),
    }
    for name, (kind, words) in expected.items():
        found = examine(tmp_path / name)
        assert set(found) == KEYS and not found["ok"]
        assert found["format"].startswith(kind) and words in found["reason"], (name, found)
    with pytest.raises(BadInput, match="There is no model"):
        examine(tmp_path / "nothing.safetensors")


def test_only_a_part_of_large_data_is_tried(model, data, monkeypatch):
    monkeypatch.setattr(preparation, "TRIED", 50)
    sizes = []
    inner = preparation._try
    monkeypatch.setattr(
        preparation, "_try", lambda c, way, s: sizes.append(len(s)) or inner(c, way, s)
    )
    examine(model, data=data)
    assert set(sizes) == {50}
