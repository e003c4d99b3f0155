"""Error estimators: how wrong the network will probably be, told from its activations alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from introspect.basis import Basis, perceptron
from introspect.plugin import Progress
from introspect.training import Schedule, train

FOLDS = 5
RANK = 96


def features(h: Float[Tensor, "m p"], logits: Float[Tensor, "m k"]) -> Float[Tensor, "m q"]:
    """What the estimator over all activations sees: h beside the logits from high to low.

    Sorted, the logits say how sure the network is but not of which class.
    """
    return torch.cat([h, logits.sort(1, descending=True).values], 1)


def fit_estimator(
    inputs: Float[np.ndarray, "n q"],
    target: Float[np.ndarray, " n"],
    *,
    epochs: float = 12,
    batch: int = 512,
    peak: float = 2e-3,
    noise: float = 0.0,
    rank: int = RANK,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Progress | None = None,
    checkpoint: Path | None = None,
) -> nn.Sequential:
    """A network q -> 3 x 200 ELU -> 1 that says log10 of the error (Pardo et al. 2020, table 2).

    Least squares on t = log10 max(½‖y − ŷ‖², 1e-8), standardised while learning. Inputs wider
    than `rank` are learnt from in their leading principal directions, folded in afterwards.

    Args:
        inputs: z (q = 2) for the map's estimate, `features` for the decision's.
        target: t of every row; rows without a label (NaN) are left out.
        noise: standard deviation of Gaussian noise on the standardised inputs while learning,
            against learning few rows by heart.

    Returns:
        Frozen network in eval mode on the CPU; called with `m q` it gives `m 1`, float32.
    """
    known = np.flatnonzero(np.isfinite(target))
    rows = inputs[known]
    basis = Basis.fit(rows, min(rank, rows.shape[1]), seed)
    short = basis.shorten(rows)
    aim = torch.from_numpy(np.asarray(target[known], np.float32))
    centre, spread = float(aim.mean()), max(float(aim.std(correction=0)), 1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = perceptron(short.shape[1], 1)

    def loss(module: nn.Module, row: Tensor, wanted: Tensor) -> Tensor:
        if noise:
            row = row + noise * torch.randn_like(row)
        return (module(row).squeeze(1) - wanted).square().mean()

    train(
        net,
        (short, (aim - centre) / spread),
        loss,
        epochs=epochs,
        batch=batch,
        schedule=Schedule(peak=peak),
        seed=seed,
        device=device,
        on_step=on_epoch,
        checkpoint=checkpoint,
    )
    net = basis.fold_in(net.cpu())
    last = cast(nn.Linear, net[-1])
    with torch.no_grad():
        last.weight.mul_(spread)
        last.bias.mul_(spread).add_(centre)
    return net.eval().requires_grad_(False)


def cross_fit(
    inputs: Float[np.ndarray, "n q"],
    target: Float[np.ndarray, " n"],
    *,
    seed: int = 0,
    **settings: Any,
) -> Float[np.ndarray, " n"]:
    """An estimate for every row by an estimator that never saw it (5 folds, seeded).

    Thresholds come from these: the final estimator's own estimates of the rows that it learnt
    from would flatter it.
    """
    fold = np.random.default_rng(seed).permutation(len(inputs)) % FOLDS
    out = np.full(len(inputs), np.nan, np.float32)
    for number in range(FOLDS):
        mine = fold == number
        if mine.any() and np.isfinite(target[~mine]).any():
            net = fit_estimator(inputs[~mine], target[~mine], seed=seed + 1 + number, **settings)
            out[mine] = estimate(net, inputs[mine])
    return out


@torch.inference_mode()
def estimate(net: nn.Sequential, inputs: Float[np.ndarray, "n q"]) -> Float[np.ndarray, " n"]:
    """log10 of the error for every row, float32."""
    parts = [
        net(torch.from_numpy(np.array(inputs[start : start + 2048], np.float32))).squeeze(1)
        for start in range(0, len(inputs), 2048)
    ]
    return torch.cat(parts).numpy() if parts else np.zeros(0, np.float32)
