"""How a network wants its inputs: what is done to values in [0, 1] before it sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from introspect.errors import BadInput

NUMBERS = 2**24


@dataclass(frozen=True, repr=False)
class Preprocessing:
    """Per channel: taken from the upper bound if inverted, less the mean, over the deviation.

    It is applied inside the classifier, so that an input, and a step ε, always mean the same.

    Attributes:
        mean, std: one value, or one for each channel as the network sees them.
        swapped: the channels reach the network in reverse order (blue, green, red).
        inverted: black and white are exchanged.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    swapped: bool = False
    inverted: bool = False

    @property
    def identity(self) -> bool:
        plain = all(v == 0 for v in self.mean) and all(v == 1 for v in self.std)
        return plain and not self.swapped and not self.inverted

    def __repr__(self) -> str:
        # part of every classifier's fingerprint, so what is not used must not show
        turned = [f", {word}=True" for word in ("swapped", "inverted") if getattr(self, word)]
        return f"Preprocessing(mean={self.mean}, std={self.std}{''.join(turned)})"

    def document(self) -> dict[str, Any]:
        """As JSON holds it: mean and std, and the rest where it is so."""
        turned = {word: True for word in ("swapped", "inverted") if getattr(self, word)}
        return {"mean": list(self.mean), "std": list(self.std), **turned}

    @classmethod
    def parse(cls, given: Any) -> Preprocessing:
        """From `{mean: [...], std: [...]}`, perhaps with `swapped` and `inverted`.

        Raises:
            BadInput: it is something else.
        """
        known = {"mean", "std", "swapped", "inverted"}
        if isinstance(given, Mapping) and {"mean", "std"} <= set(given) <= known:
            pair = [v if isinstance(v, list) else [v] for v in (given["mean"], given["std"])]
            turned = [given.get(word, False) for word in ("swapped", "inverted")]
            if all(1 <= len(v) <= NUMBERS and all(map(_is_number, v)) for v in pair) and all(
                type(v) is bool for v in turned
            ):
                return cls(tuple(map(float, pair[0])), tuple(map(float, pair[1])), *turned)
        raise BadInput('"preprocessing" must be {mean: [...], std: [...]}, one number a channel.')


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
