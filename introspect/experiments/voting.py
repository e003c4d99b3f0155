"""An ensemble weighted by −log ê against equal weights and the best network (section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from introspect.atlas import Atlas
from introspect.building import build_atlas
from introspect.classifier import Classifier
from introspect.datafile import Columns
from introspect.ensemble import compare, gather
from introspect.errors import BadInput
from introspect.experiments.base import Claim, Effort, Found, Tell, number
from introspect.ranking import Estimate
from introspect.samples import Samples, make_samples
from introspect.training import Schedule, train

VALIDATION = 600
BATCH, PEAK = 64, 3e-3


@dataclass(frozen=True, eq=False)
class Material:
    """What the networks learn from and are judged on; `origin` says where it comes from."""

    learn: Samples
    validation: Samples
    judge: Samples
    origin: str


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """Trains small networks on the atlas's own samples, maps each, and lets them vote."""
    given = choose(atlas, effort)
    link = atlas.classifier.link if atlas.classifier.link != "probabilities" else "softmax"
    atlases = []
    for seed in range(effort.nets):
        if tell is not None:
            tell("Training an ensemble", seed, effort.nets)
        atlases.append(make_member(given, link, seed, effort.epochs))
    team = gather(atlases)
    x, y = given.judge.floats(), given.judge.y
    held_x, held_y = given.validation.floats(), given.validation.y
    alone = team.vote(held_x).outputs.argmax(2) == held_y
    best = int(alone.mean(1).argmax())
    votes = {by: team.vote(x, by) for by in ("error_map", "error")}
    vote = votes["error_map"]
    right = {
        "weighted by −log ê(z)": vote.weighted.argmax(1) == y,
        "weighted by −log ê(h)": votes["error"].weighted.argmax(1) == y,
        "equal weights": vote.equal.argmax(1) == y,
        "best single": vote.outputs[best].argmax(1) == y,
    }
    mine = right["weighted by −log ê(z)"]
    over_equal = compare(mine, right["equal weights"])
    over_best = compare(mine, right["best single"])
    told = ", ".join(f"{name} {one.mean():.2%}" for name, one in right.items())
    how = (
        f"{effort.nets} networks trained here on {given.origin}, each on its own half of "
        f"{len(given.learn):,} samples; {len(y):,} test samples; paired bootstrap; best single "
        "chosen on validation samples"
    )
    return Found(
        [
            Claim(
                "§4",
                "an ensemble weighted by −log ê is better than its best network",
                "proposed, not measured",
                f"{told}; weighted − best: {_points(over_best)}",
                f"{how}; held: the interval lies above 0",
                over_best.low > 0,
            ),
            Claim(
                "§4",
                "the weights make the ensemble better than equal weights do",
                "proposed, not measured",
                f"weighted − equal: {_points(over_equal)}: {_judge(over_equal)}",
                f"{how}; held: the interval lies above 0",
                over_equal.low > 0,
            ),
        ]
    )


def choose(atlas: Atlas, effort: Effort, seed: int = 0) -> Material:
    """Labelled samples of the atlas: to learn from, to validate on, and to judge on.

    Where only the test samples came along, they are parted in three.

    Raises:
        BadInput: the atlas has too few labelled samples to train anything.
    """
    points, kept = atlas.points, atlas.kept
    if kept is None:
        raise BadInput("This atlas came without its inputs: no ensemble can be trained on them.")
    random = np.random.default_rng(seed)
    known = kept.mask(len(points)) & (points.label >= 0)
    train, test = (
        random.permutation(np.flatnonzero(known & (points.split == code))) for code in (0, 2)
    )
    if len(train):
        # Atlases of few samples keep most of them for learning.
        held = min(VALIDATION, len(train) // 5)
        learn, validation, judge = train[held:][: effort.learnt], train[:held], test
        origin = "training samples of the atlas"
    else:
        held = min(VALIDATION, len(test) // 10)
        learn = test[held : held + min(effort.learnt, len(test) // 2)]
        validation, judge = test[:held], test[held + len(learn) :]
        origin = "a part of the test samples that came with the atlas"
    if min(len(learn) // 2, len(validation), len(judge)) < 20:
        raise BadInput("This atlas has too few labelled samples to train an ensemble on.")
    first, second, third = (
        kept.samples[kept.places(np.sort(rows))]
        for rows in (learn, validation, judge[: effort.learnt])
    )
    return Material(first, second, third, origin)


def make_member(given: Material, link: str, seed: int, epochs: float) -> Atlas:
    """One network, trained on its own half of the samples from its own start, and its map."""
    random = np.random.default_rng(1000 + seed)
    mine = given.learn[np.sort(random.permutation(len(given.learn))[: len(given.learn) // 2])]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = small_network(given.learn.shape, len(given.learn.classes))

    def loss(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        logits = net(x)
        if link == "softmax":
            return F.cross_entropy(logits, y)
        wanted = F.one_hot(y, logits.shape[1]).float()
        return 0.5 * (wanted - logits.sigmoid()).square().sum(1).mean()

    train(
        module,
        (mine.floats(), torch.from_numpy(np.array(mine.y))),
        loss,
        epochs=epochs,
        batch=BATCH,
        schedule=Schedule(peak=PEAK),
        seed=seed,
        decay=0.01,
    )
    classifier = Classifier.of(
        module.cpu(), input_shape=mine.shape, classes=mine.classes, link=link
    )
    split = np.repeat([0, 1, 2], [len(mine), len(given.validation), len(given.judge)])
    parts = (mine, given.validation, given.judge)
    columns = Columns(
        x=np.concatenate([part.x for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        split=split.astype(np.uint8),
        classes=mine.classes,
    )
    samples = make_samples(columns, name="ensemble")
    return build_atlas(
        classifier, samples, name=f"member {seed}", preset="fast", seed=seed, device="cpu"
    )


def small_network(shape: tuple[int, ...], k: int) -> nn.Sequential:
    """A network of some ten thousand weights: two convolutions for colour, else three layers."""
    if len(shape) == 3 and shape[0] == 3 and min(shape[1:]) >= 16:
        layers = [
            nn.Conv2d(3, 24, 3, 2, 1),
            nn.ELU(),
            nn.Conv2d(24, 48, 3, 2, 1),
            nn.ELU(),
            nn.Conv2d(48, 64, 3, 2, 1),
            nn.ELU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, 96),
            nn.ELU(),
            nn.Linear(96, 64),
            nn.ELU(),
            nn.Linear(64, k),
        ]
        return nn.Sequential(*layers)
    width = int(np.prod(shape))
    sides = (width, 100, 100, 100)
    layers = [nn.Flatten()]
    for inputs, outputs in zip(sides, sides[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ELU()]
    return nn.Sequential(*layers, nn.Linear(sides[-1], k))


def _points(gap: Estimate) -> str:
    value, low, high = (number(100 * v, "+.2f") for v in (gap.value, gap.low, gap.high))
    return f"{value} points (95 % interval {low} to {high})"


def _judge(gap: Estimate) -> str:
    if not gap.apart:
        return "no difference that these samples show"
    return "better" if gap.value > 0 else "worse"
