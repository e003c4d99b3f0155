"""Strangers: placed as locate places them, told from test samples, drawn, and shown on the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from streamlit.testing.v1 import AppTest

from introspect import strangers as module
from introspect.atlas import Atlas
from introspect.datafile import Columns
from introspect.errors import BadInput, Cancelled
from introspect.plots import strangers as figures
from introspect.points import OFF_THE_MAP
from introspect.samples import make_samples
from introspect.strangers import Company, compare, fit, noise, place, residents, scramble, sets
from introspect.ui.strangers import Meeting, meet, tell


@pytest.fixture(scope="module")
def known(atlas: Atlas) -> Company:
    return residents(atlas)


@pytest.fixture(scope="module")
def met(atlas: Atlas) -> Company:
    return place(atlas, noise(atlas, 200), "noise alone")


# ---------------------------------------------------------------- placing and comparing
def test_residents_are_the_stored_test_rows_and_nothing_is_run(
    atlas: Atlas, known: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(atlas.engine.tap), "__call__", lambda *rest: pytest.fail("was run"))
    again = residents(atlas)
    test = atlas.points.split == 2
    assert len(again) == test.sum() == 300
    np.testing.assert_array_equal(again.off_map, atlas.points.off_map[test])
    assert len(residents(atlas, most=50)) == 50
    assert again.share == (atlas.points.off_map[test] > OFF_THE_MAP).mean() == known.share


def test_distance_of_residents_is_the_error_of_rebuilding_up_to_the_largest_one_known(
    atlas: Atlas, known: Company
) -> None:
    assert atlas.samples is not None
    rows = np.flatnonzero(atlas.points.split == 2)
    with torch.inference_mode():
        h, _ = atlas.engine.tap(atlas.samples.floats(rows))
        true = atlas.engine.strangeness.distance(h, atlas.engine.encoder(h)).numpy()
    inside = (known.off_map > 0) & (known.off_map < 100)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(known.distance[inside], true[inside], rtol=0.1)
    above = known.off_map == 100
    assert (true[above] >= known.distance[above] - 1e-5).all()


def test_strangers_are_placed_as_locate_places_them(atlas: Atlas, met: Company) -> None:
    found = atlas.locate(noise(atlas, 200))
    np.testing.assert_allclose(met.z, found.z, atol=1e-4)
    np.testing.assert_allclose(met.off_map, found.off_map, atol=0.11)
    assert met.share > 0.9


def test_auroc_is_that_of_all_pairs_and_the_gain_its_difference(
    known: Company, met: Company
) -> None:
    found = compare(known, met, resamples=200)
    strange = np.repeat([False, True], [len(known), len(met)])
    for name, pair in {
        "off_map": (known.off_map, met.off_map),
        "msp": (known.doubt, met.doubt),
    }.items():
        wanted = reference.auroc(np.concatenate(pair), strange)
        assert found.auroc[name].value == pytest.approx(wanted)
    gap = found.auroc["off_map"].value - found.auroc["msp"].value
    assert found.gain.value == pytest.approx(gap) and found.gain.low <= gap <= found.gain.high
    assert (found.flagged, found.false) == (met.share, known.share)


def test_test_samples_are_no_strangers_to_themselves(known: Company) -> None:
    found = compare(known, known, resamples=200)
    assert found.auroc["off_map"].value == pytest.approx(0.5)
    assert found.gain.value == 0 and not found.gain.apart


def test_placing_can_be_stopped_and_tells_how_far_it_is(atlas: Atlas) -> None:
    told: list[tuple[int, int]] = []
    place(atlas, noise(atlas, 300), "noise", lambda *far: told.append(far))
    assert told[0] == (0, 300) and told[-1] == (300, 300) and len(told) >= 3
    with pytest.raises(Cancelled):
        place(atlas, noise(atlas, 300), "noise", lambda done, total: done < 200)


# ---------------------------------------------------------------- sets
def test_sets_of_an_atlas_have_the_inputs_of_its_network(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTROSPECT_DATA", raising=False)  # noise, spoilt samples, and the bundle
    for title, fetch in sets(atlas).items():
        x = fetch(7)
        assert x.shape == (7, 1, 8, 8) and x.dtype == torch.float32, title
        assert 0 <= x.min() and x.max() <= 1 and x.std() > 0.05, title
    assert {"noise alone", "test samples scrambled"} <= set(sets(atlas))


def test_own_data_set_is_not_a_stranger(atlas: Atlas) -> None:
    named = replace(atlas, settings={**atlas.settings, "data": {"name": "mnist:test"}})
    assert module.TITLES["mnist"] not in sets(named)
    assert module.TITLES["mnist"] in sets(atlas)  # bundled or at hand


def test_files_of_the_data_folder_are_offered(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    (tmp_path / "ood").mkdir()
    x = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "ood" / "kmnist_test.npz", x=x, y=np.arange(20) % 10)
    sheet = np.random.default_rng(1).integers(0, 256, (64, 3200, 3)).astype(np.uint8)
    Image.fromarray(sheet).save(tmp_path / "ood" / "gtsrb_test5000.webp", lossless=True)
    monkeypatch.setenv("INTROSPECT_DATA", str(tmp_path))
    found = sets(atlas)
    assert found["Kuzushiji characters"](12).shape == (12, 1, 8, 8)
    assert found["German traffic signs"](150).shape == (150, 1, 8, 8)


def test_scrambling_keeps_every_value(atlas: Atlas) -> None:
    x = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    within, among = scramble(x, True), scramble(x, False)
    assert not torch.equal(within, x) and not torch.equal(among, x)
    torch.testing.assert_close(within.flatten(1).sort(1).values, x.flatten(1).sort(1).values)
    torch.testing.assert_close(among.sort(0).values, x.sort(0).values)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (784,)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_another_size_and_colour_are_scaled(
    shape: tuple[int, ...], channels: int
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, channels, 40, 30)).astype(np.uint8)
    found = fit(make_samples(Columns(x)), shape, 4)
    assert found.shape == (4, *shape) and 0 <= found.min() and found.max() <= 1


def test_a_table_of_another_width_is_refused() -> None:
    rows = make_samples(Columns(np.random.default_rng(0).normal(size=(30, 5)), np.arange(30) % 2))
    with pytest.raises(BadInput, match=r"\(5,\)"):
        fit(rows, (1, 28, 28))
    assert fit(rows, (5,), 10).shape == (10, 5)


# ---------------------------------------------------------------- figures
@pytest.mark.parametrize("dark", [False, True])
def test_figures_show_every_input_once_and_the_threshold(
    atlas: Atlas, known: Company, met: Company, dark: bool
) -> None:
    figure = figures.draw(atlas, known, [met], dark=dark)
    for trace in figure.data:
        assert np.sum(trace.y) == pytest.approx(1, abs=1e-3)
    [line] = figure.layout.shapes
    inside = known.distance <= line.x0
    assert inside.mean() == pytest.approx(1 - known.share, abs=0.011)
    places = figures.draw_map(atlas, known, met, dark=dark)
    sizes = [len(trace.x) for trace in places.data]
    assert sizes == [300, met.flagged.sum(), (~met.flagged).sum()]
    assert {trace.type for trace in (*figure.data, *places.data)} == {"scatter"}  # no WebGL
    assert figure.layout.xaxis.title.text and places.layout.yaxis.title.text == "z₂"


# ---------------------------------------------------------------- the panel
def panel(folder: str) -> None:
    from introspect.atlas import Atlas
    from introspect.ui import strangers

    strangers.draw(Atlas.load(folder))


def show(atlas: Atlas) -> AppTest:
    assert atlas.folder is not None
    app = AppTest.from_function(
        panel, default_timeout=60, kwargs={"folder": str(atlas.folder.parent)}
    ).run()
    assert not app.exception, app.exception
    return app


def settle(app: AppTest) -> AppTest:
    for _ in range(60):
        if len(app.get("plotly_chart")) or len(app.error):
            return app
        app.run()
        assert not app.exception, app.exception
    raise AssertionError("nothing was drawn")


def test_panel_places_a_set_and_says_what_was_noticed(atlas: Atlas) -> None:
    app = show(atlas)
    assert not len(app.get("plotly_chart"))
    app.selectbox[0].select("noise alone").run()
    app.button[0].click().run()
    settle(app)
    said = "\n".join(one.value for one in app.markdown)
    assert "1,000 inputs (noise alone) are flagged" in said and "AUROC" in said
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    assert len(specs) == 2


def test_panel_reads_an_uploaded_set(atlas: Atlas, tmp_path: Path) -> None:
    from introspect.ui import strangers as ui

    x = np.random.default_rng(0).integers(0, 256, (60, 20, 20)).astype(np.uint8)
    file = tmp_path / "others.npz"
    np.savez(file, x=x)
    fetch = ui.read_upload(file, (1, 8, 8))
    company, notice = meet(atlas, fetch, file.name)
    assert len(company) == 60
    said = tell(company, notice)
    assert "60 inputs (others\\.npz)" in said
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadInput):
        ui.read_upload(tmp_path / "broken.npz", (1, 8, 8))(10)


def test_panel_says_what_went_wrong(atlas: Atlas) -> None:
    from introspect.ui import strangers as ui
    from introspect.ui.brainbow_work import Work

    def refuse(*rest: Any) -> Any:
        raise BadInput("These are no pictures.")

    meeting = Meeting()
    work = Work.start("Placing", refuse)
    work.soon()
    ui.take(meeting, work)
    assert meeting.problem == "These are no pictures." and meeting.met is None


def test_panel_without_a_network_says_so(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(atlas), "complete", property(lambda self: False))
    app = show(atlas)
    assert "came without its network" in app.info[0].value and not app.button
