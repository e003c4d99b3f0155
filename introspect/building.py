"""Building an atlas: record, lay out, learn the error, measure; from Python, a command or a job."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from introspect.atlas import Atlas
from introspect.basis import Rows, chunks
from introspect.classifier import Classifier, load_classifier
from introspect.engine import Engine, Strangeness
from introspect.errors import BadInput
from introspect.estimator import cross_fit, features, fit_estimator
from introspect.evolution import check_checkpoints, evolve, find_checkpoints
from introspect.ingest import load_pair
from introspect.measures import measure
from introspect.points import Points
from introspect.preprocessing import Preprocessing
from introspect.projections.infovae import InfoVAE, InfoVAEProjector
from introspect.projections.pca import PCA
from introspect.projections.umap import UMAP
from introspect.recipe import Recipe
from introspect.recording import Recording, choose_device, record
from introspect.samples import SPLITS, Samples, load_samples
from introspect.tap import Tap

Report = Callable[..., None]
"""Called as report(stage, done, total); raises Cancelled when the work should stop."""

PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"epochs": 2, "steps": 200},
    "standard": {},
    "careful": {"epochs": 32, "steps": 4000, "batch": 256, "peak": 6e-3, "noise": 0.2},
    "paper": {
        "schedule": "paper",
        "epochs": 210,
        "steps": 0,
        "batch": 128,
        "peak": 4e-4,
        "kernel": "gauss",
        "reconstruction": "mean",
        "noise": 0.0,
    },
}
"""Settings of the InfoVAE by name; `paper` runs 30 cycles of 3,000 steps on MNIST."""

VALIDATED = 20_000
"""Most validation samples that the percentiles of strangeness are of."""

ALARM = 0.99


def build(model: Any, data: Any, **settings: Any) -> Atlas:
    """The atlas of a model on data: a live module and arrays are enough.

    Args:
        model: a torch module, a Classifier, or a weights file beside its layer list.
        data: (x, y) arrays or tensors, a DataLoader, Samples, a file, or a name such as mnist.
        settings: `classes`, `link`, `preprocessing` for a live module; the rest as `build_atlas`.
    """
    own = {
        key: settings.pop(key) for key in ("classes", "link", "preprocessing") if key in settings
    }
    if isinstance(model, Classifier):
        samples = load_samples(data, classes=model.classes)
        return build_atlas(model, samples, **settings)
    if isinstance(model, nn.Module):
        samples = load_samples(data, classes=own.get("classes"))
        own.setdefault("classes", None)
        classifier = Classifier.of(model, input_shape=samples.shape, **own)
        return build_atlas(classifier, samples, **settings)
    classifier = load_classifier(Path(model), **own)
    return build_atlas(classifier, load_samples(data, classes=classifier.classes), **settings)


def load(path: str | Path, model: Any = None) -> Atlas:
    """The atlas in a folder, a zip, or of a bundled name such as mnist-net1; see `Atlas.load`."""
    return Atlas.load(path, model)


def build_atlas(
    classifier: Classifier,
    samples: Samples,
    *,
    name: str | None = None,
    layers: list[str] | None = None,
    reduction: str = "mean",
    preset: str = "standard",
    epochs: float | None = None,
    seed: int = 0,
    device: str = "auto",
    umap: bool = False,
    checkpoints: str | Path | Sequence[str | Path] | None = None,
    report: Report | None = None,
    work: Path | None = None,
) -> Atlas:
    """Records the samples, fits map and estimators, and places every sample on the map.

    Projector and ê(z) learn from the train split, ê(h), thresholds and the off-map scale from the
    validation split (cross-fitted where the same rows serve twice); measures are of the test split.

    Args:
        preset: fast, standard, careful or paper: how long the InfoVAE learns.
        epochs: passes over the data instead of the preset's.
        umap: also lay the samples out with UMAP (slow; needs the optional package).
        checkpoints: a folder or files of the network's training, to be followed on the map: see
            `introspect.evolution`.
        report: told (stage, done, total); raises Cancelled to stop.
        work: folder for the recording and checkpoints: the same call goes on where it was killed.

    Raises:
        BadInput: data and model do not fit, a split is too small, or the numbers break down.
    """
    if preset not in PRESETS:
        raise BadInput(f"There is no preset {preset!r}: choose {', '.join(PRESETS)}.")
    target_device = str(choose_device(device))
    samples = _usable(samples.fitted(classifier.input_shape, classifier.classes))
    knobs = PRESETS[preset] | ({"epochs": epochs, "steps": 0} if epochs is not None else {})
    projection = replace(InfoVAE(), **knobs)
    found = () if checkpoints is None else find_checkpoints(checkpoints)
    check_checkpoints(classifier, found)
    clock: dict[str, float] = {}
    progress = _progress(report)
    with _timed(clock, "record"):
        recording = record(
            classifier,
            samples,
            None if work is None else work / "recording",
            layers=layers,
            reduction=reduction,
            device=target_device,
            on_batch=progress("Recording activations"),
        )
    train, validation = (np.flatnonzero(samples.split == code) for code in (0, 1))
    with _timed(clock, "map"):
        projector = projection.fit(
            Rows(recording.h, train),
            seed,
            progress("Learning the map"),
            target_device,
            None
            if work is None
            else work / f"map-{_short(recording, projection, seed)}.safetensors",
            recording.spans,
        )
    pca = PCA().fit(Rows(recording.h, train), seed)
    with _timed(clock, "estimator"):
        map_estimator, estimator, unseen = _fit_estimators(
            recording, projector, train, validation, seed, target_device, progress
        )
    tap = Tap(classifier, list(recording.spans), reduction)
    engine = Engine(
        tap,
        projector.encoder,
        map_estimator,
        estimator,
        _strangeness(recording, projector, train, validation),
    )
    positions = engine.locate_samples(samples, on_batch=progress("Placing every sample"))
    views = {"pca": pca.transform(recording.h)}
    if umap:
        views["umap"] = _lay_out(recording.h, train, seed, progress("Laying out with UMAP"))
    points = _points(samples, recording, positions, views)
    right = unseen[recording.correct[validation]]
    thresholds = {
        "log_error": float(np.nanquantile(right, ALARM)) if np.isfinite(right).any() else 0.0
    }
    settings: dict[str, Any] = {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": {
            "name": samples.name,
            "fingerprint": samples.fingerprint,
            "notes": list(samples.notes),
            "intake": samples.recipe.told(samples.x.dtype == np.uint8 or samples.pictures)
            | {"preprocessing": repr(classifier.preprocessing)},
        },
        "projection": {"method": "infovae", "preset": preset, **asdict(projection)},
        "seed": seed,
        "seconds": {key: round(value, 3) for key, value in clock.items()},
        "device": target_device,
    }
    said = json.dumps([classifier.fingerprint, recording.fingerprint, settings["projection"], seed])
    atlas = Atlas(
        engine=engine,
        projector=projector,
        pca=pca,
        points=points,
        thresholds=thresholds,
        settings=settings,
        fingerprint=hashlib.sha256(said.encode()).hexdigest(),
        name=name or samples.name,
        made_of=samples,
        recorded=recording,
    )
    if found:
        followed = progress("Following the training")
        atlas = replace(
            atlas,
            evolution=evolve(atlas, found, seed=seed, device=device, work=work, on_batch=followed),
        )
    if report is not None:
        report("Measuring", 0, 1)
    settings |= measure(atlas, seed)
    return atlas


def _usable(samples: Samples) -> Samples:
    for code, split in enumerate(SPLITS):
        count = int((samples.split == code).sum())
        if count < (16 if split == "train" else 1):
            raise BadInput(
                f"The {split} split has {count} samples: give more data, or data without a split."
            )
    if not (samples.y >= 0).any():
        raise BadInput(
            "The data have no labels: an atlas needs them to learn where the model errs."
        )
    return samples


def _progress(report: Report | None) -> Callable[[str], Callable[[int, int], None] | None]:
    if report is None:
        return lambda name: None
    return lambda name: partial(report, name)


@contextmanager
def _timed(clock: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    clock[name] = time.perf_counter() - started


def _fit_estimators(
    recording: Recording,
    projector: Any,
    train: np.ndarray,
    validation: np.ndarray,
    seed: int,
    device: str,
    progress: Callable[[str], Any],
) -> tuple[nn.Sequential, nn.Sequential, np.ndarray]:
    target = recording.log_error_target()
    z = projector.transform(Rows(recording.h, train))
    map_estimator = fit_estimator(
        z,
        target[train],
        seed=seed,
        device=device,
        on_epoch=progress("Learning the error over the map"),
    )
    scores = recording.outputs if recording.logits is None else recording.logits
    seen = features(
        torch.from_numpy(np.array(recording.h[validation], np.float32)),
        torch.from_numpy(np.array(scores[validation], np.float32)),
    ).numpy()
    learning = {
        "epochs": 20,
        "batch": 128,
        "peak": 2e-3,
        "noise": 0.3,
        "rank": 200,
        "device": device,
    }
    estimator = fit_estimator(
        seen,
        target[validation],
        seed=seed,
        on_epoch=progress("Learning the error from activations"),
        **learning,
    )
    return map_estimator, estimator, cross_fit(seen, target[validation], seed=seed, **learning)


def _short(recording: Recording, projection: InfoVAE, seed: int) -> str:
    """What a half-learnt map must agree on to be gone on with: the same rows and settings."""
    said = json.dumps([recording.fingerprint, asdict(projection), seed])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


@torch.no_grad()
def _strangeness(
    recording: Recording, projector: InfoVAEProjector, train: np.ndarray, validation: np.ndarray
) -> Strangeness:
    known = Rows(recording.h, train[: 2 * VALIDATED])
    mean = sum(part.double().sum(0) for _, part in chunks(known)) / len(known)
    total = sum((part.double() - mean).square().sum(0) for _, part in chunks(known))
    spread = torch.as_tensor(total / max(len(known) - 1, 1)).sqrt().float()
    spread = torch.where(spread > 1e-3 * spread.max(), spread, torch.inf)
    plain = Strangeness(projector.decoder, spread, torch.zeros(1001))
    held_out = chunks(Rows(recording.h, validation[:VALIDATED]))
    errors = torch.cat([plain.distance(h, projector.encoder(h)) for _, h in held_out])
    return replace(plain, ranks=torch.quantile(errors, torch.linspace(0, 1, 1001)))


def _lay_out(h: np.ndarray, train: np.ndarray, seed: int, on_epoch: Any) -> np.ndarray:
    """UMAP of the training rows at umap-learn's defaults, the others placed by its transform."""
    if on_epoch is not None:
        on_epoch(0, 1)
    reducer = UMAP().fit(Rows(h, train), seed)
    others = np.setdiff1d(np.arange(len(h)), train)
    out = np.empty((len(h), 2), np.float32)
    out[train] = reducer.embedding_
    out[others] = reducer.transform(np.array(h[others], np.float32))
    return out


def _points(
    samples: Samples, recording: Recording, positions: Any, views: dict[str, np.ndarray]
) -> Points:
    predicted = positions.predicted.astype(np.int64)
    return Points(
        id=np.array(samples.ids),
        split=np.array(samples.split),
        label=np.array(samples.y),
        predicted=predicted,
        correct=predicted == samples.y,
        z=positions.z,
        log_error=positions.log_error,
        log_error_map=positions.log_error_map,
        error=recording.error.astype(np.float32),
        off_map=positions.off_map,
        outputs=positions.outputs,
        views={name: np.ascontiguousarray(view, np.float32) for name, view in views.items()},
    )


def build_folder(arguments: dict[str, Any], report: Any) -> dict[str, Any]:
    """Builds and saves an atlas as a command or job asks; gives the JSON of `introspect build`.

    Args:
        arguments: `model` (or `weights`) and `layers` files, `data`, `out`; optionally `name, test,
            arch, anyway, layers_chosen, reduction, preset, epochs, seed, device, link,
            preprocessing {…}, recipe {…}, checkpoints [folder or files]`.
        report: told (stage, done, total); its `folder`, where it has one, keeps the recording and
            checkpoints, so that a killed job goes on.
    """
    from introspect.bundled import find_model

    out = Path(arguments["out"])
    given = arguments.get("preprocessing")
    report("Reading model and data", 0, 1)
    classifier, samples = load_pair(
        find_model(arguments.get("model") or arguments["weights"]),
        arguments["data"],
        arguments.get("layers"),
        arguments.get("arch"),
        arguments.get("test") or None,
        link=arguments.get("link") if arguments.get("link") != "auto" else None,
        preprocessing=None if given is None else Preprocessing.parse(given),
        anyway=bool(arguments.get("anyway")),
        recipe=Recipe.parse(arguments.get("recipe") or {}),
    )
    folder = getattr(report, "folder", None)
    atlas = build_atlas(
        classifier,
        samples,
        name=arguments.get("name") or out.name.removesuffix(".atlas"),
        layers=arguments.get("layers_chosen"),
        reduction=arguments.get("reduction") or "mean",
        preset=arguments.get("preset") or "standard",
        epochs=arguments.get("epochs"),
        seed=int(arguments.get("seed") or 0),
        device=arguments.get("device") or "auto",
        checkpoints=arguments.get("checkpoints"),
        report=report,
        work=None if folder is None else Path(folder),
    )
    report("Saving", 0, 1)
    atlas.save(out)
    count = 0 if atlas.evolution is None else len(atlas.evolution)
    return {"atlas": str(out), "checkpoints": count} | {key: atlas.settings[key] for key in ANSWER}


ANSWER = (
    "n",
    "p",
    "k",
    "accuracy",
    "seconds",
    "z_mean",
    "z_std",
    "mmd2",
    "label_knn",
    "trustworthiness",
    "device",
)
