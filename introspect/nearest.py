"""Exact nearest rows of a long recording in milliseconds: most rows are ruled out unread.

For orthonormal axes A, mean μ and h' = h - μ, with c = h'A and r = ‖h' - cAᵀ‖,

    ‖h - q‖² >= ‖c_h - c_q‖² + (r_h - r_q)²

so a row whose right-hand side exceeds the distance of the best found so far cannot be nearer.
Activations lie close to a subspace of some dozen directions, which makes the bound tight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from introspect.basis import Activations, Basis, chunks

RANK = 64
TRIED = 256
SLACK = 2e-5
"""Rounding of the bound in float32, as a share of the squared lengths in it."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Finds the rows of `h` nearest to an activation; made by `Nearest.of`, reads `h` as needed."""

    h: Activations
    mean: Float[Tensor, " p"]
    axes: Float[Tensor, "p r"]
    short: Float[Tensor, "n r"]
    along: Float[Tensor, " n"]
    """Squared length of each row's place among the axes."""
    left: Float[Tensor, " n"]
    """Length of what the axes leave out of each row."""
    length: Float[Tensor, " n"]
    """Squared length of each row's difference from the mean."""

    @staticmethod
    def of(h: Activations, seed: int = 0) -> Nearest:
        """Leading directions of h and every row's place in them, one streaming pass."""
        basis = Basis.fit(h, RANK, seed, standardise=False)
        axes, _ = torch.linalg.qr(basis.axes)
        short = torch.empty(len(h), axes.shape[1])
        length = torch.empty(len(h))
        for start, part in chunks(h):
            part -= basis.mean
            rows = slice(start, start + len(part))
            torch.mm(part, axes, out=short[rows])
            length[rows] = part.square().sum(1)
        along = short.square().sum(1)
        left = (length - along).clamp_min(0).sqrt()
        return Nearest(h, basis.mean, axes, short, along, left, length)

    def __call__(
        self, query: Float[Tensor, "m p"], count: int
    ) -> tuple[Int64[np.ndarray, "m c"], Float[np.ndarray, "m c"]]:
        """Rows of the `count` nearest to each query, nearest first, and Euclidean distances."""
        found = [self._search(one, min(count, len(self.short))) for one in query]
        rows, distances = zip(*found, strict=True)
        return np.stack(rows), np.stack(distances)

    def _search(self, query: Float[Tensor, " p"], count: int) -> tuple[np.ndarray, np.ndarray]:
        least = self._least(query - self.mean)
        rows = least.topk(min(max(TRIED, 2 * count), len(least)), largest=False).indices
        exact = self._exact(query, rows)
        reach = exact.kthvalue(count).values
        least[rows] = torch.inf
        for others in torch.nonzero(least <= reach)[:, 0].split(4096):
            rows = torch.cat([rows, others])
            exact = torch.cat([exact, self._exact(query, others)])
        best, place = exact.topk(count, largest=False)
        return rows[place].numpy(), best.sqrt().numpy()

    def _least(self, query: Float[Tensor, " p"]) -> Float[Tensor, " n"]:
        """A number that the squared distance of each row is never below."""
        short, whole = query @ self.axes, query.square().sum()
        own = short.square().sum()
        left = (whole - own).clamp_min(0).sqrt()
        # sqrt makes a rounding error of s in the squares one of up to sqrt(s) in the lengths.
        slack = (self.length + whole).mul_(SLACK)
        across = (self.left - left).abs_().sub_(slack.sqrt()).clamp_min_(0).square_()
        return torch.addmv(self.along + own, self.short, short, alpha=-2).add_(across).sub_(slack)

    def _exact(self, query: Float[Tensor, " p"], rows: Int64[Tensor, " c"]) -> Float[Tensor, " c"]:
        ordered = rows.sort()
        part = torch.from_numpy(np.array(self.h[ordered.values.numpy()], np.float32))
        out = torch.empty(len(rows))
        out[ordered.indices] = (part - query).square().sum(1)
        return out
