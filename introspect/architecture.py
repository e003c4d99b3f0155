"""Which network belongs to these weights? Every known one is tried on their names and shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from introspect import architectures
from introspect.architectures.base import AbstractArchitecture, Network, Plan, Shapes
from introspect.errors import BadInput, NewerFormat
from introspect.formats.layers import WEIGHTS
from introspect.plugin import discover

VERSION = 1
NUMBER = 2**24
SHOWN = 8
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Match:
    """How well one architecture fits a set of weights.

    Attributes:
        name: as `--arch` takes it.
        family: the file of `introspect.architectures` that makes it.
        settings: what the module is made with.
        input_shape: of one input, channels first.
        rename: names in the file to names in the module, where they differ.
        share: of all numbers in the file and the module, how many have a place.
        misfit: empty where every tensor fits, else one sentence naming the first that does not.
    """

    name: str
    family: str
    settings: Mapping[str, Any]
    input_shape: tuple[int, ...]
    rename: Mapping[str, str]
    share: float
    misfit: str

    @property
    def fits(self) -> bool:
        return not self.misfit


@cache
def families() -> dict[str, type[AbstractArchitecture]]:
    """The files of `introspect.architectures`, by name."""
    return discover(architectures, "plan")


def names() -> tuple[str, ...]:
    """Every name that `--arch` takes, but for those of other libraries."""
    return tuple(name for family in families().values() for name in family.variants)


def match(shapes: Shapes) -> tuple[Match, ...]:
    """The known architectures, best first; several fit where shapes leave something open.

    What stays open (the activation of a plain network, the heads of a transformer) only its
    accuracy on labelled data can tell.
    """
    found: list[Match] = []
    guessed: list[Mapping[str, Any]] = []
    for name, family in families().items():
        plain = family().plan(shapes)
        if plain is None:
            continue
        guessed.append(plain.settings)
        known = [one for one, fixed in family.variants.items() if _agree(family, plain, fixed)]
        for variant in known or [name]:
            plan, fixed = family().plan(shapes, variant), family.variants.get(variant, {})
            made = None if plan is None else _try(name, variant, plan, fixed, shapes)
            if made is not None and all(one.settings != made.settings for one in found):
                found.append(made)
    # of those that fit alike, what the family itself takes for likely comes first
    found.sort(key=lambda one: (not one.fits, -one.share, one.settings not in guessed))
    return tuple(one for one in found[:SHOWN] if 2 * one.share >= found[0].share)


def _agree(family: type[AbstractArchitecture], plan: Plan, fixed: Mapping[str, Any]) -> bool:
    """Whether what a name fixes is what the shapes tell, as far as they tell it."""
    told = {key: value for key, value in fixed.items() if key not in family.hidden}
    return all(plan.settings.get(key) == value for key, value in told.items())


def choose(name: str, shapes: Shapes) -> Match:
    """How well the architecture of this name fits.

    Raises:
        BadInput: there is none of this name, or these weights look nothing like it.
    """
    family, colon, rest = name.partition(":")
    fixed: Mapping[str, Any] = {}
    if family not in families() or (colon and families()[family].variants):
        family = next((key for key, one in families().items() if name in one.variants), "")
        if not family:
            raise BadInput(
                f'There is no architecture "{name[:60]}"; known are {", ".join(names())}, '
                "timm:NAME and hf:KIND."
            )
        fixed, rest = families()[family].variants[name], name
    plan = families()[family]().plan(shapes, rest)
    found = None if plan is None else _try(family, name, plan, fixed, shapes)
    if found is None:
        raise BadInput(
            f"The weights look nothing like {name}: their tensors are called "
            f"{', '.join(list(shapes)[:3])}, …"
        )
    return found


def _try(
    family: str, name: str, plan: Plan, fixed: Mapping[str, Any], shapes: Shapes
) -> Match | None:
    settings = {**plan.settings, **fixed}
    try:
        wanted = {
            key: tuple(place.shape) for key, place in build(family, settings).state_dict().items()
        }
    except BadInput:
        return None
    given = {plan.rename.get(key, key): (key, tuple(shape)) for key, shape in shapes.items()}
    fitting = sum(
        math.prod(shape) for key, shape in wanted.items() if key in given and given[key][1] == shape
    )
    total = max(
        sum(math.prod(shape) for shape in wanted.values()),
        sum(math.prod(shape) for _, shape in given.values()),
    )
    return Match(
        name,
        family,
        settings,
        plan.input_shape,
        {key: value for key, value in plan.rename.items() if key != value},
        fitting / max(1, total),
        _misfit(name, wanted, given),
    )


def _misfit(name: str, wanted: Shapes, given: Mapping[str, tuple[str, tuple[int, ...]]]) -> str:
    """What is the matter with the first tensor that has no place, and how many more there are."""
    told = []
    for key, shape in wanted.items():
        if key not in given and not key.endswith(COUNTER):
            told.append(f"the file has no {key} ({sides(shape)})")
        elif key in given and given[key][1] != shape:
            own, other = given[key]
            told.append(f"{own[:80]} is {sides(other)} where {name} has {sides(shape)}")
    for key, (own, shape) in given.items():
        if key not in wanted and not key.endswith(COUNTER):
            told.append(
                f"the file holds {own[:80]} ({sides(shape)}), for which {name} has no place"
            )
    if not told:
        return ""
    more = f", and {len(told) - 1:,} more tensors do not fit" if len(told) > 1 else ""
    return f"{told[0][0].upper()}{told[0][1:]}{more}."


def sides(shape: tuple[int, ...]) -> str:
    """A shape as people write it."""
    return " x ".join(map(str, shape)) or "one number"


def build(family: str, settings: Mapping[str, Any]) -> nn.Module:
    """The network of these settings, on the meta device: shapes without memory.

    Raises:
        BadInput: there is no such family, or its network cannot be made of the settings.
    """
    if family not in families():
        raise BadInput(f'There is no architecture "{family[:60]}" in this version of Introspect.')
    if not all(isinstance(key, str) and _is_setting(value) for key, value in settings.items()):
        raise BadInput("The architecture's settings are no numbers, words or lists of them.")
    try:
        with torch.device("meta"):
            module = families()[family].make(**settings)
    except BadInput:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or ["?"])[0][:200]
        raise BadInput(f"The architecture {family} cannot be made: {reason}.") from error
    count = sum(place.numel() for place in module.state_dict().values())
    if count > WEIGHTS:
        raise BadInput(f"The architecture has {count:,} weights; at most {WEIGHTS:,} are loaded.")
    return module


def _is_setting(value: Any, depth: int = 0) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 4096 and depth < 3 and all(_is_setting(v, depth + 1) for v in value)
    if isinstance(value, dict):
        return len(value) <= 64 and depth < 2 and all(_is_setting(v, 2) for v in value.values())
    if type(value) is int:
        return 0 <= value <= NUMBER
    return type(value) is bool or (
        isinstance(value, str) and re.fullmatch(r"[\w.-]{1,80}", value) is not None
    )


def describe(module: nn.Module) -> dict[str, Any] | None:
    """The document from which `read` makes this network again; None for networks not made here."""
    if not isinstance(module, Network) or module._forward_hooks or module._forward_pre_hooks:
        return None
    name = next(name for name, one in families().items() if one.make is type(module))
    return {
        "introspect": f"architecture/{VERSION}",
        "family": name,
        "settings": module.settings,
    }


def read(document: Mapping[str, Any]) -> nn.Module:
    """The network, on the meta device, that `describe` described.

    Raises:
        NewerFormat: a newer version wrote it.
        BadInput: the document is damaged.
    """
    _, _, version = str(document.get("introspect", "")).partition("/")
    if not version.isdigit():
        raise BadInput("The architecture's document is damaged.")
    if int(version) > VERSION:
        raise NewerFormat("The model was written by a newer version of Introspect; update it.")
    family, settings = document.get("family"), document.get("settings")
    if not isinstance(family, str) or not isinstance(settings, Mapping):
        raise BadInput("The architecture's document is damaged.")
    return build(family, settings)
