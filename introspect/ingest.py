"""The classifier in a model file, whatever its format, and samples that fit it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from introspect import architecture, preparation
from introspect.architecture import Match
from introspect.classifier import Classifier, load_classifier
from introspect.errors import BadInput
from introspect.formats.canonical import DOCUMENT
from introspect.formats.safetensors import check_header, fill_module, read_tensors
from introspect.formats.sniff import EXPORT, look
from introspect.modelfile import BESIDE, Opened, open_model
from introspect.preprocessing import Preprocessing
from introspect.recipe import Recipe
from introspect.samples import Samples, load_samples


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model file and what came of it.

    Attributes:
        kind: what the file is, in words.
        classifier: None where the weights fit no network; `reason` then says so.
        matches: the known architectures, best first; empty where the file tells its network.
        search: how it does with each way of preparing inputs, where that was needed to choose.
        told: whether a layer list says how inputs are prepared.
    """

    kind: str
    classifier: Classifier | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()
    search: preparation.Search | None = None
    told: bool = False


def load_model(
    file: str | Path,
    layers: str | Path | None = None,
    arch: str | None = None,
    like: Samples | None = None,
    link: str | None = None,
    preprocessing: Preprocessing | None = None,
    opened: Opened | None = None,
) -> Loaded:
    """The classifier in a model file, whatever its format.

    Args:
        layers: its layer list; when left out, one that lies beside the weights.
        arch: the name of its architecture, as `introspect.architecture.names` lists them; when
            left out, the best that fits.
        like: samples it is to work on: they tell the size of its inputs and, if labelled, which
            of several fitting networks is right and how inputs are to be prepared.
        link, preprocessing: replace what the file says.
        opened: what the quarantine child has made of the file, where it has been there already.

    Raises:
        BadInput: the file cannot be read, or is no model.
    """
    path = Path(file)
    found = look(path)
    if found.refused:
        raise BadInput(found.refused)
    settings: dict[str, Any] = {"link": link, "preprocessing": preprocessing}
    if found.kind == "folder":
        return Loaded(found.name, load_classifier(path, layers, **settings), told=True)
    opened = opened or open_model(path, found.kind)
    if opened.has_document:
        made = load_classifier(opened.folder, **settings)
        return Loaded(found.name, _named(made, opened, like), notes=opened.notes)
    if arch is None and (layers is not None or (layers := _beside(path)) is not None):
        made = load_classifier(opened.weights, layers, **settings)
        return Loaded(found.name, made, notes=opened.notes, told=True)
    return _by_architecture(path.name, found.name, opened, arch, like, link, preprocessing)


def load_pair(
    file: Path,
    data: str | Path,
    layers: str | Path | None = None,
    arch: str | None = None,
    test: str | Path | None = None,
    link: str | None = None,
    preprocessing: Preprocessing | None = None,
    anyway: bool = False,
    recipe: Recipe | None = None,
) -> tuple[Classifier, Samples]:
    """A classifier and the samples to map it on, fit for each other.

    A model that comes with its layer list says how its inputs are prepared; for all others the
    best way is found, unless it is given.

    Args:
        test: more data, for the test split.
        anyway: go on although the model is hardly more often right than chance.
        recipe: how tables and pictures of many sizes are read.

    Raises:
        BadInput: the files cannot be read, do not fit, or the accuracy is not plausible.
    """
    if look(file).kind == "folder" or (arch is None and (layers or _beside(file))):
        loaded = load_model(file, layers, arch, None, link, preprocessing)
        samples = _both(
            data, test, loaded.classifier.classes if loaded.classifier else None, recipe
        )
    else:
        samples = _both(data, test, None, recipe)
        loaded = load_model(file, layers, arch, samples, link, preprocessing)
    if loaded.classifier is None:
        raise BadInput(loaded.reason)
    classifier, done = loaded.classifier, loaded.search
    seen = preparation.learnable(samples)
    stated = loaded.told or preprocessing is not None
    if done is None and len(seen) and not (anyway and stated):
        fitted = seen.fitted(classifier.input_shape, classifier.classes)
        done = (preparation.check if stated else preparation.search)(classifier, fitted)
        if not stated:
            classifier = _prepared(classifier, done)
    if done is not None and not done.plausible and not anyway:
        raise BadInput(done.verdict.replace("or go on anyway", "or go on with --anyway"))
    return classifier, samples


def _named(made: Classifier, opened: Opened, like: Samples | None) -> Classifier:
    """With the class names of the data, where the network's own document has none."""
    document = json.loads((opened.folder / DOCUMENT).read_text(encoding="utf-8"))
    if like is None or document.get("classes"):
        return made
    try:
        names = like.fitted(made.input_shape, len(made.classes)).classes
    except BadInput:
        return made  # the data do not fit, which is told where they are used
    return dataclasses.replace(made, classes=names)


def _both(
    data: str | Path,
    test: str | Path | None,
    classes: Sequence[str] | None,
    recipe: Recipe | None,
) -> Samples:
    samples = load_samples(data, classes=classes, recipe=recipe)
    if test is None:
        return samples
    # what was settled for the first data holds for the others
    more = load_samples(test, classes=classes or samples.classes, recipe=samples.recipe)
    return samples.joined(more)


def _beside(path: Path) -> Path | None:
    """The layer list that lies beside the weights."""
    names = [path.stem + end for end in BESIDE] + ["layers.yaml", DOCUMENT]
    return next((path.parent / name for name in names if (path.parent / name).is_file()), None)


def _by_architecture(
    name: str,
    kind: str,
    opened: Opened,
    arch: str | None,
    like: Samples | None,
    link: str | None,
    preprocessing: Preprocessing | None,
) -> Loaded:
    shapes = {key: shape for key, (_, shape) in check_header(opened.weights).items()}
    matches = architecture.match(shapes)
    if arch is not None:
        chosen = architecture.choose(arch, shapes)
        matches = (chosen, *(one for one in matches if one.settings != chosen.settings))
        fitting = [chosen] if chosen.fits else []
    else:
        fitting = [one for one in matches if one.fits]
    if not fitting:
        reason = _tell_unfit(name, shapes, matches)
        return Loaded(kind, None, reason, opened.notes, matches)
    tensors = read_tensors(opened.weights)
    seen = None if like is None else preparation.learnable(like)
    best: Loaded | None = None
    problem = ""
    for one in fitting:
        try:
            made = make(one, tensors, like, link, preprocessing)
        except BadInput as error:
            problem = problem or str(error)
            continue
        tried = None
        if seen is not None and len(seen):
            fitted = seen.fitted(made.input_shape, made.classes)
            tried = (preparation.search if preprocessing is None else preparation.measure)(
                made, fitted
            )
        found = Loaded(kind, made, "", opened.notes, (one, *_others(matches, one)), tried)
        if best is None or _better(found, best):
            best = found
        if tried is None:
            break
    if best is None or best.classifier is None:
        return Loaded(kind, None, problem, opened.notes, matches)
    if preprocessing is None and best.search is not None:
        best = dataclasses.replace(best, classifier=_prepared(best.classifier, best.search))
    hidden = len(fitting) > 1 and (seen is None or not len(seen))
    if hidden:
        others = ", ".join(one.name for one in fitting[1:])
        note = f"The shapes fit {fitting[0].name}, but also {others}: labelled data tell which."
        best = dataclasses.replace(best, notes=(*best.notes, note))
    return best


def _others(matches: tuple[Match, ...], one: Match) -> list[Match]:
    return [other for other in matches if other is not one]


def _better(found: Loaded, best: Loaded) -> bool:
    """Right more often; within two standard errors, nearer to the wanted outputs."""
    if found.search is None or best.search is None:
        return False
    new, old = (one.tries[one.best] for one in (found.search, best.search))
    spread = 2 * math.sqrt(max(old.share * (1 - old.share), 1e-9) / old.n)
    if abs(new.share - old.share) <= spread:
        return new.error < old.error
    return new.share > old.share


def make(
    match: Match,
    tensors: dict[str, torch.Tensor],
    like: Samples | None = None,
    link: str | None = None,
    preprocessing: Preprocessing | None = None,
) -> Classifier:
    """The classifier of a fitting architecture, for inputs of the samples' size where it can.

    Raises:
        BadInput: the weights are not finite, or the network takes neither size.
    """
    module = architecture.build(match.family, match.settings)
    fill_module(module, {match.rename.get(key, key): value for key, value in tensors.items()})
    shapes = [match.input_shape]
    if like is not None and len(like.shape) == 3 == len(match.input_shape):
        shapes.insert(0, (match.input_shape[0], *like.shape[1:]))
    elif like is not None and math.prod(like.shape) == math.prod(match.input_shape):
        shapes.insert(0, like.shape)
    problem: BadInput | None = None
    for shape in dict.fromkeys(shapes):
        try:
            made = Classifier.of(
                module, input_shape=shape, link=link or "auto", preprocessing=preprocessing
            )
        except BadInput as error:
            problem = problem or error
            continue
        if like is None:
            return made
        names = like.fitted(shape, len(made.classes)).classes
        return dataclasses.replace(made, classes=names)
    assert problem is not None  # there was at least one shape
    raise problem


def _prepared(classifier: Classifier, search: preparation.Search) -> Classifier:
    """The same network with the preprocessing that was found, and the fingerprint that belongs."""
    return Classifier.of(
        classifier.module,
        input_shape=classifier.input_shape,
        classes=classifier.classes,
        link=classifier.link,
        preprocessing=search.preprocessing,
        bounds=classifier.bounds,
    )


def _tell_unfit(name: str, shapes: dict[str, tuple[int, ...]], matches: tuple[Match, ...]) -> str:
    weighty = next((key for key, shape in shapes.items() if len(shape) > 1), next(iter(shapes)))
    told = (
        f"{name} holds weights only ({len(shapes):,} tensors, such as {weighty[:80]}: "
        f"{architecture.sides(shapes[weighty])})"
    )
    if matches:
        near = matches[0]
        told += (
            f", and they are not those of {near.name}: {near.misfit[0].lower()}{near.misfit[1:-1]}"
        )
    else:
        told += ", and they are of no network Introspect knows"
    return f"{told}; give its layer list too, a YAML or JSON file, or run: {EXPORT}"
