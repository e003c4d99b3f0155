"""Trajectories: where an attacked sample goes on the map, and when the network and we notice."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from introspect.atlas import Atlas
from introspect.attacks.base import AbstractAttack
from introspect.engine import Engine
from introspect.errors import BadInput, Cancelled
from introspect.estimator import features
from introspect.plugin import Progress
from introspect.samples import as_input

ROWS = 256
"""Activations that are held before encoder and estimators read them."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One sample walked towards T targets; t = steps + 1 points each, all arrays read-only.

    Point 0 is the clean sample (after its random start where the attack has one; `clean` is the
    sample itself). `source` is the class predicted for it, `label` the true one or -1. `z`,
    `outputs`, `log_error` and `log_error_map` are those of `Positions`, of every point. `linf` and
    `l2` are distances from `clean`; `stalled` is the share of input values whose gradient is
    exactly 0 (or no number) at that point, so that they do not move. The alarm sounds above
    `threshold`, in units of `log_error`.
    """

    clean: Float32[np.ndarray, "*input"]
    source: int
    label: int
    target: Int64[np.ndarray, " T"]
    x: Float32[np.ndarray, "T t *input"]
    z: Float32[np.ndarray, "T t 2"]
    outputs: Float32[np.ndarray, "T t k"]
    log_error: Float32[np.ndarray, "T t"]
    log_error_map: Float32[np.ndarray, "T t"]
    linf: Float32[np.ndarray, "T t"]
    l2: Float32[np.ndarray, "T t"]
    stalled: Float32[np.ndarray, "T t"]
    threshold: float
    attack: str
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def predicted(self) -> Int64[np.ndarray, "T t"]:
        """The class with the highest output at every point."""
        return self.outputs.argmax(2)

    @property
    def success_step(self) -> Int64[np.ndarray, " T"]:
        """First step at which the network says the target, -1 where it never does.

        The target that is the sample's own class is reached at step 0.
        """
        return first_true(self.predicted == self.target[:, None])

    @property
    def alarm_step(self) -> Int64[np.ndarray, " T"]:
        """First step whose log_error is above the threshold, -1 where none is."""
        return first_true(self.log_error > self.threshold)

    @property
    def stalled_step(self) -> Int64[np.ndarray, " T"]:
        """First step short of the target at which every gradient is 0, -1 where none is.

        The walk stands still there: the network is so sure of something else that float32 has no
        gradient left.
        """
        return first_true((self.stalled == 1) & (self.predicted != self.target[:, None]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything by name, as an npz file keeps it; numbers and words as arrays of no axis."""
        own = {
            name: np.array(value) if isinstance(value, (int, float, str)) else value
            for name, value in vars(self).items()
            if name != "settings"
        }
        steps = {"success_step": self.success_step, "alarm_step": self.alarm_step}
        return {**own, **steps, "settings": np.array(json.dumps(self.settings))}


class TraceCancelled(Cancelled):
    """The trace was stopped; `done` is the Trajectory of the steps made until then."""

    def __init__(self, done: Trajectory) -> None:
        super().__init__("The attack was stopped; the steps made until then are kept.")
        self.done = done


def trace(
    atlas: Atlas,
    x: Any,
    attack: AbstractAttack,
    targets: Sequence[int] | Int64[np.ndarray, " T"] | None = None,
    label: int = -1,
    threshold: float | None = None,
    on_step: Progress | None = None,
) -> Trajectory:
    """Attacks one sample towards several targets at once and follows every step on the map.

    Places and estimates come from the same forward passes that give the attack its gradients.

    Args:
        x: one input `*input`, as `atlas.locate` takes it.
        targets: class numbers; all k classes when left out. The sample's own class is allowed: it
            shows how the network is made surer.
        label: true class of the sample, -1 when unknown.
        threshold: log_error above which the alarm sounds; the atlas's (1 % false alarms on
            correctly classified validation samples) when left out.
        on_step: told (points done, points in all) after every step.

    Raises:
        BadInput: no such target, more than one input, a setting that does not fit, a network
            without gradients, or outputs that are not finite.
        TraceCancelled: `on_step` answered False; its `done` holds what was computed.
    """
    classifier = atlas.classifier
    clean = as_input(x, classifier.input_shape)
    if len(clean) != 1:
        raise BadInput(f"A trajectory starts from one input; got {len(clean)}.")
    target = find_targets(targets, len(atlas.classes))
    clean = clean.to(classifier.device)
    start = clean.expand(len(target), *clean.shape[1:]).contiguous()
    stopped = False
    with Witness(atlas.engine, len(start), attack.steps + 1, on_step) as witness:
        try:
            path = attack.path(witness, start, torch.from_numpy(target).to(classifier.device))
        except Cancelled:
            stopped, path = True, torch.stack(witness.points)
    seen = witness.answer(path)
    if not stopped and on_step is not None:
        on_step(len(path), len(path))
    if not np.isfinite(seen["outputs"]).all():
        step = int(np.flatnonzero(~np.isfinite(seen["outputs"]).all((0, 2)))[0])
        raise BadInput(f"The network's outputs are not finite from step {step} of the walk on.")
    if torch.equal(path[0, 0], clean[0]):
        source = int(seen["outputs"][0, 0].argmax())
    else:
        source = int(atlas.locate(clean).predicted[0])
    change = (path - clean).flatten(2)
    walk = Trajectory(
        clean=clean[0].cpu().numpy(),
        source=source,
        label=int(label),
        target=target,
        x=path.transpose(0, 1).cpu().numpy(),
        linf=torch.linalg.vector_norm(change, float("inf"), dim=2).T.cpu().numpy(),
        l2=torch.linalg.vector_norm(change, dim=2).T.cpu().numpy(),
        threshold=atlas.thresholds["log_error"] if threshold is None else float(threshold),
        attack=type(attack).__name__.lower(),
        settings=dataclasses.asdict(attack),  # pyright: ignore[reportArgumentType]
        **seen,
    )
    if stopped:
        raise TraceCancelled(walk)
    return walk


def find_targets(
    targets: Sequence[int] | Int64[np.ndarray, " T"] | None, k: int
) -> Int64[np.ndarray, " T"]:
    """The class numbers to aim at; all k when none are named.

    Raises:
        BadInput: a class that is not there, or an empty choice.
    """
    if targets is None:
        return np.arange(k)
    target = np.array(targets, np.int64).reshape(-1)
    if not len(target):
        raise BadInput("Choose at least one class to aim at.")
    for one in target:
        if not 0 <= one < k:
            raise BadInput(f"There is no class {one} to aim at: choose 0 to {k - 1}.")
    return target


LIGHT = 2e7
_narrowed = threading.Lock()
_threads = {"inside": 0, "before": 0}


@contextlib.contextmanager
def own_thread() -> Iterator[None]:
    """Runs torch on the calling thread alone while inside, and in threads begun meanwhile.

    What torch calls the number of threads belongs to the calling thread and is the start value of
    new ones, so all who leave put back what the first one found.
    """
    with _narrowed:
        if not _threads["inside"]:
            _threads["before"] = torch.get_num_threads()
        _threads["inside"] += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _narrowed:
            _threads["inside"] -= 1
            torch.set_num_threads(_threads["before"])


def is_light(module: nn.Module, rows: int) -> bool:
    """Whether a pass of so many rows is too little work to be shared between threads.

    Waking a second thread for a thin layer takes longer than the layer: Net1 at batch 10 needs two
    thirds of the time on one. Told by the size and not by the clock, so that the same walk rounds
    the same every time.
    """
    parameters = list(module.parameters())
    flat = all(one.dim() <= 2 and one.device.type == "cpu" for one in parameters)
    return flat and rows * sum(one.numel() for one in parameters) <= LIGHT


class Witness:
    """Stands in for the classifier while an attack runs, and remembers what passed through it.

    The activations of some steps are collected and read together: encoder and estimators cost
    little on hundreds of rows at once, and as much as the network itself on ten. Beside a light
    network, which leaves the other cores idle, a second thread reads them while the walk goes on.

    Args:
        rows: of every batch.
        total: points of the walk.
        on_step: told (points done, total).
    """

    def __init__(self, engine: Engine, rows: int, total: int, on_step: Progress | None) -> None:
        self.engine, self.total, self.on_step = engine, total, on_step
        self.bounds = engine.classifier.bounds
        self.link = engine.classifier.link
        self.link_outputs = engine.classifier.link_outputs
        self.points: list[Tensor] = []
        self._light = is_light(engine.classifier.module, rows)
        self._around = contextlib.ExitStack()
        self._aside: ThreadPoolExecutor | None = None
        self._slopes: list[Tensor] = []
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._read: list[Callable[[], tuple[Tensor, ...]]] = []

    def __enter__(self) -> Witness:
        if self._light:
            self._around.enter_context(own_thread())
            self._aside = self._around.enter_context(ThreadPoolExecutor(1))
        return self

    def __exit__(self, *error: object) -> None:
        self._aside = None
        self._around.close()

    def __call__(self, x: Float[Tensor, " b *input"]) -> Float[Tensor, "b k"]:
        """Logits of the classifier, differentiable.

        Raises:
            Cancelled: `on_step` answered False for the steps made until now.
        """
        _, logits = self._ask(x)
        if x.requires_grad:
            x.register_hook(self._hear)
        return logits

    def notice(self, x: Float[Tensor, " b *input"]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, ê(z) + ê(h) and the error of rebuilding, for an attacker who knows the atlas.

        Such an attacker asks for several gradients at a point, so `stalled` stays unknown.

        Raises:
            Cancelled: as when called.
        """
        h, logits = self._ask(x)
        engine = self.engine
        z = engine.encoder(h)
        told = engine.map_estimator(z) + engine.estimator(features(h, logits))
        return logits, told.squeeze(1), engine.strangeness.distance(h, z)

    def _ask(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.points and self.on_step is not None:
            if self.on_step(len(self.points), self.total) is False:
                raise Cancelled("The attack was stopped.")
        h, logits = self.engine.tap(x)
        self.points.append(x.detach().clone())  # the attack may go on in place
        self._waiting.append((h.detach(), logits.detach()))
        if len(self._waiting) * len(x) >= ROWS:
            self._flush()
        return h, logits

    def _hear(self, gradient: Tensor) -> None:
        self._slopes.append(gradient.clone())  # the attack takes its sign in place

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        slopes, self._slopes = self._slopes, []
        if self._aside is not None:
            self._read.append(self._aside.submit(self._look, waiting, slopes).result)
        else:
            found = self._look(waiting, slopes)
            self._read.append(lambda: found)

    @torch.inference_mode()
    def _look(
        self, waiting: list[tuple[Tensor, Tensor]], slopes: list[Tensor]
    ) -> tuple[Tensor, ...]:
        engine = self.engine
        h, logits = (torch.cat(parts) for parts in zip(*waiting, strict=True))
        z = engine.encoder(h)
        return (
            z,
            engine.classifier.link_outputs(logits),
            engine.estimator(features(h, logits)).squeeze(1),
            engine.map_estimator(z).squeeze(1),
            _count_moving(slopes, len(h) // len(waiting)),
        )

    def answer(self, path: Float[Tensor, "t b *input"]) -> dict[str, np.ndarray]:
        """The fields of a Trajectory that are known for every point of the finished path.

        An attack that asked the network otherwise than once at every point in order costs its
        points a second look, and leaves `stalled` unknown (NaN).
        """
        if self._waiting:
            self._flush()
        t, b = path.shape[:2]
        stalled = np.full((b, t), np.nan, np.float32)
        names = ("z", "outputs", "log_error", "log_error_map")
        if len(self.points) != t or not torch.equal(torch.stack(self.points), path):
            found = self.engine.locate(path.flatten(0, 1))
            seen = {name: getattr(found, name) for name in names}
        else:
            read = [look() for look in self._read]
            *parts, moving = (torch.cat(part).cpu() for part in zip(*read, strict=True))
            seen = {name: part.numpy() for name, part in zip(names, parts, strict=True)}
            moving = torch.cat([moving, _count_moving(self._slopes, b).cpu()])[:t]
            stalled[:, : len(moving)] = 1 - moving.T.numpy() / path[0, 0].numel()
        seen = {
            name: np.ascontiguousarray(value.reshape(t, b, *value.shape[1:]).swapaxes(0, 1))
            for name, value in seen.items()
        }
        return {**seen, "stalled": stalled}


def _count_moving(slopes: list[Tensor], rows: int) -> Int64[Tensor, "s b"]:
    """How many values of every row have a gradient to follow; not `!= 0`: sign(NaN) is 0 too."""
    if not slopes:
        return torch.zeros(0, rows, dtype=torch.int64)
    return (torch.stack(slopes).abs() > 0).flatten(2).sum(2)


def first_true(there: np.ndarray) -> Int64[np.ndarray, " T"]:
    """Place of the first True of every row, -1 where there is none."""
    return np.where(there.any(1), there.argmax(1), -1)
