"""Constellations in the making: a thread of their own, progress, cancel, and what is done kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from introspect.constellation import Constellation, families, scatter
from introspect.errors import BadInput, Cancelled, IntrospectError
from introspect.ui import session

if TYPE_CHECKING:
    import numpy as np

    from introspect.atlas import Atlas

KEPT = 32
"""Constellations kept for all visitors, the least recently used forgotten first."""


@dataclass(frozen=True, eq=False)
class Order:
    """One constellation on one or two atlases: the same copies on each."""

    atlases: tuple[Atlas, ...]
    x: np.ndarray
    corruption: str
    levels: tuple[float, ...]
    copies: int
    seed: int
    clip: bool

    def keys(self) -> list[str]:
        """A name for the answer on each atlas, equal for equal orders."""
        rest = session.key(
            (self.x, self.corruption, self.levels, self.copies, self.seed, self.clip)
        )
        return [f"{session.key(atlas)} {rest}" for atlas in self.atlases]


class Shelf:
    """What was computed for anybody, by the key of its order."""

    def __init__(self, capacity: int = KEPT) -> None:
        self._capacity = capacity
        self._held: OrderedDict[str, Constellation] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: str) -> Constellation | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def keep(self, key: str, found: Constellation) -> None:
        with self._lock:
            self._held[key] = found
            while len(self._held) > self._capacity:
                self._held.popitem(last=False)


SHELF = Shelf()


@dataclass(eq=False)
class Run:
    """An order being carried out; `done` of `total` copies are placed."""

    order: Order
    total: int
    done: int = 0
    found: tuple[Constellation, ...] | None = None
    problem: str = ""
    stopped: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    def start(order: Order) -> Run:
        """Begins at once; what somebody has asked for before is not computed again."""
        each = order.copies if families()[order.corruption].random else 1
        run = Run(order, len(order.atlases) * len(order.levels) * each)
        threading.Thread(target=run._work, name="introspect-constellation", daemon=True).start()
        return run

    def stop(self) -> None:
        """Asks the work to stop after the copies in hand."""
        self.stopped = True

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, looking for that long."""
        return self.ended.wait(seconds)

    def _work(self) -> None:
        order, found = self.order, []
        corruption = families()[order.corruption]
        try:
            for atlas, key in zip(order.atlases, order.keys(), strict=True):
                before = self.done
                share = self.total // len(order.atlases)

                def tell(done: int, total: int, before: int = before, share: int = share) -> bool:
                    self.done = before + share * done // total
                    time.sleep(0)  # lets a visitor's click through
                    return not self.stopped

                one = SHELF.find(key)
                if one is None:
                    one = scatter(
                        atlas,
                        order.x,
                        order.levels,
                        order.copies,
                        order.seed,
                        order.clip,
                        tell,
                        corruption,
                    )
                    SHELF.keep(key, one)
                self.done = before + share
                found.append(one)
            self.found = tuple(found)
        except Cancelled:
            self.stopped = True
        except (BadInput, IntrospectError) as problem:
            self.problem = str(problem)
        except MemoryError:
            self.problem = "There is not enough memory for so many copies: choose fewer."
        finally:
            self.ended.set()
