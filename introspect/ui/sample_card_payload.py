"""A sample card as the browser takes it: one sample as JSON under its hash, its units as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64

from introspect.brainbow import activate
from introspect.ui.brainbow_payload import pack_activations
from introspect.ui.chooser import Chosen, to_picture
from introspect.ui.landing import to_facts, verdict, warn
from introspect.ui.payload import Packed, content_key, picture_url

if TYPE_CHECKING:
    from introspect.atlas import Atlas

MOST_VALUES = 200
"""Values of an input that is no picture which are listed."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One sample and all that the network says of it; arrays are read-only.

    `h` are its activations in the order of the recording, None where the atlas came without its
    network; the rest as in `Positions`.
    """

    chosen: Chosen
    z: Float32[np.ndarray, " two"]
    outputs: Float32[np.ndarray, " k"]
    predicted: int
    log_error: float
    log_error_map: float
    off_map: float
    h: Float32[np.ndarray, " p"] | None

    def __post_init__(self) -> None:
        for value in (self.z, self.outputs, self.h):
            if value is not None:
                value.setflags(write=False)


def see(atlas: Atlas, chosen: Chosen) -> Seen:
    """Runs one sample through the network; a stored one keeps what the map says of it.

    Raises:
        BadInput: a new input, and the atlas came without its network.
    """
    x = torch.from_numpy(np.array(chosen.x, np.float32))[None]
    h = activate(atlas, x)[0] if atlas.complete else None
    found, i = (atlas.locate(x), 0) if chosen.row is None else (atlas.points, chosen.row)
    return Seen(
        chosen,
        np.array(found.z[i], np.float32),
        np.array(found.outputs[i], np.float32),
        int(found.predicted[i]),
        float(found.log_error[i]),
        float(found.log_error_map[i]),
        float(found.off_map[i]),
        h,
    )


def pack_card(atlas: Atlas, seen: Seen) -> Packed:
    """Everything the browser needs to draw one sample."""
    chosen, classes = seen.chosen, atlas.classes
    parts: dict[str, Any] = {}
    units = None
    if seen.h is not None:
        packed = pack_activations(seen.h)
        parts |= packed.parts
        units = packed.manifest
    picture = to_picture(chosen.x)
    known = chosen.label >= 0
    names = [("prediction", classes[seen.predicted], "The class of the highest output")]
    if known:
        names.insert(0, ("label", classes[chosen.label], "What the data say it is"))
    about = {
        "title": chosen.title,
        "picture": None if picture is None else picture_url(picture),
        "values": list_values(chosen.x) if picture is None else None,
        "names": names,
        "facts": to_facts(seen.z, seen.log_error, seen.log_error_map, seen.off_map),
        "alarm": bool(seen.log_error > atlas.thresholds.get("log_error", np.inf)),
        "verdict": verdict(seen.off_map),
        "stranger": warn(seen.off_map) is not None,
        "label": chosen.label if known else None,
        "predicted": seen.predicted,
        "outputs": [round(float(value), 6) for value in seen.outputs],
        "z": [float(value) for value in seen.z],
        "units": units,
    }
    body = json.dumps(about).encode()
    key = content_key(body)
    parts[key] = body
    return Packed(key, parts, {key: "application/json"})


def list_values(x: Float[np.ndarray, "*input"]) -> dict[str, Any]:
    """The numbers of an input that is no picture: [[name, value], …] and how many are left out.

    Names count from 1; an input of several axes is named by its place along each of them.
    """
    places = islice(np.ndindex(*x.shape), MOST_VALUES)
    rows = [
        [", ".join(str(step + 1) for step in place), f"{x[place]:.4g}".replace("-", "−")]
        for place in places
    ]
    return {"rows": rows, "more": max(0, int(x.size) - MOST_VALUES)}


def measure(a: Seen, b: Seen) -> dict[str, float | None]:
    """How far two samples lie apart: on the map, and in activation space (Euclidean)."""
    return {
        "map": float(np.linalg.norm(a.z.astype(np.float64) - b.z)),
        "units": None
        if a.h is None or b.h is None
        else float(np.linalg.norm(a.h.astype(np.float64) - b.h)),
    }


def to_items(
    atlas: Atlas, rows: Int64[np.ndarray, " c"], distances: Float[np.ndarray, " c"]
) -> list[list[Any]]:
    """Stored samples as the gallery takes them: row, id, label or -1, predicted, note."""
    points = atlas.points
    return [
        [
            int(row),
            int(points.id[row]),
            int(points.label[row]),
            int(points.predicted[row]),
            f"distance {distance:.3g}",
        ]
        for row, distance in zip(rows, distances, strict=True)
    ]
