"""How fast new inputs find their place: against umap.transform, and against the bare network.

Throughput: 10,000 test rows of h to z, by the encoder and by umap.transform, umap-learn fitted at
its defaults on the 60,000 other rows. Latency: one picture through the network alone, to z and
ê(z), and to everything `locate` says; interleaved, medians. Some minutes on 2 cores.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from introspect.atlas import Atlas
from introspect.samples import load_samples

ROUNDS = 400


def run() -> dict[str, Any]:
    """Ratios of throughput and latency."""
    atlas = Atlas.load("mnist-net1")
    engine = atlas.engine
    h, split = atlas.recording.h, atlas.points.split
    test = np.array(h[np.flatnonzero(split == 2)], np.float32)
    encode = float(np.median([_seconds(lambda: atlas.projector.transform(test)) for _ in range(9)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        reducer = UMAP(n_jobs=-1).fit(np.array(h[np.flatnonzero(split < 2)], np.float32))
        reducer.transform(test[:200])
        transform = float(np.median([_seconds(lambda: reducer.transform(test)) for _ in range(3)]))
    x = load_samples("mnist:test").floats(slice(0, 1))

    def bare() -> None:
        with torch.inference_mode():
            engine.classifier.module(x)

    def decided() -> None:
        with torch.inference_mode():
            engine.read(x)

    runs = {
        "bare": bare,
        "place": lambda: engine.place(x),
        "read": decided,
        "locate": lambda: atlas.locate(x),
    }
    took = _interleaved(runs)
    ratios = {
        "encoder / umap.transform throughput": transform / encode,
        "picture to z and e(z) / network alone": took["place"] / took["bare"],
        "picture to z, e(z), e(h), off_map / network alone": took["read"] / took["bare"],
    }
    goals = dict(zip(ratios, ((100.0, ">="), (2.3, "<="), (2.8, "<=")), strict=True))
    return {
        "ratios": ratios,
        "goals": {name: {"value": value, "op": op} for name, (value, op) in goals.items()},
        "values": {
            "encoder 10,000 rows s": encode,
            "umap.transform 10,000 rows s": transform,
            **{f"{name} µs": 1e6 * value for name, value in took.items()},
        },
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _interleaved(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, work in runs.items():
            took[name].append(_seconds(work))
    return {name: float(np.median(values[ROUNDS // 8 :])) for name, values in took.items()}
