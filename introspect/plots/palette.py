"""Colours: classes that stay apart for every eye, and ramps whose order everyone sees.

The first ten class colours are Petroff's (Accessible color sequences for data visualization, 2021,
arXiv:2107.02270). The rest were chosen here in the manner of Glasbey et al. (2007): each new colour
is the one farthest from those before it, in OKLab, as the normal eye and three colour-vision
deficiencies (Machado et al. 2009, full severity) see it. Ramps are matplotlib's viridis (CC0) and
cividis (Nuñez et al. 2018), as stops to interpolate between.
"""

from __future__ import annotations

# fmt: off
ON_LIGHT = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70",
    "#717581", "#92dadd", "#14335c", "#660000", "#1f5c52", "#5c5ceb", "#52008f", "#70b8ff",
    "#d6d685", "#a3147a", "#a37aad", "#852929", "#ffb8b8", "#cc70ff", "#665299", "#cc8570",
    "#472933", "#529900", "#3d7033", "#c23db8", "#ff7ac2", "#99cc5c", "#d63d85", "#c2c2ff",
    "#1f14ad", "#523d5c", "#e05ccc", "#9966ff", "#3347d6", "#a3eb29", "#660070", "#855c66",
    "#d6ada3", "#70298f", "#7a9952", "#cca300", "#eb8feb", "#5c3d00", "#995ccc", "#5c5c00",
)
ON_DARK = (
    "#3f90da", "#ffa90e", "#cf341c", "#94a4a2", "#923fc7", "#a96b59", "#e76300", "#b9ac70",
    "#717581", "#92dadd", "#e0ff0a", "#99335c", "#ffd699", "#70b8ff", "#5c5299", "#47ffcc",
    "#9966ff", "#d65cc2", "#c2f5ff", "#e0b8ad", "#c2e05c", "#998f52", "#6652eb", "#1485a3",
    "#ff7ac2", "#33667a", "#c27aff", "#c28f7a", "#ad1f1f", "#a3cc7a", "#855c47", "#f58fff",
    "#669900", "#c25299", "#66adcc", "#b8ccff", "#5cd63d", "#7a7033", "#7a70e0", "#d69900",
    "#8599e0", "#ccade0", "#a329a3", "#f5eb85", "#b87a8f", "#a35cc2", "#85b88f", "#e0d6ff",
)
"""Petroff's red and purple are a little lighter here: both sink into a dark page."""

VIRIDIS = (
    "#440154", "#481b6d", "#46327e", "#3f4788", "#365c8d", "#2e6e8e", "#277f8e", "#21918c",
    "#1fa187", "#2db27d", "#4ac16d", "#73d056", "#a0da39", "#d0e11c", "#fde725",
)
CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369",
    "#e1cc55", "#fee838",
)
# fmt: on

ERROR_ON_LIGHT = ("#ffffff", "#bfc4d1", "#626e8a")
ERROR_ON_DARK = ("#12161c", "#434d60", "#94a3c0")
"""Grey-blue: beneath coloured dots, the error map must not look like a class."""


def class_colours(k: int, dark: bool = False) -> tuple[str, ...]:
    """One colour for each of k classes; from the 49th class on they repeat."""
    colours = ON_DARK if dark else ON_LIGHT
    return tuple(colours[code % len(colours)] for code in range(k))


def marks(dark: bool = False) -> dict[str, str | tuple[str, ...]]:
    """Colours of right, wrong and the three splits: blue and orange differ for every eye."""
    colours = class_colours(10, dark)
    return {
        "right": colours[0],
        "wrong": colours[6],
        "splits": (colours[3], colours[1], colours[0]),
    }


def rgb(colour: str) -> tuple[int, int, int]:
    """The three bytes of "#rrggbb"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
