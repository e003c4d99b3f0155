"""The page of the training evolution: samples move over the map while the network learns."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from introspect.errors import BadInput
from introspect.ui import components, session
from introspect.ui.payload import Packed, content_key, pack_map
from introspect.ui.routes import BLOBS
from introspect.ui.wording import plain

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.evolution import Evolution

WIDE = """<style>
[data-testid="stMainBlockContainer"] { padding-left: 2.2rem; padding-right: 2.2rem; }
</style>"""

SAVE = """from safetensors.torch import save_file

# in the training loop, at least 20 times; the last number in the name is the step
save_file(module.state_dict(), f"checkpoints/step{step:06d}.safetensors")"""

BUILD = """introspect build weights.safetensors data.npz --layers layers.yaml \\
    -o mine.atlas --checkpoints checkpoints/"""

BUILD_LIVE = """atlas = introspect.build(module, (x, y), checkpoints="checkpoints/")
atlas.save("mine.atlas")"""

_player = component("introspect_evolution", js=components.LOADER)


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title."""
    st.html(WIDE)
    try:
        found = atlas.checkpoints
    except BadInput as problem:
        st.error(plain(problem))
        return
    if found is None:
        _draw_empty()
        return
    ground = session.cached(pack_map, atlas)
    packed = session.cached(pack_evolution, atlas, found, ground.manifest)
    for parts in (ground, packed):
        BLOBS.publish(parts.parts, parts.kinds)
    _player(
        key=f"evolution-{atlas.fingerprint[:12]}",
        data=components.data_for("evolution", manifest=packed.manifest),
    )
    st.caption(caption(found))
    st.download_button(
        "All arrays (npz)",
        lambda: to_npz(found),
        "evolution.npz",
        icon=":material/download:",
        on_click="ignore",
        help="Steps, ids, labels, and at every step places, outputs and answers.",
    )


def _draw_empty() -> None:
    st.info(
        "This atlas was built without checkpoints of its network's training, so there is nothing "
        "to play. Keep the weights now and then while the network learns, and build the atlas with "
        "them:",
        icon=":material/timeline:",
    )
    st.markdown("**1. Keep weights** as safetensors files in one folder:")
    st.code(SAVE, language="python")
    st.markdown("**2. Build with them**, as a command or from Python:")
    st.code(BUILD, language="sh")
    st.code(BUILD_LIVE, language="python")


def pack_evolution(atlas: Atlas, found: Evolution, ground: str) -> Packed:
    """What the browser plays: places, answers and how sure they were, at every snapshot.

    Of the outputs only what a colour needs travels: the class predicted, how far the network had
    made up its mind for it, and how far for the sample's own class, in 256 levels.

    Args:
        ground: key of the manifest of the atlas's map.
    """
    k = len(atlas.classes)
    kind, dtype = ("u1", "<u1") if k < 255 else ("u2", "<u2")
    own = found.certainty(np.broadcast_to(found.label.clip(0), found.predicted.shape))
    bodies = {
        "row": found.row.astype("<i4").tobytes(),
        "z": found.z.astype("<f4").tobytes(),
        "predicted": found.predicted.astype(dtype).tobytes(),
        "sure": _levels(found.certainty(found.predicted)),
        "own": _levels(np.where(found.label < 0, 0, own)),
    }
    keys = {name: content_key(body) for name, body in bodies.items()}
    manifest: dict[str, Any] = {
        "name": atlas.name,
        "map": ground,
        "steps": [int(step) for step in found.step],
        "samples": len(found.id),
        "kind": kind,
        "parts": keys,
    }
    body = json.dumps(manifest).encode()
    key = content_key(body)
    parts = {key: body} | {keys[name]: part for name, part in bodies.items()}
    return Packed(key, dict(parts), {key: "application/json"})


def _levels(share: np.ndarray) -> bytes:
    return np.round(share * 255).astype(np.uint8).tobytes()


def to_npz(found: Evolution) -> bytes:
    """Every array of an evolution under its own name."""
    file = io.BytesIO()
    np.savez_compressed(file, **vars(found))
    return file.getvalue()


def caption(found: Evolution) -> str:
    """The figure explained to a newcomer, in Markdown."""
    steps, n = found.step, len(found.id)
    labelled = (found.label >= 0).any()
    right = f", of which {found.accuracy[-1]:.1%} are told right at the end" if labelled else ""
    return (
        f"**How to read this figure.** Each dot is one of {n:,} test samples{right}. Weights were "
        f"kept at {len(steps)} moments of the training, from step {steps[0]:,} to step "
        f"{steps[-1]:,}; at each, the network's activations of that moment put the sample at its "
        "place on the map. Between two moments dots move on a straight line: only the moments "
        "themselves were measured. A dot is grey while the network has not made up its mind and "
        "takes on its class's colour as that class's share of the output grows. As the network "
        "learns to tell classes apart, they part on the map; samples that stay between them are "
        "those that it errs on. Light dots and class names behind show where all samples lie in "
        "the finished network. "
        "Space plays, the arrow keys step; press a dot to see its path, a class in the legend to "
        "see it alone. The encoder that makes the map learnt from the finished network and reads "
        "all moments, so early on a place tells which samples are treated alike, not yet whose "
        "region they are in; the paper's encoder learns from the record of the whole run. After "
        "fig. 2 (a) and (e) of Pardo et al. (2020)."
    )
