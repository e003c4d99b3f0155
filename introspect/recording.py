"""Recordings: activations, outputs and logits of many samples, streamed to disk and mapped."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from introspect.classifier import Classifier
from introspect.errors import BadInput, Cancelled, NewerFormat
from introspect.plugin import Progress
from introspect.process import lock
from introspect.samples import Samples
from introspect.shards import Shards, journal_of, map_array
from introspect.store import write_file, writing
from introspect.tap import Tap
from introspect.thrift import Thrift

__all__ = ["Recording", "Tap", "half_squared_error", "read_recording", "record"]

VERSION = 1
FLOOR = 1e-8
DESCRIPTION = "recording.json"


def half_squared_error(
    scores: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"], link: str
) -> Float[np.ndarray, " n"]:
    """½‖onehot(y) − ŷ‖² in float64, accurate down to the smallest errors; NaN where y is -1.

    The true class contributes 1 − ŷ_y, which loses every digit when ŷ_y is close to 1. It is
    computed as σ(−o_y) for sigmoid, and as the sum of the other shares for softmax.

    Args:
        scores: logits, or the shares themselves with link "probabilities".
        y: class numbers; -1 says "no label".
    """
    o = torch.from_numpy(np.array(scores, np.float64))
    rows = torch.arange(len(o))
    true = torch.from_numpy(np.array(y, np.int64))
    place = true.clamp(min=0)
    if link == "sigmoid":
        o[rows, place] *= -1
        missing = torch.sigmoid(o)
    else:
        missing = torch.softmax(o, 1) if link == "softmax" else o
        right = missing[rows, place].clone()
        missing[rows, place] = 0
        missing[rows, place] = missing.sum(1) if link == "softmax" else 1 - right
    error = missing.square().sum(1) / 2
    error[true < 0] = torch.nan
    return error.numpy()


@dataclass(frozen=True, eq=False)
class Recording:
    """What a network did with n samples: h `n p` (all chosen layers side by side), outputs, logits.

    `logits` is None where the network gives shares only (link "probabilities").
    """

    h: np.ndarray
    outputs: Float[np.ndarray, "n k"]
    logits: Float[np.ndarray, "n k"] | None
    y: Int[np.ndarray, " n"]
    spans: dict[str, slice]
    reduction: str
    link: str = "softmax"
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for array in (self.h, self.outputs, self.logits, self.y):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.h)

    def layer(self, name: str) -> np.ndarray:
        """The columns `n units` of one layer, without a copy."""
        return self.h[:, self.spans[name]]

    @property
    def predicted(self) -> Int[np.ndarray, " n"]:
        scores = self.outputs if self.logits is None else self.logits
        return scores.argmax(1)

    @property
    def correct(self) -> Bool[np.ndarray, " n"]:
        return self.predicted == self.y

    @property
    def error(self) -> Float[np.ndarray, " n"]:
        """½‖y − ŷ‖² in float64; NaN for samples without a label."""
        if self.logits is None:
            return half_squared_error(self.outputs, self.y, "probabilities")
        return half_squared_error(self.logits, self.y, self.link)

    def log_error_target(self, floor: float = FLOOR) -> Float[np.ndarray, " n"]:
        """log10 of the error, not below the floor: what an error estimate learns to say.

        Differences below 1e-8 carry no information about wrong answers.
        """
        return np.log10(np.maximum(self.error, floor))


def identify(tap: Tap, samples: Samples) -> str:
    """The fingerprint of the recording that a tap makes of samples, told without making it."""
    spans = list(tap.spans)
    said = json.dumps([tap.classifier.fingerprint, samples.fingerprint, spans, tap.reduction])
    return hashlib.sha256(said.encode()).hexdigest()


def record(
    classifier: Classifier,
    samples: Samples,
    folder: str | Path | None = None,
    *,
    layers: Sequence[str] | None = None,
    reduction: str = "mean",
    batch: int = 1024,
    device: str = "auto",
    on_batch: Progress | None = None,
) -> Recording:
    """Runs every sample through the network once and keeps the activations in float16.

    With a folder the rows go to disk shard by shard and come back memory-mapped: h is never held
    in memory, and a recording that was killed goes on at its last whole shard. A folder that holds
    the finished recording of the same network, samples and settings is returned at once.
    Activations beyond ±65504 do not fit into float16; the whole recording is then float32.

    Args:
        folder: where to keep it; in memory when left out.
        layers: names from `classifier.layers`; the hidden ones when left out.
        reduction: see `Tap`.
        batch: samples a forward pass; halved as often as the memory does not hold it.
        device: "auto" (a GPU when there is one), "cpu" or "cuda".
        on_batch: called with (samples done, n).

    Raises:
        BadInput: activations or outputs are NaN or infinite (names layer and sample), the disk is
            full (says how much is needed), or the folder holds another recording.
        Cancelled: `on_batch` returned False; what is recorded so far stays.
    """
    classifier = classifier.to(choose_device(device))
    tap = Tap(classifier, layers, reduction)
    n, k = len(samples), len(classifier.classes)
    if n == 0:
        raise BadInput("There are no samples to record.")
    if batch < 1:
        raise BadInput(f"The batch must hold at least one sample; got {batch}.")
    y = np.array(samples.y, np.int64)
    if y.max(initial=-1) >= k:
        raise BadInput(
            f"The label {y.max()} is out of range: the network has {k} classes, 0 to {k - 1}."
        )
    fingerprint = identify(tap, samples)
    about = {"y": y, "spans": tap.spans, "reduction": reduction, "link": classifier.link}
    if folder is None:
        arrays = _record(tap, samples, None, fingerprint, batch, on_batch)
        return Recording(**arrays, **about, fingerprint=fingerprint)
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, n, on_batch):
            if (folder / DESCRIPTION).exists():
                if read_recording(folder).fingerprint != fingerprint:
                    raise BadInput(
                        f"The folder {folder.name} holds the recording of another network, other "
                        "samples or other layers; choose another folder."
                    )
            arrays = _record(tap, samples, folder, fingerprint, batch, on_batch)
            if not (folder / DESCRIPTION).exists():
                _finish(folder, Recording(**arrays, **about, fingerprint=fingerprint))
            return read_recording(folder)


@contextlib.contextmanager
def _alone(folder: Path, n: int, on_batch: Progress | None) -> Iterator[None]:
    """Waits while another process or thread records into the folder; still to be cancelled."""
    while True:
        with lock(folder / "record.lock", wait=False) as held:
            if held:
                yield
                return
        if on_batch is not None and on_batch(0, n) is False:
            raise Cancelled("The recording was stopped before it began.")
        time.sleep(0.1)


def _record(
    tap: Tap,
    samples: Samples,
    folder: Path | None,
    fingerprint: str,
    batch: int,
    on_batch: Progress | None,
) -> dict[str, Any]:
    """The arrays h, outputs and logits; h in float16, or all in float32 where that is too small."""
    k = len(tap.classifier.classes)
    wide = folder is not None and journal_of(folder) == f"{fingerprint} float32"
    for dtype in (np.float32,) if wide else (np.float16, np.float32):
        sizes = {"h": (tap.p, dtype), "logits": (k, np.float32), "outputs": (k, np.float32)}
        settings = f"{fingerprint} {np.dtype(dtype).name}"
        shards = Shards(folder, len(samples), batch, sizes, settings)
        if folder is not None and shards.start < len(samples):
            (folder / DESCRIPTION).unlink(missing_ok=True)
        with shards:
            fits = _fill(tap, samples, shards, batch, on_batch)
        if fits:
            break
    else:
        raise BadInput("The network answers the same input differently each time; is it random?")
    arrays = shards.arrays()
    shares = tap.classifier.link == "probabilities"
    return arrays | {"logits": None if shares else arrays["logits"]}


def choose_device(device: str) -> torch.device:
    """The device a person named; "auto" is the GPU where there is one.

    Raises:
        BadInput: the device is unknown, or "cuda" without a usable GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise BadInput(f'The device "{device}" is unknown; use auto, cpu or cuda.')
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise BadInput("There is no usable GPU on this machine; use --device cpu.")
    return torch.device("cuda" if there and device != "cpu" else "cpu")


def _fill(
    tap: Tap, samples: Samples, shards: Shards, batch: int, on_batch: Progress | None
) -> bool:
    """Fills the shards that are missing; False where an activation does not fit the type of h."""
    n = len(samples)
    thrift = Thrift()
    # cuDNN's TF32 keeps ten bits; the same picture must come out at the same place everywhere.
    precise = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.inference_mode(), precise:
        for start in range(shards.start, n, shards.rows):
            block = shards.take(start)
            for a in range(start, start + len(block["h"]), batch):
                rows = {k: v[a - start : a - start + batch] for k, v in block.items()}
                b = a + len(rows["h"])
                x = samples.floats(slice(a, b))
                thrift.run(partial(_record_part, tap, x, rows), len(x))
                if not all(_all_finite(torch.from_numpy(rows[k])) for k in ("h", "logits")):
                    _blame(tap, x, samples.ids[a:b])
                    return False
                if on_batch is not None and on_batch(b, n) is False:
                    raise Cancelled("The recording was stopped; what is done is kept.")
            shards.put(start)
    return True


def _record_part(
    tap: Tap, x: torch.Tensor, rows: dict[str, np.ndarray], start: int, stop: int
) -> None:
    part = {name: values[start:stop] for name, values in rows.items()}
    _record_batch(tap, x[start:stop], part)


def _record_batch(tap: Tap, x: torch.Tensor, rows: dict[str, np.ndarray]) -> None:
    """One forward pass; every activation is cast into its columns while still in the cache."""
    h = torch.from_numpy(rows["h"])
    if tap.classifier.device.type == "cpu":
        columns = [h[:, span] for span in tap.spans.values()]

        def take(slot: int, activation: torch.Tensor) -> None:
            columns[slot].copy_(tap.reduce(slot, activation))

        logits = tap.run(x, take)
    else:
        activations, logits = tap(x)
        h.copy_(activations.to(h.dtype))
    torch.from_numpy(rows["logits"]).copy_(logits)
    torch.from_numpy(rows["outputs"]).copy_(tap.classifier.link_outputs(logits))


def _all_finite(h: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite: both reach the extremes, in 1/20 of isfinite's time."""
    return all(math.isfinite(extreme) for extreme in torch.aminmax(h))


def _blame(tap: Tap, x: torch.Tensor, ids: np.ndarray) -> None:
    """Raises with the first sample and layer that are not finite; returns if float32 holds all."""
    h, logits = tap(x)
    found = [("input", x), *((f'layer "{k}"', h[:, span]) for k, span in tap.spans.items())]
    for where, values in (*found, ("output", logits)):
        wrong = ~torch.isfinite(values.flatten(1)).all(1)
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            what = "NaN" if torch.isnan(values[row]).any() else "infinite values"
            raise BadInput(
                f"The {where} is not finite for sample {ids[row]}: it has {what}; "
                "check that sample and the weights."
            )


def _finish(folder: Path, recording: Recording) -> None:
    """Writes labels and description; the description comes last and makes the recording whole."""
    labels = io.BytesIO()
    np.save(labels, recording.y)
    write_file(folder / "y.npy", labels.getvalue(), durable=False)
    document = {
        "introspect": f"recording/{VERSION}",
        "fingerprint": recording.fingerprint,
        "spans": {name: [span.start, span.stop] for name, span in recording.spans.items()},
        "reduction": recording.reduction,
        "link": recording.link,
        "shape": recording.h.shape,
    }
    # Not waited for: the checksums of the journal tell what a power failure took.
    write_file(folder / DESCRIPTION, json.dumps(document).encode(), durable=False)


def read_recording(folder: str | Path) -> Recording:
    """A finished recording, memory-mapped.

    Raises:
        NewerFormat: a newer version of Introspect wrote it.
        BadInput: it is missing, not finished, or its files are damaged.
    """
    folder = Path(folder)
    try:
        document = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        kind, _, version = document["introspect"].partition("/")
        if kind == "recording" and version.isdigit() and int(version) > VERSION:
            raise NewerFormat(
                "The recording was written by a newer version of Introspect; update it."
            )
        spans = {str(name): slice(int(a), int(b)) for name, (a, b) in document["spans"].items()}
        n, p = document["shape"]
        link, reduction = str(document["link"]), str(document["reduction"])
        fingerprint = str(document["fingerprint"])
    except FileNotFoundError as error:
        raise BadInput(f"{folder.name} holds no finished recording; record again.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{folder.name}/{DESCRIPTION} is damaged; record again.") from error
    arrays = {name: map_array(folder / f"{name}.npy") for name in ("h", "outputs", "logits", "y")}
    ends = [0, *(span.stop for span in spans.values())]
    fits = (
        arrays["h"].shape == (n, p)
        and arrays["h"].dtype in (np.float16, np.float32)
        and arrays["outputs"].dtype == arrays["logits"].dtype == np.float32
        and arrays["outputs"].shape == arrays["logits"].shape
        and arrays["outputs"].ndim == 2
        and len(arrays["outputs"]) == n
        and arrays["y"].shape == (n,)
        and arrays["y"].dtype == np.int64
        and [span.start for span in spans.values()] == ends[:-1]
        and ends[-1] == p
    )
    if not fits:
        raise BadInput(f"The files in {folder.name} do not belong together; record again.")
    return Recording(
        h=arrays["h"],
        outputs=arrays["outputs"],
        logits=None if link == "probabilities" else arrays["logits"],
        y=arrays["y"],
        spans=spans,
        reduction=reduction,
        link=link,
        fingerprint=fingerprint,
    )
