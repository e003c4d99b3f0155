"""The short form of the activations, and that folding it away changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from introspect.basis import Basis, Rows, perceptron

RNG = np.random.default_rng(0)
# 300 rows of 40 units that lie in 6 dimensions, far from the origin, of very different spread.
FLAT = (
    RNG.normal(size=(300, 6)) @ RNG.normal(size=(6, 40)) * np.geomspace(0.1, 30, 40) + 5
).astype(np.float32)


def test_six_directions_hold_all_of_a_six_dimensional_cloud() -> None:
    for standardise in (True, False):
        basis = Basis.fit(FLAT, 6, 0, standardise)
        assert basis.energy > 0.9999
        back = basis.shorten(FLAT) @ basis.axes.T * basis.scale + basis.mean
        np.testing.assert_allclose(back.numpy(), FLAT, atol=2e-3 * np.abs(FLAT).max())


def test_directions_equal_numpys_singular_vectors() -> None:
    basis = Basis.fit(FLAT, 3, 0)
    spread = (FLAT - FLAT.mean(0)) / FLAT.std(0)
    wanted = np.linalg.svd(spread.astype(np.float64), full_matrices=False)[2][:3].T
    turn = np.abs(basis.axes.numpy().T @ wanted)
    np.testing.assert_allclose(turn, np.eye(3), atol=2e-2)


@pytest.mark.parametrize(("rank", "width"), [(5, 16), (20, 16)])
def test_network_folded_in_gives_for_h_what_it_gave_for_the_short_form(
    rank: int, width: int
) -> None:
    basis = Basis.fit(FLAT, rank, 0)
    net = perceptron(rank, 2, width=width)
    with torch.inference_mode():
        wanted = net(basis.shorten(FLAT))
        folded = basis.fold_in(net)
        found = folded(torch.from_numpy(FLAT))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    # Few directions stay a layer of their own, 40 x 5 + 5 x 16 products; many are multiplied in.
    assert ("turn" in dict(folded.named_children())) == (rank == 5)
    assert (folded[0].in_features, len(folded)) == (40, 8 if rank == 5 else 7)


def test_layer_folded_out_gives_h_where_it_gave_the_short_form() -> None:
    basis = Basis.fit(FLAT, 6, 0)
    last = torch.nn.Linear(2, 6)
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = last(z) @ basis.axes.T * basis.scale + basis.mean
        torch.testing.assert_close(basis.fold_out(last)(z), wanted, atol=1e-3, rtol=1e-4)


def test_squared_errors_over_h_and_the_short_form_differ_by_a_constant() -> None:
    noisy = FLAT + RNG.normal(size=FLAT.shape).astype(np.float32)
    basis = Basis.fit(noisy, 4, 0)
    scaled = torch.from_numpy((noisy - basis.mean.numpy()) / basis.scale.numpy())
    short = basis.shorten(noisy)
    rests = []
    for seed in (0, 1):
        answer = torch.randn(len(noisy), 4, generator=torch.Generator().manual_seed(seed))
        over_h = (scaled - answer @ basis.axes.T).square().sum(1)
        rests.append(over_h - (short - answer).square().sum(1))
    torch.testing.assert_close(rests[0], rests[1], atol=1e-2, rtol=1e-3)


def test_a_unit_that_never_changes_does_no_harm() -> None:
    still = FLAT.copy()
    still[:, 3] = 7.0
    assert torch.isfinite(Basis.fit(still, 6, 0).shorten(still)).all()


def test_rows_read_as_indexing_does() -> None:
    rows = np.array([5, 2, 250])
    view = Rows(FLAT, rows)
    assert view.shape == (3, 40) and len(view) == 3
    np.testing.assert_array_equal(view[1:], FLAT[rows][1:])
    np.testing.assert_array_equal(np.asarray(view), FLAT[rows])
