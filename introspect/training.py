"""The one training loop: sample models, projectors and estimators learn here, on CPU and GPU."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from introspect.errors import BadInput, Cancelled
from introspect.plugin import Progress
from introspect.store import write_file

Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    `one_cycle` climbs to `peak` over the first `warm` share of the steps and falls to zero along a
    cosine (Smith & Topin 2017); `triangular` is the paper's cyclic rate, from 0 to `peak` and back
    once a `cycle`, the peak multiplied by `decay` after each (Pardo et al. 2020, section 2.6).
    """

    kind: str = "one_cycle"
    peak: float = 2e-3
    warm: float = 0.2
    cycle: int = 3000
    decay: float = 1.0

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) out of `steps`."""
        if self.kind == "triangular":
            number, place = divmod(step, self.cycle)
            return self.peak * self.decay**number * (1 - abs(2 * place / self.cycle - 1))
        if self.kind != "one_cycle":
            raise BadInput(f"There is no schedule '{self.kind}': use one_cycle or triangular.")
        rise = max(1, round(self.warm * steps))
        if step < rise:
            return self.peak * (step + 1) / rise
        fall = torch.tensor((step - rise) / max(1, steps - rise) * torch.pi)
        return float(self.peak * (1 + torch.cos(fall)) / 2)


@dataclass(frozen=True)
class History:
    """What a training left behind: mean loss per epoch, steps taken, seconds spent."""

    losses: tuple[float, ...]
    steps: int
    seconds: float


def train(
    module: nn.Module,
    rows: tuple[Tensor, ...],
    loss: Loss,
    *,
    epochs: float,
    batch: int,
    schedule: Schedule,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_step: Progress | None = None,
    decay: float = 0.0,
    look: Callable[[int], None] | None = None,
    look_every: int = 1000,
    checkpoint: Path | None = None,
    every: float = 10.0,
) -> History:
    """Trains `module` in place with AdamW on whole, shuffled batches of `rows`.

    The same seed gives the same weights, also across a kill: the checkpoint holds weights,
    optimiser, step and the random state, and a call that finds it continues where it stood.

    Args:
        module: trained in place; left in eval mode on the device it was trained on.
        rows: tensors with the same first length n; kept on the device, cast to float32 per batch
            when they are float16.
        loss: called as `loss(module, *rows_of_the_batch)`, gives a scalar.
        epochs: passes over the rows; fractions are allowed.
        on_step: called about twice a second and at the end with (steps done, steps in all).
        decay: weight decay, decoupled from the gradient (Loshchilov & Hutter 2019).
        look: called with the step number after every `look_every` steps, the module in eval mode.
        checkpoint: file for resuming; removed by the caller when the work is finished.
        every: seconds between two checkpoints.

    Raises:
        Cancelled: when `on_step` answers False; the checkpoint is written first.
        BadInput: when the loss is not finite.
    """
    device = torch.device(device)
    count = len(rows[0])
    batch = min(batch, count)
    an_epoch = count // batch
    steps = max(1, round(epochs * an_epoch))
    module.to(device).train()
    rows = tuple(part.to(device) for part in rows)
    state = _State(module, rows, loss, batch, device, decay)
    started = time.monotonic()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        losses: list[float] = []
        step = 0
        if checkpoint is not None and checkpoint.exists():
            step, losses = state.restore(checkpoint)
        spoke = saved = time.monotonic()
        while step < steps:
            place = step % an_epoch
            if place == 0 or state.order is None:
                state.shuffle(seed, step // an_epoch)
            state.step(place, schedule.rate(step, steps))
            step += 1
            if place == an_epoch - 1 or step == steps:
                losses.append(state.mean_loss(place + 1))
                if not torch.isfinite(torch.tensor(losses[-1])):
                    raise BadInput(
                        "Training broke down (the loss is not a number): "
                        "check the data for extreme values or lower the learning rate."
                    )
            if look is not None and step % look_every == 0:
                module.eval()
                look(step)
                module.train()
            now = time.monotonic()
            if on_step is not None and (now - spoke > 0.5 or step == steps):
                spoke = now
                if on_step(step, steps) is False:
                    if checkpoint is not None:
                        state.save(checkpoint, step, losses)
                    raise Cancelled("Training was stopped.")
            if checkpoint is not None and now - saved > every:
                saved = now
                state.save(checkpoint, step, losses)
    module.eval()
    return History(tuple(losses), steps, time.monotonic() - started)


class _State:
    """Weights, optimiser and row order of one training, all on the device.

    On CUDA one step is captured as a graph and replayed: nothing in a step touches Python values.
    """

    def __init__(
        self,
        module: nn.Module,
        rows: tuple[Tensor, ...],
        loss: Loss,
        batch: int,
        device: torch.device,
        decay: float,
    ) -> None:
        self.module, self.rows, self.loss, self.batch, self.device = (
            module,
            rows,
            loss,
            batch,
            device,
        )
        self.rate = torch.zeros((), device=device)
        self.cuda = device.type == "cuda"
        self.optimiser = torch.optim.AdamW(
            module.parameters(), lr=self.rate, weight_decay=decay, fused=True, capturable=self.cuda
        )
        self.order = torch.arange(len(rows[0]), device=device)
        self.total = torch.zeros((), device=device)
        self.start = torch.zeros((), dtype=torch.long, device=device)
        self.offsets = torch.arange(batch, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def shuffle(self, seed: int, epoch: int) -> None:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        self.order.copy_(torch.randperm(len(self.rows[0]), generator=generator))
        self.total.zero_()

    def step(self, place: int, rate: float) -> None:
        self.rate.fill_(rate)
        self.start.fill_(place * self.batch)
        if not self.cuda:
            self._step()
            return
        if self.graph is None:
            self.graph = self._capture(rate)
        self.graph.replay()

    def _step(self) -> None:
        self.optimiser.zero_grad(set_to_none=not self.cuda)
        picked = self.order.index_select(0, self.start + self.offsets)
        taken = [part.index_select(0, picked) for part in self.rows]
        value = self.loss(
            self.module, *(part.float() if part.dtype == torch.float16 else part for part in taken)
        )
        value.backward()
        self.optimiser.step()
        self.total.add_(value.detach())

    def _capture(self, rate: float) -> torch.cuda.CUDAGraph:
        """Warm up with a rate of zero, restore what the warm-up moved, then record one step."""
        kept = {name: value.clone() for name, value in self.module.state_dict().items()}
        before = {
            weight: {key: value.clone() for key, value in values.items()}
            for weight, values in self.optimiser.state.items()
        }
        total = self.total.clone()
        self.rate.zero_()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        self.module.load_state_dict(kept)
        for weight, values in self.optimiser.state.items():
            for key, value in values.items():
                value.copy_(before[weight][key]) if weight in before else value.zero_()
        self.total.copy_(total)
        self.rate.fill_(rate)
        return graph

    def mean_loss(self, steps: int) -> float:
        return float(self.total) / steps

    def save(self, file: Path, step: int, losses: list[float]) -> None:
        tensors = {
            f"module.{name}": value.cpu().contiguous()
            for name, value in self.module.state_dict().items()
        }
        for index, values in enumerate(self.optimiser.state.values()):
            tensors |= {
                f"adam.{index}.{key}": value.cpu().contiguous() for key, value in values.items()
            }
        tensors["random"] = torch.get_rng_state()
        tensors["order"] = self.order.cpu()
        tensors["total"] = self.total.cpu()
        notes = {"step": json.dumps(step), "losses": json.dumps(losses)}
        write_file(file, save_tensors(tensors, notes))

    def restore(self, file: Path) -> tuple[int, list[float]]:
        content = file.read_bytes()
        tensors = load_tensors(content)
        length = int.from_bytes(content[:8], "little")
        notes = json.loads(content[8 : 8 + length])["__metadata__"]
        self.module.load_state_dict(
            {
                name.removeprefix("module."): value
                for name, value in tensors.items()
                if name.startswith("module.")
            }
        )
        for index, weight in enumerate(self.module.parameters()):
            found = {
                key.split(".", 2)[2]: value.to(
                    self.device if self.cuda or "step" not in key else "cpu"
                )
                for key, value in tensors.items()
                if key.startswith(f"adam.{index}.")
            }
            if found:
                self.optimiser.state[weight] = found
        torch.set_rng_state(tensors["random"])
        self.order = tensors["order"].to(self.device)
        self.total.copy_(tensors["total"])
        return json.loads(notes["step"]), json.loads(notes["losses"])
