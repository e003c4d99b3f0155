"""InfoVAE: a learnt, frozen map from activations to a plane that looks like a standard normal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from introspect.basis import Activations, Basis, perceptron
from introspect.errors import BadInput
from introspect.plugin import Progress, knob
from introspect.projections.base import AbstractProjection
from introspect.training import History, Schedule, train

SCHEDULES = {
    "one_cycle": Schedule("one_cycle"),
    "paper": Schedule("triangular", cycle=3000),
}

HALF = float(torch.finfo(torch.float16).max)

WIDTHS = {"gauss": (1.0,), "gauss3": (1.0, 4.0, 16.0)}

ERRORS: dict[str, Callable[[Tensor, int], Tensor]] = {
    # From the summed squares of every sample, float32, and the number of units.
    "root": lambda squares, units: (squares / units + 1e-4).sqrt().mean(),
    "mean": lambda squares, units: squares.mean() / units,
    "sum": lambda squares, units: squares.mean() / 2,
}


def kernel_sum(
    a: Float[Tensor, "m d"], b: Float[Tensor, "l d"], kernel: str
) -> Float[Tensor, "m l"]:
    """Kernel values between all pairs of rows, float32.

    `gauss` is exp(-|a-b|^2 / d^2), the form in the authors' code (Zhao, Song & Ermon 2017, arXiv
    1706.02262; for the plane exp(-|a-b|^2 / 4)); `imq` is sum_s s / (s + |a-b|^2) with
    s = 2d (.1, .2, .5, 1, 2, 5, 10) (Tolstikhin et al. 2018).
    """
    width = a.shape[1]
    square = (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp_min(0)
    if kernel == "gauss":
        return torch.exp(-square / width**2)
    if kernel != "imq":
        raise BadInput(f"There is no kernel '{kernel}': use gauss or imq.")
    scales = [2 * width * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return torch.stack([scale / (scale + square) for scale in scales]).sum(0)


def mmd2(
    z: Float[Tensor, "m d"],
    prior: Float[Tensor, "l d"],
    kernel: str = "gauss",
    unbiased: bool = True,
) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy between two samples (Gretton et al. 2012, eqs. 3 and 5).

        E k(z,z') + E k(p,p') - 2 E k(z,p)

    Unbiased leaves the pairs of a row with itself out (the U-statistic, 0 in the mean for equal
    laws, possibly negative); biased keeps them (0 for a sample with itself, never negative).
    """
    inner, outer = kernel_sum(z, z, kernel), kernel_sum(prior, prior, kernel)
    across = 2 * kernel_sum(z, prior, kernel).mean()
    if not unbiased:
        return inner.mean() + outer.mean() - across
    m, n = len(z), len(prior)
    return (
        (inner.sum() - inner.trace()) / (m * (m - 1))
        + (outer.sum() - outer.trace()) / (n * (n - 1))
        - across
    )


def mmd2_to_normal(
    z: Float[Tensor, "m d"], widths: tuple[float, ...] = (1.0,)
) -> Float[Tensor, ""]:
    """The unbiased Gauss-kernel MMD^2 of a sample to N(0, I) itself, nothing drawn.

    `mmd2` in the limit of endless draws from the prior, whose means then have a closed form: with
    k = exp(-|a-b|^2 / c), E_p k(z, p) = (1 + 2/c)^(-d/2) exp(-|z|^2 / (c + 2)) and
    E k(p, p') = (1 + 4/c)^(-d/2) (Rustamov 2021, arXiv 1901.03227). A third of the work and no
    noise from the draws. Several widths w, c = w d^2, add up; the wide ones pull back what is so
    far out that the narrow one no longer sees it.
    """
    m, d = z.shape
    scales = [width * d**2 for width in widths]
    total = cast(Tensor, _Inner.apply(z, scales)) / (m * (m - 1))
    square = z.square().sum(1)
    for c in scales:
        across = (1 + 2 / c) ** (-d / 2) * torch.exp(square / -(c + 2)).mean()
        total = total + (1 + 4 / c) ** (-d / 2) - 2 * across
    return total


class _Inner(torch.autograd.Function):
    """Sum over pairs of two rows of sum_c exp(-|z_i - z_j|^2 / c), the gradient in the same pass.

    d/dz_i = sum_j w_ij (z_i - z_j),  w_ij = sum_c -4/c exp(-|z_i - z_j|^2 / c). Left to autograd
    this is a sixth of a whole step of learning.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, scales: list[float]) -> Tensor:
        square = z.square().sum(1)
        apart = torch.addmm(square[:, None] + square, z, z.T, alpha=-2).clamp_min_(0)
        total, weights = z.new_zeros(()), torch.zeros_like(apart)
        for c in scales:
            kernel = (apart / -c).exp_()
            total = total + kernel.sum() - len(z)
            weights.add_(kernel, alpha=-4 / c)
        ctx.save_for_backward(weights.sum(1, keepdim=True) * z - weights @ z)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None


@dataclass(frozen=True, eq=False)
class InfoVAEProjector:
    """The fitted InfoVAE: encoder p -> 2 and decoder 2 -> p, both frozen."""

    encoder: nn.Sequential
    decoder: nn.Sequential
    history: History | None = None

    def transform(self, h: Activations) -> Float[np.ndarray, "n 2"]:
        """z of every row, float32, in batches."""
        return _apply(self.encoder, h)

    def inverse_transform(self, z: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n p"]:
        """The decoder's activations for every point, float32."""
        return _apply(self.decoder, z)


@torch.inference_mode()
def _apply(module: nn.Sequential, rows: Activations) -> np.ndarray:
    device = next(module.parameters()).device
    parts = []
    for start in range(0, len(rows), 2048):
        part = np.asarray(rows[start : start + 2048], np.float32)
        # torch wants memory that it could write to; only what is kept read-only is copied.
        part = torch.from_numpy(part if part.flags.writeable else part.copy())
        part = part.to(device)
        for layer in module:
            # What the layer before has just made may be overwritten: fresh memory costs more.
            part = F.elu_(part) if isinstance(layer, nn.ELU) else layer(part)
        parts.append(part.cpu())
    width = cast(nn.Linear, module[-1]).out_features
    return torch.cat(parts).numpy() if parts else np.zeros((0, width), np.float32)


class _Pair(nn.Module):
    """Encoder and decoder; the encoder reads every principal direction at spread one.

    Without that the directions with little variance, which tell samples of one class apart, are
    learnt many times slower. What the decoder must rebuild keeps its true spread.
    """

    spread: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        width = rows.shape[1]
        self.encoder, self.decoder = perceptron(width, 2), perceptron(2, width)
        spread = rows.std(0, correction=0)
        self.register_buffer("spread", spread.clamp_min(1e-4 * float(spread.max())))

    def fold(self) -> None:
        """Moves the division by the spread into the encoder's first weights."""
        with torch.no_grad():
            cast(nn.Linear, self.encoder[0]).weight.div_(self.spread)


@dataclass(frozen=True)
class InfoVAE(AbstractProjection):
    """An autoencoder squeezes every hidden activation into two numbers and back.

    What it keeps is what best rebuilds the whole activation pattern, while a statistical pull (MMD)
    spreads the points like a round cloud, so that nearby points mean similar states of the network
    and empty regions are rare (Pardo et al. 2020, table 2; Zhao, Song & Ermon 2017).

        loss = mean |h - h'|_rms + weight * MMD^2(z, N(0, I))

    |h - h'|_rms is the root over the mean squared error of a sample's units, each scaled to an
    average variance of one (`root`): a sample that no point can rebuild does not pull the map out
    of shape, as it does under the squares (`mean`). The paper's literal half *sum* over units is
    `sum`: it swamps the MMD and the cloud grows to a spread of about 19. While it learns, the
    encoder sees its inputs with a little noise and rebuilds them without (Vincent et al. 2008), so
    that unseen samples land beside their like.
    """

    epochs: float = knob(4, 1, 400, "Passes over the training samples.")
    steps: int = knob(450, 0, 100_000, "Steps at least, however few the samples are.")
    batch: int = knob(512, 32, 8192, "Samples per step.")
    peak: float = knob(1e-2, 1e-5, 1e-1, "Highest learning rate.")
    weight: float = knob(0.2, 0.0, 100.0, "Weight of the pull towards a round cloud (MMD).")
    kernel: str = knob(
        "gauss3", help="Kernel of the MMD: gauss3 (three widths), gauss (the paper's) or imq."
    )
    reconstruction: str = knob(
        "root", help="Error over units: root, mean, or sum (the paper's literal form)."
    )
    noise: float = knob(
        0.3, 0.0, 2.0, "Noise on what the encoder sees while it learns, per principal direction."
    )
    standardise: float = knob(
        1.0, 0.0, 1.0, "1 gives every unit the same say, 0 lets units with large values say more."
    )
    last: float = knob(
        3.0,
        0.1,
        30.0,
        "How much more the last layer says: it decides, so it knows best about errors.",
    )
    rank: int = knob(64, 2, 4096, "Principal directions of the activations that are learnt from.")
    mmd_rows: int = knob(256, 32, 1024, "Rows of each batch that the MMD looks at.")
    schedule: str = knob(
        "one_cycle", help="Learning rate: one_cycle, or the paper's cycles of 3,000 steps."
    )

    def fit(
        self,
        h: Activations,
        seed: int = 0,
        on_epoch: Progress | None = None,
        device: str = "cpu",
        checkpoint: Path | None = None,
        spans: dict[str, slice] | None = None,
    ) -> InfoVAEProjector:
        """Learns encoder and decoder; the same seed gives the same map.

        Raises:
            BadInput: fewer than 16 rows, all rows equal, or an unknown choice.
            Cancelled: when `on_epoch` answers False.
        """
        if len(h) < 16:
            raise BadInput(f"A map needs at least 16 samples to learn from; here are {len(h)}.")
        if self.reconstruction not in ERRORS or self.schedule not in SCHEDULES:
            raise BadInput("reconstruction is root, mean or sum; schedule is one_cycle or paper.")
        weight = torch.ones(h.shape[1])
        if spans is not None:
            weight[list(spans.values())[-1]] = self.last
        basis = Basis.fit(h, self.rank, seed, self.standardise, weight)
        rows = basis.shorten(h)
        if float(rows.square().mean()) < 1e-12:
            raise BadInput("All samples give the same activations, so there is nothing to map.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pair = _Pair(rows)
        measure, width = ERRORS[self.reconstruction], h.shape[1]

        def loss(module: _Pair, row: Tensor) -> Tensor:
            seen = row / module.spread
            if self.noise:
                seen = seen + self.noise * torch.randn_like(seen)
            z = module.encoder(seen)
            error = measure((module.decoder(z) - row).square().sum(1), width)
            few = z[: self.mmd_rows]
            if self.kernel in WIDTHS:
                return error + self.weight * mmd2_to_normal(few, WIDTHS[self.kernel])
            return error + self.weight * mmd2(few, torch.randn_like(few), self.kernel)

        batch = min(self.batch, max(32, len(h) // 16))
        schedule = SCHEDULES[self.schedule]
        schedule = Schedule(schedule.kind, self.peak, schedule.warm, schedule.cycle, schedule.decay)
        history = train(
            pair,
            (rows,),
            loss,
            epochs=max(self.epochs, self.steps / (len(h) // min(batch, len(h)))),
            batch=batch,
            schedule=schedule,
            seed=seed,
            device=device,
            on_step=on_epoch,
            checkpoint=checkpoint,
        )
        pair.cpu().fold()
        encoder, decoder = basis.fold_in(pair.encoder), pair.decoder
        decoder[-1] = basis.fold_out(cast(nn.Linear, decoder[-1]))
        for net in (encoder, decoder):
            net.eval().requires_grad_(False)
        for weight in decoder.parameters():
            # As it will be stored: what is located now and later is then the same.
            weight.copy_(weight.half().float().clamp(-HALF, HALF))
        return InfoVAEProjector(encoder, decoder, history)
