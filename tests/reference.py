"""Slow, literal versions of the papers' equations in float64; imports nothing of ours."""

from __future__ import annotations

import itertools
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


def attack_gradient(
    layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray, target: int
) -> np.ndarray:
    """d/dx ½ Σ_k (onehot_k - σ(o_k))² of linear layers with ELU between them, by the chain rule.

    Layers are (weight, bias) in float64; x is one flat input.
    """
    hidden, inputs = x, []
    for weight, bias in layers:
        inputs.append(hidden)
        before = weight @ hidden + bias
        hidden = np.array([v if v > 0 else math.expm1(v) for v in before])
    y = np.array([1 / (1 + math.exp(-o)) for o in before])
    onehot = np.array([1.0 if k == target else 0.0 for k in range(len(y))])
    back = -(onehot - y) * y * (1 - y)
    for (weight, bias), below in zip(reversed(layers), reversed(inputs), strict=True):
        if weight is not layers[-1][0]:
            before = weight @ below + bias
            back = back * np.array([1.0 if v > 0 else math.exp(v) for v in before])
        back = weight.T @ back
    return back


def attack_path(
    layers: list[tuple[np.ndarray, np.ndarray]],
    x: np.ndarray,
    target: int,
    steps: int,
    size: float,
    ball: float = math.inf,
) -> list[np.ndarray]:
    """Pardo et al. 2020, §2.4: x_n for n = 0 … steps, inputs in [0, 1], value by value.

    With a ball it is Madry et al. 2018 without the random start.
    """
    path = [x]
    for _ in range(steps):
        slope = attack_gradient(layers, path[-1], target)
        step = []
        for value, start, g in zip(path[-1], x, slope, strict=True):
            moved = value - size * (1 if g > 0 else -1 if g < 0 else 0)
            moved = min(max(moved, start - ball), start + ball)
            step.append(min(max(moved, 0.0), 1.0))
        path.append(np.array(step))
    return path


def auroc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Mann-Whitney U over the pairs: a wrong answer above a right one, equal ones half."""
    pairs = [(a, b) for a in score[wrong] for b in score[~wrong]]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def false_share(score: np.ndarray, sought: np.ndarray, level: float = 0.95) -> float:
    """Share of the others at or above the highest threshold that still finds 95 % of the sought."""
    for threshold in sorted(set(score.tolist()), reverse=True):
        found = score >= threshold
        if found[sought].sum() >= level * sought.sum() - 1e-9:
            return float(found[~sought].mean())
    raise AssertionError("the lowest threshold finds everything")


def areas(score: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """AURC (mean risk of the k surest) and AUGRC (trapezoids from (0, 0)), over all orders of ties.

    Every order of equal scores is tried, so only for a handful of samples.
    """
    n = len(score)
    orders = [
        order
        for order in itertools.permutations(range(n))
        if all(score[a] <= score[b] for a, b in itertools.pairwise(order))
    ]
    aurc = augrc = 0.0
    for order in orders:
        errors = [0]
        for row in order:
            errors.append(errors[-1] + int(wrong[row]))
        aurc += sum(errors[k] / k for k in range(1, n + 1)) / n
        augrc += sum((errors[k] + errors[k - 1]) / 2 / n for k in range(1, n + 1)) / n
    return aurc / len(orders), augrc / len(orders)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Naeini et al. 2015: sum over bins (lo, hi] of n_b / n |share right - mean confidence|."""
    total = 0.0
    for b in range(bins):
        lo, hi = b / bins, (b + 1) / bins
        mine = [i for i, c in enumerate(confidence) if lo < c <= hi or (b == 0 and c == 0)]
        if mine:
            said = sum(confidence[i] for i in mine) / len(mine)
            true = sum(bool(right[i]) for i in mine) / len(mine)
            total += len(mine) / len(confidence) * abs(true - said)
    return total


# ---------------------------------------------------------------- Pardo et al. 2020, section 2.8
def expected_place(
    z: np.ndarray, half: float, step: float, width: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """Eq. 8, node by node, over a Gaussian kernel density of the rows, divided by its mass."""
    steps = round(half / step)
    total, mass = np.zeros(2), 0.0
    for i in range(-steps, steps + 1):
        for j in range(-steps, steps + 1):
            node = np.array([step * i, step * j])
            density = 0.0
            for row in z:
                u, v = (node[0] - row[0]) / width[0], (node[1] - row[1]) / width[1]
                density += math.exp(-(u * u + v * v) / 2) / (2 * math.pi * width[0] * width[1])
            density /= len(z)
            total += node * density * step**2
            mass += density * step**2
    return total / mass, mass


def preferred_class(expected: np.ndarray, unit: int) -> int:
    """Eq. 10: the class with the largest expected activation of one unit."""
    best = 0
    for k in range(len(expected)):
        if expected[k][unit] > expected[best][unit]:
            best = k
    return best


def mixture(expected: np.ndarray, colours: np.ndarray, unit: int) -> list[float]:
    """Eq. 11 with c_k where the paper prints c_i: the colour of one unit."""
    count = len(expected)
    return [
        sum(float(colours[k][channel]) * float(expected[k][unit]) for k in range(count)) / count
        for channel in range(3)
    ]


# ---------------------------------------------------------------- Pardo et al. 2020, the rest
def error_target(logits: list[float], label: int, floor: float, digits: int = 60) -> float:
    """Section 2.7: log10 of e = ½‖y − σ(o)‖², not below the floor, in 60 decimal digits."""
    import mpmath

    with mpmath.workdps(digits):
        e = mpmath.mpf(0)
        for k, o in enumerate(logits):
            wanted = mpmath.mpf(1 if k == label else 0)
            e += (wanted - 1 / (1 + mpmath.exp(-mpmath.mpf(o)))) ** 2 / 2
        return float(mpmath.log10(max(e, mpmath.mpf(floor))))


def expectation(rows: np.ndarray) -> np.ndarray:
    """Eqs. 6 and 7 over the empirical law of a class: every row weighs 1/n."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        for i, value in enumerate(row):
            total[i] += float(value) / len(rows)
    return total


def decode(layers: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray) -> np.ndarray:
    """Eq. 9: the decoder of table 2 at one place, linear layers with ELU between them."""
    here = z
    for place, (weight, bias) in enumerate(layers):
        before = [sum(w * v for w, v in zip(row, here, strict=True)) for row in weight]
        here = np.array([b + c for b, c in zip(before, bias, strict=True)])
        if place < len(layers) - 1:
            here = np.array([v if v > 0 else math.expm1(v) for v in here])
    return here
