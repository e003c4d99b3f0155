"""The engine: runs a classifier and everything that was learnt about it on new inputs.

The one door through which the app, the commands and the atlas reach a running network: it can be
put in another process without anybody above noticing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from introspect.classifier import Classifier
from introspect.errors import Cancelled
from introspect.estimator import features
from introspect.plugin import Progress
from introspect.samples import Samples
from introspect.tap import Tap
from introspect.thrift import Thrift

BATCH = 1024


@dataclass(frozen=True, eq=False)
class Positions:
    """Where inputs landed: row i is about input i; arrays are read-only.

    `z` places on the map; `outputs` ŷ; `log_error` and `log_error_map` estimates of
    log10 ½‖y − ŷ‖² from all activations and from z alone; `off_map` percentile 0-100
    among validation samples of how badly the activations are rebuilt from z: above 99 the input is
    unlike anything recorded.
    """

    z: Float32[np.ndarray, "m 2"]
    outputs: Float32[np.ndarray, "m k"]
    log_error: Float32[np.ndarray, " m"]
    log_error_map: Float32[np.ndarray, " m"]
    off_map: Float32[np.ndarray, " m"]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def predicted(self) -> Int64[np.ndarray, " m"]:
        """The class with the highest output."""
        return self.outputs.argmax(1)

    @property
    def confidence(self) -> Float32[np.ndarray, " m"]:
        """−log_error: orders of magnitude by which the error is expected to be below one."""
        return -self.log_error

    @staticmethod
    def joined(parts: list[Positions]) -> Positions:
        """Several Positions as one, in order."""
        return Positions(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0]))
        )


@dataclass(frozen=True, eq=False)
class Strangeness:
    """How unlike everything recorded an activation pattern is.

    The error with which the InfoVAE's decoder rebuilds it from its place, every unit in its own
    standard deviations, read as a percentile among validation samples. What was learnt from is
    rebuilt well and nothing else is; a distance in z would not do: the pull towards a round cloud
    draws strangers inside. `introspect bench strange` compares it with the distance to the tenth
    neighbour in the last layer (Sun et al. 2022).
    """

    decoder: nn.Sequential
    spread: Tensor  # p, standard deviation of every unit; infinite where a unit hardly moves
    ranks: Tensor  # 1001 errors: the 0, 0.1, ..., 100 % quantiles of the validation samples

    def distance(self, h: Tensor, z: Tensor) -> Tensor:
        """Root mean square of (h - decoder(z)) / spread over the units, `m`, for `m p`, `m 2`."""
        return ((h - self.decoder(z)) / self.spread).square().mean(1).sqrt()

    def __call__(self, h: Tensor, z: Tensor) -> Tensor:
        """Percentile 0-100 of rows `m p` placed at `m 2`."""
        place = torch.searchsorted(self.ranks, self.distance(h.detach(), z.detach()))
        return (place.float() * (100 / (len(self.ranks) - 1))).clamp_max(100)


@dataclass(frozen=True, eq=False)
class Engine:
    """A classifier with the frozen networks that read it."""

    tap: Tap
    encoder: nn.Sequential
    map_estimator: nn.Sequential
    estimator: nn.Sequential
    strangeness: Strangeness

    @property
    def classifier(self) -> Classifier:
        return self.tap.classifier

    @property
    def device(self) -> torch.device:
        return self.classifier.device

    def to(self, device: str | torch.device) -> Engine:
        """The same engine on another device; this one stays where it is."""
        import copy

        def moved(net: nn.Sequential) -> nn.Sequential:
            return copy.deepcopy(net).to(device)

        return Engine(
            Tap(self.classifier.to(device), list(self.tap.spans), self.tap.reduction),
            moved(self.encoder),
            moved(self.map_estimator),
            moved(self.estimator),
            Strangeness(
                moved(self.strangeness.decoder),
                self.strangeness.spread.to(device),
                self.strangeness.ranks.to(device),
            ),
        )

    def read(self, x: Tensor) -> tuple[Tensor, ...]:
        """(z, logits, log_error, log_error_map, off_map) of `m *input`, on the engine's device.

        Differentiable where gradients are enabled, off_map apart.
        """
        h, logits = self.tap(x)
        z = self.encoder(h)
        log_error_map = self.map_estimator(z).squeeze(1)
        log_error = self.estimator(features(h, logits)).squeeze(1)
        return z, logits, log_error, log_error_map, self.strangeness(h, z)

    @torch.inference_mode()
    def place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z `m 2` and log_error_map `m` alone: the shortest way from a picture to its place."""
        h, _ = self.tap(x)
        z = self.encoder(h)
        return z, self.map_estimator(z).squeeze(1)

    @torch.inference_mode()
    def locate(self, x: Tensor, batch: int = BATCH, on_batch: Progress | None = None) -> Positions:
        """Positions of float32 inputs `m *input` in [0, 1]; m may be 0."""
        return self._gather(self._slices(x, batch), len(x), on_batch)

    @torch.inference_mode()
    def locate_samples(
        self, samples: Samples, batch: int = BATCH, on_batch: Progress | None = None
    ) -> Positions:
        """Positions of all samples, read batch by batch."""
        return self._gather(samples.batches(batch), len(samples), on_batch)

    @staticmethod
    def _slices(x: Tensor, batch: int) -> Iterator[Tensor]:
        for start in range(0, max(1, len(x)), batch):
            yield x[start : start + batch]

    def _gather(
        self, batches: Iterator[Tensor], count: int, on_batch: Progress | None
    ) -> Positions:
        parts: list[Positions] = []
        done = 0
        thrift = Thrift()
        for x in batches:
            parts += thrift.run(partial(self._position, x), len(x))
            done += len(x)
            if on_batch is not None and on_batch(done, count) is False:
                raise Cancelled("Locating was stopped.")
        return parts[0] if len(parts) == 1 else Positions.joined(parts)

    def _position(self, x: Tensor, start: int, stop: int) -> Positions:
        # cuDNN's TF32 keeps ten bits; the same picture must come out at the same place.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            z, logits, log_error, log_error_map, off_map = self.read(x[start:stop].to(self.device))
        outputs = self.classifier.link_outputs(logits)
        return Positions(
            *(v.cpu().numpy() for v in (z, outputs, log_error, log_error_map, off_map))
        )
