"""The network and its map: accuracy, the round cloud, and how it came about (table 1, figure 2)."""

from __future__ import annotations

import numpy as np
import torch

from introspect.atlas import Atlas
from introspect.experiments.base import PAPERS, Claim, Effort, Found, Tell
from introspect.measures import label_knn
from introspect.plots import evolution_steps
from introspect.projections.infovae import mmd2

SHOWN = 5
"""Checkpoints drawn side by side."""

COMPARED = 4000
"""Most places that are compared with draws of N(0, I)."""


def run(atlas: Atlas, effort: Effort, tell: Tell | None = None) -> Found:
    """Table 1 and figure 2; the training's evolution where the atlas kept it."""
    points = atlas.points
    test = points.split == 2
    labelled = test & (points.label >= 0)
    accuracy = float(points.correct[labelled].mean())
    paper = PAPERS.get(atlas.name)
    z = torch.from_numpy(np.array(points.z[test]))
    generator = torch.Generator().manual_seed(0)
    few = z[torch.randperm(len(z), generator=generator)[:COMPARED]]  # a folder is in class order
    prior = torch.randn(len(few), 2, generator=generator)
    away = float(mmd2(few, prior))
    mean, spread = z.mean(0).tolist(), z.std(0, correction=0).tolist()
    near = max(map(abs, mean)) < 0.1 and all(0.85 < s < 1.1 for s in spread) and away < 0.01
    neighbours = float(atlas.settings.get("label_knn") or np.nan)
    claims = [
        Claim(
            "table 1",
            "share of right answers on the test split",
            f"{paper.accuracy:.2%}" if paper is not None else "none",
            f"{accuracy:.2%} of {int(labelled.sum()):,}",
            "the outputs kept in the atlas",
            accuracy >= paper.accuracy if paper is not None else None,
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
    ]
    if np.isfinite(neighbours):
        claims.append(
            Claim(
                "fig. 2",
                "similar inputs lie together in the plane",
                "a picture",
                f"{neighbours:.2%} of the test samples have the class of most of their 15 "
                "neighbours on the map",
                "measured when the atlas was built; held: within one point of the accuracy",
                neighbours >= accuracy - 0.01,
            )
        )
    grown = _evolution(atlas)
    return Found([*claims, *grown.claims], grown.figures)


def _evolution(atlas: Atlas) -> Found:
    """Whether the classes part while the network learns, at every checkpoint that was kept."""
    kept = atlas.checkpoints
    if kept is None or len(kept) < 2:
        return Found([])
    known = kept.label >= 0
    label, z = kept.label[known], kept.z[:, known]
    half = np.arange(len(label)) % 2 == 0
    if half.sum() < 50:
        return Found([])
    shares = [label_knn(one[half], label[half], one[~half], label[~half]) for one in z]
    chosen = np.unique(np.linspace(0, len(z) - 1, min(SHOWN, len(z))).round().astype(int))
    figure = evolution_steps.draw(
        [(int(kept.step[place]), z[place], shares[place]) for place in chosen],
        label,
        atlas.classes,
    )
    return Found(
        [
            Claim(
                "fig. 2a,e",
                "training parts the classes' activations",
                "a picture",
                f"{shares[0]:.1%} of the samples have the class of most of their 15 neighbours at "
                f"step {int(kept.step[0]):,}, {shares[-1]:.1%} at step "
                f"{int(kept.step[-1]):,}",
                f"{len(label):,} samples at {len(z)} checkpoints through the final encoder, one "
                "half asked about the other",
                bool(shares[-1] > shares[0]),
            )
        ],
        {"How the classes part while the network learns": figure},
    )
