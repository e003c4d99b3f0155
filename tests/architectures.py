"""Small networks of every kind that people bring, with weights that need no file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def filled(module: nn.Module) -> nn.Module:
    """The module in evaluation with weights of a formula: the same on every machine."""
    for i, (name, tensor) in enumerate([*module.named_parameters(), *module.named_buffers()]):
        if not tensor.is_floating_point():
            continue
        steps = torch.arange(tensor.numel(), dtype=torch.float64) * (0.7 + 0.1 * (i % 7)) + i
        values = torch.sin(steps).reshape(tensor.shape).float()
        fan = tensor.numel() // tensor.shape[0] if tensor.dim() > 1 else 4
        values *= 1.5 / max(1, fan) ** 0.5
        if "var" in name or (tensor.dim() == 1 and name.endswith("weight")):
            values = 1 + 0.3 * values
        tensor.data.copy_(values)
    return module.eval()


class Mlp(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(64, 32),
            nn.ELU(),
            nn.Dropout(0.1),
            nn.Linear(32, 32),
            nn.ELU(),
            nn.Linear(32, 10),
        )


class Cnn(nn.Module):
    """Activations, pooling and dropout as functions; the batch size taken by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3, padding=1)
        self.b1 = nn.BatchNorm2d(8)
        self.c2 = nn.Conv2d(8, 8, 3, padding=1)
        self.f1 = nn.Linear(8 * 16, 24)
        self.f2 = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(torch.tanh(self.f1(x)), 0.3, self.training)
        return self.f2(x)


class Block(nn.Module):
    """A residual block: one ReLU in place used twice, a sum in place."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.down = nn.Sequential(
            nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        )
        self.same = stride == 1 and before == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.same else self.down(x)
        return self.relu(y)


class ResNet20(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks, before = [], width
        for group in range(3):
            for k in range(3):
                blocks.append(Block(before, width << group, 2 if group and not k else 1))
                before = width << group
        self.layers = nn.Sequential(*blocks)
        self.fc = nn.Linear(before, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(F.relu(self.bn(self.conv(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def make_vgg(width: int = 4) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for scale in (1, 0, 2, 2, 0, 4, 0):
        if not scale:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(before, scale * width, 3, padding=1), nn.BatchNorm2d(scale * width)]
        layers.append(nn.ReLU(inplace=True))
        before = scale * width
    head = [nn.Linear(4 * before, 24), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(24, 10)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), *head)


class Vit(nn.Module):
    """A class token repeated to the batch, torch's own encoder blocks."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.pos = nn.Parameter(torch.zeros(1, 17, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 2, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.size(0), -1, -1), x], 1) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(6, 12, batch_first=True)
        self.fc = nn.Linear(12, 16)
        self.out = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps, _ = self.rnn(x)
        return self.out(F.relu(self.fc(steps[:, -1])))


ARCHITECTURES = {
    "mlp": (Mlp, (1, 8, 8)),
    "cnn": (Cnn, (3, 16, 16)),
    "resnet20": (ResNet20, (3, 16, 16)),
    "vgg": (make_vgg, (3, 16, 16)),
    "vit": (Vit, (3, 16, 16)),
    "lstm": (Lstm, (7, 6)),
}
"""Name to how it is made and the shape of one input."""


def made(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A network of the table with its weights, and the shape of its input."""
    make, shape = ARCHITECTURES[name]
    return filled(make()), shape
