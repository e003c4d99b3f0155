"""Doctor: what is this model file, can it be used, and how does it want its inputs?"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from introspect import ingest, modelfile, preparation, quarantine
from introspect.architecture import Match
from introspect.classifier import Classifier
from introspect.errors import BadInput
from introspect.formats.sniff import look
from introspect.ingest import Loaded
from introspect.modelfile import Opened
from introspect.preprocessing import Preprocessing
from introspect.quarantine import Limits
from introspect.recipe import Recipe
from introspect.samples import Samples, load_samples
from introspect.store import cache_dir
from introspect.tap import REDUCTIONS, count_units

LOOK = "introspect.doctor:look_inside"
LIMITS = Limits(memory=8 << 30, cpu=240, output=1 << 30, seconds=300)
PLACES = ("INTROSPECT_DATA", "INTROSPECT_CACHE", "INTROSPECT_HOME", "INTROSPECT_MIRROR", "HOME",
          "XDG_CACHE_HOME", "XDG_DATA_HOME")  # fmt: skip

BYTES_PER_UNIT = 2
"""A recorded activation is float16."""


def examine(
    model: str | Path,
    layers: str | Path | None = None,
    data: str | Path | None = None,
    arch: str | None = None,
    opened: Opened | None = None,
    recipe: Recipe | None = None,
) -> dict[str, Any]:
    """All that can be said of a model file without running anything in it.

    Args:
        model: a model file, or a folder with weights and document.
        layers: the layer list, when it does not lie beside the weights.
        data: labelled data, by name or path, to try the model on.
        arch: name of the architecture, for a file that holds weights only.
        opened: what the quarantine child has made of the file, where it has been there already.
        recipe: how tables and pictures of many sizes are read.

    Returns:
        `format` of the file; `ok`, whether a map can be built, and `reason`, one sentence on what
        is wrong or worth knowing; `layers` with name, op, shape, units, bytes a sample, units after
        each reduction and whether they are recorded by default; `input_shape`; `classes`;
        `accuracy`, the share of right answers for each way of preparing the inputs, None without
        data; `ways`, what each way is; `seconds` that one input takes and `samples`, how many there
        are, None without data; `preprocessing`, the name, mean and std of the best of these ways
        (the stated one unless another is clearly better), or of the layer list's without data;
        `plausible`, whether that accuracy is well above
        chance, and `verdict`, a sentence on it, None without data; `architectures` that were
        compared with the weights, best first, with what does not fit; `missing`, what would tell
        more; `notes` on what was unwrapped or changed.

    Raises:
        BadInput: there is no such file.
    """
    path = Path(model)
    if not path.exists():
        raise BadInput(f"There is no model {path}: check the name.")
    found = _blank(look(path).name)
    try:
        samples, problem = _samples(data, recipe)
        loaded = ingest.load_model(path, layers, arch, samples, opened=opened)
        found["notes"] = list(loaded.notes)
        found["architectures"] = [_tell_match(match) for match in loaded.matches]
        found["missing"] = _missing(loaded, data)
        if loaded.classifier is None:
            return found | {"reason": loaded.reason}
        found |= _describe(loaded.classifier)
        if problem is not None:
            raise problem
        if samples is not None:
            found |= _try_on(loaded, samples)
    except BadInput as error:
        return found | {"reason": str(error)}
    return found | {"ok": True}


def _blank(kind: str) -> dict[str, Any]:
    return {
        "format": kind,
        "ok": False,
        "reason": "",
        "layers": [],
        "input_shape": None,
        "classes": None,
        "accuracy": None,
        "preprocessing": None,
        "plausible": None,
        "verdict": None,
        "architectures": [],
        "missing": [],
        "notes": [],
        "ways": {},
        "seconds": None,
        "samples": None,
    }


def _samples(
    data: str | Path | None, recipe: Recipe | None
) -> tuple[Samples | None, BadInput | None]:
    """The data, or what is wrong with them: the model can be told about all the same."""
    if data is None:
        return None, None
    try:
        return load_samples(data, recipe=recipe), None
    except BadInput as error:
        return None, error


def _tell_match(match: Match) -> dict[str, Any]:
    return {
        "name": match.name,
        "fits": match.fits,
        "share": round(match.share, 4),
        "misfit": match.misfit,
        "input_shape": list(match.input_shape),
    }


def _missing(loaded: Loaded, data: str | Path | None) -> list[str]:
    missing = []
    if loaded.classifier is None:
        missing.append("the network: a layer list (--layers) or the name of one (--arch)")
    if data is None:
        missing.append("labelled data, to see how often it is right (--data)")
    return missing


def _describe(classifier: Classifier) -> dict[str, Any]:
    given = classifier.preprocessing
    return {
        "layers": [
            {
                "name": layer.name,
                "op": layer.op,
                "shape": list(layer.shape),
                "units": layer.units,
                "bytes": BYTES_PER_UNIT * layer.units,
                "reduced": {way: count_units(layer, way) for way in REDUCTIONS},
                "hidden": layer.hidden,
            }
            for layer in classifier.layers
        ],
        "input_shape": list(classifier.input_shape),
        "classes": list(classifier.classes),
        "preprocessing": _tell(preparation.UNIT if given.identity else preparation.AS_GIVEN, given),
    }


def _tell(name: str, preprocessing: Preprocessing) -> dict[str, Any]:
    return {"name": name, **preprocessing.document()}


def _try_on(loaded: Loaded, samples: Samples) -> dict[str, Any]:
    classifier = loaded.classifier
    assert classifier is not None  # asked by the caller
    samples = samples.fitted(classifier.input_shape, classifier.classes)
    seen = preparation.learnable(samples)
    if not len(seen):
        why = (
            "All labelled samples are of the test split, which stays unseen until the map is made: "
            "give samples to train and validate on too."
            if (samples.y >= 0).any()
            else "The data have no labels, so how often the model is right is unknown."
        )
        return {"reason": why}
    done = loaded.search or preparation.search(classifier, seen)
    first = next(iter(done.tries))
    reason = "" if done.plausible else done.verdict
    if not reason and done.best != first and loaded.told:
        reason = (
            f'The model is right more often with the inputs prepared as "{done.best}" '
            f"({done.tries[done.best].share:.1%} against {done.tries[first].share:.1%}): state "
            "this as its preprocessing."
        )
    return {
        "reason": reason,
        "accuracy": {name: tried.share for name, tried in done.tries.items()},
        "samples": len(samples),
        "ways": {name: done.ways[name].document() for name in done.tries},
        "seconds": min(tried.seconds / tried.n for tried in done.tries.values()),
        "preprocessing": _tell(done.best, done.preprocessing),
        "plausible": done.plausible,
        "verdict": done.verdict,
    }


def examine_upload(
    model: Path,
    layers: Path | None = None,
    data: str | Path | None = None,
    arch: str | None = None,
    on_wait: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """As `examine`, but whatever reads or runs the model does so in quarantine.

    Args:
        data: a folder of plain arrays, or the name of a known data set.
        on_wait: called several times a second; may raise to give up.

    Raises:
        BadInput: the look itself did not end well, for example for want of memory.
    """
    found = look(model)
    if found.refused:
        return _blank(found.name) | {"reason": found.refused}
    try:
        opened = modelfile.open_model(model, found.kind, on_wait=on_wait)
    except BadInput as refused:
        return _blank(found.name) | {"reason": str(refused)}
    ask = {
        "layers": None if layers is None else str(layers),
        "data": None if data is None else str(data),
        "arch": arch,
        "notes": opened.notes,
        "places": {name: os.environ[name] for name in PLACES if name in os.environ},
        "folder": str(opened.folder),
        "document": opened.has_document,
    }
    with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
        return quarantine.run(LOOK, model, Path(work), LIMITS, on_wait, [json.dumps(ask)])


def look_inside(path: Path, folder: Path, ask: str) -> dict[str, Any]:
    """What the quarantine child runs: `examine` on what another child has made of the upload."""
    given = json.loads(ask)
    # it starts with nothing of the environment, and data sets lie where that says
    os.environ.update(given["places"])
    opened = Opened(Path(given["folder"]), given["document"], tuple(given["notes"]))
    return examine(path, given["layers"], given["data"], given["arch"], opened)
