"""An attack to take away: one HTML page that plays it without a server, an npz file, a GIF."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from typing import TYPE_CHECKING

import numpy as np

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


def to_html(played: Played, caption: str) -> bytes:
    """The player as one HTML file: same scripts, all data inside, no server, nothing fetched.

    Args:
        caption: the figure explained, plain text.
    """
    manifest = json.loads(played.manifest)
    told = settings_text(manifest["attack"], manifest["settings"])
    title = f"Attack on {manifest['title']} of {manifest['atlas']}"
    addresses = {
        f"introspect/{name}": "data:text/javascript;base64," + _base64(text.encode())
        for name, text in modules().items()
    }
    data = "\n".join(
        f'<script type="text/plain" id="part-{name}">{_base64(body)}</script>'
        for name, body in played.parts.items()
    )
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
<script type="application/json" id="manifest">{_json(manifest)}</script>
{data}
<script type="module">import "introspect/{ENTRY}";</script>
</body>
</html>
"""
    return text.encode()


def settings_text(attack: str, settings: dict) -> str:
    """The attack and its settings in one line."""
    words = {True: "yes", False: "no"}
    told = ", ".join(
        f"{name.replace('_', ' ')} {words[value] if isinstance(value, bool) else value}"
        for name, value in settings.items()
    )
    return f"{attack.upper()} with {told}"


def to_npz(walk: Trajectory) -> bytes:
    """Everything that was computed, at full precision, for `numpy.load`."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        x=walk.x,
        clean=walk.clean,
        target=walk.target,
        z=walk.z,
        outputs=walk.outputs,
        log_error=walk.log_error,
        log_error_map=walk.log_error_map,
        linf=walk.linf,
        l2=walk.l2,
        stalled=walk.stalled,
        success_step=walk.success_step,
        alarm_step=walk.alarm_step,
        threshold=np.float64(walk.threshold),
        source=np.int64(walk.source),
        label=np.int64(walk.label),
        attack=np.array(walk.attack),
        settings=np.array(json.dumps(walk.settings, default=str)),
    )
    return buffer.getvalue()


def to_gif(walk: Trajectory, place: int) -> bytes:
    """The pictures on the way to the target at `place`, what was added beside them, as a GIF.

    The change is drawn as grey (none), darker (less) and brighter (more), magnified to fill the
    range; a bar below tells how far the walk is, and turns orange where the alarm sounds.

    Raises:
        ValueError: the inputs are no pictures.
    """
    from PIL import Image

    shape = picture_shape(walk.clean.shape)
    if shape is None:
        raise ValueError("Only pictures can be shown as a GIF.")
    channels, height, width = shape
    points = walk.z.shape[1]
    steps = np.unique(np.linspace(0, points - 1, min(points, GIF_MOST)).round().astype(int))
    times = max(1, GIF_SIDE // max(height, width))
    x = walk.x[place].reshape(points, *shape)
    change = x - walk.clean.reshape(shape)
    change = change / max(float(np.abs(change).max()), 1e-12)
    pictures = []
    for step in steps:
        pair = np.concatenate([x[step], 0.5 + change[step] / 2], 2)
        pair = np.round(pair.clip(0, 1) * 255).astype(np.uint8)
        rgb = np.repeat(pair, 3 // channels, 0).transpose(1, 2, 0)
        large = rgb.repeat(times, 0).repeat(times, 1)
        bar = np.full((6, large.shape[1], 3), 40, np.uint8)
        done = round(large.shape[1] * step / max(1, points - 1))
        alarmed = walk.log_error[place, step] > walk.threshold
        bar[:, :done] = (231, 99, 0) if alarmed else (63, 144, 218)
        pictures.append(Image.fromarray(np.concatenate([large, bar])))
    buffer = io.BytesIO()
    first, *rest = pictures
    durations = [50] * len(rest) + [1500]
    first.save(
        buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False
    )
    return buffer.getvalue()


def _base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _json(value: object) -> str:
    """JSON that may stand inside a script element, whatever the class names are."""
    return json.dumps(value).replace("<", "\\u003c").replace("&", "\\u0026")
