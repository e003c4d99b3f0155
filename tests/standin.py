"""Something with the shape of an atlas and none of its fitting, for the tests of the map page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from introspect.kept import Kept
from introspect.samples import Samples
from introspect.sheets import write_sheets

CLASSES = ("0", "<b>one</b>", "=2+3")


def pretend(
    folder: Path | None = None,
    n: int = 300,
    seed: int = 0,
    paint: Callable[[np.ndarray], np.ndarray] = lambda x: x,
) -> Any:
    """n bright blobs on black, three classes, two projections; thumbnails only with a folder.

    `paint` changes the pictures, uint8 `n 1 12 12`.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    label[::50] = -1
    predicted = np.where(rng.random(n) < 0.9, np.maximum(label, 0), rng.integers(0, 3, n))
    z = (rng.normal(size=(n, 2)) * 0.4 + np.stack([predicted - 1, predicted % 2], 1)).astype("f4")
    outputs = rng.dirichlet(np.ones(3), n).astype(np.float32)
    x = np.zeros((n, 1, 12, 12), np.uint8)
    x[:, :, 4:8, 4:8] = rng.integers(100, 256, (n, 1, 4, 4))
    x = paint(x)
    points = SimpleNamespace(
        id=np.arange(1000, 1000 + n),
        split=rng.integers(0, 3, n).astype(np.uint8),
        label=label,
        predicted=predicted,
        correct=label == predicted,
        z=z,
        log_error=rng.normal(-3, 1, n).astype(np.float32),
        log_error_map=rng.normal(-3, 1, n).astype(np.float32),
        error=rng.random(n).astype(np.float32),
        off_map=(100 * rng.random(n)).astype(np.float32),
        outputs=outputs,
        views={"infovae": z, "umap": rng.normal(size=(n, 2)).astype(np.float32)},
    )
    samples = Samples(
        x=x,
        y=label,
        split=points.split,
        classes=CLASSES,
        ids=points.id,
        name="blobs",
    )
    thumbs = None
    if folder is not None:
        about = write_sheets(samples, folder)
        names = ("height", "width", "channels", "columns", "per_sheet")
        thumbs = SimpleNamespace(
            folder=folder,
            lossless=True,
            sheets=tuple(about["sheets"]),
            **{name: about[name] for name in names},
        )

    def locate(inputs: Any) -> Any:
        """Every input at its mean brightness, times (1, 2)."""
        values = np.asarray(inputs, np.float32).reshape(len(inputs), -1).mean(1)
        m = len(values)
        return SimpleNamespace(
            z=np.stack([values, 2 * values], 1),
            outputs=np.tile(np.float32([0.2, 0.7, 0.1]), (m, 1)),
            predicted=np.ones(m, np.int64),
            log_error=np.full(m, -1.5, np.float32),
            log_error_map=np.full(m, -2.5, np.float32),
            off_map=np.float32(100 * values),
        )

    return SimpleNamespace(
        name="blobs",
        fingerprint="0123456789abcdef",
        points=points,
        z=z,
        samples=samples,
        kept=Kept(np.arange(n), samples),
        inputs=samples.floats,
        classifier=SimpleNamespace(
            classes=CLASSES,
            input_shape=(1, 12, 12),
            layers=(
                SimpleNamespace(units=20, hidden=True),
                SimpleNamespace(units=3, hidden=False),
            ),
        ),
        thumbs=thumbs,
        folder=folder,
        made_of=samples,
        complete=True,
        chart=lambda g=200, extent=(-3.0, 3.0, -2.0, 2.0): SimpleNamespace(
            log_error=np.linspace(-5, 0, g * g, dtype=np.float32).reshape(g, g), extent=extent
        ),
        picture=lambda row: x[row, 0],
        locate=locate,
        neighbours=lambda inputs, count, on_batch=None: (
            np.arange(count),
            np.linspace(0, 1, count),
        ),
    )
