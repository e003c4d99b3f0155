"""The trajectory page: choose a sample and an attack, then scrub through it in the browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from introspect.errors import BadInput
from introspect.ui import chooser, components, player_pair, session
from introspect.ui.chooser import Chosen
from introspect.ui.player_export import settings_text, to_gif, to_html, to_npz
from introspect.ui.player_knobs import configure, threshold_of
from introspect.ui.player_payload import Played, Units, pack_ground, pack_player, with_alarm
from introspect.ui.player_run import Run
from introspect.ui.player_words import explain, table
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
    other = player_pair.choose(atlas, name)
    wanted = session.key([chosen.x, attack, targets, other])
    with place:
        pressed = _draw_button(bench, name)
    if pressed:
        _start(atlas, bench, chosen, attack, targets, wanted, other)
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
    other: Atlas | None,
) -> None:
    try:
        check_size(atlas, attack, targets, 1 if other is None else 2)
    except BadInput as problem:
        st.error(plain(problem))
        return

    def on(model: Atlas) -> Callable[[Progress], Trajectory]:
        def work(on_step: Progress) -> Trajectory:
            from introspect.trajectory import trace

            return trace(model, chosen.x, attack, targets or None, chosen.label, on_step=on_step)

        return work

    beside = None if other is None else (other, on(other))
    bench.run = Run(on(atlas), chosen.title, wanted, beside)
    if not bench.run.wait(QUICK):
        st.rerun()  # the button is drawn as busy, the progress below it


def check_size(atlas: Atlas, attack: AbstractAttack, targets: list[int], models: int = 1) -> None:
    """Refuses what would not fit into memory.

    Raises:
        BadInput: more than 2 GB of pictures over all models.
    """
    count = len(targets) or len(atlas.classifier.classes)
    values = int(np.prod(atlas.classifier.input_shape))
    wanted = 4 * models * count * (attack.steps + 1) * values
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
        told += "" if run.beside is None else ", both models together"
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
    scenes = _scenes(atlas, run, alarm)
    first, pair = scenes[0], len(scenes) > 1
    if run.stopped:
        made = " and ".join(str(scene.walk.z.shape[1] - 1) for scene in scenes)
        late = run.beside is not None and not pair
        more = " The second model's turn had not come." if late else ""
        st.warning(f"The attack was stopped: the {made} steps made until then are shown.{more}")
    if run.settings != wanted:
        st.caption(
            f":material/info: The player shows {plain(run.title)} as it was computed; press "
            "**Run the attack** for what is chosen now."
        )
    other = bench.kept if bench.kept is not run and not pair else None
    if other is not None:
        line = settings_text(first.walk.attack, first.walk.settings)
        st.markdown(f"**{plain(run.title)}** · {plain(line)}")
    walks, names = [scene.walk for scene in scenes], [scene.atlas.name for scene in scenes]
    if pair:
        st.markdown(plain(player_pair.compare(walks, names, atlas.classes)))
    _show([scene.played for scene in scenes], f"player-{name}")
    if other is not None:
        _draw_kept(atlas, bench, other, alarm, name)
    elif not pair:
        st.button(
            "Keep to compare",
            icon=":material/compare:",
            key=f"attack-keep-{name}",
            disabled=bench.kept is run,
            on_click=_keep,
            args=(bench, run),
            help="Keeps this attack below while you run another: the two players move together.",
        )
    told = explain(atlas, first.walk) + (player_pair.EXPLAINED if pair else "")
    st.caption(f"**How to read this figure.** {plain(told)}")
    with st.expander("All targets as a table"):
        rows = player_pair.table(walks, names, atlas.classes) if pair else None
        rows = rows or table(first.walk, atlas.classes)
        st.dataframe(rows, hide_index=True, key=f"attack-table-{name}")
    _draw_exports(scenes, told, name)


class Scene(NamedTuple):
    """One attack as it is shown: with the threshold that is chosen now."""

    atlas: Atlas
    walk: Trajectory
    played: Played


def _scenes(atlas: Atlas, run: Run, alarm: float) -> list[Scene]:
    """The attack of a run, and the one on the second model where there is one."""
    made = [(atlas, run.walk, run.played)]
    if run.beside is not None:
        made.append((run.beside, run.second, run.second_played))
    scenes = []
    for model, walk, played in made:
        if walk is None:
            continue
        heard = dataclasses.replace(walk, threshold=threshold_of(model, alarm))
        if played is None:
            ground, units = session.cached(pack_ground, model), session.cached(Units.of, model)
            played = pack_player(model, ground, heard, run.title, units)
        scenes.append(Scene(model, heard, with_alarm(played, model, heard)))
    run.played, run.second_played = ([scene.played for scene in scenes] + [None])[:2]
    return scenes


def _keep(bench: Bench, run: Run | None) -> None:
    bench.kept = run


def _show(played: list[Played], key: str) -> None:
    for one in played:
        BLOBS.publish(one.blobs, {one.key: "application/json"})
    keys = [one.key for one in played]
    beside = keys[1] if len(keys) > 1 else None
    _player(key=key, data=components.data_for("attack_player", manifest=keys[0], beside=beside))


def _draw_kept(atlas: Atlas, bench: Bench, run: Run, alarm: float, name: str) -> None:
    scene = _scenes(atlas, run, alarm)[0]
    walk = scene.walk
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
    _show([scene.played], f"player-kept-{name}")


def _draw_exports(scenes: list[Scene], told: str, name: str) -> None:
    first, second = (*scenes, None)[:2]
    assert first is not None
    walk, classes = first.walk, first.atlas.classes
    other = None if second is None else second.walk
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button(
            "Player as one HTML file",
            data=lambda: to_html(first.played, told, None if second is None else second.played),
            file_name="attack.html",
            mime="text/html",
            icon=":material/download:",
            key=f"attack-html-{name}",
            on_click="ignore",
            help="The same player with all its data; it needs no server and no network.",
        )
        st.download_button(
            "Arrays (npz)",
            data=lambda: to_npz(walk, other),
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
            data=lambda: to_gif(walk, place, other),
            file_name="attack.gif",
            mime="image/gif",
            icon=":material/download:",
            key=f"attack-gif-{name}",
            on_click="ignore",
            help="The picture and what was added to it, step by step.",
        )
