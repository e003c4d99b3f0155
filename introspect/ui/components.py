"""Our parts of the page that run in the browser; each gets small JSON and answers with less.

The JavaScript is served by `routes.py` under a hash of its content, so it works from a checkout and
from a wheel alike and never travels inside a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamlit.components.v2 import component

from introspect.ui import routes

# The line break keeps Streamlit from taking the text for a file name.
LOADER = """
export default async (component) => {
  const module = await import(new URL(component.data.code, window.location.href).href);
  return module.default(component);
};
"""

_map = component("introspect_map", js=LOADER)
_pad = component("introspect_pad", js=LOADER)
_card = component("introspect_card", js=LOADER)
_gallery = component("introspect_gallery", js=LOADER)


def data_for(module: str, **rest: Any) -> dict[str, Any]:
    """What every part of ours is given: where its JavaScript and the blobs are, and its own data.

    Args:
        module: name of the file in `frontend/`, without `.js`.
    """
    code = f"{routes.base()}/introspect/code/{routes.version()}/{module}.js"
    return {"code": code, "blobs": f"{routes.base()}/introspect/blob", **rest}


def activation_map(
    manifest: str,
    *,
    key: str,
    probes: Sequence[dict[str, Any]] = (),
    neighbours: Sequence[int] = (),
    ask: dict[str, Any] | None = None,
    check: dict[str, Any] | None = None,
    checks: bool = True,
    drops: bool = True,
    turn: int = 0,
    on_pin: Callable[[], None] = lambda: None,
    on_select: Callable[[], None] = lambda: None,
    on_check: Callable[[], None] = lambda: None,
    on_drop: Callable[[], None] = lambda: None,
) -> Any:
    """The map of a published atlas.

    Args:
        manifest: key of the manifest in `routes.BLOBS`.
        key: what the visitor does is kept in the session state under this name: `pinned` (row or
            None) and `selection` ({polygon, view, filter} or None).
        probes: new pictures: {key, at {view: (x, y)}, approximate [view], picture, title, note,
            warn}.
        neighbours: rows to be joined to the pinned sample by lines.
        ask: {turn, pin}: pin this row (or nothing, when None); carried out once per turn.
        check: {turn, row, text, ok}: the outcome of "same input, same place", shown once per turn.
        checks: whether the button of that check is there.
        drops: whether picture files can be let go over the map; they come as the trigger
            `dropped`, a list of {name, data: data URL}.
        turn: counts up with what the probes show; the browser reports it when it is drawn.
    """
    return _map(
        key=key,
        data=data_for(
            "activation_map",
            manifest=manifest,
            probes=list(probes),
            neighbours=[int(row) for row in neighbours],
            ask=ask,
            check=check,
            checks=checks,
            drops=drops,
            turn=turn,
        ),
        on_pinned_change=on_pin,
        on_selection_change=on_select,
        on_check_change=on_check,
        on_dropped_change=on_drop,
    )


def draw_pad(
    shape: tuple[int, int, int],
    *,
    key: str,
    centre: bool,
    bright: bool,
    hint: str,
    clear: int,
    on_draw: Callable[[], None] = lambda: None,
) -> Any:
    """A pad to draw on; `drawing` is {pixels: base64 bytes "c h w", turn}, None when it is empty.

    Args:
        shape: channels, height and width the network reads.
        centre: whether the strokes are placed as MNIST's are.
        bright: whether the ground is white and the ink black.
        hint: what stands on the empty pad.
        clear: the pad is wiped when this number changes.
    """
    channels, height, width = shape
    paper, ink = ("#ffffff", "#000000") if bright else ("#000000", "#ffffff")
    return _pad(
        key=key,
        data=data_for(
            "draw_pad",
            channels=channels,
            height=height,
            width=width,
            centre=centre,
            paper=paper,
            ink=ink,
            hint=hint,
            clear=clear,
        ),
        on_drawing_change=on_draw,
    )


def sample_card(
    *,
    key: str,
    title: str,
    picture: str | None,
    badges: Sequence[tuple[str, str]],
    names: Sequence[tuple[str, str, str]],
    facts: Sequence[tuple[str, str, str]],
    bars: Sequence[dict[str, Any]],
    warning: str | None = None,
) -> None:
    """One sample: picture, names and facts (name, value, explanation), outputs as bars.

    Args:
        picture: a data URL, None where inputs are no pictures.
        badges: (text, "right" | "wrong" | "quiet").
        bars: {name, value in 0..1, colour, dark (colour on a dark page), label: whether it is the
            true class}.
    """
    _card(
        key=key,
        data=data_for(
            "sample_card",
            title=title,
            picture=picture,
            badges=[list(badge) for badge in badges],
            names=[list(fact) for fact in names],
            facts=[list(fact) for fact in facts],
            bars=list(bars),
            warning=warning,
        ),
    )


def gallery(
    manifest: str,
    items: Sequence[tuple[int, int, int, int, str]],
    *,
    key: str,
    size: int = 44,
    on_pick: Callable[[], None] = lambda: None,
) -> Any:
    """Pictures of stored samples side by side; a press on one sets the trigger `pick` to its row.

    Args:
        items: (row, id, label or -1, predicted, note).
        size: longest side of a picture, in CSS pixels.
    """
    return _gallery(
        key=key,
        data=data_for(
            "gallery", manifest=manifest, items=[list(item) for item in items], size=size
        ),
        on_pick_change=on_pick,
    )
