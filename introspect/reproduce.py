"""The paper's experiments once more: each claim beside the paper's number and ours, with a verdict.

Claims and figure numbers are those of Pardo et al., *Coloring the Black Box* (2020). Everything is
computed when asked for, from an atlas; nothing is remembered from another run.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from introspect.answers import answers
from introspect.atlas import Atlas
from introspect.errors import BadInput
from introspect.experiments import (
    attack,
    foreign,
    mapping,
    noise,
    reliability,
    secrecy,
    sorting,
    voting,
)
from introspect.experiments.base import NOT_RUN, NOTHING, Claim, Effort, Found, Tell
from introspect.experiments.noise import TWINS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["NOTHING", "NOT_RUN", "TWINS", "Claim", "Effort", "Report", "Reproduction", "reproduce"]

Report = Tell
STAGES: tuple[tuple[str, Callable[[Atlas, Effort, Tell | None], Found]], ...] = (
    ("The network and its map", mapping.run),
    ("Expected activations", sorting.run),
    ("Noise constellations", noise.run),
    ("One sample attacked", attack.run_one),
    ("Many samples attacked", attack.run_many),
    ("Right and wrong answers", reliability.run),
    ("Strangers", foreign.run),
    ("Private key", secrecy.run),
    ("Ensemble", voting.run),
)


@dataclass(frozen=True, eq=False)
class Reproduction:
    """All claims of one atlas, the figures that go with them, and the seconds it took.

    `data` is the data set that the atlas is of; `seconds_by` tells the seconds of every stage.
    """

    name: str
    data: str
    claims: tuple[Claim, ...]
    figures: dict[str, Figure]
    seconds: float
    seconds_by: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def reproduce(
    atlas: Atlas,
    quick: bool = True,
    report: Report | None = None,
    effort: Effort | None = None,
) -> Reproduction:
    """Runs every experiment that the atlas allows; one that it does not allow says why.

    Args:
        quick: few samples under attack and noise: minutes on two cores.
        report: told (stage, done, total); raises `Cancelled` to stop.
        effort: how many samples, instead of what `quick` and the network's weight decide.

    Raises:
        BadInput: the atlas came without its network, its samples or a labelled test split.
    """
    if not atlas.complete or atlas.kept is None:
        raise BadInput("The experiments need the network and the samples; this atlas lacks them.")
    if not (answers(atlas.points, atlas.classifier.link).wrong.size):
        raise BadInput("The experiments need labelled test samples; this atlas has none.")
    effort = effort or Effort.of(atlas, quick)
    started = time.monotonic()
    claims: list[Claim] = []
    figures: dict[str, Figure] = {}
    seconds: dict[str, float] = {}
    for number, (stage, run) in enumerate(STAGES):
        begun = time.monotonic()
        if report is not None:
            report(stage, number, len(STAGES))
        try:
            found = run(atlas, effort, report)
        except BadInput as problem:
            found = Found([Claim(stage, str(problem), "", NOT_RUN, "", None)])
        claims += found.claims
        figures |= found.figures
        seconds[stage] = round(time.monotonic() - begun, 1)
    if report is not None:
        report("Done", len(STAGES), len(STAGES))
    return Reproduction(
        atlas.name,
        str(atlas.settings.get("data", {}).get("name", atlas.name)).split(":")[0],
        tuple(claims),
        figures,
        time.monotonic() - started,
        seconds,
        {"quick": quick, **dataclasses.asdict(effort), "fingerprint": atlas.fingerprint},
    )
