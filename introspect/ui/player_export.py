"""An attack to take away: one HTML page that plays it without a server, an npz file, a GIF."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64, UInt8

from introspect.ui.landing import picture_shape
from introspect.ui.player_payload import Played
from introspect.ui.routes import FRONTEND

if TYPE_CHECKING:
    from introspect.trajectory import Trajectory

ENTRY = "attack_player_page.js"
IMPORT = re.compile(r"""(\bfrom\s+|\bimport\s+)"\./([\w.]+\.js)";""")
SEALED = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""The page's own content policy: it can ask nobody for anything."""

THEME = """
:root { color-scheme: light dark; --st-background-color: #ffffff; --st-text-color: #1c2530;
  --st-primary-color: #2b6cb0; --st-font: "Source Sans 3", "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --st-background-color: #12161c;
  --st-text-color: #e6eaf0; --st-primary-color: #2d78cc; } }
body { margin: 0 auto; max-width: 1180px; padding: 18px; background: var(--st-background-color);
  color: var(--st-text-color); font: 14px/1.5 var(--st-font); }
h1 { font-size: 22px; margin: 0 0 4px; } p { margin: 0 0 14px; } footer { margin-top: 14px; }
"""

GIF_SIDE = 224
GIF_MOST = 101
"""Most pictures of a GIF; a longer walk is shown with evenly fewer."""


def modules(entry: str = ENTRY) -> dict[str, str]:
    """The JavaScript modules that one of ours needs, by file name, with imports by bare name.

    Bare names ("introspect/view.js") can be given any address by an import map; "./view.js" cannot
    where a module itself has none.
    """
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        text = (FRONTEND / name).read_text("utf-8")
        waiting += [other for _, other in IMPORT.findall(text)]
        found[name] = IMPORT.sub(r'\1"introspect/\2";', text)
    return found


def to_html(played: Played, caption: str, beside: Played | None = None) -> bytes:
    """The player as one HTML file: same scripts, all data inside, no server, nothing fetched.

    Args:
        caption: the figure explained, plain text.
        beside: the same attack on a second model.
    """
    manifest = json.loads(played.manifest)
    told = settings_text(manifest["attack"], manifest["settings"])
    title = f"Attack on {manifest['title']} of {manifest['atlas']}"
    if beside is not None:
        title += f" and {json.loads(beside.manifest)['atlas']}"
    addresses = {
        f"introspect/{name}": "data:text/javascript;base64," + _base64(text.encode())
        for name, text in modules().items()
    }
    data = _embed(played, "") + ("" if beside is None else _embed(beside, "-2"))
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{SEALED}">
<title>{html.escape(title)}</title>
<style>{THEME}{(FRONTEND / "attack_player.css").read_text("utf-8")}</style>
<script type="importmap">{_json({"imports": addresses})}</script>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p>{html.escape(told)}. Made with Introspect.</p>
<main id="player"></main>
<footer>{html.escape(caption)}</footer>
{data}
<script type="module">import "introspect/{ENTRY}";</script>
</body>
</html>
"""
    return text.encode()


def _embed(played: Played, mark: str) -> str:
    """Manifest and parts as elements that run nothing, their names ending in `mark`."""
    told = _json(json.loads(played.manifest))
    parts = "".join(
        f'<script type="text/plain" id="part-{name}{mark}">{_base64(body)}</script>\n'
        for name, body in played.parts.items()
    )
    return f'<script type="application/json" id="manifest{mark}">{told}</script>\n{parts}'


def settings_text(attack: str, settings: dict) -> str:
    """The attack and its settings in one line."""
    words = {True: "yes", False: "no"}
    told = ", ".join(
        f"{name.replace('_', ' ')} {words[value] if isinstance(value, bool) else value}"
        for name, value in settings.items()
    )
    return f"{attack.upper()} with {told}"


def to_npz(walk: Trajectory, beside: Trajectory | None = None) -> bytes:
    """Everything that was computed, at full precision, for `numpy.load`.

    Args:
        beside: the same attack on a second model: its arrays end in `_2`.
    """
    arrays = walk.arrays()
    if beside is not None:
        arrays |= {f"{name}_2": value for name, value in beside.arrays().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def to_gif(walk: Trajectory, place: int, beside: Trajectory | None = None) -> bytes:
    """The pictures on the way to the target at `place`, what was added beside them, as a GIF.

    The change is drawn as grey (none), darker (less) and brighter (more), magnified to fill the
    range; a bar below tells how far the walk is, and turns orange where the alarm sounds.

    Args:
        beside: the same attack on a second model, drawn below; it must have this target too.

    Raises:
        ValueError: the inputs are no pictures.
    """
    from PIL import Image

    walks = [walk] if beside is None else [walk, beside]
    last = max(one.z.shape[1] for one in walks) - 1
    steps = np.unique(np.linspace(0, last, min(last + 1, GIF_MOST)).round().astype(int))
    rows = [_draw_frames(one, place, steps, last) for one in walks]
    first, *rest = [Image.fromarray(np.concatenate(pair)) for pair in zip(*rows, strict=True)]
    buffer = io.BytesIO()
    durations = [50] * len(rest) + [1500]
    first.save(
        buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False
    )
    return buffer.getvalue()


def _draw_frames(
    walk: Trajectory, place: int, steps: Int64[np.ndarray, " s"], last: int
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Picture, change and bar at every step; a shorter walk stands still at its end."""
    shape = picture_shape(walk.clean.shape)
    if shape is None:
        raise ValueError("Only pictures can be shown as a GIF.")
    channels, height, width = shape
    points = walk.z.shape[1]
    times = max(1, GIF_SIDE // max(height, width))
    x = walk.x[place].reshape(points, *shape)
    change = x - walk.clean.reshape(shape)
    change = change / max(float(np.abs(change).max()), 1e-12)
    frames = []
    for number in steps:
        step = min(int(number), points - 1)
        pair = np.concatenate([x[step], 0.5 + change[step] / 2], 2)
        pair = np.round(pair.clip(0, 1) * 255).astype(np.uint8)
        rgb = np.repeat(pair, 3 // channels, 0).transpose(1, 2, 0)
        large = rgb.repeat(times, 0).repeat(times, 1)
        bar = np.full((6, large.shape[1], 3), 40, np.uint8)
        alarmed = walk.log_error[place, step] > walk.threshold
        done = round(large.shape[1] * number / max(1, last))
        bar[:, :done] = (231, 99, 0) if alarmed else (63, 144, 218)
        frames.append(np.concatenate([large, bar]))
    return frames


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _json(value: object) -> str:
    """JSON that may stand inside a script element, whatever the class names are."""
    return json.dumps(value).replace("<", "\\u003c").replace("&", "\\u0026")
