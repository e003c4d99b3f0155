"""How fast the InfoVAE lays out 60,000 x 2,400 activations, and how well, against umap-learn.

Both learn from the same h (float16 recording of mnist-net1) on the same cores, umap-learn at its
defaults with n_jobs=-1 and no random_state. Seeds 0, 1, 2; the 10,000 test samples are placed
afterwards. Imports and umap-learn's compilation are timed apart and left out of both. About 20
minutes on 2 cores; `INTROSPECT_BENCH_SEEDS=0` does one seed only.
"""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np

from introspect.atlas import Atlas
from introspect.basis import Rows
from introspect.projections.infovae import InfoVAE

NEIGHBOURS = 15
RESAMPLES = 2000


def run() -> dict[str, Any]:
    """Ratio of fit times (UMAP / InfoVAE, medians) and the paired difference of 15-NN accuracy."""
    seeds = [int(seed) for seed in os.environ.get("INTROSPECT_BENCH_SEEDS", "0,1,2").split(",")]
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        imported = time.perf_counter() - started
        atlas = Atlas.load("mnist-net1")
        recording = atlas.recording
        h, label = recording.h, np.array(atlas.points.label)
        learn, test = (
            np.flatnonzero(atlas.points.split < 2),
            np.flatnonzero(atlas.points.split == 2),
        )
        dense = np.array(h[learn], np.float32)
        started = time.perf_counter()
        # More rows than umap-learn compares pair by pair, so that what it compiles is all compiled.
        UMAP(n_jobs=-1).fit(dense[:6000]).transform(dense[6000:6100])
        InfoVAE(epochs=1, steps=1).fit(dense[:6000])
        compiled = time.perf_counter() - started
        seconds: dict[str, list[float]] = {"infovae": [], "umap": []}
        right: dict[str, list[np.ndarray]] = {"infovae": [], "umap": []}
        queries = np.array(h[test], np.float32)
        for seed in seeds:
            started = time.perf_counter()
            projector = InfoVAE().fit(Rows(h, learn), seed, spans=recording.spans)
            seconds["infovae"].append(time.perf_counter() - started)
            z, placed = projector.transform(Rows(h, learn)), projector.transform(queries)
            right["infovae"].append(_right(z, label[learn], placed, label[test]))
            reducer = UMAP(n_jobs=-1)
            started = time.perf_counter()
            reducer.fit(dense)
            seconds["umap"].append(time.perf_counter() - started)
            placed = reducer.transform(queries)
            right["umap"].append(_right(reducer.embedding_, label[learn], placed, label[test]))
    difference = 100 * (np.mean(right["infovae"], 0) - np.mean(right["umap"], 0))
    draw = np.random.default_rng(0)
    means = [difference[draw.integers(0, len(test), len(test))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return {
        "ratios": {
            "umap fit time / infovae fit time": float(
                np.median(seconds["umap"]) / np.median(seconds["infovae"])
            ),
            "15-NN accuracy, infovae - umap, points, lower 95 % bound": float(low),
        },
        "goals": {
            "umap fit time / infovae fit time": {"value": 8.0, "op": ">="},
            "15-NN accuracy, infovae - umap, points, lower 95 % bound": {"value": -0.2, "op": ">="},
        },
        "values": {
            "infovae fit s": [round(v, 1) for v in seconds["infovae"]],
            "umap fit s": [round(v, 1) for v in seconds["umap"]],
            "infovae 15-NN %": [round(100 * float(v.mean()), 2) for v in right["infovae"]],
            "umap 15-NN %": [round(100 * float(v.mean()), 2) for v in right["umap"]],
            "difference, points": round(float(difference.mean()), 3),
            "difference, upper 95 % bound": round(float(high), 3),
            "classifier %": round(100 * float(atlas.points.correct[test].mean()), 2),
            "umap import s": round(imported, 1),
            "umap first small fit, mostly compilation, s": round(compiled, 1),
        },
    }


def _right(z: np.ndarray, label: np.ndarray, placed: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(NEIGHBOURS).fit(z, label).predict(placed) == wanted
