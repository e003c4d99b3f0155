"""How much of the bare forward pass's speed is left when every hidden unit is recorded to disk."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from introspect.samples import Samples

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


def _samples() -> Samples:
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
    """Alternates the bare pass and the recording in one process; a ratio is one of medians.

    The bare pass is the plain module over the same samples in the same batches and with as many
    threads, its outputs thrown away. The recording writes 2,400 float16 units, outputs and logits
    a sample into the cache folder. Both compute with one thread less than there are cores, as
    everything that runs beside the app should; with all cores, where the thread that writes
    competes with those that compute, the ratio is `with_all_cores`. `of_ready_floats` is the ratio
    to a pass that gets its inputs as float32 already, `of_cpu_time` that of processor seconds.
    """
    import torch

    samples = _samples()
    cores = os.cpu_count() or 1
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(max(1, cores - 1))
        wall, cpu, size = _measure(samples, ROUNDS)
        threads = torch.get_num_threads()
        torch.set_num_threads(cores)
        crowded, _, _ = _measure(samples, ROUNDS // 2)
    finally:
        torch.set_num_threads(before)
    return {
        "name": "record",
        "ratios": {"record_over_forward": wall["forward"] / wall["record"]},
        "goals": {"record_over_forward": {"value": 0.90, "op": ">="}},
        "values": {
            "with_all_cores": crowded["forward"] / crowded["record"],
            "of_ready_floats": wall["forward_ready"] / wall["record"],
            "of_cpu_time": cpu["forward"] / cpu["record"],
            **{f"{name}_s": value for name, value in wall.items()},
            **{f"{name}_cpu_s": value for name, value in cpu.items()},
            "samples": N,
            "units": 2400,
            "batch": BATCH,
            "threads": threads,
            "cores": cores,
            "bytes": size,
            "data": samples.name,
        },
    }


def _measure(samples: Samples, rounds: int) -> tuple[dict[str, float], dict[str, float], int]:
    """Median wall and processor seconds of each pass, and the bytes that the recording wrote."""
    import torch

    from introspect.classifier import Classifier
    from introspect.recording import record
    from introspect.store import cache_dir

    module = _network()
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
        for turn in range(rounds + 1):
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
    return wall_s, cpu_s, size
