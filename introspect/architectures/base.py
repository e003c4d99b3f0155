"""What every architecture offers: `plan(shapes)` tells its sizes from the shapes of the weights."""

from __future__ import annotations

import abc
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from introspect.intake import natural

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor to its shape, as the header of a weights file tells them."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}


class Network(nn.Module):
    """A module that remembers what it was made with, so that a document can say it again."""

    settings: dict[str, Any]

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.settings.items())


@dataclass(frozen=True)
class Plan:
    """The sizes of one network.

    Attributes:
        settings: what its module is made with; numbers, words, and lists of them.
        input_shape: of one input, channels first; conv nets with a global mean take others too.
        rename: name of a tensor in the file to its name in the module, where they differ.
    """

    settings: Mapping[str, Any]
    input_shape: tuple[int, ...]
    rename: Mapping[str, str] = field(default_factory=dict)


class AbstractArchitecture(abc.ABC):
    """A family of networks that differ in their sizes.

    `make` builds one from the settings of a plan. `variants` are the names by which people know
    some of them, each with the settings that the name fixes; the first that agrees with a file is
    proposed first. `hidden` are settings that no shape tells, such as the activation.
    """

    make: ClassVar[Callable[..., nn.Module]]
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    hidden: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        """The sizes that fit these weights best; None where nothing in them looks like it.

        Args:
            variant: what follows the colon in names such as `timm:resnet18`.
        """


@dataclass(frozen=True)
class Part:
    """One layer's tensors in a file: its name, its weight's shape, whether it has a bias."""

    name: str
    shape: tuple[int, ...]
    bias: bool

    def names(self, new: str, norm: bool = False) -> dict[str, str]:
        """Old to new names of its tensors."""
        leaves = ["weight", *(["bias"] if self.bias else [])]
        leaves += ["running_mean", "running_var", "num_batches_tracked"] if norm else []
        return {f"{self.name}.{leaf}": f"{new}.{leaf}" for leaf in leaves}


@dataclass(frozen=True)
class Parts:
    """Layers of a file by kind, each in natural order of their names."""

    convs: tuple[Part, ...]
    denses: tuple[Part, ...]
    norms: tuple[Part, ...]


def find_parts(shapes: Shapes) -> Parts:
    """Convolutions (4-D weights), dense layers (2-D) and batch norms (with running means)."""
    found: dict[int, list[Part]] = {4: [], 2: [], 1: []}
    for name, shape in shapes.items():
        owner, _, leaf = name.rpartition(".")
        if leaf != "weight" or len(shape) not in found or min(shape, default=0) < 1:
            continue
        if len(shape) == 1 and f"{owner}.running_mean" not in shapes:
            continue
        found[len(shape)].append(Part(owner, tuple(shape), f"{owner}.bias" in shapes))
    ordered = [tuple(sorted(found[n], key=lambda part: natural(part.name))) for n in (4, 2, 1)]
    return Parts(*ordered)


CHAIN = 200
TRIES = 20_000


def chained(parts: Iterable[Part]) -> tuple[Part, ...] | None:
    """The layers in an order in which each takes what the one before gives; names decide ties.

    The order of the names where there is no such order (or none is found soon), so that a misfit
    can be named; None where there are no layers, or too many.
    """
    parts = tuple(parts)
    if not 0 < len(parts) <= CHAIN:
        return None
    tries = 0

    def extend(chain: list[Part], left: list[Part]) -> list[Part] | None:
        nonlocal tries
        tries += 1
        if not left or tries > TRIES:
            return chain if not left else None
        for at, part in enumerate(left):
            if not chain or part.shape[1] == chain[-1].shape[0]:
                found = extend([*chain, part], left[:at] + left[at + 1 :])
                if found is not None:
                    return found
        return None

    found = extend([], list(parts))
    return parts if found is None else tuple(found)


def flat_input(width: int) -> tuple[int, ...]:
    """The picture that a row of this many numbers may be: grey or colour and square, else a row."""
    for channels in (1, 3):
        side = math.isqrt(width // channels)
        if side >= 8 and channels * side * side == width:
            return (channels, side, side)
    return (width,)


def alike(parts: Iterable[Part]) -> bool:
    """Whether all of them have a bias or none has, as a plain list of sizes can say."""
    return len({part.bias for part in parts}) <= 1


def pauses(convs: Sequence[Part], norm: bool) -> list[bool] | None:
    """Behind which convolutions a numbered list, such as torchvision's `features.N`, pools.

    There a number is skipped beyond convolution, norm and activation; behind the last one nothing
    can be told. None where the names carry no numbers.
    """
    numbers = [re.search(r"\.(\d{1,4})$", part.name) for part in convs]
    found = [int(number[1]) for number in numbers if number is not None]
    if len(found) < len(convs):
        return None
    usual = 3 if norm else 2
    return [later - earlier > usual for earlier, later in zip(found, found[1:], strict=False)]
