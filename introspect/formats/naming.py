"""Names of values and layers: those of the file, made harmless and unlike each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LONGEST = 120


def harmless(name: str) -> str:
    """The name with everything but letters, digits and a few signs replaced."""
    return re.sub(r"[^A-Za-z0-9_./#@-]", "_", name)[:LONGEST]


class Names:
    """Gives every name of a file one of our own, always the same one, no two alike."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._taken: set[str] = set()

    def __getitem__(self, name: str) -> str:
        found = self._known.get(name)
        if found is None:
            if not isinstance(name, str):
                raise ValueError("name")
            found = plain = harmless(name) or "_"
            turn = 1
            while found in self._taken:
                turn += 1
                found = f"{plain}-{turn}"
            self._known[name] = found
            self._taken.add(found)
        return found


def layer_paths(modules: Sequence[tuple[str, str]], tensors: Iterable[str]) -> list[str]:
    """Path of each operation's module, with ":" behind where it is more than one operation.

    A module of torch's without children is its operation: its name is the layer's name. Elsewhere,
    and where an own module calls a function, the operation's word is to be added. This is how a
    live module's layers are named too.

    Args:
        modules: path and type of the innermost module of each operation.
        tensors: names of the weights, which tell of modules that hold others.
    """
    inner = set()
    for path in {path for path, _ in modules} | {t.rpartition(".")[0] for t in tensors}:
        while path:
            path = path.rpartition(".")[0]
            inner.add(path)
    holders = {name.rpartition(".")[0] for name in tensors}
    found = []
    for path, kind in modules:
        own = kind.startswith("torch.nn.modules") or not kind
        leaf = path and path not in inner and (own or path not in holders)
        found.append(harmless(path) if leaf else harmless(path) + ":")
    return found
