"""UMAP: a neighbourhood graph laid out on the plane, for comparison with the learnt map."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from introspect.basis import Activations
from introspect.errors import BadInput
from introspect.plugin import Progress, knob
from introspect.projections.base import AbstractProjection


@dataclass(frozen=True)
class UMAP(AbstractProjection):
    """Neighbours stay neighbours: umap-learn draws the graph of nearest activations.

    It shows clusters crisply, but a new picture has to be fitted in anew, slowly, and its place
    depends on what else is in the batch (McInnes, Healy & Melville 2018).
    """

    neighbours: int = knob(15, 2, 200, "Neighbours per point.")
    distance: float = knob(0.1, 0.0, 1.0, "Smallest distance between points on the map.")

    def fit(
        self,
        h: Activations,
        seed: int = 0,
        on_epoch: Progress | None = None,
        device: str = "cpu",
        checkpoint: Path | None = None,
        spans: dict[str, slice] | None = None,
    ) -> Any:
        """Gives umap-learn's own fitted object, whose `embedding_` holds z of the rows of h.

        Raises:
            BadInput: when the optional package umap-learn is not installed.
        """
        if importlib.util.find_spec("umap") is None:
            raise BadInput("UMAP needs an optional package: pip install 'introspect[umap]'.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from umap import UMAP as Reducer

            reducer = Reducer(
                n_neighbors=self.neighbours, min_dist=self.distance, random_state=seed
            )
            reducer.fit(np.asarray(h, np.float32))
        return reducer
