"""Rows of an atlas as a classifier may leave them, and the little a page needs of one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from introspect.points import Points


def make_points(
    n: int = 600,
    k: int = 4,
    seed: int = 0,
    errors: float = 0.15,
    only: int | None = None,
    labels: bool = True,
    constant: bool = False,
    link: str = "sigmoid",
) -> Points:
    """n rows in three splits; wrong answers get flatter outputs and larger estimates of error.

    Args:
        errors: share of wrong answers.
        only: the one class whose samples are answered wrong.
        constant: whether every score is the same for all rows.
    """
    rng = np.random.default_rng(seed)
    label = np.arange(n) % k
    wrong = rng.random(n) < errors
    if only is not None:
        wrong &= label == only
    predicted = np.where(wrong, (label + 1) % k, label)
    logits = rng.normal(-6, 1, (n, k))
    logits[np.arange(n), predicted] = np.where(wrong, rng.normal(1, 2, n), rng.normal(6, 2, n))
    logits[np.arange(n), predicted] = np.maximum(logits.max(1), logits[np.arange(n), predicted])
    if constant:
        logits = np.where(np.arange(k) == predicted[:, None], 3.0, -3.0)
    p = 1 / (1 + np.exp(-logits))
    if link == "softmax":
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
    wanted = np.arange(k) == label[:, None]
    error = 0.5 * ((wanted - p) ** 2).sum(1)
    estimate = np.log10(np.maximum(error, 1e-8)) + rng.normal(0, 1, n)
    z = rng.normal(size=(n, 2)).astype(np.float32)
    level = np.full(n, -2.0)
    return Points(
        id=np.arange(n),
        split=(np.arange(n) // k % 3).astype(np.uint8),
        label=label if labels else np.full(n, -1),
        predicted=predicted,
        correct=(predicted == label) & labels,
        z=z,
        log_error=(level if constant else estimate).astype(np.float32),
        log_error_map=(level if constant else estimate + rng.normal(0, 1, n)).astype(np.float32),
        error=(error if labels else np.full(n, np.nan)).astype(np.float32),
        off_map=np.zeros(n, np.float32),
        outputs=p.astype(np.float32),
    )


def make_atlas(link: str = "sigmoid", **rows: Any) -> Any:
    """What the reliability page asks of an atlas, over `make_points(**rows)`."""
    points = make_points(link=link, **rows)
    k = points.outputs.shape[1]
    return SimpleNamespace(
        name="rows",
        fingerprint=f"rows {link} {sorted(rows.items())}",
        points=points,
        classes=tuple(f"<b>class_{code}" for code in range(k)),
        classifier=SimpleNamespace(link=link),
        thresholds={"log_error": -1.0},
    )
