"""The atlas on disk: tables, tensors, pictures; written in one step, read without running any."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from introspect.atlas import Absent, Atlas, Thumbs
from introspect.classifier import Classifier, Layer, read_classifier, save_classifier
from introspect.engine import Engine, Strangeness
from introspect.errors import BadInput
from introspect.evolution import write_evolution
from introspect.formats.safetensors import read_tensors, write_tensors
from introspect.kept import keep_rows
from introspect.library import find
from introspect.points import Points, read_points, write_points
from introspect.preprocessing import Preprocessing
from introspect.projections.infovae import InfoVAEProjector
from introspect.projections.pca import PCAProjector
from introspect.recording import Recording
from introspect.sheets import write_sheets
from introspect.store import open_folder, write_folder
from introspect.tap import Tap
from introspect.window import Window

_NETS = ("encoder", "decoder", "map_estimator", "estimator")
_MAX_SETTINGS = 4 * 2**20

SMALL = 30
"""WebP quality of thumbnails that must be small, because the pictures do not travel along."""


def save_atlas(atlas: Atlas, path: Path, keep: np.ndarray | None = None) -> Path:
    """Writes points.parquet, settings.json, weights.safetensors, classes.parquet, model/, thumbs/.

    Inputs that are small grey pictures travel as lossless sheets, others as samples/x.npy. Those
    of some rows (`keep`) travel in samples/, pictures as lossless sheets.
    """

    def fill(folder: Path) -> None:
        _write_settings(atlas, folder / "settings.json")
        write_points(atlas.points, folder / "points.parquet")
        write_tensors(_tensors(atlas), folder / "weights.safetensors")
        if atlas.complete:
            save_classifier(atlas.classifier, folder / "model")
        if atlas.evolution is not None:
            write_evolution(atlas.evolution, folder / "checkpoints.safetensors")
        if atlas.folder is None or keep is not None:
            _write_inputs(atlas, folder, keep)
        if atlas.folder is None:
            if atlas.recorded is not None:
                _write_classes(atlas, atlas.recorded, folder / "classes.parquet")
            return
        for name in ("thumbs", "samples", "classes.parquet", "checkpoints.safetensors"):
            source = atlas.folder / name
            if (folder / name).exists():
                continue
            if source.is_dir():
                shutil.copytree(source, folder / name)
            elif source.exists():
                shutil.copy2(source, folder / name)

    return write_folder(path, fill, kind="atlas")


def _write_settings(atlas: Atlas, file: Path) -> None:
    classifier = atlas.classifier
    document = atlas.settings | {
        "name": atlas.name,
        "fingerprint": atlas.fingerprint,
        "thresholds": atlas.thresholds,
        "model": {
            "classes": list(classifier.classes),
            "input_shape": list(classifier.input_shape),
            "link": classifier.link,
            "bounds": list(classifier.bounds),
            "fingerprint": classifier.fingerprint,
            **classifier.preprocessing.document(),
            "layers": [[v.name, v.op, list(v.shape), v.units, v.hidden] for v in classifier.layers],
        },
        "spans": {name: [s.start, s.stop] for name, s in atlas.engine.tap.spans.items()},
        "reduction": atlas.engine.tap.reduction,
    }
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _tensors(atlas: Atlas) -> dict[str, torch.Tensor]:
    engine = atlas.engine
    nets = (engine.encoder, atlas.projector.decoder, engine.map_estimator, engine.estimator)
    tensors = {
        f"{name}.{key}": value.cpu().contiguous()
        for name, net in zip(_NETS, nets, strict=True)
        for key, value in net.state_dict().items()
    }
    # The decoder is rounded to half precision when it is learnt, so nothing is lost here.
    tensors = {
        key: value.half() if key.startswith("decoder.") else value for key, value in tensors.items()
    }
    tensors["strangeness.spread"] = engine.strangeness.spread.cpu().contiguous()
    tensors["strangeness.ranks"] = engine.strangeness.ranks.cpu().contiguous()
    if atlas.pca is not None:
        tensors["pca.mean"] = torch.from_numpy(np.ascontiguousarray(atlas.pca.mean))
        tensors["pca.axes"] = torch.from_numpy(np.ascontiguousarray(atlas.pca.axes))
    return tensors


def _write_inputs(atlas: Atlas, folder: Path, keep: np.ndarray | None) -> None:
    samples = atlas.samples
    if samples is None:
        return
    if keep is not None:
        if samples.pictures:
            write_sheets(samples, folder / "thumbs", lossless=False, quality=SMALL)
        keep_rows(samples, np.unique(keep), folder / "samples")
        return
    lossless = False
    if samples.pictures:
        lossless = bool(write_sheets(samples, folder / "thumbs")["lossless"])
    if not lossless:
        (folder / "samples").mkdir()
        np.save(folder / "samples" / "x.npy", samples.x, allow_pickle=False)


def _write_classes(atlas: Atlas, recording: Recording, file: Path) -> None:
    """E[h|class]: the mean activation of every unit over the training samples of every class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = atlas.points
    columns: dict[str, list[np.ndarray]] = {"class": [], "layer": [], "unit": [], "mean": []}
    for number in range(len(atlas.classes)):
        rows = np.flatnonzero((points.label == number) & (points.split == 0))
        total = np.zeros(recording.h.shape[1])
        for start in range(0, len(rows), 4096):
            total += recording.h[rows[start : start + 4096]].sum(0, dtype=np.float64)
        mean = (total / max(1, len(rows))).astype(np.float32)
        for name, span in recording.spans.items():
            width = span.stop - span.start
            columns["class"].append(np.full(width, number))
            columns["layer"].append(np.full(width, name))
            columns["unit"].append(np.arange(width))
            columns["mean"].append(mean[span])
    table = pa.table({name: np.concatenate(parts) for name, parts in columns.items()})
    pq.write_table(table, file, compression="zstd")


def load_atlas(path: str | Path, model: Any = None) -> Atlas:
    """See `Atlas.load`."""
    folder = open_folder(find(path))
    settings = _read_settings(folder / "settings.json")
    try:
        classifier = _read_model(folder, settings["model"], model)
        spans = {str(k): slice(int(a), int(b)) for k, (a, b) in settings["spans"].items()}
        tap = Tap(classifier, list(spans), str(settings["reduction"]))
        if tap.spans != spans:
            raise BadInput(
                "The network in this atlas has other layers than were recorded: build it again."
            )
        tensors = read_tensors(folder / "weights.safetensors")
        nets = {name: _read_net(tensors, name) for name in _NETS}
        _check_widths(nets, tap.p, len(classifier.classes))
        spread, ranks = tensors["strangeness.spread"].float(), tensors["strangeness.ranks"].float()
        pca = None
        if "pca.axes" in tensors:
            pca = PCAProjector(tensors["pca.mean"].numpy(), tensors["pca.axes"].numpy())
        name, fingerprint = str(settings["name"]), str(settings["fingerprint"])
        thresholds = {str(k): float(v) for k, v in settings["thresholds"].items()}
        settings["data"]["name"]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadInput(
            f"The settings of the atlas are damaged ({type(error).__name__}): build it again."
        ) from error
    points = read_points(folder / "points.parquet")
    if points.outputs.shape[1] != len(classifier.classes):
        raise BadInput(
            "The table of this atlas belongs to another network: build or download it again."
        )
    _check_thumbs(folder / "thumbs", points)
    strangeness = Strangeness(nets["decoder"], spread, ranks)
    engine = Engine(tap, nets["encoder"], nets["map_estimator"], nets["estimator"], strangeness)
    return Atlas(
        engine=engine,
        projector=InfoVAEProjector(nets["encoder"], nets["decoder"]),
        pca=pca,
        points=points,
        thresholds=thresholds,
        settings=settings,
        fingerprint=fingerprint,
        name=name,
        folder=folder,
    )


def _check_thumbs(folder: Path, points: Points) -> None:
    thumbs = Thumbs.of(folder)
    if thumbs is not None and not len(points) <= thumbs.per_sheet * len(thumbs.sheets):
        raise BadInput("The atlas has fewer pictures than rows: build or download it again.")


def _read_settings(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MAX_SETTINGS:
        raise BadInput("settings.json of this atlas is too large to be true.")
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            "settings.json of this atlas is damaged: build or download it again."
        ) from error
    if not isinstance(settings, dict):
        raise BadInput("settings.json of this atlas is damaged: build or download it again.")
    return settings


def _read_model(folder: Path, about: dict[str, Any], model: Any) -> Classifier:
    if (folder / "model" / "graph.json").exists():
        return read_classifier(folder / "model")
    words = ("mean", "std", "swapped", "inverted")
    preprocessing = Preprocessing.parse({word: about[word] for word in words if word in about})
    shape, classes = tuple(about["input_shape"]), tuple(map(str, about["classes"]))
    if model is None:
        layers = tuple(
            Layer(str(name), str(op), tuple(sides), int(units), bool(hidden))
            for name, op, sides, units, hidden in about["layers"]
        )
        return Classifier(
            Absent(),
            layers,
            classes,
            shape,
            tuple(about["bounds"]),
            preprocessing,
            about["link"],
            about["fingerprint"],
        )
    live = Classifier.of(
        model,
        input_shape=shape,
        classes=classes,
        link=about["link"],
        preprocessing=preprocessing,
        bounds=tuple(about["bounds"]),
    )
    if live.fingerprint != about["fingerprint"]:
        raise BadInput(
            "The model given is not the one this atlas was built from: its weights differ."
        )
    return live


def _read_net(tensors: dict[str, torch.Tensor], name: str) -> nn.Sequential:
    """Linear layers with ELU between, as `perceptron` makes them, behind a `turn` if there is one.

    See `Basis.fold_in` for the turn.
    """
    found = {key.split(".")[1] for key in tensors if key.startswith(f"{name}.")}
    numbers = sorted(int(key) for key in found - {"turn"} if key.isdigit() and int(key) % 2 == 0)
    if not numbers or len(numbers) + ("turn" in found) != len(found):
        raise BadInput(f"The {name} in this atlas is damaged: build or download it again.")
    layers: dict[str, nn.Module] = {}
    for key in [*(["turn"] if "turn" in found else []), *map(str, numbers)]:
        weight = tensors.get(f"{name}.{key}.weight", torch.empty(0)).float()
        bias = tensors.get(f"{name}.{key}.bias", torch.empty(0)).float()
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise BadInput(f"The {name} in this atlas is damaged: build or download it again.")
        if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
            raise BadInput(
                f"The {name} in this atlas holds NaN or infinite weights: build it again."
            )
        layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.bias = nn.Parameter(bias, requires_grad=False)
        layers[key] = layer
        if key != "turn" and key != str(numbers[-1]):
            layers[str(int(key) + 1)] = nn.ELU()
    return nn.Sequential(OrderedDict(layers)).eval()


def _check_widths(nets: dict[str, nn.Sequential], p: int, k: int) -> None:
    wanted = {
        "encoder": (p, 2),
        "decoder": (2, p),
        "map_estimator": (2, 1),
        "estimator": (p + k, 1),
    }
    for name, ends in wanted.items():
        layers = [layer for layer in nets[name] if isinstance(layer, nn.Linear)]
        if (layers[0].in_features, layers[-1].out_features) != ends or any(
            before.out_features != after.in_features for before, after in pairwise(layers)
        ):
            raise BadInput(
                f"The {name} in this atlas does not fit the network: build or download it again."
            )


def open_in_browser(atlas: Atlas, port: int | None = None, browser: bool = True) -> Window:
    """Runs `introspect app` on a copy of the atlas in a temporary folder."""
    return Window(atlas.save, atlas.name, port, browser)
