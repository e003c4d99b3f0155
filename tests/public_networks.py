"""Networks as public repositories write them: their names of weights, their functional style.

Written from their papers and state dicts, apart from `introspect.architectures`, to be its judge.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Dense layers kept in an attribute, as in many lecture notebooks."""

    def __init__(self, activation: Callable[[Tensor], Tensor] = F.relu):
        super().__init__()
        self.hidden1 = nn.Linear(64, 30)
        self.norm1 = nn.BatchNorm1d(30)
        self.hidden2 = nn.Linear(30, 30)
        self.norm2 = nn.BatchNorm1d(30)
        self.classifier = nn.Linear(30, 10)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm1(self.hidden1(x.flatten(1))))
        return self.classifier(self.activation(self.norm2(self.hidden2(x))))


class LeNet(nn.Module):
    """As in PyTorch's tutorial."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class AllConv(nn.Module):
    """All-CNN-C, narrow; the last convolution gives a map a class."""

    def __init__(self):
        super().__init__()
        sizes = [(3, 8, 3, 1), (8, 8, 3, 1), (8, 8, 3, 2), (8, 16, 3, 1), (16, 16, 3, 1),
                 (16, 16, 3, 2), (16, 16, 3, 1), (16, 16, 1, 1)]  # fmt: skip
        for number, (i, o, side, stride) in enumerate(sizes, 1):
            self.add_module(f"conv{number}", nn.Conv2d(i, o, side, stride, side // 2))
        self.class_conv = nn.Conv2d(16, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        for number in range(1, 9):
            x = F.relu(getattr(self, f"conv{number}")(x))
        return F.adaptive_avg_pool2d(self.class_conv(x), 1).flatten(1)


class VGG(nn.Module):
    """torchvision's shape with its three dense layers, or the plain head of CIFAR versions."""

    def __init__(self, norm: bool, small: bool):
        super().__init__()
        layers: list[nn.Module] = []
        given = 3
        for made in (8, "M", 16, "M", 16, 16, "M", 24, 24, "M", 24, 24, "M"):
            if isinstance(made, str):
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(given, made, 3, padding=1))
            layers += [nn.BatchNorm2d(made)] if norm else []
            layers.append(nn.ReLU(inplace=True))
            given = made
        self.features = nn.Sequential(*layers)
        self.side = 1 if small else 7
        dense = [nn.Linear(24 * 49, 40), nn.ReLU(True), nn.Dropout(), nn.Linear(40, 40)]
        self.classifier: nn.Module = (
            nn.Linear(24, 10)
            if small
            else nn.Sequential(*dense, nn.ReLU(True), nn.Dropout(), nn.Linear(40, 10))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.features(x), self.side)
        return self.classifier(x.flatten(1))


class Basic(nn.Module):
    """Two convolutions; the shortcut is called as the repository does, or has no weights."""

    expansion = 1

    def __init__(self, given: int, width: int, stride: int, name: str):
        super().__init__()
        self.conv1 = nn.Conv2d(given, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.beside = shortcut(self, given, width, stride, name)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.beside(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 with the stride, 1 x 1."""

    expansion = 4

    def __init__(self, given: int, width: int, stride: int, name: str):
        super().__init__()
        self.conv1 = nn.Conv2d(given, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.beside = shortcut(self, given, 4 * width, stride, name)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(out)))))
        return F.relu(out + self.beside(x))


def shortcut(
    block: nn.Module, given: int, made: int, stride: int, name: str
) -> Callable[[Tensor], Tensor]:
    if stride == 1 and given == made:
        return lambda x: x
    if name == "pad":
        rest = made - given
        return lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, rest // 2, rest - rest // 2))
    beside = nn.Sequential(nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made))
    block.add_module(name, beside)
    return lambda x: beside(x)


class ResNet(nn.Module):
    """torchvision's for large pictures, or the two common ones for CIFAR."""

    def __init__(
        self, block: type[Basic] | type[Bottleneck], widths: list[int], blocks: list[int],
        large: bool, name: str = "downsample", head: str = "fc",
    ):  # fmt: skip
        super().__init__()
        given = widths[0]
        self.conv1 = (
            nn.Conv2d(3, given, 7, 2, 3, bias=False)
            if large
            else nn.Conv2d(3, given, 3, 1, 1, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(given)
        self.large, self.head, self.count = large, head, len(widths)
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
            stage = []
            for at in range(count):
                stage.append(block(given, width, 2 if number > 1 and at == 0 else 1, name))
                given = width * block.expansion
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.add_module(head, nn.Linear(given, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1) if self.large else x
        for number in range(1, self.count + 1):
            x = getattr(self, f"layer{number}")(x)
        return getattr(self, self.head)(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).chunk(3, -1)
        m, n, width = x.shape
        q, k, v = (p.reshape(m, n, self.heads, -1).transpose(1, 2) for p in parts)
        shares = (q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5).softmax(-1)
        return self.proj((shares @ v).transpose(1, 2).reshape(m, n, width))


class Transformer(nn.Module):
    """A small vision transformer with timm's names."""

    def __init__(self, width: int = 128, depth: int = 2, heads: int = 2, patch: int = 8):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, width))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.Sequential(*(nn.Module() for _ in range(depth)))
        for block in self.blocks:
            block.norm1 = nn.LayerNorm(width, 1e-6)
            block.attn = Attention(width, heads)
            block.norm2 = nn.LayerNorm(width, 1e-6)
            block.mlp = nn.Module()
            block.mlp.fc1, block.mlp.fc2 = nn.Linear(width, 200), nn.Linear(200, width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)  # type: ignore[operator]
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = x + block.attn(block.norm1(x))  # type: ignore[operator]
            inner = F.gelu(block.mlp.fc1(block.norm2(x)))  # type: ignore[operator]
            x = x + block.mlp.fc2(inner)  # type: ignore[operator]
        return self.head(self.norm(x)[:, 0])


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in evaluation mode with statistics and biases that a mistake would show."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point() and tensor.dim() < 2:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (Perceptron, (1, 8, 8)),
    "lenet5": (LeNet, (3, 32, 32)),
    "allconv": (AllConv, (3, 32, 32)),
    "vgg": (lambda: VGG(norm=False, small=False), (3, 224, 224)),
    "vgg with batch norm": (lambda: VGG(norm=True, small=True), (3, 32, 32)),
    "resnet18": (lambda: ResNet(Basic, [8, 16, 24, 32], [2, 2, 2, 2], True), (3, 224, 224)),
    "resnet34": (lambda: ResNet(Basic, [8, 16, 24, 32], [3, 4, 6, 3], True), (3, 224, 224)),
    "resnet50": (lambda: ResNet(Bottleneck, [4, 8, 8, 8], [3, 4, 6, 3], True), (3, 224, 224)),
    "resnet20": (
        lambda: ResNet(Basic, [16, 32, 64], [3, 3, 3], False, "pad", "linear"),
        (3, 32, 32),
    ),
    "resnet56": (lambda: ResNet(Basic, [8, 8, 16], [9, 9, 9], False), (3, 32, 32)),
    "resnet110": (
        lambda: ResNet(Basic, [4, 8, 8], [18, 18, 18], False, "pad", "linear"),
        (3, 32, 32),
    ),
    "cifar-resnet18": (
        lambda: ResNet(Basic, [8, 16, 24, 32], [2, 2, 2, 2], False, "shortcut", "linear"),
        (3, 32, 32),
    ),
    "vit": (Transformer, (3, 32, 32)),
}
"""Name of the architecture that should be found first, how to make one, and its input shape."""
