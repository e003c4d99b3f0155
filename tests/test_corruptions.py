"""Corruptions: laws that each obeys, and its own formula done again the slow way."""

from __future__ import annotations

import colorsys
import inspect
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from introspect.constellation import families
from introspect.corruptions.base import AbstractCorruption, is_picture
from introspect.corruptions.blur import Blur
from introspect.corruptions.brightness import Brightness
from introspect.corruptions.contrast import Contrast
from introspect.corruptions.impulse_noise import ImpulseNoise
from introspect.corruptions.jpeg import Jpeg
from introspect.corruptions.noise import Noise
from introspect.corruptions.occlusion import Occlusion
from introspect.corruptions.rotation import Rotation
from introspect.corruptions.shot_noise import ShotNoise
from introspect.errors import BadInput

ALL = families()
EVERY = pytest.mark.parametrize("kind", ALL.values(), ids=ALL)


def blob(channels: int = 3, height: int = 12, width: int = 16) -> Tensor:
    """One smooth picture that is different in every row, column and channel."""
    c, y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in (channels, height, width)), indexing="ij")
    values = np.exp(-8 * ((y - 0.4) ** 2 + (x - 0.6) ** 2)) * (1 - 0.5 * c) * 0.9 + 0.02
    return torch.from_numpy(values[None].astype(np.float32))


def one(kind: AbstractCorruption, x: Tensor, level: float, seed: int = 0) -> Tensor:
    return next(kind.sweep(x, [level], seed))


# ---------------------------------------------------------------- laws
def test_all_corruptions_of_the_page_are_found_noise_first() -> None:
    assert list(ALL)[0] == "noise"
    assert set(ALL) == {
        "noise",
        "shot_noise",
        "impulse_noise",
        "blur",
        "contrast",
        "brightness",
        "rotation",
        "occlusion",
        "jpeg",
    }


@EVERY
def test_level_zero_leaves_every_bit(kind: AbstractCorruption) -> None:
    x = blob().expand(3, -1, -1, -1)
    assert torch.equal(one(kind, x, 0.0), x)


@EVERY
@pytest.mark.parametrize("channels", (1, 3))
def test_higher_levels_stray_further_and_shape_and_input_stay(
    kind: AbstractCorruption, channels: int
) -> None:
    x = blob(channels).repeat(20, 1, 1, 1)
    before = x.clone()
    levels = [0.1 * kind.top, 0.4 * kind.top, 0.9 * kind.top]
    found = list(kind.sweep(x, levels, seed=3))
    away = [float((spoilt - x).abs().mean()) for spoilt in found]
    assert 0 < away[0] < away[1] < away[2]
    assert torch.equal(x, before)
    for spoilt in found:
        assert spoilt.shape == x.shape and spoilt.dtype == torch.float32
        if kind.pictures:
            assert float(spoilt.min()) >= 0 and float(spoilt.max()) <= 1


@EVERY
def test_equal_seeds_draw_equal_copies_and_only_random_ones_differ(
    kind: AbstractCorruption,
) -> None:
    x = blob().repeat(6, 1, 1, 1)
    level = 0.5 * kind.top
    assert torch.equal(one(kind, x, level, 7), one(kind, x, level, 7))
    assert torch.equal(one(kind, x, level, 7), one(kind, x, level, 8)) != kind.random
    spoilt = one(kind, x, level, 7)
    assert torch.equal(spoilt[0], spoilt[1]) != kind.random


@EVERY
def test_a_level_gives_the_same_alone_and_among_others(kind: AbstractCorruption) -> None:
    x = blob().repeat(4, 1, 1, 1)
    low, high = 0.3 * kind.top, 0.7 * kind.top
    among = list(kind.sweep(x, [0.0, low, high], 1))
    torch.testing.assert_close(among[2], one(kind, x, high, 1), rtol=0, atol=0)


@EVERY
def test_pictures_without_a_channel_axis_are_spoilt_alike(kind: AbstractCorruption) -> None:
    x = blob(1).repeat(2, 1, 1, 1)
    level = 0.5 * kind.top
    assert torch.equal(one(kind, x[:, 0], level, 2), one(kind, x, level, 2)[:, 0])


@EVERY
def test_grid_rises_from_zero_to_the_top_and_holds_the_published_severities(
    kind: AbstractCorruption,
) -> None:
    grid = kind.grid()
    assert grid[0] == 0 and grid[-1] == pytest.approx(kind.top)
    assert all(a < b for a, b in zip(grid, grid[1:], strict=False))
    for mark in kind.published:
        assert min(abs(level - mark) for level in grid) < 1e-6
    kind.check(grid, (3, 8, 8))


@EVERY
def test_docstring_names_its_source_and_the_quantity_a_unit(kind: AbstractCorruption) -> None:
    assert "et al." in inspect.getdoc(type(kind)) or "Dietterich" in inspect.getdoc(type(kind))
    assert "," in kind.quantity or "share" in kind.quantity


@EVERY
@pytest.mark.parametrize("level", (-0.1, float("nan"), float("inf"), -float("inf")))
def test_levels_that_mean_nothing_are_refused(kind: AbstractCorruption, level: float) -> None:
    with pytest.raises(BadInput, match="means nothing"):
        list(kind.sweep(blob(), [level]))


def test_tables_take_noise_only() -> None:
    rows = torch.zeros(3, 64)
    assert [name for name, kind in ALL.items() if not kind.pictures] == ["noise"]
    assert one(Noise(), rows, 0.5).shape == rows.shape
    for kind in (Blur(), Jpeg(), Rotation()):
        with pytest.raises(BadInput, match="for pictures"):
            list(kind.sweep(rows, [0.5]))
    assert is_picture((28, 28)) and is_picture((3, 5, 7)) and not is_picture((7, 5, 3))


def test_no_level_at_all_is_refused() -> None:
    with pytest.raises(BadInput, match="No level"):
        list(Noise().sweep(blob(), []))


# ---------------------------------------------------------------- each by itself
def test_noise_has_the_spread_asked_for_and_is_not_cut() -> None:
    spoilt = one(Noise(), torch.zeros(400, 1, 10, 10), 0.3)
    assert float(spoilt.std()) == pytest.approx(0.3, rel=0.02)
    assert float(spoilt.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(spoilt.min()) < -0.5


def test_noise_copies_move_along_straight_lines() -> None:
    x = blob().repeat(3, 1, 1, 1)
    a, b = Noise().sweep(x, [0.1, 0.3], 5)
    torch.testing.assert_close((b - x), 3 * (a - x), rtol=1e-4, atol=1e-5)


def test_shot_noise_counts_photons() -> None:
    light = 0.4
    spoilt = one(ShotNoise(), torch.full((800, 1, 8, 8), light), 500**-0.5)
    assert float(spoilt.mean()) == pytest.approx(light, rel=0.01)
    assert float(spoilt.var()) == pytest.approx(light / 500, rel=0.05)
    counts = spoilt * 500
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-3)


def test_impulse_noise_loses_the_share_asked_for_half_black_half_white() -> None:
    spoilt = one(ImpulseNoise(), torch.full((500, 1, 10, 10), 0.5), 0.07)
    assert float((spoilt != 0.5).float().mean()) == pytest.approx(0.07, rel=0.05)
    assert float((spoilt == 1).float().mean()) == pytest.approx(0.035, rel=0.1)


@pytest.mark.parametrize("level", (0.4, 1.0, 2.5))
def test_blur_is_scipys_gaussian_filter(level: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    x = blob()
    wanted = np.stack(
        [ndimage.gaussian_filter(c, level, mode="nearest", truncate=4) for c in x[0].numpy()]
    )
    np.testing.assert_allclose(one(Blur(), x, level)[0].numpy(), wanted, atol=2e-6)


def test_contrast_is_lost_towards_the_mean_of_every_channel() -> None:
    x = blob()
    wanted = np.empty(x.shape[1:], np.float32)
    for c, values in enumerate(x[0].numpy()):
        mean = values.mean()
        wanted[c] = np.clip((values - mean) * 0.25 + mean, 0, 1)
    np.testing.assert_allclose(one(Contrast(), x, 0.75)[0].numpy(), wanted, atol=1e-6)
    flat = one(Contrast(), x, 1.0)[0]
    assert float(flat.std((1, 2)).max()) < 1e-6


def test_brightness_raises_the_value_of_hsv() -> None:
    x = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    x[0, :, 0, 0] = 0
    spoilt = one(Brightness(), x, 0.3)[0].numpy()
    for row in range(6):
        for column in range(5):
            h, s, v = colorsys.rgb_to_hsv(*x[0, :, row, column].tolist())
            wanted = colorsys.hsv_to_rgb(h, s, min(1.0, v + 0.3))
            np.testing.assert_allclose(spoilt[:, row, column], wanted, atol=1e-5)


@pytest.mark.parametrize("shape", ((1, 12, 12), (3, 9, 9)))
def test_rotation_by_a_right_angle_is_exact(shape: tuple[int, ...]) -> None:
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(1))
    seeds = range(40)
    shares = [
        float(2 * torch.rand(1, generator=torch.Generator().manual_seed(s)) - 1) for s in seeds
    ]
    seed = next(s for s in seeds if shares[s] > 0.6)
    spoilt = one(Rotation(), x, 90 / shares[seed], seed)
    quarter = [torch.rot90(x, turns, (2, 3)) for turns in (1, -1)]
    assert min(float((spoilt - turned).abs().max()) for turned in quarter) < 1e-4


def test_rotation_keeps_a_round_spot_round_in_a_picture_that_is_not_square() -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(32.0), indexing="ij")
    spot = torch.exp(-((y - 9.5) ** 2 + (x - 15.5) ** 2) / 18)[None, None].repeat(8, 1, 1, 1)
    spoilt = one(Rotation(), spot, 180.0, 4)
    torch.testing.assert_close(spoilt, spot, rtol=0, atol=0.02)


def test_occlusion_covers_the_share_asked_for_with_grey_and_nothing_else() -> None:
    x = blob(3, 20, 20).repeat(50, 1, 1, 1)
    spoilt = one(Occlusion(), x, 0.5)
    covered = (spoilt == 0.5).all(1)
    assert (covered.sum((1, 2)) == 100).all()
    assert torch.equal(spoilt[~covered[:, None].expand_as(x)], x[~covered[:, None].expand_as(x)])
    assert (one(Occlusion(), x, 1.0) == 0.5).all()


@pytest.mark.parametrize(("channels", "mode"), ((1, "L"), (3, "RGB")))
def test_jpeg_is_what_pillow_saves(channels: int, mode: str) -> None:
    x = blob(channels)
    pixels = np.round(x[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode).save(
        file, "JPEG", quality=80
    )
    wanted = np.asarray(Image.open(file), np.float32).reshape(pixels.shape) / 255
    np.testing.assert_allclose(one(Jpeg(), x, 20.0)[0].permute(1, 2, 0).numpy(), wanted, atol=1e-6)
