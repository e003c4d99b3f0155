"""The atlas: a network's activation space as one map, and all it takes to place new inputs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Int64

from introspect.classifier import Classifier
from introspect.engine import Engine, Positions
from introspect.errors import BadInput
from introspect.kept import Kept, as_floats, find_rest, read_kept
from introspect.nearest import Nearest
from introspect.plugin import Progress
from introspect.points import Points
from introspect.projections.infovae import InfoVAEProjector
from introspect.projections.pca import PCAProjector
from introspect.recording import Recording, identify, record
from introspect.samples import Samples
from introspect.sheets import read_about, read_tile
from introspect.store import cache_dir

if TYPE_CHECKING:
    from introspect.evolution import Evolution
    from introspect.window import Window

__all__ = ["Atlas", "Chart", "Points", "Positions", "Thumbs"]

CHART_MARGIN = 0.06


@dataclass(frozen=True, eq=False)
class Chart:
    """Estimated error over the map: `log_error[r, c]` at row r from below, column c from the left.

    `extent` is (x0, x1, y0, y1), the outer edges of the grid in units of z.
    """

    log_error: Float32[np.ndarray, "g g"]
    extent: tuple[float, float, float, float]


@dataclass(frozen=True)
class Thumbs:
    """Small pictures of all rows: row r is tile r % per_sheet of sheet r // per_sheet.

    Tiles of `height` x `width` pixels lie row by row, `columns` a row. `lossless` sheets are the
    samples themselves.
    """

    folder: Path
    height: int
    width: int
    channels: int
    columns: int
    per_sheet: int
    sheets: tuple[str, ...]
    lossless: bool

    @staticmethod
    def of(folder: Path) -> Thumbs | None:
        """The sheets in a folder, or None where there are none."""
        if not (folder / "thumbs.json").exists():
            return None
        about = read_about(folder)
        sizes = {
            name: about[name] for name in ("height", "width", "channels", "columns", "per_sheet")
        }
        return Thumbs(
            folder, **sizes, sheets=tuple(about["sheets"]), lossless=bool(about["lossless"])
        )


class Absent(torch.nn.Module):
    """Stands where an atlas was saved without its network: says so when it is run."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise BadInput(
            "This atlas was saved without its network, so nothing new can be placed on it: "
            "open it from Python with introspect.load(path, model=your_module)."
        )


@dataclass(frozen=True, eq=False)
class Atlas:
    """The fitted whole; made by `Atlas.build` or `Atlas.load`, never changed afterwards.

    `settings` says how it was built and what was measured; `thresholds` holds the alarm level of
    `log_error` (1 % false alarms on correctly classified validation samples); `pca` is the plain
    control projection. `folder` is the version folder it was read from, None while unsaved.
    `made_of`, `recorded` and `evolution` are what a fresh atlas was built from; a loaded one finds
    them on disk: use `kept`, `samples`, `recording` and `checkpoints`.
    """

    engine: Engine
    projector: InfoVAEProjector
    pca: PCAProjector | None
    points: Points
    thresholds: dict[str, float]
    settings: dict[str, Any]
    fingerprint: str
    name: str
    folder: Path | None = None
    made_of: Samples | None = None
    recorded: Recording | None = None
    evolution: Evolution | None = None
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    @property
    def classifier(self) -> Classifier:
        """The network under study."""
        return self.engine.classifier

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the k classes."""
        return self.classifier.classes

    @property
    def z(self) -> Float32[np.ndarray, "n 2"]:
        """Place of every recorded sample on the map."""
        return self.points.z

    @property
    def complete(self) -> bool:
        """Whether the network is there, so that new inputs can be placed."""
        return not isinstance(self.classifier.module, Absent)

    def locate(self, x: Any) -> Positions:
        """Where inputs land, what the network says and how wrong it probably is.

        The same input gives the same place: alone, in any batch, today and after loading.

        Args:
            x: float32 `m *input` or one `*input` in [0, 1] (tensor or array), or uint8, HW and HWC
                pictures, which are converted.

        Raises:
            BadInput: wrong size, wrong range, NaN, or the network is absent.
        """
        from introspect.samples import as_input

        shape = self.classifier.input_shape
        if not (
            isinstance(x, torch.Tensor) and x.dtype == torch.float32 and tuple(x.shape[1:]) == shape
        ):
            x = as_input(x, shape)
        elif not torch.isfinite(x).all():
            raise BadInput("The input holds NaN or infinite values: clean it before placing it.")
        return self.engine.locate(x)

    def lift(self, z: Any) -> Float32[np.ndarray, "m p"]:
        """The activations that points of the map stand for: the decoder's answer, float32."""
        return self.projector.inverse_transform(np.asarray(z, np.float32).reshape(-1, 2))

    def chart(self, g: int = 200, extent: tuple[float, float, float, float] | None = None) -> Chart:
        """The estimated error ê(z) on a g by g grid over `extent` (x0, x1, y0, y1).

        Without an extent: a square that covers all points with a margin.
        """
        if extent is None:
            low, high = self.z.min(0), self.z.max(0)
            side = float((high - low).max()) * (1 + 2 * CHART_MARGIN) or 1.0
            x0, y0 = ((low + high - side) / 2).tolist()
            extent = (x0, x0 + side, y0, y0 + side)
        x0, x1, y0, y1 = extent
        middle = (np.arange(g, dtype=np.float32) + 0.5) / g
        grid = np.stack(np.meshgrid(x0 + middle * (x1 - x0), y0 + middle * (y1 - y0)), -1)
        places = torch.from_numpy(grid.reshape(-1, 2).astype(np.float32)).to(self.engine.device)
        with torch.inference_mode():
            value = self.engine.map_estimator(places).cpu().numpy()
        return Chart(value.reshape(g, g), extent)

    @cached_property
    def thumbs(self) -> Thumbs | None:
        """Pictures of the rows, or None for tables and unsaved atlases."""
        return None if self.folder is None else Thumbs.of(self.folder / "thumbs")

    @cached_property
    def kept(self) -> Kept | None:
        """Rows whose inputs are at hand, with their samples; None where the atlas came without.

        Where only some travelled along and the rest is of a data set that lies on this machine,
        they are all there.
        """
        if self.made_of is not None:
            return Kept(np.arange(len(self.points)), self.made_of)
        found = None if self.folder is None else read_kept(self.folder, len(self.points))
        if found is None:
            return None
        rows, x = found
        p, about = self.points, self.settings["data"]
        samples = Samples(
            x.reshape(len(x), *self.classifier.input_shape),
            p.label[rows],
            p.split[rows],
            self.classes,
            p.id[rows],
            about["name"],
        )
        shape, kept = self.classifier.input_shape, Kept(rows, samples)
        return find_rest(
            kept,
            about["name"],
            str(about.get("fingerprint")),
            lambda whole: whole.fitted(shape, self.classes),
            len(p),
        )

    @property
    def samples(self) -> Samples | None:
        """The recorded inputs in row order, or None where not all of them are at hand."""
        kept = self.kept
        return kept.samples if kept is not None and len(kept) == len(self.points) else None

    def inputs(self, rows: Any) -> Float32[torch.Tensor, " m *input"]:
        """Inputs of some rows as the classifier takes them, on the CPU.

        Raises:
            BadInput: the atlas came without them.
        """
        return as_floats(self.kept, rows)

    @property
    def recording(self) -> Recording:
        """The activations of all rows whose inputs are at hand, in the order of `kept.rows`.

        Recorded into the cache where they did not travel along.
        """
        return self.record()

    def record(self, on_batch: Progress | None = None) -> Recording:
        """As `recording`, telling (done, total) while it records.

        Raises:
            BadInput: the atlas came without its inputs or without its network.
            Cancelled: `on_batch` answered False.
        """
        if self.recorded is not None:
            return self.recorded
        kept = self.kept
        if kept is None or not self.complete:
            raise BadInput(
                "This atlas came without its network or inputs: its activations cannot be recorded."
            )
        samples = kept.samples
        with self._lock:
            tap = self.engine.tap
            folder = cache_dir() / "recordings" / identify(tap, samples)[:24]
            return record(
                self.classifier,
                samples,
                folder,
                layers=list(tap.spans),
                reduction=tap.reduction,
                device="cpu",
                on_batch=on_batch,
            )

    def neighbours(
        self, x: Any, count: int = 12, on_batch: Progress | None = None
    ) -> tuple[Int64[np.ndarray, "m c"], Float32[np.ndarray, "m c"]]:
        """The recorded rows whose activations are nearest: rows and Euclidean distances in h.

        True neighbours in activation space, not on the map, among the rows whose inputs are at
        hand. The first call on a bundled atlas records its activations first.
        """
        if "nearest" not in vars(self):
            self.record(on_batch)
        x = torch.as_tensor(x, dtype=torch.float32).reshape(-1, *self.classifier.input_shape)
        with torch.inference_mode():
            query, _ = self.engine.tap(x)
            places, distances = self.nearest(query, count)
        kept = self.kept
        return (places if kept is None else kept.rows[places]), distances

    @cached_property
    def nearest(self) -> Nearest:
        """The search among all recorded activations, prepared once."""
        return Nearest.of(self.recording.h)

    @cached_property
    def checkpoints(self) -> Evolution | None:
        """How a fixed set of samples moved while the network learnt, or None where it was not kept.

        Raises:
            BadInput: what was kept is damaged.
        """
        if self.evolution is not None or self.folder is None:
            return self.evolution
        from introspect.evolution import read_evolution

        file = self.folder / "checkpoints.safetensors"
        return read_evolution(file, self.points) if file.exists() else None

    def picture(self, row: int) -> np.ndarray:
        """The picture of a row, uint8 `h w` or `h w 3`; its thumbnail where only that is here.

        Raises:
            BadInput: the rows are no pictures, or came without them.
        """
        kept, thumbs = self.kept, self.thumbs
        if kept is not None and kept.samples.pictures and kept.mask(len(self.points))[row]:
            x = kept.samples.x[int(kept.places(row)[0])]
        elif thumbs is not None:
            x = read_tile(thumbs.folder, int(row))
        else:
            raise BadInput("The samples of this atlas are no pictures.")
        if x.dtype != np.uint8:
            x = (np.clip(x, 0, 1) * 255).round().astype(np.uint8)
        return x[0] if len(x) == 1 else np.moveaxis(x, 0, -1)

    def with_views(self, **views: Float32[np.ndarray, "n 2"]) -> Atlas:
        """The same atlas with further projections of its rows, such as umap."""
        kept = {name: view for name, view in self.points.views.items() if name != "infovae"}
        return replace(self, points=replace(self.points, views={**kept, **views}))

    def save(self, path: str | Path, keep: Int64[np.ndarray, " m"] | None = None) -> Path:
        """Writes the atlas folder in one step: the old version stays whole until the new one is.

        Args:
            keep: rows whose inputs travel along; all of them when left out. The others are seen
                as small pictures only, and nothing can be run on them where the data are not.

        Raises:
            BadInput: the disk is full or the folder holds something else.
        """
        from introspect.atlas_folder import save_atlas

        return save_atlas(self, Path(path), keep)

    @staticmethod
    def load(path: str | Path, model: Any = None) -> Atlas:
        """The atlas in a folder, a zip, or of a bundled name; nothing in it is run.

        Args:
            model: the live module of an atlas that was saved without its network.

        Raises:
            BadInput: it is missing or damaged; NewerFormat: it needs a newer Introspect.
        """
        from introspect.atlas_folder import load_atlas

        return load_atlas(path, model)

    @staticmethod
    def build(classifier: Any, samples: Any, **settings: Any) -> Atlas:
        """See `introspect.building.build_atlas`."""
        from introspect.building import build_atlas

        return build_atlas(classifier, samples, **settings)

    def open(self, port: int | None = None, browser: bool = True) -> Window:
        """Opens the app on this atlas in the browser, and goes on at once.

        Args:
            port: where it listens; any free one when None.
            browser: whether to show it, or only to run it.

        Returns:
            A handle: `.url`, `.selection` (ids drawn round on the map), `.wait()`, `.close()`.
        """
        from introspect.atlas_folder import open_in_browser

        return open_in_browser(self, port, browser)
