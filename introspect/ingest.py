"""Model files of unknown origin: what they are, and the classifier they hold.

A file is only ever parsed in the quarantine child; here, its first bytes are looked at and the
canonical weights and document that the child wrote are read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from introspect import architecture, preparation, quarantine
from introspect.architecture import Match
from introspect.classifier import Classifier, load_classifier
from introspect.errors import BadInput
from introspect.formats.canonical import DOCUMENT, WEIGHTS
from introspect.formats.safetensors import check_header, fill_module, read_tensors
from introspect.preprocessing import Preprocessing
from introspect.process import lock
from introspect.quarantine import Limits
from introspect.samples import Samples
from introspect.store import cache_dir, write_file

READABLE = {
    "safetensors": "safetensors",
    "PyTorch pickle": "checkpoint",
    "PyTorch export (pt2)": "pt2",
    "ONNX": "onnx",
}
"""What a file is, in words, to the kind of its reader."""

KEPT = 31 * 86_400.0
PARSE = "introspect.formats.reader:parse_upload"
LIMITS = Limits(memory=8 << 30, cpu=120, output=5 << 30, files=64, seconds=180)
EXPORT = "introspect export my_module:build model.pt2"
_BESIDE = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Opened:
    """What the quarantine child made of a file: a folder of our own two files, and notes."""

    folder: Path
    has_document: bool
    notes: tuple[str, ...]

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model file and what came of it.

    Attributes:
        kind: what the file is, in words.
        classifier: None where the weights fit no network; `reason` then says so.
        matches: the known architectures, best first; empty where the file tells its network.
        search: how it does with each way of preparing inputs, where that was needed to choose.
    """

    kind: str
    classifier: Classifier | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()
    search: preparation.Search | None = None


def tell_format(path: Path) -> str:
    """What kind of file this is, from its first bytes; empty when unknown."""
    if path.is_dir():
        return "model folder" if (path / WEIGHTS).is_file() else "folder"
    if not path.is_file():
        return ""
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
    if path.suffix in (".pt", ".pth", ".ckpt", ".th"):
        return "PyTorch pickle" if head else ""
    if path.suffix in _BESIDE:
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


def advise(path: Path, kind: str) -> str:
    """Why a file that is no model of ours is not read, and what to do, in one sentence."""
    own = f"on your own machine run: {EXPORT}"
    if path.is_file() and path.stat().st_size == 0:
        return f"{path.name} is empty: save or upload it again."
    if kind == "TorchScript":
        return (
            f"{path.name} is a TorchScript archive, which is a program and hides its layers: "
            f"on your own machine run: introspect export --torchscript {path.name}"
        )
    if kind == "NumPy arrays":
        return f"{path.name} holds data, not a model: give it with --data, and weights as MODEL."
    if kind == "layer list":
        return f"{path.name} is a layer list: give the weights as MODEL and this with --layers."
    if kind == "folder":
        return f"{path.name} is a folder without {WEIGHTS}: give the weights file."
    if kind in ("zip", "damaged zip", ""):
        return f"{path.name} is no model file Introspect knows: {own}"
    return f"{path.name} is a {kind} file, which is not read here: {own}"


def open_model(
    path: Path,
    kind: str,
    limits: Limits = LIMITS,
    on_wait: Callable[[], None] | None = None,
) -> Opened:
    """Has the quarantine child turn a model file into canonical weights; kept for the next time.

    Args:
        kind: as `tell_format` says.

    Raises:
        BadInput: it is not a file that can be read; says why in one sentence.
    """
    if kind not in READABLE or path.stat().st_size == 0:
        raise BadInput(advise(path, kind))
    if kind == "safetensors":
        check_header(path)
    facts = path.stat()
    said = f"{path.resolve()}:{facts.st_size}:{facts.st_mtime_ns}:{kind}"
    home = cache_dir() / "opened"
    home.mkdir(parents=True, exist_ok=True)
    _forget_old(home)
    folder = home / hashlib.sha256(said.encode()).hexdigest()[:32]
    folder.mkdir(exist_ok=True)
    about = folder / "about.json"
    with lock(folder / ".reading"):
        if not about.is_file():
            told = quarantine.run(PARSE, path, folder, limits, on_wait, [READABLE[kind]])
            write_file(about, json.dumps(told).encode())
    told = json.loads(about.read_bytes())
    check_header(folder / WEIGHTS)
    return Opened(folder, (folder / DOCUMENT).is_file(), tuple(map(str, told.get("notes", []))))


def _forget_old(home: Path) -> None:
    for folder in home.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > KEPT:
            shutil.rmtree(folder, ignore_errors=True)


def load_model(
    file: str | Path,
    layers: str | Path | None = None,
    arch: str | None = None,
    like: Samples | None = None,
    link: str | None = None,
    preprocessing: Preprocessing | None = None,
) -> Loaded:
    """The classifier in a model file, whatever its format.

    Args:
        layers: its layer list; when left out, one that lies beside the weights.
        arch: the name of its architecture, as `introspect.architecture.names` lists them; when
            left out, the best that fits.
        like: samples it is to work on: they tell the size of its inputs and, if labelled, which
            of several fitting networks is right and how inputs are to be prepared.
        link, preprocessing: replace what the file says.

    Raises:
        BadInput: the file cannot be read, or is no model.
    """
    path = Path(file)
    kind = tell_format(path)
    if kind != "model folder" and kind not in READABLE:
        raise BadInput(advise(path, kind))
    settings: dict[str, Any] = {"link": link, "preprocessing": preprocessing}
    if kind == "model folder":
        return Loaded(kind, load_classifier(path, layers, **settings))
    if kind == "safetensors" and arch is None and (layers is not None or _has_layers(path)):
        return Loaded(kind, load_classifier(path, layers, **settings))
    opened = open_model(path, kind)
    if opened.has_document:
        made = load_classifier(opened.folder, **settings)
        return Loaded(kind, made, notes=opened.notes)
    if layers is not None and arch is None:
        made = load_classifier(opened.weights, layers, **settings)
        return Loaded(kind, made, notes=opened.notes)
    return _by_architecture(path.name, kind, opened, arch, like, link, preprocessing)


def _has_layers(path: Path) -> bool:
    names = [path.stem + end for end in _BESIDE] + ["layers.yaml", DOCUMENT]
    return any((path.parent / name).is_file() for name in names)


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
    labelled = None if like is None else like[like.y >= 0]
    best: Loaded | None = None
    problem = ""
    for one in fitting:
        try:
            made = make(one, tensors, like, link, preprocessing)
        except BadInput as error:
            problem = problem or str(error)
            continue
        tried = None
        if labelled is not None and len(labelled):
            fitted = labelled.fitted(made.input_shape, made.classes)
            tried = preparation.search(made, fitted)
        found = Loaded(kind, made, "", opened.notes, (one, *_others(matches, one)), tried)
        if best is None or _better(found, best):
            best = found
        if tried is None:
            break
    if best is None or best.classifier is None:
        return Loaded(kind, None, problem, opened.notes, matches)
    if preprocessing is None and best.search is not None:
        best = dataclasses.replace(best, classifier=_prepared(best.classifier, best.search))
    hidden = len(fitting) > 1 and (labelled is None or not len(labelled))
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
