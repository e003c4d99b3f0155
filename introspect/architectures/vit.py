"""Vision transformers, as timm and the DeiT checkpoints name their weights."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from introspect.architectures.base import AbstractArchitecture, Network, Plan, Shapes

EPSILON = 1e-6
HEAD = 64
BLOCKS = 200


class Attention(nn.Module):
    """Self-attention of several heads; query, key and value are one dense layer."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        m, tokens, width = x.shape
        split = self.qkv(x).reshape(m, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each (m, heads, tokens, d)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(m, tokens, width))


class Mixer(nn.Module):
    """Two dense layers with GELU, for each token alone."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Layer(nn.Module):
    """Attention, then the dense layers, each beside the stream and normalised before."""

    def __init__(self, width: int, heads: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.attn = Attention(width, heads, bias)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mixer(width, inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    """The picture cut into squares, each a token."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(Network):
    """Dosovitskiy et al. 2020, An image is worth 16 x 16 words.

    Args:
        patch: side of a token's square.
        tokens: how many squares there are.
        inner: width of the dense layers.
        heads: of the attention; the shapes of the weights do not tell it.
        token: whether a class token is read out; else the mean over all, behind the norm `fc_norm`.
    """

    def __init__(
        self,
        channels: int,
        patch: int,
        tokens: int,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        bias: bool,
        token: bool,
        classes: int,
    ) -> None:
        super().__init__()
        if width % heads or depth > BLOCKS:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.settings = {
            "channels": channels,
            "patch": patch,
            "tokens": tokens,
            "width": width,
            "depth": depth,
            "heads": heads,
            "inner": inner,
            "bias": bias,
            "token": token,
            "classes": classes,
        }
        if token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.token = token
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens + token, width))
        self.patch_embed = Patches(channels, width, patch)
        self.blocks = nn.Sequential(*(Layer(width, heads, inner, bias) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, EPSILON) if token else nn.Identity()
        self.fc_norm = nn.Identity() if token else nn.LayerNorm(width, EPSILON)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x)
        if self.token:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.pos_embed))
        return self.head(self.fc_norm(x[:, 0] if self.token else x.mean(1)))


@dataclass(frozen=True)
class ViT(AbstractArchitecture):
    """Patches as tokens, blocks of attention and dense layers, one token read out.

    How many heads there are is not in the file: 64 numbers a head are usual, other counts have
    names of their own.
    """

    make: ClassVar = VisionTransformer
    variants: ClassVar = {
        "vit": {},
        **{f"vit-{heads}-heads": {"heads": heads} for heads in (2, 3, 4, 6, 8, 12)},
    }
    hidden: ClassVar = ("heads",)

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        patches = shapes.get("patch_embed.proj.weight", ())
        places = shapes.get("pos_embed", ())
        if len(patches) != 4 or len(places) != 3 or min(*patches, *places) < 1:
            return None
        numbers = [re.match(r"blocks\.(\d{1,3})\.", name) for name in shapes]
        depth = max((int(found[1]) + 1 for found in numbers if found), default=0)
        width, channels, patch, _ = patches
        token = "cls_token" in shapes
        tokens = max(1, places[1] - token)
        inner = shapes.get("blocks.0.mlp.fc1.weight", (4 * width, width))
        head = shapes.get("head.weight", (1, width))
        settings = {
            "channels": channels,
            "patch": patch,
            "tokens": tokens,
            "width": width,
            "depth": min(depth, BLOCKS),
            "heads": max(1, width // HEAD) if width % max(1, width // HEAD) == 0 else 1,
            "inner": inner[0],
            "bias": "blocks.0.attn.qkv.bias" in shapes,
            "token": token,
            "classes": head[0],
        }
        side = math.isqrt(tokens) * patch
        return Plan(settings, (channels, side, side))
