"""How much of the bare forward pass's speed is left when every hidden unit is recorded to disk."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

N = 60_000
BATCH = 1024
ROUNDS = 7


def _network():
    """784 → 12×200 ELU → 10, as in the sample model; the speed does not depend on the weights."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten()]
    for width in [784] + [200] * 11:
        layers += [nn.Linear(width, 200), nn.ELU(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(200, 10)).eval()


def _samples():
    """60,000 MNIST pictures where they can be found, else seeded noise of the same shape."""
    from introspect.errors import IntrospectError
    from introspect.samples import SPLITS, Samples, load_samples

    try:
        return load_samples("mnist")[:N]
    except (IntrospectError, OSError):
        random = np.random.default_rng(0)
        return Samples(
            x=random.integers(0, 256, (N, 1, 28, 28), dtype=np.uint8),
            y=random.integers(0, 10, N),
            split=np.full(N, SPLITS.index("train"), np.uint8),
            classes=tuple(map(str, range(10))),
            ids=np.arange(N),
            name="noise",
        )


def run() -> dict[str, Any]:
    """Alternates the bare pass and the recording in one process and compares medians.

    The bare pass is the plain module over the same batches, inputs made from the same bytes,
    outputs thrown away. The recording writes 2,400 float16 units, outputs and logits a sample.
    `of_ready_floats` compares with a pass whose inputs are float32 already.
    """
    import torch

    from introspect.classifier import Classifier
    from introspect.recording import record

    samples, module = _samples(), _network()
    classifier = Classifier.of(module, input_shape=(1, 28, 28), link="sigmoid")
    samples.fingerprint  # noqa: B018  (computed once, kept by the samples)
    ready = samples.floats()

    def bare() -> None:
        with torch.inference_mode():
            for x in samples.batches(BATCH):
                module(x)

    def bare_ready() -> None:
        with torch.inference_mode():
            for start in range(0, N, BATCH):
                module(ready[start : start + BATCH])

    seconds: dict[str, list[float]] = {"forward": [], "forward_ready": [], "record": []}
    with tempfile.TemporaryDirectory(prefix="introspect-bench-") as folder:
        for turn in range(ROUNDS + 1):
            times = {
                "forward": _time(bare),
                "forward_ready": _time(bare_ready),
                "record": _time(
                    lambda turn=turn: record(
                        classifier, samples, f"{folder}/{turn}", batch=BATCH, device="cpu"
                    )
                ),
            }
            size = sum(file.stat().st_size for file in Path(folder, str(turn)).iterdir())
            for file in Path(folder, str(turn)).iterdir():
                file.unlink()
            if turn:  # the first round warms caches and allocator
                for name, value in times.items():
                    seconds[name].append(value)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "name": "record",
        "ratios": {"record_over_forward": median["forward"] / median["record"]},
        "goals": {"record_over_forward": {"value": 0.90, "op": ">="}},
        "values": {
            "of_ready_floats": median["forward_ready"] / median["record"],
            **{f"{name}_s": round(value, 4) for name, value in median.items()},
            "samples": N,
            "units": 2400,
            "batch": BATCH,
            "threads": torch.get_num_threads(),
            "bytes": size,
            "data": samples.name,
        },
    }


def _time(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
