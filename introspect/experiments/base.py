"""What every experiment shares: claims, how much work is made, and the paper's own numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from introspect.atlas import Atlas
from introspect.errors import BadInput
from introspect.trajectory import is_light

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Tell = Callable[[str, int, int], None]
"""Called with (stage, done, total); raises `Cancelled` to stop."""

PAPERS_SAMPLE = "test:907"
NOTHING = "no number in the paper"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Claim:
    """One row of the table: what the paper says, what came out here, and whether it held.

    `held` is None where the paper gives nothing to compare with, and where `ours` is "not run"
    because the atlas does not allow the experiment.
    """

    figure: str
    claim: str
    paper: str
    ours: str
    how: str
    held: bool | None

    @property
    def verdict(self) -> str:
        if self.ours == NOT_RUN:
            return NOT_RUN
        return {True: "held", False: "did not hold", None: NOTHING}[self.held]


@dataclass(frozen=True, eq=False)
class Found:
    """What one experiment found: rows of the table, and figures by their title."""

    claims: list[Claim]
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Paper:
    """What the paper prints about a network: its accuracy, the distance between the violins of
    wrong and right answers in decades (least, most), and what it says of them."""

    accuracy: float
    gap: tuple[float, float] | None
    violins: str


PAPERS = {
    "mnist-net1": Paper(0.9657, (2.0, 3.0), "2 to 3 decades on average"),
    "cifar10-net2": Paper(
        0.762, None, "they overlap: within 10⁻² to 10⁻³ for cats, birds and dogs"
    ),
}


@dataclass(frozen=True)
class Effort:
    """How many samples every experiment takes.

    `noisy` under noise, `attacked` towards every class, `secret` in the trial of the private key,
    `strangers` of every foreign set; `nets` are trained for the ensemble, each for `epochs` passes
    over its half of `learnt` samples.
    """

    noisy: int = 50
    attacked: int = 50
    secret: int = 150
    strangers: int = 2000
    nets: int = 5
    learnt: int = 6000
    epochs: float = 12

    @staticmethod
    def of(atlas: Atlas, quick: bool) -> Effort:
        """As much as minutes allow on two cores; a network of convolutions gets fewer samples.

        Told by the layers and not by a clock, so that the same command says the same everywhere.
        """
        light = is_light(atlas.classifier.module, 1)
        if quick:
            return Effort() if light else Effort(10, 4, 24, 300)
        few = Effort(100, 60, 200, 2000, 7, 20_000, 10)
        return Effort(500, 500, 1000, 10_000, 7, 20_000, 10) if light else few


def papers_row(atlas: Atlas) -> int:
    """The row of the paper's sample #907 of the test set, or the first test sample at hand."""
    n = len(atlas.points)
    here = np.ones(n, bool) if atlas.kept is None else atlas.kept.mask(n)
    with contextlib.suppress(BadInput):
        row = atlas.points.row_of(PAPERS_SAMPLE)
        if here[row]:
            return row
    test = np.flatnonzero(here & (atlas.points.split == 2))
    if not len(test):
        raise BadInput("The inputs of the test samples are not at hand, so none can be attacked.")
    return int(test[0])


def sample_name(atlas: Atlas, row: int) -> str:
    """What the table calls a row."""
    return f"sample #{int(atlas.points.id[row]):,}"


def number(value: float, form: str) -> str:
    """A number with a true minus."""
    return format(value, form).replace("-", "−")
