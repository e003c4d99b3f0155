"""The noise constellation: where many spoilt copies of one sample land on the map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

import introspect.corruptions
from introspect.corruptions.base import AbstractCorruption
from introspect.corruptions.noise import Noise
from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress, discover
from introspect.samples import as_input

if TYPE_CHECKING:
    from introspect.atlas import Atlas

COPIES = 200
MOST = 100_000
EXAMPLES = 8
BATCH = 800


@dataclass(frozen=True, eq=False)
class Constellation:
    """Copies of one sample on the map, at every level of a corruption; all arrays are read-only.

    Letters: s levels, c copies, k classes, e examples. `clean` is the place of the sample as it is
    and `clean_outputs` its ŷ; `z` the places of the copies, `outputs` their ŷ. `sigma` is in the
    unit of the corruption; for noise the standard deviation in units of the input. Copy c is the
    same draw at every level. What ê(z) says of the copies is asked with `estimate_errors`: nothing
    that is drawn needs it, and it would add a tenth to the time.
    """

    x: Float32[np.ndarray, "*input"]
    corruption: str
    sigma: Float[np.ndarray, " s"]
    clean: Float32[np.ndarray, " 2"]
    clean_outputs: Float32[np.ndarray, " k"]
    z: Float32[np.ndarray, "s c 2"]
    outputs: Float32[np.ndarray, "s c k"]
    examples: Float32[np.ndarray, "s e *input"]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def source(self) -> int:
        """The class that the network gives the sample as it is."""
        return int(self.clean_outputs.argmax())

    @property
    def predicted(self) -> Int64[np.ndarray, "s c"]:
        """The class that the network gives every copy."""
        return self.outputs.argmax(2)

    @property
    def kept(self) -> Float[np.ndarray, " s"]:
        """Share of the copies that keep the class of the sample as it is, 0-1."""
        return (self.predicted == self.source).mean(1)

    @property
    def distance(self) -> Float[np.ndarray, "s c"]:
        """How far every copy went from the sample as it is, in units of the map."""
        return np.linalg.norm((self.z - self.clean).astype(np.float64), axis=2)

    @property
    def shift(self) -> Float[np.ndarray, " s"]:
        """Mean distance of the copies from the sample as it is, in units of the map."""
        return self.distance.mean(1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, as an npz file keeps it."""
        own = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return own | {
            "predicted": self.predicted,
            "kept": self.kept,
            "shift": self.shift,
            "corruption": np.array(self.corruption),
        }


def estimate_errors(atlas: Atlas, found: Constellation) -> Float32[np.ndarray, "s c"]:
    """ê(z) at the place of every copy: log10 of the expected ½‖y − ŷ‖²."""
    places = torch.from_numpy(found.z.reshape(-1, 2).copy()).to(atlas.engine.device)
    with torch.inference_mode():
        value = atlas.engine.map_estimator(places).cpu().numpy()
    return value.reshape(found.z.shape[:2])


def families() -> dict[str, AbstractCorruption]:
    """Every corruption by its file name, the paper's noise first."""
    found = {name: kind() for name, kind in discover(introspect.corruptions, "corrupt").items()}
    return {"noise": found.pop("noise"), **found}


def scatter(
    atlas: Atlas,
    x: Any,
    sigmas: Sequence[float] | Float[np.ndarray, " s"],
    copies: int = COPIES,
    seed: int = 0,
    clip: bool = False,
    on_batch: Progress | None = None,
    corruption: AbstractCorruption = Noise(),  # noqa: B008  (frozen and without settings)
) -> Constellation:
    """Where copies of one sample land when noise, or another corruption, is added.

        z_sc = encoder(h(x + σ_s n_c)),  n_c ~ N(0, I)            (Pardo et al. 2020, §3.4, fig. 5)

    Equal seeds draw equal noise for inputs of equal shape, whatever the atlas: two networks are
    compared on the same copies. A corruption that draws nothing makes one copy a level. At level
    0 a copy is the sample itself and is not run again.

    Args:
        x: one input, float32 `*input` in [0, 1], or what `as_input` takes.
        sigmas: levels in the unit of the corruption.
        clip: cut the copies to the classifier's bounds; the paper does not say, so it is off.
        on_batch: told (inputs placed, inputs in all); answering False stops.

    Raises:
        BadInput: x has the wrong size, NaN or an unknown range; a level that means nothing or makes
            the activations overflow; copies not from 1 to 100,000; the network is absent.
        Cancelled: `on_batch` answered False.
    """
    if not atlas.complete:
        raise BadInput("This atlas came without its network, so no copy can be placed on it.")
    if not 1 <= copies <= MOST:
        raise BadInput(f"{copies} copies cannot be scattered: choose from 1 to {MOST:,}.")
    levels = [float(level) for level in sigmas]
    start = _one(x, atlas.classifier.input_shape)
    corruption.check(levels, tuple(start.shape[1:]))
    copies = copies if corruption.random else 1
    bounds = atlas.classifier.bounds if clip else None
    examples: list[np.ndarray] = []
    rows = _spoil(start, levels, copies, seed, bounds, corruption, examples)
    above = np.array([level > 0 for level in levels])
    total, done = 1 + int(above.sum()) * copies, 0
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for batch in _gather(rows, BATCH):
        parts.append(_place(atlas, batch))
        done += len(batch)
        if on_batch is not None and on_batch(done, total) is False:
            raise Cancelled("The constellation was stopped.")
    # Row 0 is the sample as it is; at level 0 every copy is.
    places, answers = (np.concatenate(each) for each in zip(*parts, strict=True))
    z = np.tile(places[0], (len(levels), copies, 1))
    outputs = np.tile(answers[0], (len(levels), copies, 1))
    z[above] = places[1:].reshape(-1, copies, 2)
    outputs[above] = answers[1:].reshape(-1, copies, answers.shape[1])
    for level, row in zip(levels, z, strict=True):
        if not np.isfinite(row).all():
            raise BadInput(
                f"{corruption.title} of {level:g} makes the activations overflow: "
                "choose a smaller number."
            )
    return Constellation(
        x=start[0].numpy().copy(),
        corruption=type(corruption).__module__.rpartition(".")[2],
        sigma=np.array(levels),
        clean=places[0].copy(),
        clean_outputs=answers[0].copy(),
        z=z,
        outputs=outputs,
        examples=np.stack(examples),
    )


def answer(
    atlas: Atlas, sample: int | str, sigma: float, copies: int = COPIES, seed: int = 0
) -> dict[str, float]:
    """Share of noisy copies of a recorded sample that keep the class, and their mean shift.

    Args:
        sample: an id of the atlas, or such as `test:907`.

    Raises:
        BadInput: as `scatter`; no such sample, or the atlas came without its inputs.
    """
    row = atlas.points.row_of(sample)
    if atlas.kept is None:
        raise BadInput("This atlas came without its inputs, so there is nothing to add noise to.")
    found = scatter(atlas, atlas.inputs([row])[0], [sigma], copies, seed)
    return {"kept": float(found.kept[0]), "mean_shift": float(found.shift[0])}


def _one(x: Any, shape: tuple[int, ...]) -> Tensor:
    """One input as float32 `(1, *input)`; a tensor of the right form keeps its values."""
    ready = isinstance(x, Tensor) and x.dtype == torch.float32 and tuple(x.shape) == shape
    one = x[None].cpu() if ready else as_input(x, shape)
    if len(one) != 1:
        raise BadInput(f"A constellation is of one sample; here are {len(one)}.")
    if not torch.isfinite(one).all():
        raise BadInput("The input holds NaN or infinite values: clean it before placing it.")
    return one


def _spoil(
    start: Tensor,
    levels: Sequence[float],
    copies: int,
    seed: int,
    bounds: tuple[float, float] | None,
    corruption: AbstractCorruption,
    examples: list[np.ndarray],
) -> Iterator[Tensor]:
    """The sample as it is, then its copies at every level above 0; fills `examples` a level."""
    yield start
    spoilt = corruption.sweep(start.expand(copies, *start.shape[1:]), levels, seed)
    for level, batch in zip(levels, spoilt, strict=True):
        if bounds is not None:
            batch = batch.clamp(*bounds)
        examples.append(batch[:EXAMPLES].numpy().copy())
        if level > 0:
            yield batch


def _gather(pieces: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """The same rows in batches of `size` and up to a quarter more, however many a level has."""
    held: list[Tensor] = []
    for piece in pieces:
        for part in piece.split(max(1, size // 4)):
            held.append(part)
            if sum(map(len, held)) >= size:
                yield torch.cat(held)
                held = []
    if held:
        yield torch.cat(held)


@torch.inference_mode()
def _place(atlas: Atlas, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """z and outputs of rows: what `locate` says without its estimates, which cost as much again.

    The encoder begins with a linear layer, which is a sum over the recorded layers: each is added
    while it is warm, and h never lies in memory as a whole.
    """
    engine = atlas.engine
    tap, first = engine.tap, cast(nn.Linear, engine.encoder[0])
    parts = [first.weight[:, span].T for span in tap.spans.values()]
    short = first.bias.repeat(len(x), 1)

    def take(slot: int, activation: Tensor) -> None:
        short.addmm_(tap.reduce(slot, activation), parts[slot])

    logits = tap.run(x.to(engine.device), take)
    z, outputs = engine.encoder[1:](short), engine.classifier.link_outputs(logits)
    return z.cpu().numpy(), outputs.cpu().numpy()
