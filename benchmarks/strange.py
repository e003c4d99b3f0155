"""Which distance tells strangers best: the error of rebuilding h, or neighbours in the last layer.

Pictures that are not digits (Fashion-MNIST; Kuzushiji and notMNIST where `$INTROSPECT_DATA/ood` has
them) against MNIST's test digits through mnist-net1: AUROC of the distance to the tenth neighbour
among 5,000 training rows in the last layer (Sun et al. 2022), and of the error with which the
InfoVAE's decoder rebuilds the activations, which `off_map` stands on. 2,000 pictures of each; under
a minute on 2 cores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from introspect.atlas import Atlas
from introspect.samples import Samples, load_samples

COUNT, BANK, NEAREST = 2000, 5000, 10
OTHERS = {"kuzushiji": "kmnist_test.npz", "notmnist": "notmnist_test.npz"}


def run() -> dict[str, Any]:
    """Difference of the mean AUROCs, rebuilding minus neighbours."""
    atlas = Atlas.load("mnist-net1")
    sets = {"fashion": load_samples("fashion_mnist:test")}
    folder = Path(os.environ.get("INTROSPECT_DATA", "")) / "ood"
    for name, file in OTHERS.items():
        if (folder / file).is_file():
            sets[name] = load_samples(folder / file)
    learnt = np.flatnonzero(atlas.points.split == 0)
    rows = np.sort(np.random.default_rng(0).permutation(learnt)[:BANK])
    last = list(atlas.engine.tap.spans.values())[-1]
    bank = torch.from_numpy(np.array(atlas.recording.h[rows, last], np.float32))
    bank = torch.nn.functional.normalize(bank, dim=1)
    digits = _distances(atlas, load_samples("mnist:test"), bank)
    found = {name: _distances(atlas, samples, bank) for name, samples in sets.items()}
    aurocs = {
        way: {name: _auroc(digits[way], there[way]) for name, there in found.items()}
        for way in digits
    }
    mean = {way: float(np.mean(list(values.values()))) for way, values in aurocs.items()}
    what = "AUROC of strangers, rebuilding - tenth neighbour"
    return {
        "ratios": {what: mean["rebuilding"] - mean["neighbour"]},
        "goals": {what: {"value": 0.0, "op": ">="}},
        "values": {
            f"{way}, {name}": round(value, 4)
            for way, values in aurocs.items()
            for name, value in values.items()
        },
    }


@torch.inference_mode()
def _distances(atlas: Atlas, samples: Samples, bank: torch.Tensor) -> dict[str, np.ndarray]:
    engine = atlas.engine
    last = list(engine.tap.spans.values())[-1]
    rows = np.sort(np.random.default_rng(1).permutation(len(samples))[:COUNT])
    h, _ = engine.tap(samples[rows].floats())
    unit = torch.nn.functional.normalize(h[:, last], dim=1)
    near = (unit @ bank.T).topk(NEAREST, 1).values[:, -1]
    return {
        "rebuilding": engine.strangeness.distance(h, engine.encoder(h)).numpy(),
        "neighbour": (2 - 2 * near).clamp_min(0).sqrt().numpy(),
    }


def _auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    strange = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
    return float(roc_auc_score(strange, np.r_[inside, outside]))
