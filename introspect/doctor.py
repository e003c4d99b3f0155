"""Doctor: what is this model file, can it be used, and how does it want its inputs?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from introspect import ingest, preparation
from introspect.architecture import Match
from introspect.classifier import Classifier
from introspect.errors import BadInput
from introspect.ingest import Loaded
from introspect.modelfile import tell_format
from introspect.preprocessing import Preprocessing
from introspect.samples import Samples, load_samples

BYTES_PER_UNIT = 2
"""A recorded activation is float16."""


def examine(
    model: str | Path,
    layers: str | Path | None = None,
    data: str | Path | None = None,
    arch: str | None = None,
) -> dict[str, Any]:
    """All that can be said of a model file without running anything in it.

    Args:
        model: a model file, or a folder with weights and document.
        layers: the layer list, when it does not lie beside the weights.
        data: labelled data, by name or path, to try the model on.
        arch: name of the architecture, for a file that holds weights only.

    Returns:
        `format` of the file; `ok`, whether a map can be built, and `reason`, one sentence on what
        is wrong or worth knowing; `layers` with name, op, shape, units, bytes a sample and whether
        they are recorded by default; `input_shape`; `classes`; `accuracy`, the share of right
        answers for each way of preparing the inputs, None without data; `preprocessing`, the name,
        mean and std of the best of these ways (the stated one unless another is clearly better),
        or of the layer list's without data; `plausible`, whether that accuracy is well above
        chance, and `verdict`, a sentence on it, None without data; `architectures` that were
        compared with the weights, best first, with what does not fit; `missing`, what would tell
        more; `notes` on what was unwrapped or changed.

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
        "plausible": None,
        "verdict": None,
        "architectures": [],
        "missing": [],
        "notes": [],
    }
    try:
        samples, problem = _samples(data)
        loaded = ingest.load_model(path, layers, arch, samples)
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


def _samples(data: str | Path | None) -> tuple[Samples | None, BadInput | None]:
    """The data, or what is wrong with them: the model can be told about all the same."""
    if data is None:
        return None, None
    try:
        return load_samples(data), None
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
    labelled = samples[samples.y >= 0]
    if not len(labelled):
        return {"reason": "The data have no labels, so how often the model is right is unknown."}
    done = loaded.search or preparation.search(classifier, labelled)
    first = next(iter(done.tries))
    reason = "" if done.plausible else done.verdict
    if not reason and done.best != first and loaded.search is None:
        reason = (
            f'The model is right more often with the inputs prepared as "{done.best}" '
            f"({done.tries[done.best].share:.1%} against {done.tries[first].share:.1%}): state "
            "this as its preprocessing."
        )
    return {
        "reason": reason,
        "accuracy": {name: tried.share for name, tried in done.tries.items()},
        "preprocessing": _tell(done.best, done.preprocessing),
        "plausible": done.plausible,
        "verdict": done.verdict,
    }
