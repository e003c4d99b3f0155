"""How does a network want its inputs? Each plausible way is tried on labelled samples."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from introspect.classifier import Classifier
from introspect.preprocessing import Preprocessing
from introspect.samples import SPLITS, Samples

TRIED = 1000
"""Most samples the model is tried on."""
FEWEST = 100
PATIENCE = 20.0
"""Seconds after which fewer samples have to do, but for the first `FEWEST`."""

AS_GIVEN, UNIT, SIGNED, BYTES = "as the layer list says", "0 to 1", "-1 to 1", "0 to 255"
DATA, IMAGENET = "the data's mean and deviation", "ImageNet's mean and deviation"
INVERTED, SWAPPED = "inverted", "channels in the order blue, green, red"
ABOVE_CHANCE = 0.2
"""Of the way from chance to always right, how much an accuracy must have come to be plausible."""

_GREY = {
    "MNIST's mean and deviation": Preprocessing((0.1307,), (0.3081,)),
    "Fashion-MNIST's mean and deviation": Preprocessing((0.2860,), (0.3530,)),
}
_COLOUR = {
    IMAGENET: Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's mean and deviation": Preprocessing(
        (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    ),
    "CIFAR-10's mean, deviation within pictures": Preprocessing(
        (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    ),
    "CIFAR-100's mean and deviation": Preprocessing(
        (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    ),
    "SVHN's mean and deviation": Preprocessing((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
_FOREIGN = frozenset((_GREY | _COLOUR).keys() - {IMAGENET})
_BATCH = 250


@dataclass(frozen=True)
class Try:
    """How a model did on n samples: share of right answers, mean of ½‖y − ŷ‖², seconds it took."""

    share: float
    error: float
    n: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Search:
    """The outcome of trying every plausible way.

    Attributes:
        tries: way to how the model did, what the model itself says first.
        ways: name to the way itself.
        best: name of the way to take: the first, unless another is clearly better.
        plausible: whether the best is well above chance, so that a map of it means something.
        verdict: one sentence that says so.
    """

    tries: dict[str, Try]
    ways: dict[str, Preprocessing]
    best: str
    plausible: bool
    verdict: str

    @property
    def preprocessing(self) -> Preprocessing:
        """The best way."""
        return self.ways[self.best]


def learnable(samples: Samples) -> Samples:
    """The labelled samples that may be looked at beforehand: never those of the test split."""
    return samples[(samples.y >= 0) & (samples.split != SPLITS.index("test"))]


def measure(classifier: Classifier, samples: Samples) -> Search:
    """Tries only the way that the classifier itself states.

    Args:
        samples: as `search` takes them.
    """
    given = classifier.preprocessing
    name = UNIT if given.identity else AS_GIVEN
    chosen = choose_samples(samples)
    tried = _try(classifier, given, chosen)
    plausible, verdict = judge(tried, np.asarray(chosen.y), len(classifier.classes))
    return Search({name: tried}, {name: given}, name, plausible, verdict)


def check(classifier: Classifier, samples: Samples) -> Search:
    """As `measure`; where the stated way is no good, the verdict names one that is."""
    stated = measure(classifier, samples)
    if stated.plausible:
        return stated
    found = search(classifier, samples)
    if not found.plausible or found.best == stated.best:
        return found
    told = stated.verdict.partition(",")[0]
    better = found.tries[found.best].share
    verdict = (
        f'{told}. It would be right on {better:.1%} with its inputs prepared as "{found.best}": '
        "state this as its preprocessing, or go on anyway."
    )
    return dataclasses.replace(found, best=stated.best, plausible=False, verdict=verdict)


def search(classifier: Classifier, samples: Samples) -> Search:
    """Tries the ways, then the best one inverted and with its channels swapped.

    Args:
        samples: `learnable` ones, of the classifier's shape and classes.
    """
    chosen = choose_samples(samples)
    ways = plausible_ways(classifier, samples)
    start = time.monotonic()
    tries: dict[str, Try] = {}
    for name, way in ways.items():
        tries[name] = _try(classifier, way, chosen)
        seconds = (time.monotonic() - start) / len(tries) * (len(ways) + 2)
        if len(tries) == 1 and seconds > PATIENCE:
            chosen = chosen[: max(FEWEST, int(len(chosen) * PATIENCE / seconds))]
            tries[name] = _try(classifier, way, chosen)
    best = prefer(tries)
    for name, way in _turned(classifier, samples, best, ways[best]).items():
        ways[name], tries[name] = way, _try(classifier, way, chosen)
        best = prefer({best: tries[best], name: tries[name]})
    k = len(classifier.classes)
    plausible, verdict = judge(tries[best], np.asarray(chosen.y), k)
    first = next(iter(tries))
    for name in dict.fromkeys((first, best)):
        if order := _other_order(classifier, ways[name], chosen, tries[best]):
            plausible, verdict = False, f"{verdict.partition(',')[0]}. {order}"
            break
    return Search(tries, ways, best, plausible, verdict)


def plausible_ways(classifier: Classifier, samples: Samples) -> dict[str, Preprocessing]:
    """Ways the inputs may have been prepared in training, by name; what the model says comes first.

    Pictures: 0 to 1, -1 to 1, 0 to 255, standardised by the mean and deviation of the data or of
    a known set, per channel. Tables: as they are, or standardised per column.
    """
    ways = {} if classifier.preprocessing.identity else {AS_GIVEN: classifier.preprocessing}
    ways[UNIT] = Preprocessing()
    pictures = _are_pictures(samples)
    channels = classifier.input_shape[0] if len(classifier.input_shape) == 3 else 1
    if pictures:
        ways[SIGNED] = Preprocessing((0.5,), (0.5,))
        ways[BYTES] = Preprocessing((0.0,), (1 / 255,))
    ways[DATA] = _measure(samples, channels)
    if pictures:
        ways |= _COLOUR if channels == 3 else _GREY if channels == 1 else {}
    return ways


def _are_pictures(samples: Samples) -> bool:
    return samples.x.dtype == np.uint8 or samples.pictures


def _turned(
    classifier: Classifier, samples: Samples, best: str, way: Preprocessing
) -> dict[str, Preprocessing]:
    """The best way with black and white, or the channels, exchanged; and 0 to 1 likewise."""
    if not _are_pictures(samples) or classifier.bounds != (0.0, 1.0):
        return {}
    colour = len(classifier.input_shape) == 3 and classifier.input_shape[0] == 3
    found = {}
    for name, base in {UNIT: Preprocessing(), best: way}.items():
        found[f"{name}, {INVERTED}"] = dataclasses.replace(base, inverted=not base.inverted)
        if colour:
            # the mean belongs to the channel, wherever it stands
            found[f"{name}, {SWAPPED}"] = dataclasses.replace(
                base, swapped=not base.swapped, mean=base.mean[::-1], std=base.std[::-1]
            )
    return found


def prefer(tries: dict[str, Try]) -> str:
    """The first way, unless another is right more often by two standard errors.

    Of those that are, and are alike within two standard errors, the one with the least error:
    it tells apart ways that a few hundred right or wrong answers cannot. Constants of other data
    sets come last.
    """
    top = max(tries.values(), key=lambda tried: tried.share)
    bar = top.share - 2 * math.sqrt(top.share * (1 - top.share) / top.n)
    alike = [name for name, tried in tries.items() if tried.share >= bar]
    first = next(iter(tries))
    if first in alike:
        return first
    return min(alike, key=lambda name: (name in _FOREIGN, tries[name].error))


def judge(tried: Try, y: Int64[np.ndarray, " n"], k: int) -> tuple[bool, str]:
    """Whether a share of right answers is well above chance, and a sentence that says so.

    Chance is one in k, or always naming the commonest class of these samples. Well above: beyond
    it by 2.6 standard errors (99 %), and by a fifth of what is left to always right.
    """
    chance = max(1 / k, float(np.bincount(y, minlength=k).max()) / max(len(y), 1))
    spread = math.sqrt(max(tried.share * (1 - tried.share), 1e-12) / tried.n)
    told = f"The model is right on {tried.share:.1%} of {tried.n:,} samples; chance is {chance:.1%}"
    bar = chance + ABOVE_CHANCE * (1 - chance)
    if tried.share - 2.6 * spread > chance and tried.share >= bar:
        return True, f"{told}, so its accuracy is plausible."
    return False, (
        f"{told}, so weights and network, the order of the classes or the way inputs are prepared "
        "are probably not the right ones: check them before you trust a map, or go on anyway."
    )


def _measure(samples: Samples, channels: int) -> Preprocessing:
    """Mean and deviation of the training rows, per channel, or per column of a table."""
    train = samples.of("train")
    part = train if len(train) else samples
    part = part[np.linspace(0, len(part) - 1, min(len(part), 20_000)).astype(int)]
    values = part.floats().double().numpy()
    if _are_pictures(part):
        values = values.reshape(len(part), channels, -1).transpose(1, 0, 2).reshape(channels, -1)
    else:
        values = values.reshape(len(part), -1).T
        if part.x.ndim > 2:
            values = values.reshape(1, -1)
    std = values.std(1)
    return Preprocessing(tuple(values.mean(1).tolist()), tuple(np.where(std > 0, std, 1).tolist()))


def choose_samples(samples: Samples) -> Samples:
    """At most `TRIED` samples drawn with seed 0: of the validation split where there are enough.

    Never of the test split, which must not have a say in how the model is used.
    """
    validation = samples.of("validation")
    enough = min(TRIED, len(samples) // 20)
    pool = validation if len(validation) >= max(1, enough) else learnable(samples)
    return pool[np.random.default_rng(0).permutation(len(pool))[:TRIED]]


def _run(classifier: Classifier, way: Preprocessing, samples: Samples) -> Any:
    """ŷ of every batch beside its labels."""
    tried = dataclasses.replace(classifier, preprocessing=way)
    for start in range(0, len(samples), _BATCH):
        rows = slice(start, start + _BATCH)
        yield (
            tried.outputs(samples.floats(rows)).double().cpu(),
            torch.from_numpy(np.array(samples.y[rows])),
        )


@torch.no_grad()
def _try(classifier: Classifier, way: Preprocessing, samples: Samples) -> Try:
    right, error, start = 0, 0.0, time.monotonic()
    for outputs, y in _run(classifier, way, samples):
        right += int((outputs.argmax(1) == y).sum())
        wanted = torch.nn.functional.one_hot(y, outputs.shape[1])
        error += float((wanted - outputs).square().sum()) / 2
    seconds = time.monotonic() - start
    return Try(right / len(samples), error / len(samples), len(samples), seconds)


@torch.no_grad()
def _other_order(classifier: Classifier, way: Preprocessing, samples: Samples, best: Try) -> str:
    """A sentence where the answers would be far more often right, were the classes reordered."""
    k = len(classifier.classes)
    counts = np.zeros((k, k))
    for outputs, y in _run(classifier, way, samples):
        np.add.at(counts, (y.numpy(), outputs.argmax(1).numpy()), 1)
    named = counts.argmax(0)
    present = counts.sum(0) > 0
    # each answer read as the class it most often goes with; two answers for one class prove nothing
    if len(set(named[present].tolist())) < present.sum():
        return ""
    share = float(counts.max(0).sum() / counts.sum())
    believable, _ = judge(Try(share, 0.0, len(samples)), np.asarray(samples.y), k)
    gain = share - best.share
    if not believable or gain < ABOVE_CHANCE or (named == np.arange(k))[present].all():
        return ""
    wrong = next(i for i in range(k) if present[i] and named[i] != i)
    return (
        f"The classes seem to stand in another order: it would be right on {share:.1%} if its "
        f"answer {classifier.classes[wrong]} were read as {classifier.classes[named[wrong]]}, and "
        "so on; name the classes in that order."
    )
