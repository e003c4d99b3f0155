"""Doctor: what is this model file, can it be used, and how does it want its inputs?"""

from __future__ import annotations

import dataclasses
import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from introspect.classifier import Classifier, Preprocessing, load_classifier
from introspect.errors import BadInput
from introspect.formats.safetensors import check_header
from introspect.samples import Samples, load_samples

TRIED = 2000
"""Most samples the model is tried on."""

AS_GIVEN, UNIT, SIGNED, BYTES = "as the layer list says", "0 to 1", "-1 to 1", "0 to 255"
DATA, IMAGENET = "the data's mean and deviation", "ImageNet's mean and deviation"
INVERTED = "inverted"

_IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_BATCH = 256


class _Try(NamedTuple):
    """How a model did on n samples: share of right answers, mean of ½‖y − ŷ‖²."""

    share: float
    error: float
    n: int


def examine(
    model: str | Path, layers: str | Path | None = None, data: str | Path | None = None
) -> dict[str, Any]:
    """All that can be said of a model file without running anything in it.

    Args:
        model: weights, or a folder with weights and layer list.
        layers: the layer list, when it does not lie beside the weights.
        data: labelled data, by name or path, to try the model on.

    Returns:
        `format` of the file; `ok`, whether a map can be built, and `reason`, one sentence on what
        is wrong or worth knowing; `layers` with name, op, shape, units and whether they are
        recorded by default; `input_shape`; `classes`; `accuracy`, the share of right answers for
        each way of preparing the inputs, None without data; `preprocessing`, the name, mean and
        std of the best of these ways (the stated one unless another is clearly better), or of
            the layer list's without data.

    Raises:
        BadInput: there is no such file.
    """
    path = Path(model)
    if not path.exists():
        raise BadInput(f"There is no model {path}: check the name.")
    found: dict[str, Any] = {
        "format": tell_format(path),
        "ok": False,
        "reason": "",
        "layers": [],
        "input_shape": None,
        "classes": None,
        "accuracy": None,
        "preprocessing": None,
    }
    try:
        if found["format"] not in ("safetensors", "model folder"):
            raise BadInput(_advise(path, found["format"]))
        classifier = _load(path, layers)
        found |= _describe(classifier)
        if data is not None:
            found |= _try_on(classifier, load_samples(data))
    except BadInput as problem:
        return found | {"reason": str(problem)}
    return found | {"ok": True}


def tell_format(path: Path) -> str:
    """What kind of file this is, from its first bytes; empty when unknown."""
    if path.is_dir():
        return "model folder" if (path / "model.safetensors").is_file() else "folder"
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] == b"PK\x03\x04":
        return _tell_zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "PyTorch pickle"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "Keras HDF5"
    if path.suffix == ".onnx":
        return "ONNX"
    if path.suffix in (".yaml", ".yml", ".json"):
        return "layer list"
    return "safetensors" if path.suffix == ".safetensors" else ""


def _tell_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "damaged zip"
    if any(name.endswith(".npy") for name in names):
        return "NumPy arrays"
    if any("/models/" in f"/{name}" and name.endswith(".json") for name in names):
        return "PyTorch export (pt2)"
    if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in names):
        return "TorchScript"
    return "PyTorch pickle" if any(name.endswith("data.pkl") for name in names) else "zip"


_SAVE = (
    "save the weights with safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') "
    "and give them with a layer list"
)


def _advise(path: Path, kind: str) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return f"{path.name} is empty: save or upload it again."
    if kind in ("PyTorch pickle", "TorchScript"):
        return (
            f"{path.name} is a {kind} file, which can run code when it is opened, so Introspect "
            f"never opens it: {_SAVE}."
        )
    if kind == "NumPy arrays":
        return f"{path.name} holds data, not a model: give it with --data, and weights as MODEL."
    if kind == "layer list":
        return f"{path.name} is a layer list: give the weights as MODEL and this with --layers."
    if kind == "folder":
        return f"{path.name} is a folder without model.safetensors: give the weights file."
    if kind in ("zip", "damaged zip", ""):
        return f"{path.name} is no model file Introspect knows: {_SAVE}."
    return f"{path.name} is a {kind} file, which this version does not read: {_SAVE}."


def _load(path: Path, layers: str | Path | None) -> Classifier:
    try:
        return load_classifier(path, layers)
    except BadInput:
        if path.is_dir() or layers is not None:
            raise
        tensors = check_header(path)
        beside = [path.with_suffix(end) for end in (".yaml", ".yml", ".json")]
        beside += [path.with_name("layers.yaml"), path.with_name("graph.json")]
        if any(file.is_file() for file in beside) or not tensors:
            raise
        name, (_, shape) = next(iter(tensors.items()))
        sides = " x ".join(map(str, shape))
        raise BadInput(
            f"{path.name} holds weights only ({len(tensors)} tensors, such as {name}: {sides}): "
            "give its layer list too, a YAML or JSON file."
        ) from None


def _describe(classifier: Classifier) -> dict[str, Any]:
    return {
        "layers": [
            {
                "name": layer.name,
                "op": layer.op,
                "shape": list(layer.shape),
                "units": layer.units,
                "hidden": layer.hidden,
            }
            for layer in classifier.layers
        ],
        "input_shape": list(classifier.input_shape),
        "classes": list(classifier.classes),
        "preprocessing": _tell(
            UNIT if classifier.preprocessing.identity else AS_GIVEN, classifier.preprocessing
        ),
    }


def _tell(name: str, preprocessing: Preprocessing) -> dict[str, Any]:
    return {"name": name, "mean": list(preprocessing.mean), "std": list(preprocessing.std)}


def _try_on(classifier: Classifier, samples: Samples) -> dict[str, Any]:
    samples = samples.fitted(classifier.input_shape, classifier.classes)
    found: dict[str, Any] = {}
    labelled = samples[samples.y >= 0]
    if not len(labelled):
        return {"reason": "The data have no labels, so how often the model is right is unknown."}
    ways = plausible_preprocessing(classifier, labelled)
    chosen = _choose(labelled)
    tries = {
        name: _try(dataclasses.replace(classifier, preprocessing=way), chosen)
        for name, way in ways.items()
    }
    best = _prefer(tries)
    first = next(iter(tries))
    if best != first:
        found["reason"] = (
            f'The model is right more often with the inputs prepared as "{best}" '
            f"({tries[best].share:.1%} against {tries[first].share:.1%}): state this as its "
            "preprocessing."
        )
    if labelled.pictures and classifier.bounds == (0.0, 1.0):
        tries[INVERTED] = _try(classifier, chosen, invert=True)
        if _prefer({best: tries[best], INVERTED: tries[INVERTED]}) != best:
            found["reason"] = (
                f"The model is right more often on inverted pictures ({tries[INVERTED].share:.1%} "
                f"against {tries[best].share:.1%}): swap black and white in the data."
            )
    shares = {name: tried.share for name, tried in tries.items()}
    return {**found, "accuracy": shares, "preprocessing": _tell(best, ways[best])}


def _prefer(tries: dict[str, _Try]) -> str:
    """The first way, unless another is right more often by two standard errors.

    Of those that are, and are alike within two standard errors, the one with the least error:
    it tells apart ways that a few hundred right or wrong answers cannot.
    """
    top = max(tries.values(), key=lambda tried: tried.share)
    bar = top.share - 2 * math.sqrt(top.share * (1 - top.share) / top.n)
    alike = [name for name, tried in tries.items() if tried.share >= bar]
    first = next(iter(tries))
    return first if first in alike else min(alike, key=lambda name: tries[name].error)


def plausible_preprocessing(classifier: Classifier, samples: Samples) -> dict[str, Preprocessing]:
    """Ways the inputs may have been prepared in training, by name; what the model says comes first.

    Pictures: 0 to 1, -1 to 1, 0 to 255, standardised by the data's or ImageNet's mean and
    deviation per channel. Tables: as they are, or standardised per column.
    """
    ways = {} if classifier.preprocessing.identity else {AS_GIVEN: classifier.preprocessing}
    ways[UNIT] = Preprocessing()
    channels = classifier.input_shape[0] if len(classifier.input_shape) == 3 else 1
    if samples.x.dtype == np.uint8 or samples.pictures:
        ways[SIGNED] = Preprocessing((0.5,), (0.5,))
        ways[BYTES] = Preprocessing((0.0,), (1 / 255,))
        if channels == 3:
            ways[IMAGENET] = _IMAGENET
    ways[DATA] = _measure(samples, channels)
    return ways


def _measure(samples: Samples, channels: int) -> Preprocessing:
    """Mean and deviation of the training rows, per channel, or per column of a table."""
    train = samples.of("train")
    part = train if len(train) else samples
    part = part[np.linspace(0, len(part) - 1, min(len(part), 10 * TRIED)).astype(int)]
    values = part.floats().double().numpy()
    if part.x.dtype == np.uint8 or part.pictures:
        values = values.reshape(len(part), channels, -1).transpose(1, 0, 2).reshape(channels, -1)
    else:
        values = values.reshape(len(part), -1).T
        if part.x.ndim > 2:
            values = values.reshape(1, -1)
    std = values.std(1)
    return Preprocessing(tuple(values.mean(1).tolist()), tuple(np.where(std > 0, std, 1).tolist()))


def _choose(samples: Samples) -> Samples:
    """At most `TRIED` samples, of the test split where there are enough, drawn with seed 0."""
    test = samples.of("test")
    pool = test if len(test) >= min(TRIED, len(samples) // 20) and len(test) else samples
    rows = np.random.default_rng(0).permutation(len(pool))[:TRIED]
    return pool[np.sort(rows)]


@torch.no_grad()
def _try(classifier: Classifier, samples: Samples, invert: bool = False) -> _Try:
    right, error = 0, 0.0
    for start in range(0, len(samples), _BATCH):
        rows = slice(start, start + _BATCH)
        x = samples.floats(rows)
        outputs = classifier.outputs(1 - x if invert else x).double().cpu()
        y = torch.from_numpy(np.array(samples.y[rows]))
        right += int((outputs.argmax(1) == y).sum())
        wanted = torch.nn.functional.one_hot(y, outputs.shape[1])
        error += float((wanted - outputs).square().sum()) / 2
    return _Try(right / len(samples), error / len(samples), len(samples))
