"""Gateways: the places of the map at which many attacked samples change their answer.

Pardo et al. 2020 (§3.5) suspect them, as paths of several samples run together; here they are
counted: how many walks cross to their target at one place, whose they are, and what lies there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64

from introspect.atlas import Atlas
from introspect.flow import Flow

REACH = 1 / 30
"""Radius of a gateway as a share of the longer side of the map."""

SHARE = 0.01
"""Least share of all crossings that makes a place worth naming."""

FEWEST = 3
PAIRS = 3
"""Most pairs of classes named with a gateway."""


@dataclass(frozen=True)
class Gateway:
    """One busy place: a circle of `radius` round (`x`, `y`), in units of z.

    `walks` change their answer to the target in it, those of `samples` different samples; `share`
    is theirs among all walks that arrive. `recorded` is the share of the recorded samples that lie
    there, `log_error` the estimate ê(z) at its centre. `pairs` are (source, target, walks), the
    busiest first.
    """

    x: float
    y: float
    radius: float
    walks: int
    samples: int
    share: float
    recorded: float
    log_error: float
    pairs: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, eq=False)
class Crossings:
    """Where walks change their answer to the target, one row for each walk that arrives.

    `place` is the middle between the last point before and the first point after.
    """

    place: Float[np.ndarray, "c 2"]
    sample: Int64[np.ndarray, " c"]
    source: Int64[np.ndarray, " c"]
    target: Int64[np.ndarray, " c"]

    @staticmethod
    def of(flow: Flow) -> Crossings:
        """Those of a flow; a walk to the own class, or there from the start, has none."""
        other = flow.source[:, None] != flow.target[None, :]
        sample, column = np.nonzero((flow.success_step > 0) & other)
        step = flow.success_step[sample, column]
        after = flow.z[sample, column, step].astype(np.float64)
        before = flow.z[sample, column, step - 1].astype(np.float64)
        return Crossings((before + after) / 2, sample, flow.source[sample], flow.target[column])

    def __len__(self) -> int:
        return len(self.sample)


def find_gateways(atlas: Atlas, flow: Flow, most: int = 6) -> tuple[Gateway, ...]:
    """The busiest places at which walks change their answer, the busiest first; no two overlap.

    Args:
        most: how many at most; places with less than 1 % of the crossings, or fewer than three,
            are left out.
    """
    found = Crossings.of(flow)
    if not len(found):
        return ()
    radius = REACH * map_side(atlas)
    gateways = []
    left = np.ones(len(found), bool)
    centres = np.zeros((0, 2))
    fewest = max(FEWEST, SHARE * len(found))
    while len(gateways) < most and left.any():
        centre = busiest(found.place[left], radius)
        near = np.square(found.place - centre).sum(1) <= radius**2
        if near.sum() < fewest:
            break
        # A place at the rim of one that is named already belongs to that one.
        if not len(centres) or np.sqrt(np.square(centres - centre).sum(1)).min() >= 2 * radius:
            gateways.append(_describe(atlas, found, near, centre, radius))
            centres = np.concatenate([centres, centre[None]])
        if not (near & left).any():
            break
        left &= ~near
    return tuple(sorted(gateways, key=lambda one: -one.walks))


def map_side(atlas: Atlas) -> float:
    """The longer side of the box in which the recorded samples lie, a few strangers left out."""
    low, high = np.quantile(atlas.z, (0.002, 0.998), axis=0)
    return float(max((high - low).max(), 1e-9))


def busiest(place: Float[np.ndarray, "c 2"], radius: float) -> Float[np.ndarray, " two"]:
    """The centre of the circle that holds most places, to within half a radius.

    Counted on a grid of half a radius, then moved once to the mean of what it holds.
    """
    cell = radius / 2
    at = np.floor((place - place.min(0)) / cell).astype(np.int64) + 2
    wide = int(at[:, 0].max()) + 3
    # Only cells that hold something are counted: a walk may lead a thousand maps away.
    around = [
        (at[:, 1] + down) * wide + at[:, 0] + across
        for down in range(-2, 3)
        for across in range(-2, 3)
        if down**2 + across**2 <= 4
    ]
    cells, total = np.unique(np.concatenate(around), return_counts=True)
    row, column = divmod(int(cells[total.argmax()]), wide)
    centre = place.min(0) + (np.array([column, row]) - 2 + 0.5) * cell
    near = np.square(place - centre).sum(1) <= radius**2
    return place[near].mean(0) if near.any() else centre


def _describe(
    atlas: Atlas, found: Crossings, near: np.ndarray, centre: np.ndarray, radius: float
) -> Gateway:
    k = len(atlas.classes)
    pair, walks = np.unique(found.source[near] * k + found.target[near], return_counts=True)
    order = np.argsort(-walks, kind="stable")[:PAIRS]
    here = torch.from_numpy(centre[None].astype(np.float32)).to(atlas.engine.device)
    with torch.inference_mode():
        error = float(atlas.engine.map_estimator(here).squeeze())
    recorded = np.square(atlas.z - centre.astype(np.float32)).sum(1) <= radius**2
    return Gateway(
        x=float(centre[0]),
        y=float(centre[1]),
        radius=radius,
        walks=int(near.sum()),
        samples=len(np.unique(found.sample[near])),
        share=float(near.mean()),
        recorded=float(recorded.mean()),
        log_error=error,
        pairs=tuple((int(pair[i] // k), int(pair[i] % k), int(walks[i])) for i in order),
    )


def tell_gateways(gateways: tuple[Gateway, ...], classes: tuple[str, ...]) -> list[str]:
    """One sentence for each gateway, plain text."""
    told = []
    for one in gateways:
        pairs = ", ".join(f"{classes[i]} to {classes[j]} ({n:,})" for i, j, n in one.pairs)
        place = f"({one.x:.2f}, {one.y:.2f})".replace("-", "−")
        lie = f"{one.recorded:.1%}" if one.recorded >= 5e-4 or not one.recorded else "Less than .1%"
        told.append(
            f"{one.walks:,} walks of {one.samples:,} different samples, {one.share:.0%} of all "
            f"that arrive, change their answer within {one.radius:.2g} of {place}: most often "
            f"{pairs}. {lie} of the recorded samples lie there; the error to expect is "
            f"{_plain(one.log_error)}."
        )
    return told


def _plain(log_error: float) -> str:
    """An estimated error as a person writes it: "0.34", "6.3 × 10⁻⁵"."""
    if log_error >= -3:
        return f"{10**log_error:.2g}"
    exponent = int(np.floor(log_error))
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{10 ** (log_error - exponent):.1f} × 10{digits}"
