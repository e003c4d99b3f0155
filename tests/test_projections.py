"""InfoVAE and PCA: MMD against its definition, maps that are round, frozen and worth having."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
import torch

import introspect.projections
from introspect.atlas import Atlas
from introspect.basis import Rows
from introspect.errors import BadInput, Cancelled
from introspect.plugin import discover
from introspect.projections.base import AbstractProjection
from introspect.projections.infovae import WIDTHS, InfoVAE, kernel_sum, mmd2, mmd2_to_normal
from introspect.projections.pca import PCA


@pytest.fixture(scope="module")
def h(atlas: Atlas) -> np.ndarray:
    return np.array(atlas.recording.h)


def test_the_family_is_found_by_its_files() -> None:
    found = discover(introspect.projections)
    assert set(found) == {"infovae", "pca", "umap"}
    assert all(
        issubclass(method, AbstractProjection) and method.__doc__ for method in found.values()
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_equals_its_definition_pair_by_pair(unbiased: bool) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 2)), rng.normal(1, 2, size=(9, 2))
    found = float(mmd2(torch.from_numpy(a), torch.from_numpy(b), unbiased=unbiased))
    assert found == pytest.approx(reference.mmd2(a, b, unbiased), abs=1e-9)


def test_biased_mmd_is_zero_between_a_sample_and_itself() -> None:
    a = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for kernel in ("gauss", "imq"):
        assert float(mmd2(a, a, kernel, unbiased=False)) == pytest.approx(0, abs=1e-12)


def test_unbiased_mmd_averages_to_zero_between_samples_of_one_law() -> None:
    generator = torch.Generator().manual_seed(1)
    found = torch.stack(
        [
            mmd2(torch.randn(80, 2, generator=generator), torch.randn(80, 2, generator=generator))
            for _ in range(200)
        ]
    )
    assert abs(float(found.mean())) < 3 * float(found.std()) / math.sqrt(200)


def test_mean_kernel_between_shifted_normals_is_its_closed_form() -> None:
    """In 1-D exp(-|.|^2) averages to 5^-1/2 exp(-shift^2 / 5) from N(0,1) to N(shift,1)."""
    generator = torch.Generator().manual_seed(2)
    a, b = (
        torch.randn(4000, 1, generator=generator),
        torch.randn(4000, 1, generator=generator) + 1.5,
    )
    assert float(kernel_sum(a, b, "gauss").mean()) == pytest.approx(
        5**-0.5 * math.exp(-(1.5**2) / 5), abs=0.01
    )


def test_map_is_round_and_keeps_the_classes_apart(atlas: Atlas) -> None:
    settings = atlas.settings
    assert max(map(abs, settings["z_mean"])) < 0.35 and all(
        0.7 < s < 1.3 for s in settings["z_std"]
    )
    assert settings["mmd2"] < 0.05
    assert settings["label_knn"] > settings["accuracy"] - 0.08
    assert settings["trustworthiness"] > 0.9


def test_more_passes_rebuild_better(h: np.ndarray) -> None:
    short, long = (
        InfoVAE(epochs=epochs, steps=0, noise=0.0).fit(h, 0).history for epochs in (4, 40)
    )
    assert long.losses[-1] < 0.7 * short.losses[-1]


def test_few_samples_are_learnt_from_in_enough_steps(h: np.ndarray) -> None:
    history = InfoVAE(epochs=1, steps=70).fit(h[:320], 0).history
    assert history is not None and history.steps == 70


def test_prior_in_closed_form_is_the_limit_of_many_draws() -> None:
    generator = torch.Generator().manual_seed(3)
    z = 0.7 * torch.randn(80, 2, generator=generator) + 0.4
    drawn = [mmd2(z, torch.randn(4000, 2, generator=generator)) for _ in range(20)]
    assert float(mmd2_to_normal(z)) == pytest.approx(float(torch.stack(drawn).mean()), abs=2e-3)
    # exp(-|.|^2 / 4w) in the plane is the kernel itself for points scaled by w^-1/2.
    one = float(torch.exp(-(z[:1] - z[1:2]).square().sum() / 16))
    pair = float(mmd2_to_normal(z[:2], (4.0,)))
    across = 16 / 18 * torch.exp(-z[:2].square().sum(1) / 18).mean()
    assert pair == pytest.approx(one + 16 / 20 - 2 * float(across), abs=1e-5)


def test_wide_kernels_pull_back_what_the_narrow_one_no_longer_sees() -> None:
    far = (torch.randn(50, 2, generator=torch.Generator().manual_seed(4)) + 14).requires_grad_()
    pulls = []
    for widths in WIDTHS.values():
        (grad,) = torch.autograd.grad(mmd2_to_normal(far, widths), far)
        pulls.append(float(grad.mean(1).mean()))
    assert abs(pulls[0]) < 1e-8 and pulls[1] > 1e-5


def test_same_seed_gives_the_same_map(h: np.ndarray) -> None:
    first, second, other = (InfoVAE(epochs=2).fit(h[:600], seed).transform(h) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-2


def test_folded_networks_are_those_of_the_paper(h: np.ndarray) -> None:
    projector = InfoVAE(epochs=1).fit(h[:600], 0)
    encoder, decoder = (
        {
            name: (layer.in_features, layer.out_features)
            for name, layer in net.named_children()
            if isinstance(layer, torch.nn.Linear)
        }
        for net in (projector.encoder, projector.decoder)
    )
    # A linear layer in front of a linear layer is one linear layer.
    (width, rank), first = encoder.pop("turn"), encoder.pop("0")
    assert (width, rank, first) == (h.shape[1], 64, (64, 200))
    assert list(encoder.values()) == [(200, 200), (200, 200), (200, 2)]
    assert list(decoder.values()) == [(2, 200), (200, 200), (200, 200), (200, h.shape[1])]


def test_decoder_gives_back_most_of_the_activations(atlas: Atlas, h: np.ndarray) -> None:
    back = atlas.lift(atlas.z)
    spread = h.astype(np.float32).std(0).mean()
    rebuilt = 1 - ((back - h) / spread).var() / (h.astype(np.float32) / spread).var()
    assert rebuilt > 0.3


def test_rows_of_a_recording_give_what_their_copy_gives(h: np.ndarray) -> None:
    rows = np.arange(0, len(h), 3)
    z = [InfoVAE(epochs=1).fit(part, 0).transform(h[:50]) for part in (Rows(h, rows), h[rows])]
    np.testing.assert_array_equal(*z)


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (np.zeros((100, 8), np.float32), {}, "same activations"),
        (np.ones((5, 8), np.float32), {}, "at least 16"),
        (np.eye(30, dtype=np.float32), {"kernel": "round"}, "kernel"),
        (np.eye(30, dtype=np.float32), {"reconstruction": "max"}, "reconstruction"),
    ],
)
def test_what_cannot_be_mapped_is_told(rows: np.ndarray, settings: dict, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        InfoVAE(**settings).fit(rows, 0)


def test_answering_false_stops_the_fit(h: np.ndarray) -> None:
    with pytest.raises(Cancelled):
        InfoVAE(epochs=50).fit(h, 0, on_epoch=lambda done, total: False)


def test_literal_sum_swamps_the_pull_to_a_round_cloud(h: np.ndarray) -> None:
    wide, round_ = (
        InfoVAE(epochs=30, reconstruction=kind).fit(h, 0).transform(h).std()
        for kind in ("sum", "mean")
    )
    assert wide > 1.5 * round_


def test_pca_equals_scikit_learns(h: np.ndarray) -> None:
    from sklearn.decomposition import PCA as Peer

    rows = h.astype(np.float32)
    rows = rows[:, rows.std(0) > 1e-2 * rows.std(0).mean()]
    found = PCA().fit(rows, 0).transform(rows)
    wanted = Peer(2).fit_transform((rows - rows.mean(0)) / rows.std(0))
    for axis in range(2):
        assert abs(np.corrcoef(found[:, axis], wanted[:, axis])[0, 1]) > 0.999
    np.testing.assert_allclose(found.std(0), 1, atol=0.05)
