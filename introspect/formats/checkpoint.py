"""PyTorch checkpoints and safetensors of unknown origin; to be read in the quarantine child only.

`torch.load(weights_only=True)` builds tensors and plain containers and refuses everything else;
what it gives is unwrapped, renamed and checked until it is one flat set of weights.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from introspect.errors import BadInput
from introspect.formats.canonical import Canonical
from introspect.formats.members import MEMBERS, check_list
from introspect.formats.pickled import strange_globals, tell_strange
from introspect.formats.safetensors import TENSORS, read_tensors

WEIGHTS_BYTES = 4 << 30
LEGACY_BYTES = 2 << 30
NAME = 300
DEPTH = 4
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "classifier_model.")
"""What wrappers put before every name: DataParallel, torch.compile, Lightning modules."""

_ASIDE = re.compile("optim|sched|hyper|callback|loop|scaler|metric|args|config|rng|loss", re.I)
_AVERAGED = re.compile("ema|averag|swa", re.I)
_PLAIN = (torch.float32, torch.float64)


def read_weights(path: Path) -> Canonical:
    """The tensors of a safetensors file.

    Raises:
        BadInput: as `read_tensors`, or the weights cannot be those of a network.
    """
    return _tidy(read_tensors(path), [], path.name)


def read_checkpoint(path: Path) -> Canonical:
    """The weights in a `.pt`, `.pth`, `.ckpt` or `.th` file that `torch.save` wrote.

    Raises:
        BadInput: the file holds more than weights (a whole model, a script, settings that are
            Python objects), is damaged, compressed, or larger inside than outside.
    """
    zipped = _check_container(path)
    try:
        # Positions of a stored zip are mapped, so the file is in memory once.
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        raise
    except Exception as error:
        if "allocate memory" in str(error):
            raise
        strange = strange_globals(path)
        if strange:
            raise BadInput(tell_strange(path.name, strange)) from None
        raise BadInput(f"{path.name} is damaged: save the checkpoint again.") from None
    state, notes = unwrap(loaded, path.name)
    return _tidy(state, notes, path.name)


def _check_container(path: Path) -> bool:
    """Whether the file is a zip, as torch writes since 1.6, after a look at its directory alone."""
    name, size = path.name, path.stat().st_size
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    if not zipped:
        if tarfile.is_tarfile(path):
            raise BadInput(f"{name} is a tar archive, as torch wrote before 2018: save it again.")
        if size > LEGACY_BYTES:
            raise BadInput(f"{name} is too large for the old format: save it again with torch.")
        return False
    try:
        check_list(path)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{name} is a damaged zip: copy or save it again.") from error
    inside = [member.filename for member in members]
    if len(members) > MEMBERS:
        raise BadInput(f"{name} holds {len(members):,} members; at most {MEMBERS:,} are read.")
    if len(set(inside)) < len(inside):
        raise BadInput(f"{name} holds two members of one name: save it again with torch.save.")
    if any(".." in one.split("/") or one.startswith("/") or "\\" in one for one in inside):
        raise BadInput(f"{name} holds names that lead out of it: save it again with torch.save.")
    if any("/code/" in f"/{one}" or one.endswith("constants.pkl") for one in inside):
        raise BadInput(
            f"{name} is a TorchScript archive, which is a program and hides its layers: on your "
            f"own machine run: introspect export --torchscript {_quoted(name)}"
        )
    if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 0x1 for m in members):
        raise BadInput(
            f"{name} is compressed inside, which torch.save never does: save it again with "
            "torch.save(model.state_dict(), 'weights.pt')."
        )
    if sum(member.file_size for member in members) > 1.01 * size + (1 << 20):
        raise BadInput(f"{name} claims to hold more than its own size: save it again.")
    if not any(one.endswith("data.pkl") for one in inside):
        raise BadInput(f"{name} is a zip, but not one that torch.save wrote.")
    return True


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else "file.pt"


def unwrap(loaded: Any, name: str) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The weights inside what `torch.load` gave, without wrappers and prefixes; and what was done.

    Of several sets the averaged one (EMA) is taken if it is as large, else the largest.

    Raises:
        BadInput: there are no named tensors in it.
    """
    if isinstance(loaded, torch.Tensor):
        raise BadInput(f"{name} holds one tensor, no weights of a network: is it data?")
    if not isinstance(loaded, Mapping):
        raise BadInput(
            f"{name} holds a {type(loaded).__name__}, no named weights: save "
            "torch.save(model.state_dict(), 'weights.pt')."
        )
    sets = list(_sets(loaded, ()))
    if not sets:
        raise BadInput(
            f"{name} holds no named weights: save torch.save(model.state_dict(), 'weights.pt')."
        )
    sizes = [sum(tensor.numel() for tensor in state.values()) for _, state in sets]
    large = [found for found, size in zip(sets, sizes, strict=True) if 2 * size >= max(sizes)]
    averaged = [found for found in large if any(_AVERAGED.search(step) for step in found[0])]
    plain = [found for found in large if found[0] == ()]
    where, state = (averaged or plain or large)[0]
    notes = [f"The weights were found under {shown_name('.'.join(where))}."] if where else []
    others = [".".join(step) or "the top" for step, _ in large if step != where]
    if others:
        kind = "averaged weights (EMA)" if averaged else "first set of weights"
        told = shown_name(", ".join(others[:4]))
        notes.append(f"The file holds several; the {kind} were taken, not {told}.")
    return _strip(state, notes), notes


def _sets(found: Mapping[Any, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple, dict]]:
    """Every dict of named tensors in it, outermost first; optimisers and settings left aside."""
    own = {
        key: value
        for key, value in found.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if any(value.dim() > 1 for value in own.values()):
        yield where, own
    if len(where) == DEPTH:
        return
    for key, value in found.items():
        if isinstance(key, str) and isinstance(value, Mapping) and not _ASIDE.search(key):
            yield from _sets(value, (*where, key[:60]))


def _strip(state: dict[str, torch.Tensor], notes: list[str]) -> dict[str, torch.Tensor]:
    """Without the prefixes of wrappers; of other names one in ten may be left out (losses, …)."""
    while True:
        counts = {one: sum(key.startswith(one) for key in state) for one in PREFIXES}
        prefix = max(counts, key=lambda one: counts[one])
        left = [key for key in state if not key.startswith(prefix)]
        few = 10 * len(left) <= len(state) or all(state[key].dim() == 0 for key in left)
        if counts[prefix] == 0 or not few:
            return state
        inner = {
            key.removeprefix(prefix): value
            for key, value in state.items()
            if key.startswith(prefix)
        }
        notes.append(f'The prefix "{prefix}" was taken off the names.')
        if left:
            notes.append(f"Left out, as it lies outside: {shown_name(', '.join(left[:4]))}.")
        state = inner


def shown_name(name: str) -> str:
    """A name of a tensor as it may stand in a sentence: short, and nothing but printable."""
    return name[:80].encode("unicode_escape").decode("ascii")


def _tidy(state: Mapping[str, Any], notes: list[str], file: str) -> Canonical:
    """Checked tensors with bytes of their own.

    Raises:
        BadInput: too many, misnamed, sparse, complex, larger than the file's bytes, or not finite.
    """
    if len(state) > TENSORS:
        raise BadInput(f"{file} lists {len(state):,} tensors; at most {TENSORS:,} are read.")
    tidy: dict[str, torch.Tensor] = {}
    kept: set[int] = set()
    total, kinds, quantised = 0, set(), 0
    for name, tensor in state.items():
        shown = f'The tensor "{shown_name(name)}" in {file}'
        if not 0 < len(name) <= NAME or not name.isprintable():
            raise BadInput(f"{shown} has an impossible name: save the weights again.")
        if tensor.is_quantized:
            tensor, quantised = tensor.dequantize(), quantised + 1
        if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_meta:
            raise BadInput(f"{shown} is sparse, complex or without values: save it dense and real.")
        size = tensor.numel() * tensor.element_size()
        total += size
        if size > tensor.untyped_storage().nbytes() or total > WEIGHTS_BYTES:
            raise BadInput(
                f"{shown} claims more numbers than there is room for: save the weights again with "
                "torch.save(model.state_dict(), 'weights.pt')."
            )
        tensor = tensor.detach()
        place = tensor.untyped_storage().data_ptr()
        if not tensor.is_contiguous() or place in kept:
            tensor = tensor.contiguous().clone()
        kept.add(place)
        if tensor.is_floating_point():
            kinds.add(tensor.dtype)
            # float8 knows no isfinite
            values = tensor.float() if tensor.element_size() == 1 else tensor
            if not torch.isfinite(values).all():
                raise BadInput(f"{shown} contains NaN or infinite values; train or export again.")
        tidy[name] = tensor
    if not any(tensor.dim() > 1 for tensor in tidy.values()):
        raise BadInput(f"{file} holds no matrix or filter, so it is no network's weights.")
    narrow = sorted(str(kind).removeprefix("torch.") for kind in kinds if kind not in _PLAIN)
    if narrow:
        notes.append(f"The weights are {' and '.join(narrow)}; they are computed with as float32.")
    if quantised:
        notes.append(f"{quantised} quantised tensors were turned back into float32.")
    return Canonical(tidy, None, tuple(notes))
