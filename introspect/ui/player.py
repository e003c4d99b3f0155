"""The trajectory page: choose a sample and an attack, then scrub through it in the browser."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from introspect.errors import BadInput
from introspect.ui import chooser, components, session
from introspect.ui.chooser import Chosen
from introspect.ui.player_export import settings_text, to_gif, to_html, to_npz
from introspect.ui.player_knobs import configure, threshold_of
from introspect.ui.player_payload import DOTS, Played, Units, pack_ground, pack_player, with_alarm
from introspect.ui.player_run import Run
from introspect.ui.routes import BLOBS
from introspect.ui.wording import plain, size

if TYPE_CHECKING:
    from introspect.atlas import Atlas
    from introspect.attacks.base import AbstractAttack
    from introspect.plugin import Progress
    from introspect.trajectory import Trajectory

_player = component("introspect_attack_player", js=components.LOADER)

QUICK = 0.4
"""Seconds a click waits for the attack itself; what takes longer shows its progress."""

EVERY = 0.25
LARGEST = 2 << 30
"""Most bytes of pictures kept of one attack."""


@dataclass
class Bench:
    """What a visitor has computed on one atlas, kept while other pages are open."""

    run: Run | None = None
    shown: Run | None = None
    kept: Run | None = None
    """Another one to compare with."""


WIDE = """<style>
[data-testid="stMainBlockContainer"] { padding-left: 2.2rem; padding-right: 2.2rem; }
</style>"""


def draw(atlas: Atlas) -> None:
    """Draws the whole page below its title."""
    st.html(WIDE)
    if not atlas.complete:
        st.info(
            "This atlas came without its network, so nothing can be attacked. Open it from Python "
            "with the network: `introspect.load(path, model=…)`.",
            icon=":material/info:",
        )
        return
    name = atlas.fingerprint[:12]
    bench = st.session_state.setdefault(f"bench-{name}", Bench())
    chosen = chooser.choose(atlas, "trajectory")
    attack, targets, alarm, place = configure(atlas, name)
    wanted = session.key([chosen.x, attack, targets])
    with place:
        pressed = _draw_button(bench, name)
    if pressed:
        _start(atlas, bench, chosen, attack, targets, wanted)
    if bench.run is not None and not bench.run.over:
        _watch(bench, name)
    run = bench.shown
    if bench.run is not None and bench.run.over:
        if bench.run.problem:
            st.error(plain(bench.run.problem))
        elif bench.run.walk is not None:
            run = bench.shown = bench.run
    if run is None or run.walk is None:
        if bench.run is None or bench.run.over:
            _draw_empty(atlas)
        return
    _draw_result(atlas, bench, run, alarm, wanted, name)


# ---------------------------------------------------------------- computing
def _draw_button(bench: Bench, name: str) -> bool:
    return st.button(
        "Run the attack",
        icon=":material/play_arrow:",
        type="primary",
        key=f"attack-run-{name}",
        disabled=bench.run is not None and not bench.run.over,
        width="stretch",
    )


def _start(
    atlas: Atlas,
    bench: Bench,
    chosen: Chosen,
    attack: AbstractAttack,
    targets: list[int],
    wanted: str,
) -> None:
    try:
        check_size(atlas, attack, targets)
    except BadInput as problem:
        st.error(plain(problem))
        return

    def work(on_step: Progress) -> Trajectory:
        from introspect.trajectory import trace

        return trace(atlas, chosen.x, attack, targets or None, chosen.label, on_step=on_step)

    bench.run = Run(work, chosen.title, wanted)
    if not bench.run.wait(QUICK):
        st.rerun()  # the button is drawn as busy, the progress below it


def check_size(atlas: Atlas, attack: AbstractAttack, targets: list[int]) -> None:
    """Refuses what would not fit into memory.

    Raises:
        BadInput: more than 2 GB of pictures.
    """
    count = len(targets) or len(atlas.classifier.classes)
    values = int(np.prod(atlas.classifier.input_shape))
    wanted = 4 * count * (attack.steps + 1) * values
    if wanted > LARGEST:
        raise BadInput(
            f"All steps towards {count} targets would take {size(wanted)}: choose fewer targets or "
            "fewer steps."
        )


def _watch(bench: Bench, name: str) -> None:
    @st.fragment(run_every=EVERY)
    def watch() -> None:
        run = bench.run
        if run is None or run.over:
            st.rerun()
            return
        told = f"Step {max(0, run.done - 1)} of {max(0, run.total - 1) or '…'}"
        told = "Stopping …" if run.stopping else told
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(run.share, text=told)
            st.button(
                "Cancel",
                icon=":material/close:",
                key=f"attack-cancel-{name}",
                disabled=run.stopping,
                on_click=run.cancel,
                help="Stops after this step; the steps made until then are kept and shown.",
            )

    watch()


# ---------------------------------------------------------------- showing
def _draw_empty(atlas: Atlas) -> None:
    k = len(atlas.classifier.classes)
    st.info(
        "Nothing is computed yet. Choose a sample above and press **Run the attack**: the sample "
        f"is changed, a little at every step, towards each of the {k} classes, and you can then "
        "scrub through what happens to the picture, to the network's answer and to the point on "
        "the map.",
        icon=":material/route:",
    )


def _draw_result(
    atlas: Atlas, bench: Bench, run: Run, alarm: float, wanted: str, name: str
) -> None:
    assert run.walk is not None
    walk = dataclasses.replace(run.walk, threshold=threshold_of(atlas, alarm))
    played = _pack(atlas, run, walk)
    if run.stopped:
        made = walk.z.shape[1] - 1
        st.warning(f"The attack was stopped: the {made} steps made until then are shown.")
    if run.settings != wanted:
        st.caption(
            f":material/info: The player shows {plain(run.title)} as it was computed; press "
            "**Run the attack** for what is chosen now."
        )
    other = bench.kept if bench.kept is not run else None
    if other is not None:
        st.markdown(f"**{plain(run.title)}** · {plain(settings_text(walk.attack, walk.settings))}")
    _show(played, f"player-{name}")
    if other is not None:
        _draw_kept(atlas, bench, other, alarm, name)
    else:
        st.button(
            "Keep to compare",
            icon=":material/compare:",
            key=f"attack-keep-{name}",
            disabled=bench.kept is run,
            on_click=_keep,
            args=(bench, run),
            help="Keeps this attack below while you run another: the two players move together.",
        )
    told = explain(atlas, walk)
    st.caption(f"**How to read this figure.** {plain(told)}")
    with st.expander("All targets as a table"):
        st.dataframe(
            table(walk, atlas.classifier.classes), hide_index=True, key=f"attack-table-{name}"
        )
    _draw_exports(atlas, walk, played, told, name)


def _keep(bench: Bench, run: Run | None) -> None:
    bench.kept = run


def _pack(atlas: Atlas, run: Run, walk: Trajectory) -> Played:
    if run.played is None:
        ground = session.cached(pack_ground, atlas)
        units = session.cached(Units.of, atlas)
        run.played = pack_player(atlas, ground, walk, run.title, units)
    return with_alarm(run.played, atlas, walk)


def _show(played: Played, key: str) -> None:
    BLOBS.publish(played.blobs, {played.key: "application/json"})
    _player(key=key, data=components.data_for("attack_player", manifest=played.key))


def _draw_kept(atlas: Atlas, bench: Bench, run: Run, alarm: float, name: str) -> None:
    assert run.walk is not None
    walk = dataclasses.replace(run.walk, threshold=threshold_of(atlas, alarm))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**Kept: {plain(run.title)}** · {plain(settings_text(walk.attack, walk.settings))}",
            width="stretch",
        )
        st.button(
            "Remove",
            icon=":material/close:",
            key=f"attack-drop-{name}",
            on_click=_keep,
            args=(bench, None),
        )
    _show(_pack(atlas, run, walk), f"player-kept-{name}")


def _draw_exports(atlas: Atlas, walk: Trajectory, played: Played, told: str, name: str) -> None:
    classes = atlas.classifier.classes
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button(
            "Player as one HTML file",
            data=lambda: to_html(played, told),
            file_name="attack.html",
            mime="text/html",
            icon=":material/download:",
            key=f"attack-html-{name}",
            on_click="ignore",
            help="The same player with all its data; it needs no server and no network.",
        )
        st.download_button(
            "Arrays (npz)",
            data=lambda: to_npz(walk),
            file_name="attack.npz",
            mime="application/octet-stream",
            icon=":material/download:",
            key=f"attack-npz-{name}",
            on_click="ignore",
            help="Every step at full precision, for numpy.load.",
        )
        if chooser.to_picture(walk.clean) is None:
            return
        place = st.selectbox(
            "GIF towards",
            range(len(walk.target)),
            format_func=lambda place: classes[walk.target[place]],
            key=f"attack-gif-target-{name}",
            width=150,
        )
        st.download_button(
            "GIF",
            data=lambda: to_gif(walk, place),
            file_name="attack.gif",
            mime="image/gif",
            icon=":material/download:",
            key=f"attack-gif-{name}",
            on_click="ignore",
            help="The picture and what was added to it, step by step.",
        )


def table(walk: Trajectory, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per target: when it was reached, when the alarm sounded, how far the input moved.

    The distances are those of the step at which the target was reached, else of the last one.
    """
    rows = []
    for place, code in enumerate(walk.target):
        success, alarm = int(walk.success_step[place]), int(walk.alarm_step[place])
        step = success if success >= 0 else walk.z.shape[1] - 1
        rows.append(
            {
                "target": classes[code],
                "reached at step": success if success >= 0 else None,
                "alarm at step": alarm if alarm >= 0 else None,
                "L∞ (0 to 1)": float(walk.linf[place, step]),
                "L2": float(walk.l2[place, step]),
                "last output of the target": float(walk.outputs[place, -1, code]),
                "inputs without gradient at the end": float(walk.stalled[place, -1]),
            }
        )
    return rows


def explain(atlas: Atlas, walk: Trajectory) -> str:
    """The figure explained to a newcomer."""
    classes, points = atlas.classifier.classes, len(atlas.points.id)
    others = walk.target != walk.source
    reached, asked = int((walk.success_step[others] >= 0).sum()), int(others.sum())
    told = f"{reached} of {asked} other classes were reached" if asked else "no other was asked for"
    start = "the sample" if not walk.linf[:, 0].any() else "the sample, after its random start,"
    return (
        f"The cross is where {start} lies on the activation map; from there one path leads "
        "towards every target class, in that class's colour. At every step the "
        f"{walk.attack.upper()} attack changes the input a little, so that the network says the "
        "target more strongly; move the slider (or press the space bar and the arrow keys) and "
        "picture, change, answer and map move together. A dot marks the step at which the network "
        "says the target, an × a path that never got there. The curve is the error that is "
        "estimated from the network's own activations: where it rises above the dashed line, an "
        "alarm sounds (the diamond). The strip below the curve has the colour of the class that "
        "the network says; the ground's tint is the estimated error at each place of the map. "
        "The narrow picture at the right has the network's units: one column a layer, sorted by "
        "the class each prefers (the thin strip in that class's colour), bright where a unit "
        "answers strongly. "
        f"Here the network first says {classes[walk.source]}, and {told}. L∞ is the most that any "
        "value of the input has moved, L2 the length of the whole change, both in units of the "
        f"input. Behind the paths lie {min(points, DOTS):,} of the {points:,} recorded samples. "
        "Changes are shown in 255 levels, probabilities as 16-bit floats; the npz file has "
        "everything at full precision."
    )
