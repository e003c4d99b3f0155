"""Strangers: inputs unlike everything recorded, and how well an atlas notices them.

Pardo et al. 2020, sections 2.3 and 4, propose it and measure nothing: activations far from all
known ones give away an input that the network was not made for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from introspect.answers import doubts
from introspect.atlas import Atlas
from introspect.bundled import sample_atlases
from introspect.datafile import Columns
from introspect.datasets import DATASETS, is_at_hand, read_mosaic
from introspect.engine import BATCH
from introspect.errors import BadInput, Cancelled
from introspect.inputs import as_input
from introspect.plugin import Progress
from introspect.points import OFF_THE_MAP
from introspect.ranking import Estimate, Ladder, measure, resample
from introspect.samples import Samples, load_samples, make_samples
from introspect.store import cache_dir

MOST = 2000
"""Most inputs of a set that are placed: a share of them is known to a hundredth then."""

RESAMPLES = 1000
TITLES = {
    "noise": "noise alone",
    "negative": "the negative of the test pictures",
    "scrambled": "test samples scrambled",
    "mnist": "MNIST digits",
    "fashion_mnist": "Fashion-MNIST clothes",
    "cifar10": "CIFAR-10 photographs",
    "kuzushiji": "Kuzushiji characters",
    "notmnist": "notMNIST letters",
    "gtsrb": "German traffic signs",
    "tiny_imagenet": "Tiny ImageNet photographs",
}
FILES = {
    "kuzushiji": "kmnist_test.npz",
    "notmnist": "notmnist_test.npz",
    "gtsrb": "gtsrb_test5000.webp",
    "tiny_imagenet": "tiny_imagenet_val5000.webp",
}
"""Looked for in the folder `ood` of `$INTROSPECT_DATA`."""


@dataclass(frozen=True, eq=False)
class Company:
    """Inputs placed on the map of an atlas; arrays are read-only.

    `off_map` is the percentile of strangeness, 0-100; `distance` the error of rebuilding the
    activations that it is read from, in standard deviations of the units; `doubt` is
    log10(1 − MSP), the baseline that looks at the outputs alone (Hendrycks & Gimpel 2017).
    """

    name: str
    z: Float32[np.ndarray, "m 2"]
    off_map: Float32[np.ndarray, " m"]
    distance: Float32[np.ndarray, " m"]
    doubt: Float64[np.ndarray, " m"]

    def __post_init__(self) -> None:
        for value in (self.z, self.off_map, self.distance, self.doubt):
            value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def flagged(self) -> Bool[np.ndarray, " m"]:
        """Which of them the shipped threshold calls unlike anything recorded."""
        return self.off_map > OFF_THE_MAP

    @property
    def share(self) -> float:
        """Share of them that is flagged."""
        return float(self.flagged.mean()) if len(self) else 0.0


@dataclass(frozen=True)
class Notice:
    """How well strangers are told from test samples, by strangeness and by MSP.

    `auroc` holds off_map and msp; `gain` is off_map minus msp, paired. `flagged` and `false` are
    the shares of strangers and of test samples above the shipped threshold.
    """

    flagged: float
    false: float
    auroc: dict[str, Estimate]
    gain: Estimate

    def tell(self) -> str:
        """The finding in one line."""
        gain = f"{self.gain.value:+.3f}, {self.gain.low:+.3f} to {self.gain.high:+.3f}"
        return (
            f"{self.flagged:.1%} flagged; AUROC {self.auroc['off_map'].value:.3f}, MSP "
            f"{self.auroc['msp'].value:.3f} (difference {gain.replace('-', '−')})"
        )


def residents(atlas: Atlas, most: int = MOST, seed: int = 0) -> Company:
    """The test samples, from the stored rows: nothing is run.

    Their `distance` is read back from the percentile, so that none is larger than the largest of
    the validation samples.

    Raises:
        BadInput: the atlas has no test samples.
    """
    points = atlas.points
    rows = np.sort(
        np.random.default_rng(seed).permutation(np.flatnonzero(points.split == 2))[:most]
    )
    if not len(rows):
        raise BadInput("This atlas has no test samples to compare strangers with.")
    ranks = atlas.engine.strangeness.ranks.cpu().numpy()
    percent = np.linspace(0, 100, len(ranks))
    distance = np.interp(points.off_map[rows], percent, ranks).astype(np.float32)
    doubt = doubts(points.outputs[rows], atlas.classifier.link)["msp"]
    return Company("test samples", points.z[rows], points.off_map[rows], distance, doubt)


@torch.inference_mode()
def place(
    atlas: Atlas, x: Float32[Tensor, " m *input"], name: str, on_batch: Progress | None = None
) -> Company:
    """Places inputs that are no samples of the atlas.

    Raises:
        Cancelled: `on_batch` answered False.
    """
    engine = atlas.engine
    parts: list[tuple[np.ndarray, ...]] = []
    # A small batch is told of sooner, and a network of pictures is no slower by it.
    every = BATCH if len(atlas.classifier.input_shape) < 3 else 128
    for start in range(0, len(x), every):
        if on_batch is not None and on_batch(start, len(x)) is False:
            raise Cancelled("Placing was stopped.")
        h, logits = engine.tap(x[start : start + every].to(engine.device))
        z = engine.encoder(h)
        outputs = engine.classifier.link_outputs(logits).cpu().numpy()
        parts.append(
            (
                z.cpu().numpy(),
                engine.strangeness(h, z).cpu().numpy(),
                engine.strangeness.distance(h, z).cpu().numpy(),
                doubts(outputs, engine.classifier.link)["msp"],
            )
        )
    if on_batch is not None:
        on_batch(len(x), len(x))
    return Company(name, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def compare(known: Company, met: Company, resamples: int = RESAMPLES, seed: int = 0) -> Notice:
    """How well `met` is told from `known`, with 95 % bootstrap intervals."""
    strange = np.r_[np.zeros(len(known), bool), np.ones(len(met), bool)]
    ladders = {
        "off_map": Ladder.of(np.r_[known.off_map, met.off_map], strange),
        "msp": Ladder.of(np.r_[known.doubt, met.doubt], strange),
    }
    value = {name: float(measure(one.whole)["auroc"][0]) for name, one in ladders.items()}
    drawn = {name: one["auroc"] for name, one in resample(ladders, resamples, seed).items()}
    return Notice(
        met.share,
        known.share,
        {name: Estimate.of(value[name], drawn[name]) for name in ladders},
        Estimate.of(value["off_map"] - value["msp"], drawn["off_map"] - drawn["msp"]),
    )


# ---------------------------------------------------------------- sets to meet
def sets(atlas: Atlas) -> dict[str, Callable[[int], Tensor]]:
    """Every set of strangers that can be met without a download, by its title.

    Each is called with the most inputs wanted and answers float32 `m *input`: noise and the spoilt
    test samples of any atlas; for pictures also the data sets on this machine or in the bundle
    that the atlas is not of, grey as colour or colour as grey, scaled to its size.
    """
    classifier = atlas.classifier
    shape = classifier.input_shape
    found: dict[str, Callable[[int], Tensor]] = {}
    own = str(atlas.settings.get("data", {}).get("name", "")).split(":")[0]
    pictures = _reads_pictures(atlas)
    if pictures:
        found[TITLES["noise"]] = lambda most: noise(atlas, most)
    if len(_test_rows(atlas)):
        if pictures:
            low, high = classifier.bounds
            found[TITLES["negative"]] = lambda most: low + high - _test(atlas, most)
        found[TITLES["scrambled"]] = lambda most: scramble(_test(atlas, most), pictures)
    if not pictures:
        return found
    cache = cache_dir() / "datasets"
    for name in DATASETS:
        bundle = None if is_at_hand(name, cache) else _bundled(name)
        if name != own and (bundle is not None or is_at_hand(name, cache)):
            found[TITLES[name]] = lambda most, name=name, bundle=bundle: fit(
                load_samples(f"{name}:test") if bundle is None else _stored(bundle), shape, most
            )
    folder = Path(os.environ.get("INTROSPECT_DATA", "")).expanduser() / "ood"
    for name, file in FILES.items():
        if os.environ.get("INTROSPECT_DATA") and (folder / file).is_file():
            found[TITLES[name]] = lambda most, path=folder / file: fit(_read(path), shape, most)
    return found


def noise(atlas: Atlas, most: int, seed: int = 0) -> Float32[Tensor, " m *input"]:
    """Inputs of independent values, evenly spread over the classifier's bounds."""
    low, high = atlas.classifier.bounds
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand((most, *atlas.classifier.input_shape), generator=generator)
    return x * (high - low) + low


def scramble(
    x: Float32[Tensor, " m *input"], pictures: bool, seed: int = 0
) -> Float32[Tensor, " m *input"]:
    """The same values in another order: pixels within each picture, or columns among the rows."""
    random = np.random.default_rng(seed)
    flat = x.flatten(1)
    if pictures:
        order = torch.from_numpy(np.stack([random.permutation(flat.shape[1]) for _ in flat]))
        return flat.gather(1, order).reshape(x.shape)
    order = torch.from_numpy(np.stack([random.permutation(len(flat)) for _ in flat.T], 1))
    return flat.gather(0, order).reshape(x.shape)


def fit(
    samples: Samples, shape: tuple[int, ...], most: int = MOST, seed: int = 0
) -> Float32[Tensor, " m *input"]:
    """Some inputs of another data set as a network of this input shape takes them.

    Pictures are cut to the shape's aspect and scaled, colour is averaged or grey repeated; a table
    must have the right width already.

    Raises:
        BadInput: neither pictures for a network of pictures nor a table of the right width.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(samples))[:most])
    if samples.shape == shape:
        return samples.floats(rows)
    if not samples.pictures and len(samples.shape) != len(shape):
        raise BadInput(
            f"These inputs have the shape {samples.shape}, the network takes {shape}: give data "
            "of that shape, or pictures to a network of pictures."
        )
    return as_input(np.asarray(samples.x[rows]), shape, resize=samples.pictures)


def _reads_pictures(atlas: Atlas) -> bool:
    kept = atlas.kept
    return len(atlas.classifier.input_shape) == 3 or (kept is not None and kept.samples.pictures)


def _test(atlas: Atlas, most: int) -> Tensor:
    rows = np.sort(np.random.default_rng(0).permutation(_test_rows(atlas))[:most])
    return atlas.inputs(rows)


def _test_rows(atlas: Atlas) -> np.ndarray:
    """The test samples whose inputs are at hand."""
    kept = atlas.kept
    return np.zeros(0, np.int64) if kept is None else kept.rows[atlas.points.split[kept.rows] == 2]


def _bundled(name: str) -> Path | None:
    """The bundled atlas of a data set, by what its name begins with."""
    stem = name.replace("_", "-")
    found = (path for key, path in sample_atlases().items() if key.startswith(f"{stem}-"))
    return next(found, None)


def _stored(path: Path) -> Samples:
    kept = Atlas.load(path).kept
    if kept is None:
        raise BadInput(f"The atlas {path.name} came without its pictures.")
    return kept.samples.of("test")


def _read(path: Path) -> Samples:
    if path.suffix != ".webp":
        return load_samples(path)
    x = read_mosaic(path)
    return make_samples(Columns(x), name=path.stem)
