"""How good a map is: measured on the test split, printed by `introspect build`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from introspect.atlas import Atlas
from introspect.projections.infovae import mmd2

NEIGHBOURS = 15
QUERIES = 3000
PAIRS = 4000


def measure(atlas: Atlas, seed: int = 0) -> dict[str, Any]:
    """Figures of an atlas that still has its recording; shares are 0-1, on the test split.

    `label_knn`: test samples whose label wins among 15 training neighbours in z;
    `trustworthiness`: scikit-learn's, 5 neighbours, standardised h, 3,000 seeded test samples
    (Venna & Kaski 2001); `mmd2`: unbiased, test z against N(0, I); `auroc`: wrong answers told from
    right ones by each estimate; `gap`: median log10 error estimate of wrong minus right answers.
    """
    points, h = atlas.points, atlas.recording.h
    test, train = points.split == 2, points.split == 0
    generator = torch.Generator().manual_seed(seed)
    z = torch.from_numpy(np.array(points.z[test]))
    few = z[torch.randperm(len(z), generator=generator)[:PAIRS]]
    wrong = ~points.correct[test]
    return {
        "n": len(points),
        "p": int(h.shape[1]),
        "k": len(atlas.classes),
        "accuracy": round(float(points.correct[test].mean()), 6),
        "z_mean": [round(float(v), 4) for v in z.mean(0)],
        "z_std": [round(float(v), 4) for v in z.std(0, correction=0)],
        "mmd2": round(float(mmd2(few, torch.randn(len(few), 2, generator=generator))), 6)
        if len(few) > 1
        else None,
        "label_knn": label_knn(
            points.z[train], points.label[train], points.z[test], points.label[test]
        ),
        "trustworthiness": _trustworthiness(
            h, points.z, np.flatnonzero(test), np.flatnonzero(train), seed
        ),
        "auroc": {
            name: _auroc(getattr(points, name)[test], wrong)
            for name in ("log_error", "log_error_map")
        },
        "gap": _gap(points.log_error_map[test], wrong),
    }


def label_knn(
    train_z: np.ndarray, train_label: np.ndarray, test_z: np.ndarray, test_label: np.ndarray
) -> float:
    """Share of test samples whose label most of their 15 training neighbours in z have."""
    from sklearn.neighbors import KNeighborsClassifier

    vote = KNeighborsClassifier(min(NEIGHBOURS, len(train_z))).fit(train_z, train_label)
    return round(float((vote.predict(test_z) == test_label).mean()), 6)


def _trustworthiness(
    h: Any, z: np.ndarray, test: np.ndarray, train: np.ndarray, seed: int
) -> float | None:
    from sklearn.manifold import trustworthiness

    rows = np.sort(np.random.default_rng(seed).permutation(test)[:QUERIES])
    if len(rows) < 12:
        return None
    picked = np.array(h[rows], np.float32)
    known = np.array(h[train[:: max(1, len(train) // QUERIES)]], np.float32)
    spread = known.std(0)
    picked = (picked - known.mean(0)) / np.where(spread > 1e-6, spread, 1)
    return round(float(trustworthiness(picked, z[rows], n_neighbors=5)), 6)


def _auroc(score: np.ndarray, wrong: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(wrong, score)), 6) if 0 < wrong.sum() < len(wrong) else None


def _gap(estimate: np.ndarray, wrong: np.ndarray) -> float | None:
    if not 0 < wrong.sum() < len(wrong):
        return None
    return round(float(np.median(estimate[wrong]) - np.median(estimate[~wrong])), 4)
