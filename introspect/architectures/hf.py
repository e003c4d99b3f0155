"""Picture classifiers of Hugging Face's transformers, by their kind: `hf:vit`, `hf:convnext`.

The sizes are those of the kind's own defaults, unless the name is followed by its changes:
`hf:vit,image_size=32,patch_size=4,hidden_size=192`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from introspect.architectures.base import AbstractArchitecture, Network, Plan, Shapes
from introspect.errors import BadInput

NUMBER = 2**20
LAYERS = 200
"""Each of them is made, so a million of them would never be done."""


def _library() -> Any:
    try:
        import transformers  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise BadInput(
            "Architectures of transformers need that package: pip install introspect[hf]."
        ) from error
    return transformers


class HuggingFaceNetwork(Network):
    """A classifier of transformers made from its configuration; no code of a file is run."""

    def __init__(self, kind: str, classes: int, changes: dict[str, int]) -> None:
        super().__init__()
        self.settings = {"kind": kind, "classes": classes, "changes": dict(changes)}
        made = _configured(kind, classes, changes)
        self.net = _library().AutoModelForImageClassification.from_config(
            made, trust_remote_code=False
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).logits


def _configured(kind: str, classes: int, changes: dict[str, int]) -> Any:
    transformers = _library()
    if kind not in transformers.CONFIG_MAPPING:
        raise BadInput(f'transformers has no kind of network called "{kind[:60]}".')
    made = transformers.AutoConfig.for_model(kind, num_labels=classes)
    for key, value in changes.items():
        # only whole numbers that the configuration already has: sizes, and nothing else
        most = LAYERS if re.search("layer|depth|block|stage", key) else NUMBER
        if type(getattr(made, key, None)) is not int or not 1 <= value <= most:
            raise BadInput(f'{kind} has no size called "{key[:60]}" that can be {value}.')
        setattr(made, key, value)
    return made


@dataclass(frozen=True)
class HuggingFace(AbstractArchitecture):
    """Wolf et al. 2020, Transformers: the classifiers of pictures among its kinds."""

    make: ClassVar = HuggingFaceNetwork

    def plan(self, shapes: Shapes, variant: str = "") -> Plan | None:
        if not variant:
            return None
        kind, *given = variant.split(",")
        try:
            changes = {key: int(value) for key, value in (one.split("=") for one in given)}
        except ValueError as error:
            raise BadInput(
                f"hf:{variant[:80]} is not a kind with sizes: give e.g. hf:vit,image_size=32."
            ) from error
        head = shapes.get("classifier.weight", (1000,))
        made = _configured(kind, head[0], changes)
        side = getattr(made, "image_size", 224)
        side = side if isinstance(side, int) else side[0]
        settings = {"kind": kind, "classes": head[0], "changes": changes}
        shape = (int(getattr(made, "num_channels", 3)), side, side)
        return Plan(settings, shape, {name: f"net.{name}" for name in shapes})
