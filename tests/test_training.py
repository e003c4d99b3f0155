"""The training loop: seeds, schedules, resuming, stopping."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference
import torch
from torch import nn

from introspect.errors import BadInput, Cancelled
from introspect.training import History, Schedule, train


def problem() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(320, 4, generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = nn.Sequential(nn.Linear(4, 16), nn.ELU(), nn.Dropout(0.2), nn.Linear(16, 1))
    return module, (x, x.square().sum(1, keepdim=True))


def squared(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (module(x) - y).square().mean()


def fit(module: nn.Module, rows: tuple[torch.Tensor, ...], **settings: object) -> History:
    given = {"epochs": 6, "batch": 32, "schedule": Schedule(peak=1e-2)} | settings
    return train(module, rows, squared, **given)


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([part.detach().flatten() for part in module.parameters()])


def test_loss_falls() -> None:
    module, rows = problem()
    history = fit(module, rows, epochs=20)
    assert history.losses[-1] < 0.3 * history.losses[0]
    assert history.steps == 200 and len(history.losses) == 20


def test_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    made = []
    for seed in (0, 0, 1):
        module, rows = problem()
        fit(module, rows, seed=seed)
        made.append(weights(module))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_global_random_state_is_left_alone() -> None:
    module, rows = problem()
    torch.manual_seed(11)
    wanted = torch.rand(3)
    torch.manual_seed(11)
    fit(module, rows)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("stop", [7, 20, 33])
def test_stopped_training_goes_on_to_the_same_weights(stop: int, tmp_path: Path) -> None:
    """Steps 7 and 33 lie within an epoch of 10 steps, 20 at the end of one."""
    module, rows = problem()
    fit(module, rows)
    wanted = weights(module)

    module, rows = problem()
    file = tmp_path / "running.safetensors"
    seen = 0

    def halting(inner: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += 1
        if seen > stop:
            raise KeyboardInterrupt
        return squared(inner, x, y)

    with pytest.raises(KeyboardInterrupt):
        train(
            module,
            rows,
            halting,
            epochs=6,
            batch=32,
            schedule=Schedule(peak=1e-2),
            checkpoint=file,
            every=0,
        )
    module, rows = problem()
    fit(module, rows, checkpoint=file)
    assert torch.equal(weights(module), wanted)


def test_answering_false_cancels_and_keeps_a_checkpoint(tmp_path: Path) -> None:
    module, rows = problem()
    file = tmp_path / "running.safetensors"
    with pytest.raises(Cancelled):
        fit(module, rows, on_step=lambda done, total: False, checkpoint=file)
    assert file.exists()


def test_loss_that_is_not_a_number_is_bad_input() -> None:
    module, (x, y) = problem()
    y[0] = float("nan")
    with pytest.raises(BadInput, match="not a number"):
        fit(module, (x, y))


def test_look_comes_every_so_many_steps_in_eval_mode() -> None:
    module, rows = problem()
    seen: list[tuple[int, bool]] = []
    fit(module, rows, look=lambda step: seen.append((step, module.training)), look_every=25)
    assert seen == [(25, False), (50, False)]


def test_triangular_rate_is_the_papers() -> None:
    schedule = Schedule("triangular", peak=4e-4, cycle=30, decay=0.95)
    for step in range(100):
        assert schedule.rate(step, 100) == pytest.approx(
            reference.triangular(step, 4e-4, 30, 0.95), abs=1e-12
        )


def test_one_cycle_rate_climbs_to_the_peak_and_falls_to_zero() -> None:
    rates = [Schedule(peak=1.0, warm=0.2).rate(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(1.0) and rates.index(max(rates)) in (19, 20)
    assert rates[-1] < 1e-2 and rates[0] == pytest.approx(0.05)
    assert all(a >= b for a, b in zip(rates[20:], rates[21:], strict=False))


def test_half_precision_rows_are_learnt_from_in_float32() -> None:
    module, (x, y) = problem()
    fit(module, (x.half(), y))
    assert next(module.parameters()).dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_captured_graph_learns_what_the_cpu_learns() -> None:
    losses = []
    for device in ("cpu", "cuda"):
        module, rows = problem()
        module[2] = nn.Identity()
        losses.append(fit(module, rows, device=device).losses)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
