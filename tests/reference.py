"""Slow, literal versions of the papers' equations in float64; imports nothing of ours."""

from __future__ import annotations

import math

import numpy as np


def mmd2(a: np.ndarray, b: np.ndarray, unbiased: bool) -> float:
    """Gretton et al. 2012, eqs. 3 and 5, kernel exp(-|x-y|^2 / d^2), pair by pair."""
    width = a.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(-float(((x - y) ** 2).sum()) / width**2)

    def inner(rows: np.ndarray) -> float:
        pairs = [
            (i, j) for i in range(len(rows)) for j in range(len(rows)) if not (unbiased and i == j)
        ]
        return sum(kernel(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    across = sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))
    return inner(a) + inner(b) - 2 * across


def triangular(step: int, peak: float, cycle: int, decay: float) -> float:
    """Smith 2015: from 0 up to the peak and back within a cycle, the peak decaying per cycle."""
    number, place = step // cycle, step % cycle
    share = place / (cycle / 2) if place <= cycle / 2 else (cycle - place) / (cycle / 2)
    return peak * decay**number * share


def kth_distance(row: np.ndarray, bank: np.ndarray, k: int) -> float:
    """Distance of the unit-length row to its k-th nearest unit-length row of the bank."""
    unit = row / np.linalg.norm(row)
    far = sorted(float(np.linalg.norm(unit - other / np.linalg.norm(other))) for other in bank)
    return far[k - 1]
