"""What following an attack on the map costs: against the bare passes, and against the peers.

Ten targets and one hundred steps from one digit, with place, both error estimates and outputs of
every step, against one hundred bare forward and backward passes of the same network at batch 10
(gradient of the input only, weights frozen) and, where they are installed, against foolbox and the
Adversarial Robustness Toolbox taking the same steps and keeping nothing. Interleaved, medians, on
two threads; a batch of ten is faster on one, which the trajectory makes use of, so the bare passes
on one thread are told too. About half a minute.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from introspect.atlas import Atlas
from introspect.attacks.fgsm import Fgsm
from introspect.trajectory import trace

ROUNDS = 24
STEPS = 100
THREADS = 2


class Squared(nn.Module):
    """½‖onehot − σ(o)‖² summed over the batch."""

    def forward(self, logits: Tensor, wanted: Tensor) -> Tensor:
        return 0.5 * (wanted - logits.sigmoid()).square().sum()


def run() -> dict[str, Any]:
    """Ratios of the time of a trajectory to the time of the bare passes and of the peers."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return _run()
    finally:
        torch.set_num_threads(before)


def _run() -> dict[str, Any]:
    atlas = Atlas.load("mnist-net1")
    module, k = atlas.classifier.module, len(atlas.classes)
    assert atlas.samples is not None
    x = atlas.samples.floats([atlas.points.row_of("test:907")])
    batch, wanted, loss = x.expand(k, *x.shape[1:]).contiguous(), torch.eye(k), Squared()

    def bare() -> None:
        for _ in range(STEPS):
            leaf = batch.clone().requires_grad_()
            loss(module(leaf), wanted).backward()

    runs: dict[str, Callable[[], object]] = {
        "bare passes": bare,
        "trajectory": lambda: trace(atlas, x, Fgsm(steps=STEPS)),
        "bare passes on one thread": lambda: _alone(bare),
        **_peers(module, batch, wanted, loss),
    }
    took = _interleaved(runs)
    ratios = {
        f"trajectory / {name}": took["trajectory"] / value
        for name, value in took.items()
        if name not in ("trajectory", "bare passes on one thread")
    }
    goals = {name: {"value": 1.15 if "bare" in name else 1.0, "op": "<="} for name in ratios}
    return {
        "ratios": ratios,
        "goals": goals,
        "values": {f"{name} ms": 1e3 * value for name, value in took.items()},
    }


def _alone(work: Callable[[], None]) -> None:
    torch.set_num_threads(1)
    work()
    torch.set_num_threads(THREADS)


def _peers(
    module: nn.Module, batch: Tensor, wanted: Tensor, loss: Squared
) -> dict[str, Callable[[], object]]:
    """The same hundred steps by the libraries that are installed (extra `peers`)."""
    found: dict[str, Callable[[], object]] = {}
    epsilon, target = Fgsm().epsilon, torch.arange(len(wanted))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("foolbox") is not None:
            eagerpy, foolbox = map(importlib.import_module, ("eagerpy", "foolbox"))

            class Descent(foolbox.attacks.LinfBasicIterativeAttack):
                def get_loss_fn(self, model: Any, labels: Any) -> Any:
                    return lambda x: eagerpy.astensor(-loss(model(x).raw, wanted))

            attack = Descent(abs_stepsize=epsilon, steps=STEPS, random_start=False)
            model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
            found["foolbox"] = lambda: attack(model, batch, target, epsilons=1.0)
        if importlib.util.find_spec("art") is not None:
            estimators = importlib.import_module("art.estimators.classification")
            evasion = importlib.import_module("art.attacks.evasion")
            estimator = estimators.PyTorchClassifier(
                module,
                loss=loss,
                input_shape=tuple(batch.shape[1:]),
                nb_classes=len(wanted),
                clip_values=(0.0, 1.0),
                device_type="cpu",
            )
            method = evasion.BasicIterativeMethod(
                estimator,
                eps=1.0,
                eps_step=epsilon,
                max_iter=STEPS,
                targeted=True,
                batch_size=len(wanted),
                verbose=False,
            )
            found["ART"] = lambda: method.generate(batch.numpy(), y=wanted.numpy())
    return found


def _interleaved(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in runs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(ROUNDS):
            for name, work in runs.items():
                started = time.perf_counter()
                work()
                took[name].append(time.perf_counter() - started)
    return {name: float(np.median(values[2:])) for name, values in took.items()}
