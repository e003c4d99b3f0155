"""The brainbow: what each unit answers to each class on average, and the layers sorted by it.

Equations 6-11 of Pardo et al. 2020, "Coloring the Black Box", sections 2.8, 2.9 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8

from introspect.errors import BadInput

if TYPE_CHECKING:
    from introspect.atlas import Atlas

WAYS = ("decoder", "mean")
HALF, STEP, FINE = 4.0, 0.05, 16.0
LEAST_MASS = 0.9995
ALIKE = 1e-3
"""A unit whose expectations differ by less than this share of its layer's largest difference
prefers no class: it is as good as constant, and an argmax would only read its rounding."""
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Groups:
    """Which class stands for which rows: `code` n, -1 for rows left out.

    `by` is "label" (training rows of the true class, the paper's H_k) or "predicted" (all rows,
    where the samples have no labels).
    """

    code: Int64[np.ndarray, " n"]
    by: str

    def __post_init__(self) -> None:
        self.code.setflags(write=False)

    @staticmethod
    def of(atlas: Atlas) -> Groups:
        """Training rows by their label; all rows by the prediction where there are no labels."""
        points = atlas.points
        train = np.where(points.split == 0, points.label, -1)
        if (train >= 0).any():
            return Groups(train.astype(np.int64), "label")
        return Groups(points.predicted.astype(np.int64), "predicted")

    def rows(self, k: int) -> Iterator[Int64[np.ndarray, " m"]]:
        """The rows of every class, class by class."""
        for number in range(k):
            yield np.flatnonzero(self.code == number)


@dataclass(frozen=True, eq=False)
class Centres:
    """E[z|H_k] of every class (NaN for a class without samples), and how the sum went.

    `mass` is Σ f̂ (Δz)² before it is divided by; `half` is the half side of the window, 4 unless
    samples of the class lie farther out.
    """

    z: Float64[np.ndarray, "k 2"]
    mass: Float64[np.ndarray, " k"]
    half: Float64[np.ndarray, " k"]


@dataclass(frozen=True, eq=False)
class Brainbow:
    """Expected activations, and the order of units by the class that each prefers.

    `expected` E[h_i|H_k] in the units of the activations; `preferred` the class that each unit
    answers most (eq. 10), -1 where it answers all alike; `order` the columns of h layer by layer,
    sorted within each: `h[:, order]` is the sorted network, and `spans` still tells its layers.
    Units of one class follow one another from the strongest to the weakest; those without a
    preference come last. `way` is "decoder" or "mean".
    """

    expected: Float32[np.ndarray, "k p"]
    preferred: Int64[np.ndarray, " p"]
    order: Int64[np.ndarray, " p"]
    spans: dict[str, slice]
    classes: tuple[str, ...]
    way: str

    def __post_init__(self) -> None:
        for value in (self.expected, self.preferred, self.order):
            value.setflags(write=False)

    @staticmethod
    def of(
        expected: Float32[np.ndarray, "k p"],
        spans: dict[str, slice],
        classes: Sequence[str],
        way: str = "mean",
    ) -> Brainbow:
        """Preferences and order of given expectations; rows of NaN are classes without samples."""
        known = np.where(np.isnan(expected), -np.inf, expected)
        preferred = known.argmax(0).astype(np.int64)
        order = np.empty(expected.shape[1], np.int64)
        for span in spans.values():
            part = expected[:, span]
            reach = np.nanmax(part, 0) - np.nanmin(part, 0)
            mine = preferred[span]
            mine[reach <= ALIKE * reach.max(initial=0)] = -1
            strength = np.where(mine < 0, 0, known[mine, np.arange(span.start, span.stop)])
            last = np.where(mine < 0, len(classes), mine)
            order[span] = span.start + np.lexsort((-strength, last))
        return Brainbow(expected, preferred, order, dict(spans), tuple(classes), way)

    def counts(self) -> Int64[np.ndarray, "l k1"]:
        """How many units of each layer prefer each class; the last column those without one."""
        k = len(self.classes)
        codes = np.where(self.preferred < 0, k, self.preferred)
        return np.stack([np.bincount(codes[s], minlength=k + 1) for s in self.spans.values()])

    def units_of(self, number: int, layer: str | None = None) -> Int64[np.ndarray, " u"]:
        """The columns of h of the units that prefer a class, in one layer or in all."""
        found = np.flatnonzero(self.preferred == number)
        if layer is None:
            return found
        span = self.spans[layer]
        return found[(found >= span.start) & (found < span.stop)]

    def colours(self, palette: Sequence[str]) -> Float32[np.ndarray, "p 3"]:
        """α of eq. 11 in linear RGB, not yet scaled for a screen: see `mix`.

        Args:
            palette: "#rrggbb" per class.
        """
        have = ~np.isnan(self.expected).any(1)
        return mix(self.expected[have], np.stack([linear(c) for c in palette])[have])

    def painted(self, palette: Sequence[str]) -> UInt8[np.ndarray, "p 3"]:
        """Colours of the units for a screen: see `paint`."""
        return paint(self.colours(palette), self.spans)


def sort_units(atlas: Atlas, way: str = "decoder") -> Brainbow:
    """The units of an atlas sorted by the class that each answers most.

    Args:
        way: "decoder", the paper's: the decoder's answer to E[z|H_k] (eqs. 8 and 9); or "mean",
            the plain mean of the activations themselves, which needs no map. Both are over the
            training samples of each class.

    Raises:
        BadInput: no such way, no samples, or "mean" is asked of an atlas that came without its
            means and without what they could be measured from.
    """
    if way not in WAYS:
        raise BadInput(f"There are no expectations by {way!r}: choose decoder or mean.")
    expected = _decode(atlas) if way == "decoder" else find_means(atlas)
    return Brainbow.of(expected, atlas.engine.tap.spans, atlas.classes, way)


def column(
    brainbow: Brainbow, h: Float[np.ndarray, "m p"] | Float[torch.Tensor, "m p"]
) -> Float[np.ndarray, "m p"] | Float[torch.Tensor, "m p"]:
    """Activations in the class-sorted order: layer `name` is in the columns `spans[name]`."""
    order = brainbow.order
    return h[:, torch.from_numpy(np.array(order))] if isinstance(h, torch.Tensor) else h[:, order]


@torch.inference_mode()
def activate(atlas: Atlas, x: Float[torch.Tensor, " m *input"]) -> Float32[np.ndarray, "m p"]:
    """The activations of inputs, float32, all recorded layers side by side."""
    h, _ = atlas.engine.tap(x.to(atlas.engine.device))
    return h.cpu().numpy()


def colour_range(brainbow: Brainbow) -> tuple[float, float]:
    """The fixed range in which activations of single samples are drawn, the same for all of them.

    Whole numbers round the expectations of most units, at least as far up as four: Pardo et al.
    2020, fig. 4, draw their Net1 in [-1, 4]; other networks, and deeper layers, answer louder.
    """
    known = brainbow.expected[~np.isnan(brainbow.expected).any(1)]
    low, high = np.quantile(known, (0.01, 0.95))
    return min(0.0, float(round(low))), max(4.0, float(math.ceil(high)))


# ---------------------------------------------------------------- E[h|H_k]
def _decode(atlas: Atlas) -> Float32[np.ndarray, "k p"]:
    centres = find_centres(atlas)
    known = ~np.isnan(centres.z).any(1)
    expected = np.full((len(centres.z), atlas.engine.tap.p), np.nan, np.float32)
    expected[known] = atlas.lift(centres.z[known].astype(np.float32))
    return expected


def find_centres(atlas: Atlas) -> Centres:
    """E[z|H_k] of every class by a Riemann sum over its density (eqs. 7 and 8).

    Raises:
        BadInput: the atlas has no samples.
    """
    if not len(atlas.points):
        raise BadInput("This atlas has no samples, so there is nothing to expect.")
    k = len(atlas.classes)
    centres = Centres(np.full((k, 2), np.nan), np.ones(k), np.full(k, HALF))
    for number, rows in enumerate(Groups.of(atlas).rows(k)):
        half, mass = HALF, 0.0
        while len(rows) and mass < LEAST_MASS:
            # A grid as fine as eq. 8 wants it, but no larger than it need be.
            z, mass = integrate(atlas.z[rows], half, STEP * max(1.0, half / FINE))
            centres.z[number], centres.mass[number], centres.half[number] = z, mass, half
            half *= 2
    return centres


def integrate(
    z: Float[np.ndarray, "m 2"], half: float = HALF, step: float = STEP
) -> tuple[Float64[np.ndarray, " two"], float]:
    """Σ z f̂(z) (Δz)² / Σ f̂(z) (Δz)² over [-half, half]², and the divisor.

    f̂ is a Gaussian kernel density, one bandwidth a direction by Scott's rule. Eq. 8 leaves the
    divisor out; what lies outside the window would then pull the result towards zero. A bandwidth
    below three quarters of a grid step would make the sum miss the integral, so it stays above.
    """
    m = len(z)
    nodes = np.arange(-round(half / step), round(half / step) + 1) * step
    width = np.maximum(z.std(0, dtype=np.float64) * m ** (-1 / 6), 0.75 * step)
    density = np.zeros((len(nodes), len(nodes)))
    for start in range(0, m, CHUNK):
        # A product kernel: the density of a grid is a product of two thin matrices.
        part = z[start : start + CHUNK].astype(np.float64)
        across, up = (
            np.exp(-0.5 * ((part[:, axis, None] - nodes) / width[axis]) ** 2) for axis in (0, 1)
        )
        density += across.T @ up
    density *= step**2 / (2 * math.pi * width.prod() * m)
    mass = float(density.sum())
    total = np.array([density.sum(1) @ nodes, density.sum(0) @ nodes])
    return total / max(mass, 1e-300), mass


def find_means(atlas: Atlas) -> Float32[np.ndarray, "k p"]:
    """The mean activation of every unit over the samples of every class; NaN for empty classes.

    Read from the atlas where it carries them, else measured over its activations, which are
    recorded first where they did not travel along.

    Raises:
        BadInput: it came without them and without its network or inputs, or the table is damaged.
    """
    groups = Groups.of(atlas)
    file = _means_file(atlas, groups)
    if file is None:
        return _measure_means(atlas, groups)
    means = _read_means(atlas, file)
    means[[not len(rows) for rows in groups.rows(len(means))]] = np.nan
    return means


def has_means(atlas: Atlas) -> bool:
    """Whether `find_means` answers at once, without running the network."""
    return atlas.recorded is not None or _means_file(atlas, Groups.of(atlas)) is not None


def _means_file(atlas: Atlas, groups: Groups) -> Path | None:
    """Means over the labelled training rows, as they travel in the atlas; None without."""
    if atlas.folder is None or groups.by != "label":
        return None
    file = atlas.folder / "classes.parquet"
    return file if file.exists() else None


def _measure_means(atlas: Atlas, groups: Groups) -> Float32[np.ndarray, "k p"]:
    h, n = atlas.recording.h, len(atlas.points)
    here = np.ones(n, bool) if atlas.kept is None else atlas.kept.mask(n)
    place = np.cumsum(here) - 1
    means = np.full((len(atlas.classes), h.shape[1]), np.nan, np.float32)
    for number, chosen in enumerate(groups.rows(len(means))):
        total, rows = np.zeros(h.shape[1]), place[chosen[here[chosen]]]
        for start in range(0, len(rows), CHUNK):
            total += h[rows[start : start + CHUNK]].sum(0, dtype=np.float64)
        if len(rows):
            means[number] = total / len(rows)
    return means


def _read_means(atlas: Atlas, file: Path) -> Float32[np.ndarray, "k p"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    spans = atlas.engine.tap.spans
    means = np.full((len(atlas.classes), atlas.engine.tap.p), np.nan, np.float32)
    try:
        table = pq.read_table(file, columns=["class", "layer", "unit", "mean"])
        layers = table["layer"].combine_chunks().dictionary_encode()
        starts = np.array([spans[name].start for name in layers.dictionary.to_pylist()])
        places = starts[layers.indices.to_numpy()] + table["unit"].to_numpy()
        means[table["class"].to_numpy(), places] = table["mean"].to_numpy()
    except (OSError, KeyError, IndexError, ValueError, pa.ArrowException) as error:
        raise BadInput(
            "classes.parquet of this atlas is damaged: build or download it again."
        ) from error
    if np.isnan(means).any():
        raise BadInput("classes.parquet of this atlas is incomplete: build or download it again.")
    return means


# ---------------------------------------------------------------- eq. 11
def linear(colour: str) -> Float64[np.ndarray, " three"]:
    """ "#rrggbb" as linear RGB, 0-1: light adds up there, bytes of sRGB do not."""
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def mix(
    expected: Float[np.ndarray, "k p"], colours: Float[np.ndarray, "k 3"]
) -> Float32[np.ndarray, "p 3"]:
    """α_i = (1/K) Σ_k c_k E[h_i|H_k] (eq. 11; the print says c_i, which has no meaning there).

    Args:
        expected: activations; negative ones take their class's colour away.
        colours: one a class, linear RGB.
    """
    return (expected.T.astype(np.float64) @ colours / len(expected)).astype(np.float32)


def paint(alpha: Float[np.ndarray, "p 3"], spans: dict[str, slice]) -> UInt8[np.ndarray, "p 3"]:
    """Mixed colours as sRGB bytes, each layer scaled so that its brightest channels are full.

    Only what is shown is scaled: negative channels count as none, and the brightest 2 % of a
    layer's units may lose a little of their excess.
    """
    shown = np.clip(alpha, 0, None).astype(np.float64)
    for span in spans.values():
        brightest = np.quantile(shown[span].max(1), 0.98) if span.stop > span.start else 0
        shown[span] /= brightest if brightest > 0 else max(shown[span].max(initial=0), 1e-12)
    shown = np.minimum(shown, 1)
    byte = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return np.round(255 * byte).astype(np.uint8)
