"""The network under study: our own frozen copy, its layers, and how its outputs are read."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import re
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from introspect.activation import Layer, device_of, find_layers, first_line, first_tensor
from introspect.errors import BadInput
from introspect.formats.blueprint import Reading, read_blueprint, write_blueprint
from introspect.formats.safetensors import read_tensors
from introspect.preprocessing import Preprocessing

LINKS = ("sigmoid", "softmax", "probabilities")


@dataclass(frozen=True, eq=False)
class Classifier:
    """A frozen network from inputs in [0, 1] to class scores; make it with `Classifier.of`."""

    module: nn.Module
    layers: tuple[Layer, ...]
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    bounds: tuple[float, float]
    preprocessing: Preprocessing
    link: str
    fingerprint: str
    lock: AbstractContextManager = field(default_factory=threading.RLock, repr=False)
    device: torch.device = field(init=False)
    _shift: tuple[torch.Tensor, torch.Tensor] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        # Kept, because looking it up walks the module tree: dear for a single picture.
        object.__setattr__(self, "device", device_of(self.module))
        if not self.preprocessing.identity:
            tall = (-1,) + (1,) * (len(self.input_shape) - 1)
            mean = torch.tensor(self.preprocessing.mean, device=self.device).reshape(tall)
            std = torch.tensor(self.preprocessing.std, device=self.device).reshape(tall)
            if self.preprocessing.inverted:
                # (low + high - x - mean) / std, in the two operations that are done anyway
                mean, std = sum(self.bounds) - mean, -std
            object.__setattr__(self, "_shift", (mean, std))

    @classmethod
    def of(
        cls,
        module: nn.Module,
        *,
        input_shape: Sequence[int],
        classes: Sequence[str] | None = None,
        link: str = "auto",
        preprocessing: Preprocessing | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> Classifier:
        """Studies a deep copy of a live module; the module itself stays exactly as it was.

        Args:
            module: maps float32 `(m, *input_shape)` to `(m, k)`, or to a tuple or dict holding
                that; one output column means two classes.
            input_shape: one input, without the batch, channels first.
            classes: names of the k classes; "0", "1", … when left out.
            link: how outputs become shares. "auto" says "probabilities" when the network ends in a
                sigmoid or softmax (or its rows are shares that sum to one), else "softmax": give
                "sigmoid" for a network trained on raw logits with a sigmoid in the loss.
            preprocessing: subtracted and divided inside the classifier, per channel.
            bounds: smallest and largest allowed input value.

        Raises:
            BadInput: the module cannot be copied or run, holds NaN, does not give one row of class
                scores an input, or answers differently alone and in a batch.
        """
        own = _copied(module)
        shape = tuple(int(side) for side in input_shape)
        if not shape or min(shape) < 1:
            raise BadInput(f"The input shape {shape} is empty; give e.g. (1, 28, 28).")
        preprocessing = _fitting(preprocessing or Preprocessing(), shape)
        if link not in ("auto", *LINKS):
            raise BadInput(
                f'The link "{link}" is unknown; use auto, sigmoid, softmax or probabilities.'
            )
        low, high = float(bounds[0]), float(bounds[1])
        if not low < high:
            raise BadInput(f"The bounds {bounds} are not a smaller and a larger number.")
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            layers, width, shares = find_layers(own, shape)
        if link == "auto":
            link = "probabilities" if shares else "softmax"
        names = tuple(str(name) for name in classes) if classes else tuple(map(str, range(width)))
        if len(names) != width:
            raise BadInput(
                f"{len(names)} class names were given but the network has {width} classes."
            )
        return cls(
            module=own,
            layers=layers,
            classes=names,
            input_shape=shape,
            bounds=(low, high),
            preprocessing=preprocessing,
            link=link,
            fingerprint=_fingerprint(own, layers, shape, preprocessing, link),
        )

    def __call__(self, x: Float[torch.Tensor, " m *input"]) -> Float[torch.Tensor, "m k"]:
        """Logits, differentiable with respect to x; shares with link "probabilities".

        A network of one output o has two classes, read as (-o/2, o/2) for softmax, (-o, o) for
        sigmoid and (1-o, o) for probabilities: all three say the same share σ(o), or o.

        Args:
            x: in [0, 1]; the preprocessing happens in here.
        """
        return self.logits_of(self.module(self.prepare(x)))

    def outputs(self, x: Float[torch.Tensor, " m *input"]) -> Float[torch.Tensor, "m k"]:
        """ŷ: what the network says, after the link."""
        return self.link_outputs(self(x))

    def link_outputs(self, logits: Float[torch.Tensor, "m k"]) -> Float[torch.Tensor, "m k"]:
        """ŷ of given logits."""
        if self.link == "sigmoid":
            return torch.sigmoid(logits)
        return torch.softmax(logits, 1) if self.link == "softmax" else logits

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """What the module itself is fed: float32 on its device, preprocessed.

        Raises:
            BadInput: x is not a batch of floating-point inputs of the right shape.
        """
        if x.shape[1:] != self.input_shape or x.dim() != len(self.input_shape) + 1:
            raise BadInput(
                f"The network takes inputs of shape {self.input_shape} in a batch; "
                f"got {tuple(x.shape)}."
            )
        if not x.is_floating_point():
            raise BadInput(
                f"The network takes float32 in [0, 1]; got {x.dtype}: divide by 255 first."
            )
        x = x.to(self.device, torch.float32)
        if self._shift is None:
            return x
        if self.preprocessing.swapped:
            x = x.flip(1)
        return (x - self._shift[0]) / self._shift[1]

    def logits_of(self, output: Any) -> torch.Tensor:
        """The `m k` logits inside what the module returned."""
        found = output if type(output) is torch.Tensor else first_tensor(output)
        assert found is not None  # the probe in `of` made sure
        if found.shape[1] != 1:
            return found
        if self.link == "probabilities":
            return torch.cat([1 - found, found], 1)
        half = found if self.link == "sigmoid" else found / 2
        return torch.cat([-half, half], 1)

    def to(self, device: str | torch.device) -> Classifier:
        """The same classifier on another device; this one stays where it is."""
        target = torch.device(device)
        if target.type == self.device.type and target.index in (None, self.device.index):
            return self
        return dataclasses.replace(
            self, module=copy.deepcopy(self.module).to(target), lock=threading.RLock()
        )


def _copied(module: nn.Module) -> nn.Module:
    """A copy of our own: unwrapped, float32, evaluation mode, nothing in place, frozen weights."""
    if not isinstance(module, nn.Module):
        raise BadInput(f"A classifier is made of a torch.nn.Module; got {type(module).__name__}.")
    if type(module).__name__ == "OptimizedModule":
        module = module._orig_mod  # type: ignore[assignment]  # torch.compile's wrapper
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        module = module.module
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(tensor, nn.parameter.UninitializedParameter) or tensor.is_meta:
            raise BadInput(
                f'The weights "{name}" have no values yet; run or load the network first.'
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            what = "NaN" if torch.isnan(tensor).any() else "infinite values"
            raise BadInput(
                f'The weights "{name}" contain {what}; the training went wrong or the file '
                "is damaged."
            )
    try:
        # Weights made under inference mode could never take part in a gradient of the input.
        with torch.inference_mode(False):
            own = copy.deepcopy(module)
    except Exception as error:
        raise BadInput(f"The network cannot be copied ({first_line(error)}).") from error
    for part in own.modules():
        # In place saves memory in training; here it would overwrite what is to be recorded.
        if getattr(part, "inplace", None) is True:
            setattr(part, "inplace", False)  # noqa: B010  (nn.Module types it as a module)
    return own.float().eval().requires_grad_(False)


def _fitting(preprocessing: Preprocessing, shape: tuple[int, ...]) -> Preprocessing:
    mean = tuple(float(v) for v in preprocessing.mean)
    std = tuple(float(v) for v in preprocessing.std)
    for what, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, shape[0]) or not all(math.isfinite(v) for v in values):
            raise BadInput(
                f"The preprocessing's {what} needs 1 or {shape[0]} finite numbers; got {values}."
            )
    if min(std) <= 0:
        raise BadInput(f"The preprocessing's std must be above 0; got {std}.")
    if preprocessing.swapped and (len(shape) != 3 or shape[0] != 3):
        raise BadInput("Only pictures of three channels can have their channels swapped.")
    return dataclasses.replace(preprocessing, mean=mean, std=std)


def _fingerprint(
    module: nn.Module,
    layers: tuple[Layer, ...],
    shape: tuple[int, ...],
    preprocessing: Preprocessing,
    link: str,
) -> str:
    """sha256 over what decides the outputs: structure, settings, weights, how they are read."""
    digest = hashlib.sha256()
    # Some modules print functions with their address, which differs from process to process.
    structure = re.sub(r"0x[0-9a-fA-F]+", "", repr(module))
    digest.update(repr((structure, layers, shape, preprocessing, link)).encode())
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            tensor = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def load_classifier(
    file: str | Path,
    layers: str | Path | dict[str, Any] | None = None,
    *,
    input_shape: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    link: str | None = None,
    preprocessing: Preprocessing | None = None,
    bounds: tuple[float, float] | None = None,
) -> Classifier:
    """A classifier from a weights file and its layer list; nothing in either is ever executed.

    Args:
        file: safetensors with the names of an `nn.Sequential` ("0.weight"), or a folder written by
            `save_classifier`.
        layers: the layer list (YAML or JSON file, or the parsed document); when left out, a file
            of the same stem, else `layers.yaml`, beside the weights.
        input_shape, classes, link, preprocessing, bounds: replace what the layer list says.

    Raises:
        BadInput: naming the first tensor that is missing, unexpected, of the wrong shape or NaN.
    """
    path = Path(file)
    if path.is_dir():
        document: Any = path / "graph.json"
        path = path / "model.safetensors"
    else:
        document = layers if layers is not None else _beside(path)
    blueprint = read_blueprint(document)
    module = blueprint.make(read_tensors(path))
    told = blueprint.reading
    return Classifier.of(
        module,
        input_shape=input_shape or told.input_shape,
        classes=classes or told.classes,
        link=link or told.link,
        preprocessing=preprocessing or told.preprocessing,
        bounds=bounds or told.bounds,
    )


def _beside(path: Path) -> Path:
    names = [path.stem + end for end in (".yaml", ".yml", ".json")] + ["layers.yaml", "graph.json"]
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise BadInput(
        f"{path.name} holds weights only; give its layer list too (a YAML or JSON file)."
    )


def save_classifier(classifier: Classifier, folder: str | Path) -> bool:
    """Writes graph.json and model.safetensors; False, and nothing, where that cannot say all.

    What can be written: an `nn.Sequential` of listed layers, none used twice; a network of
    `introspect.architectures`; and one that was read from another format as a graph.
    """
    given = classifier.preprocessing
    reading = Reading(
        input_shape=classifier.input_shape,
        classes=classifier.classes,
        link=classifier.link,
        preprocessing=None if given.identity else given,
        bounds=classifier.bounds,
    )
    return write_blueprint(classifier.module, reading, Path(folder))


def read_classifier(folder: str | Path) -> Classifier:
    """The classifier that `save_classifier` wrote; safe for folders of unknown origin.

    Raises:
        BadInput: a file is missing, damaged, or does not fit the other.
    """
    folder = Path(folder)
    return load_classifier(folder / "model.safetensors", folder / "graph.json")
