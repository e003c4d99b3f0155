"""How much of the bare forward pass's speed is left when every hidden unit is recorded to disk."""

from __future__ import annotations

import shutil
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
    """Alternates the bare pass and the recording in one process; the ratio is of their medians.

    The bare pass is the plain module over the same samples in the same batches, its outputs thrown
    away. The recording writes 2,400 float16 units, outputs and logits a sample into the cache
    folder. `over_ready_floats` is the ratio when the bare pass gets its inputs as float32 already;
    `over_cpu_time` that of processor seconds, the writing thread's included: the ratio to expect
    where no core is free for that thread.
    """
    import torch

    from introspect.classifier import Classifier
    from introspect.recording import record
    from introspect.store import cache_dir

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

    walls: dict[str, list[float]] = {"forward": [], "forward_ready": [], "record": []}
    cpus: dict[str, list[float]] = {name: [] for name in walls}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache_dir()) as parent:
        folder = Path(parent, "recording")
        for turn in range(ROUNDS + 1):
            shutil.rmtree(folder, ignore_errors=True)
            for name, work in (
                ("record", lambda: record(classifier, samples, folder, batch=BATCH, device="cpu")),
                ("forward", bare),
                ("forward_ready", bare_ready),
            ):
                wall, cpu = time.perf_counter(), time.process_time()
                work()
                if turn:  # the first round warms caches and allocator
                    walls[name].append(time.perf_counter() - wall)
                    cpus[name].append(time.process_time() - cpu)
        size = sum(file.stat().st_size for file in folder.iterdir())
    wall_s, cpu_s = ({k: statistics.median(v) for k, v in kind.items()} for kind in (walls, cpus))
    return {
        "name": "record",
        "ratios": {"record_over_forward": wall_s["forward"] / wall_s["record"]},
        "goals": {"record_over_forward": {"value": 0.90, "op": ">="}},
        "values": {
            "over_ready_floats": wall_s["forward_ready"] / wall_s["record"],
            "over_cpu_time": cpu_s["forward"] / cpu_s["record"],
            **{f"{name}_s": value for name, value in wall_s.items()},
            **{f"{name}_cpu_s": value for name, value in cpu_s.items()},
            "samples": N,
            "units": 2400,
            "batch": BATCH,
            "threads": torch.get_num_threads(),
            "bytes": size,
            "data": samples.name,
        },
    }
