"""Trains the sample cifar10-net2, builds its atlas: python sample_models/make_cifar10_net2.py

Net2 of Pardo et al. 2020 (table 1), all-convolutional: 3 x 3 filters 96, 96, 96 (stride 2), 192,
192, 192 (stride 2), 1 x 1 filters 192, global average, three dense layers of 512, ELU throughout,
10 sigmoid outputs, half squared error, dropout rate .2 after the dense layers, batches of 128.

Kept from the paper: layers, sigmoid, loss, dropout, batch. Other than the paper: pictures are
flipped and shifted by up to 4 pixels while learning; AdamW with three cycles of a rising and
falling rate instead of 100 triangular ones; batch norm behind every convolution while learning,
multiplied into the filters afterwards, so that the network on disk has none, as in table 1. The
1 x 1 filter size is what All-CNN-C has where the table gives none. On a CPU the convolutions learn
in bfloat16.

Needs CIFAR-10 (`INTROSPECT_DATA` or a download) and umap-learn; about 90 minutes of training on 2
cores. Killed, it goes on from its last checkpoint in the scratch folder. Seed 0 throughout.
"""

from __future__ import annotations

import argparse
import copy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from introspect.building import build_atlas
from introspect.classifier import load_classifier
from introspect.evolution import evolve
from introspect.samples import load_samples
from introspect.training import Schedule, train

ROOT = Path(__file__).resolve().parent
NAME = "cifar10-net2"
FILTERS = ((3, 96, 3, 1), (96, 96, 3, 1), (96, 96, 3, 2), (96, 192, 3, 1), (192, 192, 3, 1),
           (192, 192, 3, 2), (192, 192, 1, 1))  # fmt: skip
"""Channels in, channels out, side and stride of every convolution."""
CYCLES = ((8, 2e-3), (6, 1e-3), (6, 1e-3))
"""Epochs and highest learning rate of every cycle; each goes on from the weights of the last."""

BATCH, DECAY = 128, 0.05
SEED = 0
SAID = ("accuracy", "z_mean", "z_std", "mmd2", "label_knn", "trustworthiness", "auroc", "gap",
        "seconds")  # fmt: skip


def net2(norm: bool) -> nn.Sequential:
    """7 convolutions -> mean -> 3 x (512 ELU, dropout .2) -> 10, with batch norm or without."""
    layers: list[nn.Module] = []
    for inputs, outputs, side, stride in FILTERS:
        conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=not norm)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        layers += [conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ELU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for inputs in (192, 512, 512):
        dense = nn.Linear(inputs, 512)
        nn.init.kaiming_normal_(dense.weight, nonlinearity="linear")
        nn.init.zeros_(dense.bias)
        layers += [dense, nn.ELU(), nn.Dropout(0.2)]
    last = nn.Linear(512, 10)
    nn.init.xavier_normal_(last.weight)
    return nn.Sequential(*layers, last)


@torch.no_grad()
def fold(learnt: nn.Sequential) -> nn.Sequential:
    """The same function in eval mode, batch norm multiplied into the filters (float64 inside)."""
    plain = net2(norm=False)
    at = 0
    for layer in learnt:
        if isinstance(layer, nn.BatchNorm2d):
            conv = plain[at - 1]
            assert isinstance(conv, nn.Conv2d)
            scale = layer.weight.double() / (layer.running_var.double() + layer.eps).sqrt()  # pyright: ignore
            shift = layer.bias.double() - scale * layer.running_mean.double()  # pyright: ignore
            conv.weight.copy_(conv.weight.double() * scale[:, None, None, None])
            conv.bias.copy_(shift)  # pyright: ignore
            continue
        own = dict(plain[at].named_parameters())
        for name, value in layer.named_parameters():
            own[name].copy_(value)
        at += 1
    return plain.eval()


def write_layers(classes: tuple[str, ...], folder: Path) -> None:
    """The layer list beside the weights."""
    layers: list[object] = []
    for inputs, outputs, side, stride in FILTERS:
        layers += [{"Conv2d": [inputs, outputs, side, stride, side // 2]}, "ELU"]
    layers += [{"AdaptiveAvgPool2d": 1}, "Flatten"]
    for inputs in (192, 512, 512):
        layers += [{"Linear": [inputs, 512]}, "ELU", {"Dropout": 0.2}]
    document = {
        "introspect": "layers/1",
        "input_shape": [3, 32, 32],
        "classes": list(classes),
        "link": "sigmoid",
        "layers": [*layers, {"Linear": [512, 10]}],
    }
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None)
    (folder / "layers.yaml").write_text(text, encoding="utf-8")


def vary(x: Tensor) -> Tensor:
    """Every picture of a batch flipped or not and shifted by -4..4 pixels, mean grey at the rim."""
    count, channels, side, _ = x.shape
    x = torch.where(torch.rand(count, 1, 1, 1, device=x.device) < 0.5, x.flip(3), x)
    wide = F.pad(x, (4, 4, 4, 4))
    span = torch.arange(side, device=x.device)
    down = torch.randint(0, 9, (count, 1), device=x.device) + span
    across = torch.randint(0, 9, (count, 1), device=x.device) + span
    wide = wide.gather(2, down[:, None, :, None].expand(-1, channels, -1, side + 8))
    return wide.gather(3, across[:, None, None, :].expand(-1, channels, side, -1))


def loss(module: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """Half the squared error of the sigmoid outputs, summed over classes (paper, section 2.1)."""
    x = vary(x / 255 - 0.5) + 0.5
    x = x.contiguous(memory_format=torch.channels_last)
    dense = next(i for i, layer in enumerate(module) if isinstance(layer, nn.AdaptiveAvgPool2d))
    with torch.autocast(x.device.type, torch.bfloat16):
        x = module[:dense](x)
    return 0.5 * (torch.sigmoid(module[dense:](x.float())) - y).square().sum(1).mean()


def train_net2(folder: Path, scratch: Path, device: str) -> None:
    """Weights into the sample's folder, three snapshots an epoch into the scratch folder."""
    samples = load_samples("cifar10")
    rows = torch.from_numpy(np.flatnonzero(samples.split == 0))
    x = (samples.floats(rows.numpy()) * 255).round().to(torch.uint8)
    y = F.one_hot(torch.from_numpy(np.array(samples.y))[rows], 10).float()
    test = samples.of("test")
    seen, wanted = test.floats(slice(0, 2000)), torch.from_numpy(np.array(test.y[:2000]))
    torch.manual_seed(SEED)
    module = net2(norm=True).to(memory_format=torch.channels_last)  # pyright: ignore
    an_epoch, before = len(x) // BATCH, 0

    @torch.inference_mode()
    def look(step: int) -> None:
        """The folded network, to disk; how many of 2,000 test pictures it knows, to the screen."""
        plain = fold(copy.deepcopy(module).cpu())
        save_file(_weights(plain), scratch / f"step{before + step:06d}.safetensors")
        known = torch.cat([plain(part).argmax(1) for part in seen.split(250)]) == wanted
        print(f"\n{before + step:6d} test {100 * known.float().mean():.1f} %", file=sys.stderr)

    for number, (epochs, peak) in enumerate(CYCLES):
        learnt = scratch / f"cycle{number}.safetensors"
        if learnt.exists():
            module.load_state_dict(load_file(learnt))
        else:
            history = train(
                module,
                (x, y),
                loss,
                epochs=epochs,
                batch=BATCH,
                schedule=Schedule("one_cycle", peak),
                seed=SEED + number,
                device=device,
                decay=DECAY,
                on_step=lambda done, total: print(f"\r{done:6d}/{total}", end="", file=sys.stderr),
                look=look,
                look_every=an_epoch // 3,
                checkpoint=scratch / f"training{number}.safetensors",
                every=60,
            )
            save_file(_weights(module), learnt)
            print(f"\ncycle {number}: losses {history.losses}")
        before += epochs * an_epoch
    write_layers(samples.classes, folder)
    save_file(_weights(fold(module.cpu())), folder / "model.safetensors")


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu().clone().contiguous() for name, value in module.state_dict().items()}


def build(folder: Path, scratch: Path, device: str) -> None:
    """The atlas of the three dense layers, saved with its test pictures; figures to the screen."""
    classifier = load_classifier(folder / "model.safetensors", folder / "layers.yaml")
    samples = load_samples("cifar10")
    dense = [layer.name for layer in classifier.layers if layer.hidden and len(layer.shape) == 1]

    def report(stage: str, done: int, total: int) -> None:
        print(f"\r{stage}: {done}/{total}    ", end="", file=sys.stderr)

    atlas = build_atlas(
        classifier,
        samples,
        name=NAME,
        layers=dense,
        seed=SEED,
        preset="careful",
        umap=True,
        work=scratch,
        device=device,
        report=report,
    )
    snapshots = sorted(scratch.glob("step*.safetensors"))
    moments = evolve(atlas, snapshots, seed=SEED, device=device, work=scratch)
    atlas = replace(atlas, evolution=moments)
    atlas.save(folder / f"{NAME}.atlas", keep=np.flatnonzero(samples.split == 2))
    print()
    for key in SAID:
        print(f"{key}: {atlas.settings[key]}")


def main() -> None:
    """Train (unless the weights are there), build, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, help="snapshots and recording; kept for resuming")
    parser.add_argument("--only", choices=("train", "atlas"), help="do one of the two halves")
    parser.add_argument("--device", default="cpu", help="where to learn: cpu or cuda")
    options = parser.parse_args()
    folder, scratch = ROOT / NAME, options.scratch or Path("scratch") / NAME
    for place in (folder, scratch):
        place.mkdir(parents=True, exist_ok=True)
    if options.only != "atlas":
        train_net2(folder, scratch, options.device)
    if options.only != "train":
        build(folder, scratch, options.device)


if __name__ == "__main__":
    main()
