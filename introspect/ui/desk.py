"""What one visitor does with one atlas on the map page, kept between runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from introspect.ui.landing import Landing


@dataclass
class Desk:
    """What one visitor does with one atlas, kept between runs."""

    name: str
    turn: int = 0
    pinned: int | None = None
    """The pinned row, known to other pages while the map is away."""
    ask: dict[str, Any] | None = None
    check: dict[str, Any] | None = None
    wiped: int = 0
    landings: dict[str, Landing] = field(default_factory=dict)
    dropped: dict[str, Landing] = field(default_factory=dict)
    """Pictures let go over the map; those of the upload box are in `landings` only."""
    problems: list[str] = field(default_factory=list)

    @property
    def map(self) -> str:
        return f"map-{self.name}"

    @property
    def panel(self) -> str:
        return f"panel-{self.name}"

    def next(self) -> int:
        self.turn += 1
        return self.turn

    def pin(self, row: int | None) -> None:
        """Asks the map to pin a row; what the page shows follows from the map's answer."""
        self.ask = {"turn": self.next(), "pin": row}
