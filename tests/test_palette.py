"""Colours that every eye tells apart, on light and on dark."""

from __future__ import annotations

import numpy as np
import pytest

from introspect.plots.palette import CIVIDIS, VIRIDIS, class_colours, marks, rgb

# Björn Ottosson's OKLab, and Machado et al. 2009 at full severity, in linear RGB.
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
EYES = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colours: tuple[str, ...]) -> np.ndarray:
    share = np.array([rgb(colour) for colour in colours]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(colours: tuple[str, ...], eye: str) -> np.ndarray:
    seen = np.clip(linear(colours) @ EYES[eye].T, 0, 1)
    return np.cbrt(seen @ TO_LMS.T) @ TO_LAB.T


def contrast(colours: tuple[str, ...], ground: str) -> np.ndarray:
    weights = np.array([0.2126, 0.7152, 0.0722])
    light, base = linear(colours) @ weights, (linear((ground,)) @ weights)[0]
    return (np.maximum(light, base) + 0.05) / (np.minimum(light, base) + 0.05)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("k", "least"), [(10, 0.055), (24, 0.05), (48, 0.035)])
def test_class_colours_stay_apart(eye: str, dark: bool, k: int, least: float) -> None:
    """A hue wheel of 10 has 0.02 here, tab10 0.02 for protan eyes."""
    seen = lab(class_colours(k, dark), eye)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + np.eye(k)
    assert apart.min() >= least


@pytest.mark.parametrize(("dark", "ground"), [(False, "#ffffff"), (True, "#12161c")])
def test_class_colours_show_on_their_ground(dark: bool, ground: str) -> None:
    assert contrast(class_colours(10, dark), ground).min() >= (3.0 if dark else 1.5)


def test_colours_repeat_beyond_the_palette_and_never_run_out() -> None:
    colours = class_colours(1000)
    assert len(colours) == 1000
    assert len(set(colours)) == 48


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("dark", [False, True])
def test_right_and_wrong_differ_for_every_eye(eye: str, dark: bool) -> None:
    right, wrong = lab((str(marks(dark)["right"]), str(marks(dark)["wrong"])), eye)
    assert np.linalg.norm(right - wrong) > 0.12


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("ramp", [VIRIDIS, CIVIDIS])
def test_ramps_grow_lighter_all_the_way_for_every_eye(eye: str, ramp: tuple[str, ...]) -> None:
    assert (np.diff(lab(ramp, eye)[:, 0]) > 0).all()
