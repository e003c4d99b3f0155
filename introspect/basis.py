"""A lossless-enough short form of the activations, so that learning on them costs a tenth.

Activations of a trained network lie close to a subspace of a few hundred dimensions. Rotating h
into its leading principal directions before training, and folding that rotation into the first and
last linear layers afterwards, leaves the networks exactly as specified (p inputs, p outputs): for
orthonormal directions the squared error over the short form differs from the squared error over h
by a constant, the part of h outside the subspace, which no output in the subspace can reduce.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

ROWS = 8192
CHUNK = 2048


class Rows:
    """Chosen rows of a large array, read only when asked for: `h[rows]` without the copy."""

    def __init__(self, h: np.ndarray, rows: np.ndarray) -> None:
        self.h, self.rows = h, rows
        self.shape = (len(rows), h.shape[1])
        self.dtype = h.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        return self.h[self.rows[key]]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.h[self.rows], dtype)


Activations = Float[np.ndarray, "n p"] | Float[Rows, "n p"]
"""Rows of activations, float16 or float32: an array, a memory-mapped one, or chosen rows of one."""


def as_rows(h: Activations, start: int, stop: int) -> Float[Tensor, "m p"]:
    """Rows `start:stop` of a (memory-mapped) recording as a float32 tensor of its own."""
    return torch.from_numpy(np.array(h[start:stop])).float()


def chunks(h: Activations, size: int = CHUNK) -> Iterator[tuple[int, Tensor]]:
    """The rows of h in float32 pieces, each with its first row's number."""
    for start in range(0, len(h), size):
        yield start, as_rows(h, start, start + size)


@dataclass(frozen=True, eq=False)
class Basis:
    """Leading principal directions of h.

        c = ((h - mean) / scale) @ axes,    h ~ (c @ axes.T) * scale + mean

    `energy` is the share of the (scaled) variance that the directions hold.
    """

    mean: Float[Tensor, " p"]
    scale: Float[Tensor, " p"]
    axes: Float[Tensor, "p r"]
    energy: float

    @staticmethod
    def fit(
        h: Activations, rank: int, seed: int, standardise: float = 1.0, weight: Tensor | None = None
    ) -> Basis:
        """Directions from at most 8,192 seeded rows (randomised SVD, Halko et al. 2011).

        Args:
            h: float16 or float32, n by p.
            rank: directions kept, at most min(n, p).
            standardise: 1 gives every unit variance one; 0 keeps their spreads as they are, under
                one common scale; between, spreads are evened out by that power.
            weight: how much more each unit says than that, p values; None is one for all.
        """
        count, width = h.shape
        rows = np.sort(np.random.default_rng(seed).permutation(count)[:ROWS])
        sample = torch.from_numpy(np.array(h[rows])).float()
        mean = sample.mean(0)
        spread = sample.std(0, correction=0)
        whole = spread.square().mean().sqrt().clamp_min(1e-12)
        spread = torch.where(spread > 1e-3 * whole, spread, whole)
        left = spread ** (1 - standardise)
        say = torch.ones(width) if weight is None else weight
        scale = spread**standardise / say * (left * say).square().mean().sqrt()
        sample.sub_(mean).div_(scale)
        rank = min(rank, count, width)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _, values, axes = torch.svd_lowrank(sample, q=min(rank + 16, *sample.shape), niter=3)
        energy = float(values[:rank].square().sum() / sample.square().sum().clamp_min(1e-12))
        return Basis(mean, scale, axes[:, :rank].contiguous(), energy)

    def shorten(self, h: Activations) -> Float[Tensor, "n r"]:
        """The short form of every row, one streaming pass over h."""
        turn = self.axes / self.scale[:, None]
        shift = self.mean @ turn
        out = torch.empty(len(h), turn.shape[1])
        room = torch.empty(CHUNK, len(turn))
        for start in range(0, len(h), CHUNK):
            part = torch.from_numpy(np.array(h[start : start + CHUNK]))
            # Converted into the same memory every time: fresh pages cost more than the arithmetic.
            torch.mm(room[: len(part)].copy_(part), turn, out=out[start : start + len(part)])
        return out.sub_(shift)

    def fold_in(self, net: nn.Sequential) -> nn.Sequential:
        """The network that gives for h what `net` gives for its short form (float64 inside).

        Where two thin matrices are less work than one wide, the rotation stays a linear layer of
        its own in front, named `turn`; else it is multiplied into the first layer.
        """
        first, *rest = net
        assert isinstance(first, nn.Linear)
        axes = (self.axes.double() / self.scale.double()[:, None]).T
        rank, width = axes.shape
        shift = axes @ self.mean.double()
        if rank * (width + first.out_features) < width * first.out_features:
            named = [("turn", _linear(axes, -shift)), *net.named_children()]
            return nn.Sequential(OrderedDict(named))
        weight, bias = first.weight.detach().double().cpu(), first.bias.detach().double().cpu()
        return nn.Sequential(_linear(weight @ axes, bias - weight @ shift), *rest)

    def fold_out(self, last: nn.Linear) -> nn.Linear:
        """The layer that gives h where `last` gives the short form of h (computed in float64)."""
        turn = self.axes.double() * self.scale.double()[:, None]
        weight = turn @ last.weight.detach().double().cpu()
        bias = turn @ last.bias.detach().double().cpu() + self.mean.double()
        return _linear(weight, bias)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.float().contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.float().contiguous(), requires_grad=False)
    return layer


def perceptron(inputs: int, outputs: int, width: int = 200, depth: int = 3) -> nn.Sequential:
    """`depth` hidden ELU layers of `width` units, linear ends (Pardo et al. 2020, table 2)."""
    sizes = [inputs, *[width] * depth]
    layers: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ELU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))
