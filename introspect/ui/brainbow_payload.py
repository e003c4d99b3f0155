"""What the brainbow in the browser is made of: expectations, orders and colours of all units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from introspect.brainbow import WAYS, Brainbow, Groups, colour_range, has_means, sort_units
from introspect.errors import BadInput
from introspect.plots.palette import CIVIDIS, class_colours
from introspect.ui.payload import Packed, content_key, pack_map, pack_score
from introspect.ui.selection import harmless

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.units import Strongest

TITLES = {"decoder": "Decoder", "mean": "Sample mean"}


def find_ways(atlas: Atlas) -> tuple[dict[str, Brainbow], str]:
    """The brainbow by every way that is possible at once, and why one is missing, if one is."""
    found, problem = {"decoder": sort_units(atlas, "decoder")}, ""
    if has_means(atlas):
        try:
            found["mean"] = sort_units(atlas, "mean")
        except BadInput as refusal:
            problem = str(refusal)
    else:
        problem = "This atlas carries no mean activations, so only the decoder is asked."
    return found, problem


def pack_brainbow(atlas: Atlas) -> Packed:
    """Everything the browser needs to draw the sorted layers of an atlas."""
    found, problem = find_ways(atlas)
    parts: dict[str, bytes | Path] = {}
    first, k = found["decoder"], len(atlas.classes)
    layers = atlas.engine.tap.layers
    groups, pictures = Groups.of(atlas), pack_pictures(atlas)
    manifest: dict[str, Any] = {
        "name": atlas.name,
        "classes": list(atlas.classes),
        "p": int(first.expected.shape[1]),
        "palette": {"light": class_colours(k), "dark": class_colours(k, dark=True)},
        "ramp": CIVIDIS,
        "layers": [
            {"name": layer.name, "op": layer.op, "start": span.start, "stop": span.stop}
            for layer, span in zip(layers, first.spans.values(), strict=True)
        ],
        "by": groups.by,
        "samples": [len(rows) for rows in groups.rows(k)],
        "ways": [_pack_way(parts, found[way], atlas) for way in WAYS if way in found],
        "problem": problem,
        "range": list(colour_range(first)),
        "map": None if pictures is None else pictures.manifest,
    }
    key = _add(parts, json.dumps(manifest).encode())
    return Packed(key, parts, {key: "application/json"})


def pack_pictures(atlas: Atlas) -> Packed | None:
    """The pictures of the atlas as the map has them, None where there are none."""
    from introspect.ui import session

    return None if atlas.thumbs is None else session.cached(pack_map, atlas)


def _add(parts: dict[str, bytes | Path], body: bytes) -> str:
    key = content_key(body)
    parts[key] = body
    return key


def _pack_way(parts: dict[str, bytes | Path], found: Brainbow, atlas: Atlas) -> dict[str, Any]:
    k = len(found.classes)
    kind = "u1" if k < 255 else "u2"
    packed, low, high = pack_score(found.expected.reshape(-1))
    preferred = np.where(found.preferred < 0, k, found.preferred)
    return {
        "name": found.way,
        "title": TITLES[found.way],
        "expected": {"key": _add(parts, packed.tobytes()), "low": low, "high": high},
        "preferred": {"key": _add(parts, preferred.astype(f"<{kind}").tobytes()), "kind": kind},
        "order": _add(parts, found.order.astype("<i4").tobytes()),
        "light": _add(parts, found.painted(class_colours(k)).tobytes()),
        "dark": _add(parts, found.painted(class_colours(k, dark=True)).tobytes()),
    }


def pack_strongest(atlas: Atlas, found: Strongest) -> Packed:
    """The strongest samples of every unit: ids (float64), rows, labels, predictions, values."""
    points, rows = atlas.points, found.rows
    columns = (rows, points.label[rows], points.predicted[rows])
    body = np.ascontiguousarray(points.id[rows], "<f8").tobytes()
    body += b"".join(np.ascontiguousarray(column, "<i4").tobytes() for column in columns)
    body += np.ascontiguousarray(found.values, "<f4").tobytes()
    parts: dict[str, bytes | Path] = {}
    values = _add(parts, body)
    key = _add(parts, json.dumps({"count": rows.shape[1], "key": values}).encode())
    return Packed(key, parts, {key: "application/json"})


def pack_activations(h: Float32[np.ndarray, " p"]) -> Packed:
    """The activations of one sample, float32, in the order of the recording."""
    body = np.ascontiguousarray(h, "<f4").tobytes()
    key = content_key(body)
    return Packed(key, {key: body}, {})


def to_csv(found: dict[str, Brainbow]) -> bytes:
    """Every unit with its layer, preferred class and expectations, as CSV in UTF-8."""
    import csv
    import io

    brainbows = list(found.values())
    first = brainbows[0]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [harmless(name) for name in first.classes]
    writer.writerow(
        ["layer", "unit"]
        + [f"preferred_{b.way}" for b in brainbows]
        + [f"place_{b.way}" for b in brainbows]
        + [f"expected_{b.way}_{name}" for b in brainbows for name in names]
    )
    places = [np.argsort(b.order, kind="stable") for b in brainbows]
    for layer, span in first.spans.items():
        for unit in range(span.start, span.stop):
            liked = (names[b.preferred[unit]] if b.preferred[unit] >= 0 else "" for b in brainbows)
            writer.writerow(
                [harmless(layer), unit - span.start, *liked]
                + [int(place[unit]) - span.start for place in places]
                + [f"{value:.6g}" for b in brainbows for value in b.expected[:, unit]]
            )
    return out.getvalue().encode()
