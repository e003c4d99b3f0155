"""The paper's experiments once more: each claim beside the paper's number and ours, with a verdict.

Claims and figure numbers are those of Pardo et al., *Coloring the Black Box* (2020). Everything is
computed when asked for, from an atlas; nothing is remembered from another run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from introspect.answers import answers
from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.brainbow import find_centres, sort_units
from introspect.bundled import sample_atlases
from introspect.constellation import Constellation, scatter
from introspect.errors import BadInput
from introspect.flow import choose_rows, fan
from introspect.plots import constellation, gateways, layer_counts, risk_coverage, violin
from introspect.points import OFF_THE_MAP
from introspect.projections.infovae import mmd2
from introspect.reliability import RIVALS, verdict, violins, weigh
from introspect.reliability import risk_coverage as trace_risk
from introspect.trajectory import Trajectory, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Report = Callable[[str, int, int], None]
PAPERS_SAMPLE = "test:907"
QUICK, WHOLE = 50, 500
"""Samples under noise and attack."""

SIGMAS = (0.1, 0.2, 0.3)
TWINS = {"mnist-net1": "mnist-net1-noise"}
PAPERS_ACCURACY = {"mnist-net1": 0.9657, "cifar10-net2": 0.762}


@dataclass(frozen=True)
class Claim:
    """One row of the table: what the paper says, what came out here, and whether it held.

    `held` is None where the paper gives nothing to compare with.
    """

    figure: str
    claim: str
    paper: str
    ours: str
    how: str
    held: bool | None

    @property
    def verdict(self) -> str:
        return {True: "held", False: "did not hold", None: "no number in the paper"}[self.held]


@dataclass(frozen=True, eq=False)
class Reproduction:
    """All claims of one atlas, the figures that go with them, and the seconds it took."""

    name: str
    claims: tuple[Claim, ...]
    figures: dict[str, Figure]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)


def reproduce(atlas: Atlas, quick: bool = True, report: Report | None = None) -> Reproduction:
    """Runs every experiment that the atlas allows.

    Args:
        quick: 50 samples under attack and noise instead of 500.
        report: told (stage, done, total); raises `Cancelled` to stop.

    Raises:
        BadInput: the atlas came without its network, its samples or a labelled test split.
    """
    if not atlas.complete or atlas.samples is None:
        raise BadInput("The experiments need the network and the samples; this atlas lacks them.")
    if not (answers(atlas.points, atlas.classifier.link).wrong.size):
        raise BadInput("The experiments need labelled test samples; this atlas has none.")
    started = time.monotonic()
    count = QUICK if quick else WHOLE
    stages: list[tuple[str, Callable[[], tuple[list[Claim], dict[str, Figure]]]]] = [
        ("The network and its map", lambda: _map(atlas)),
        ("Expected activations", lambda: _brainbow(atlas)),
        ("Noise constellations", lambda: _noise(atlas, count)),
        ("One sample attacked", lambda: _attack(atlas)),
        ("Many samples attacked", lambda: _gateways(atlas, count)),
        ("Right and wrong answers", lambda: _reliability(atlas)),
        ("Strangers", lambda: _strangers(atlas)),
    ]
    claims: list[Claim] = []
    figures: dict[str, Figure] = {}
    for number, (stage, run) in enumerate(stages):
        if report is not None:
            report(stage, number, len(stages))
        found, drawn = run()
        claims += found
        figures |= drawn
    if report is not None:
        report("Done", len(stages), len(stages))
    return Reproduction(
        atlas.name,
        tuple(claims),
        figures,
        time.monotonic() - started,
        {"quick": quick, "samples": count, "fingerprint": atlas.fingerprint},
    )


def _map(atlas: Atlas) -> tuple[list[Claim], dict[str, Figure]]:
    points = atlas.points
    test = points.split == 2
    accuracy = float(points.correct[test].mean())
    paper = PAPERS_ACCURACY.get(atlas.name)
    z = torch.from_numpy(np.array(points.z[test]))
    few = z[:4000]
    prior = torch.randn(len(few), 2, generator=torch.Generator().manual_seed(0))
    away = float(mmd2(few, prior))
    mean, spread = z.mean(0).tolist(), z.std(0, correction=0).tolist()
    near = max(map(abs, mean)) < 0.1 and all(0.85 < s < 1.1 for s in spread) and away < 0.01
    return [
        Claim(
            "table 1",
            "share of right answers on the test split",
            f"{paper:.2%}" if paper is not None else "none",
            f"{accuracy:.2%} of {int(test.sum()):,}",
            "the outputs kept in the atlas",
            accuracy >= paper if paper is not None else None,
        ),
        Claim(
            "fig. 2",
            "the map looks like N(0, I)",
            "N(0, I)",
            f"mean {mean[0]:.2f}, {mean[1]:.2f}; deviation {spread[0]:.2f}, {spread[1]:.2f}; "
            f"MMD² {away:.4f}",
            "test samples; held: |mean| < .1, deviations .85 to 1.1, unbiased MMD² < .01",
            near,
        ),
    ], {}


def _brainbow(atlas: Atlas) -> tuple[list[Claim], dict[str, Figure]]:
    centres = find_centres(atlas)
    train, label = atlas.points.split == 0, atlas.points.label
    plain = np.stack(
        [
            atlas.z[train & (label == k)].mean(0, dtype=np.float64)
            if (train & (label == k)).any()
            else np.full(2, np.nan)
            for k in range(len(atlas.classes))
        ]
    )
    gap = float(np.nanmax(np.abs(centres.z - plain)))
    mass = float(np.nanmax(np.abs(centres.mass - 1)))
    colours = sort_units(atlas, "mean")
    counts = colours.counts()
    served = int((counts[:, : len(atlas.classes)].sum(0) > 0).sum())
    return [
        Claim(
            "eq. 8",
            "E[z|class] by a Riemann sum over a density is the mean place of the class",
            "not compared",
            f"largest difference {gap:.4f}, mass 1 ± {mass:.4f}",
            "training samples; held: difference <= .02, mass within .01",
            gap <= 0.02 and mass <= 0.01,
        ),
        Claim(
            "fig. 3",
            "sorted by the class that they answer most, units fall into one group a class",
            "all 10 classes",
            f"{served} of {len(atlas.classes)} classes have units of their own",
            "mean activation of every unit over the training samples of every class (eq. 10)",
            served == len(atlas.classes),
        ),
    ], {"Units of every layer by the class that they answer most": layer_counts.draw(colours)}


def _noise(atlas: Atlas, count: int) -> tuple[list[Claim], dict[str, Figure]]:
    models = {atlas.name: atlas}
    twin = sample_atlases().get(TWINS.get(atlas.name, ""))
    if twin is not None:
        models[twin.stem] = Atlas.load(twin)
    row = _papers_row(atlas)
    found: dict[str, Constellation] = {}
    shifts: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}
    rows = choose_rows(atlas, count)
    assert atlas.samples is not None
    for name, model in models.items():
        found[name] = scatter(model, atlas.samples.floats([row])[0], SIGMAS)
        many = [scatter(model, atlas.samples.floats([int(r)])[0], SIGMAS, copies=50) for r in rows]
        shifts[name] = np.mean([one.shift for one in many], 0)
        kept[name] = np.mean([one.kept for one in many], 0)
    told = "; ".join(
        f"{name}: {', '.join(f'{share:.0%}' for share in found[name].kept)}" for name in models
    )
    claims = [
        Claim(
            "fig. 5",
            f"copies of {_name(atlas, row)} that keep the class at σ = .1, .2, .3",
            "a picture",
            told,
            "200 copies a level, not clipped",
            None,
        )
    ]
    if len(models) == 2:
        plain, trained = kept.values()
        near, far = shifts.values()
        claims.append(
            Claim(
                "§3.4",
                "a network trained with noise keeps the class of noisy copies more often",
                "a picture",
                f"at σ = .3: {plain[-1]:.1%} without, {trained[-1]:.1%} with; "
                f"mean shift on its own map {near[-1]:.2f}, {far[-1]:.2f}",
                f"{len(rows)} test samples, 50 copies each",
                bool(trained[-1] > plain[-1]),
            )
        )
    return claims, {"Noisy copies that keep the class": constellation.draw(kept, SIGMAS)}


def _attack(atlas: Atlas) -> tuple[list[Claim], dict[str, Figure]]:
    assert atlas.samples is not None
    row = _papers_row(atlas)
    walk: Trajectory = trace(
        atlas, atlas.samples.floats([row])[0], Fgsm(), label=int(atlas.points.label[row])
    )
    others = walk.target != walk.source
    reached = walk.success_step[others]
    arrived = reached >= 0
    alarm = walk.alarm_step[others]
    first = arrived & (alarm >= 0) & (alarm <= reached)
    return [
        Claim(
            "fig. 6",
            f"steps of .01 along the sign of the gradient lead {_name(atlas, row)} to any class",
            "all 9 targets shown",
            f"{int(arrived.sum())} of {len(reached)} reached, "
            f"median step {np.median(reached[arrived]):.0f}"
            if arrived.any()
            else f"0 of {len(reached)} reached",
            "FGSM path, ε = .01, 100 steps, no ball",
            bool(arrived.all()),
        ),
        Claim(
            "fig. 6",
            "on the way the estimated error rises before the answer changes",
            "a picture",
            f"the alarm sounds first in {int(first.sum())} of {int(arrived.sum())}",
            "ê(h) above the level that 1 % of right validation answers exceed",
            bool(first.sum() > arrived.sum() / 2) if arrived.any() else None,
        ),
    ], {}


def _gateways(atlas: Atlas, count: int) -> tuple[list[Claim], dict[str, Figure]]:
    flow = fan(atlas, choose_rows(atlas, count), Fgsm())
    steps, rate = flow.median_step, flow.success_rate
    if np.isnan(steps).all():
        told, drawn = "no walk arrived", {}
    else:
        source, column = np.unravel_index(np.nanargmin(steps), steps.shape)
        names = atlas.classes
        told = (
            f"{np.nanmean(rate):.0%} of the walks arrive; shortest in the median: from "
            f"{names[int(source)]} to {names[int(flow.target[column])]}, "
            f"{steps[source, column]:.0f} steps; longest {np.nanmax(steps):.0f}"
        )
        drawn = {
            "Median steps of an attack from class to class": gateways.draw(
                steps, names, flow.target.tolist()
            )
        }
    return [
        Claim(
            "§3.5",
            "some classes give way to others more easily (gateways)",
            "a picture",
            told,
            f"{len(flow)} test samples towards every other class, ε = .01, 100 steps",
            None,
        )
    ], drawn


def _reliability(atlas: Atlas) -> tuple[list[Claim], dict[str, Figure]]:
    given = answers(atlas.points, atlas.classifier.link)
    wrong = given.wrong
    claims: list[Claim] = []
    curves: dict[str, Figure] = {}
    if 0 < wrong.sum() < len(wrong):
        guess = given.scores["error_map"]
        gap = float(np.median(guess[wrong]) - np.median(guess[~wrong]))
        claims.append(
            Claim(
                "fig. 7",
                "ê(z) is higher for wrong answers than for right ones",
                "2 to 3 decades in the median",
                f"{gap:.2f} decades",
                "test split; held: at least 2",
                gap >= 2,
            )
        )
        rated = {name: given.scores[name] for name in RIVALS if name in given.scores}
        curves["Risk and coverage"] = risk_coverage.draw(
            {name: trace_risk(score, wrong) for name, score in rated.items()}, float(wrong.mean())
        )
    claims.append(
        Claim(
            "fig. 7",
            "which score tells wrong from right best",
            "not compared",
            verdict(weigh(given)),
            "paired bootstrap over the test split",
            None,
        )
    )
    spread = violin.draw(violins(given), atlas.classes)
    return claims, {"Estimated error of right and wrong answers": spread, **curves}


def _strangers(atlas: Atlas) -> tuple[list[Claim], dict[str, Figure]]:
    assert atlas.samples is not None
    test = np.flatnonzero(atlas.points.split == 2)[:2000]
    low, high = atlas.classifier.bounds
    x = atlas.samples.floats(test)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) * (high - low) + low
    known = float((atlas.points.off_map[test] > OFF_THE_MAP).mean())
    shares = {
        "turned to their negative": float(
            (atlas.locate(low + high - x).off_map > OFF_THE_MAP).mean()
        ),
        "noise alone": float((atlas.locate(noise).off_map > OFF_THE_MAP).mean()),
    }
    told = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
    return [
        Claim(
            "§4",
            "inputs unlike the training data are noticed from the activations alone",
            "proposed, not measured",
            f"off the map: {told}; {known:.1%} of the test samples",
            f"{len(test):,} test samples; strangeness above 99 % of the validation samples",
            min(shares.values()) > 0.5 and known < 0.05,
        )
    ], {}


def _papers_row(atlas: Atlas) -> int:
    try:
        return atlas.points.row_of(PAPERS_SAMPLE)
    except BadInput:
        return int(np.flatnonzero(atlas.points.split == 2)[0])


def _name(atlas: Atlas, row: int) -> str:
    return f"sample #{int(atlas.points.id[row]):,}"
