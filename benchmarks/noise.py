"""How much a constellation costs beside what it cannot do without: the network and the encoder.

200 copies of one picture at 8 levels of noise, with noise drawn, outputs and places, against
the bare forward pass of 1,600 pictures and the encoder on their activations, in the same batches;
interleaved, the median of the rounds' own ratios. Seconds on 2 cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from introspect.atlas import Atlas
from introspect.constellation import BATCH, scatter

COPIES = 200
SIGMAS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
ROUNDS = 60


def run() -> dict[str, Any]:
    """The ratio of the two times."""
    atlas = Atlas.load("mnist-net1")
    engine, samples = atlas.engine, atlas.samples
    assert samples is not None
    x = samples.floats([atlas.points.row_of("test:907")])[0]
    copies = torch.rand(COPIES * len(SIGMAS), *x.shape)
    with torch.inference_mode():
        h, _ = engine.tap(copies)

    def bare() -> None:
        with torch.inference_mode():
            for rows in copies.split(BATCH):
                engine.classifier.module(rows)
            for rows in h.split(BATCH):
                engine.encoder(rows)

    took = _interleaved(bare, lambda: scatter(atlas, x, SIGMAS, COPIES))
    what = "constellation of 200 copies x 8 levels / bare forward and encoder"
    return {
        "ratios": {what: float(np.median(took[1] / took[0]))},
        "goals": {what: {"value": 1.1, "op": "<="}},
        "values": {
            "forward and encoder ms": 1e3 * float(np.median(took[0])),
            "constellation ms": 1e3 * float(np.median(took[1])),
        },
    }


def _interleaved(*runs: Callable[[], object]) -> np.ndarray:
    """Seconds of every run in every round, the first rounds left out; row r is about run r."""
    took = np.zeros((len(runs), ROUNDS))
    for number in range(ROUNDS):
        for row, work in enumerate(runs):
            started = time.perf_counter()
            work()
            took[row, number] = time.perf_counter() - started
    return took[:, ROUNDS // 8 :]
