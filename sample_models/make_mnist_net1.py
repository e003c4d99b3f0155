"""Trains the sample model mnist-net1 and builds its atlas: python sample_models/make_mnist_net1.py

With `--noise` it makes the twin mnist-net1-noise: the same network, seed and settings, learnt from
pictures with normal noise, its spread drawn from U(0, 1) for every batch (paper, section 3.3).

Net1 of Pardo et al. 2020 (table 1): 784 -> 12 x 200 ELU -> 10 sigmoid, half squared error, dropout
rate .1, batches of 128, cyclic learning rate with cycles of 3,000 steps. Chosen here, where the
paper is silent or its printed rate (1e-5) hardly learns: a peak of 4e-4, 8 cycles, and weights that
start from a normal law of variance 1 / inputs (He et al. 2015, without the factor for ReLU).
Needs MNIST (`INTROSPECT_DATA` or a download) and umap-learn; about 15 minutes on 2 cores. Seed 0
throughout.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import save_file
from torch import nn

from introspect.building import build_atlas
from introspect.classifier import load_classifier
from introspect.evolution import evolve
from introspect.samples import load_samples

ROOT = Path(__file__).resolve().parent
CYCLES, CYCLE, LOOK = 8, 3000, 1000
BATCH, PEAK = 128, 4e-4
SEED = 0


def net1() -> nn.Sequential:
    """784 -> 12 x (200 ELU, dropout .1) -> 10; the sigmoid is the classifier's link."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (784, *[200] * 11):
        layer = nn.Linear(inputs, 200)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ELU(), nn.Dropout(0.1)]
    last = nn.Linear(200, 10)
    nn.init.xavier_normal_(last.weight)
    return nn.Sequential(*layers, last)


def write_layers(classes: tuple[str, ...], folder: Path) -> None:
    """The layer list beside the weights."""
    layers: list[object] = ["Flatten"]
    for inputs in (784, *[200] * 11):
        layers += [{"Linear": [inputs, 200]}, "ELU", {"Dropout": 0.1}]
    document = {
        "introspect": "layers/1",
        "input_shape": [1, 28, 28],
        "classes": list(classes),
        "link": "sigmoid",
        "layers": [*layers, {"Linear": [200, 10]}],
    }
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None)
    (folder / "layers.yaml").write_text(text, encoding="utf-8")


def train_net1(folder: Path, scratch: Path, noise: bool) -> None:
    """Weights into the sample's folder, one snapshot per 1,000 steps into the scratch folder.

    A plain loop on one thread with one random stream: what torch 2.13 makes of it on a CPU is the
    same to the last bit, and reads as the paper tells it.
    """
    torch.set_num_threads(1)
    samples = load_samples("mnist")
    x, y = samples.floats(), F.one_hot(torch.from_numpy(np.array(samples.y)), 10).float()
    order = np.random.default_rng(0).permutation(60_000)[5000:]
    learning = torch.from_numpy(order)
    assert (samples.split[order] == 0).all()
    torch.manual_seed(SEED)
    module = net1()
    optimiser = torch.optim.Adam(module.parameters(), lr=PEAK, fused=True)
    per_epoch = len(learning) // BATCH
    rows = learning
    for step in range(CYCLES * CYCLE):
        place = step % per_epoch
        if place == 0:
            rows = learning[torch.randperm(len(learning))]
        batch = rows[place * BATCH : (place + 1) * BATCH]
        optimiser.param_groups[0]["lr"] = PEAK * (1 - abs(2 * (step % CYCLE) / CYCLE - 1))
        seen = x[batch]
        if noise:
            seen = seen + torch.rand(()) * torch.randn_like(seen)
        loss = 0.5 * (torch.sigmoid(module(seen)) - y[batch]).square().sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % LOOK == 0:
            weights = {name: value.clone() for name, value in module.state_dict().items()}
            save_file(weights, scratch / f"step{step + 1:06d}.safetensors")
            print(f"\r{step + 1:6d}/{CYCLES * CYCLE}", end="", file=sys.stderr)
    write_layers(samples.classes, folder)
    save_file(module.state_dict(), folder / "model.safetensors")
    print("\ntrained")


def main() -> None:
    """Train (unless the weights are there), build, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", action="store_true", help="the twin that learns from noise")
    parser.add_argument("--scratch", type=Path, help="snapshots and recording; kept for resuming")
    parser.add_argument("--only", choices=("train", "atlas"), help="do one of the two halves")
    options = parser.parse_args()
    name = "mnist-net1-noise" if options.noise else "mnist-net1"
    folder, scratch = ROOT / name, options.scratch or Path("scratch") / name
    for place in (folder, scratch):
        place.mkdir(parents=True, exist_ok=True)
    if options.only != "atlas":
        train_net1(folder, scratch, options.noise)
    if options.only == "train":
        return
    classifier = load_classifier(folder / "model.safetensors", folder / "layers.yaml")
    atlas = build_atlas(
        classifier,
        load_samples("mnist"),
        name=name,
        seed=SEED,
        preset="careful",
        umap=True,
        work=scratch,
        report=lambda stage, done, total: print(
            f"\r{stage}: {done}/{total}    ", end="", file=sys.stderr
        ),
    )
    snapshots = sorted(scratch.glob("step*.safetensors"))
    atlas = replace(atlas, evolution=evolve(atlas, snapshots, seed=SEED))
    atlas.save(folder / f"{name}.atlas")
    print()
    for key in (
        "accuracy",
        "z_mean",
        "z_std",
        "mmd2",
        "label_knn",
        "trustworthiness",
        "auroc",
        "gap",
        "seconds",
    ):
        print(f"{key}: {atlas.settings[key]}")


if __name__ == "__main__":
    main()
