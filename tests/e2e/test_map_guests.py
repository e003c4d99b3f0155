"""The activation map in real Chromium: new pictures, exports, keys, fingers, themes."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from map_steps import PATIENCE, SIZE, draw, fact, stage, until
from PIL import Image
from playwright.sync_api import Browser, expect
from visit import Server

from introspect.atlas import Atlas
from introspect.plots.palette import class_colours, rgb


# ---------------------------------------------------------------- new pictures
def test_drawing_lands_on_the_map_live_and_can_be_undone(visit: Callable) -> None:
    page = visit()
    draw(page)
    until(page, "__map.probes === 1")
    expect(page.locator(".probe .flag")).to_be_visible()
    expect(page.locator(".probe img")).to_have_attribute("src", re.compile("^data:image/png"))
    expect(page.locator(".sample-title")).to_contain_text("Prediction:")
    expect(page.locator(".bar-row")).to_have_count(10)
    page.get_by_label("Undo the last stroke").click()
    until(page, "__map.probes === 0")
    draw(page)
    until(page, "__map.probes === 1")
    page.get_by_label("Clear the pad").click()
    until(page, "__map.probes === 0")
    expect(page.locator(".sample-title")).to_have_count(0)


def test_dropped_picture_lands_where_locate_puts_it(
    visit: Callable, atlas: Atlas, tmp_path: Path
) -> None:
    row = int(np.argmin(atlas.points.off_map))
    path = tmp_path / "a <b>digit<b>.png"
    Image.fromarray(atlas.picture(row)).save(path)
    strange = tmp_path / "strange.png"
    noise = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(noise).save(strange)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    page = visit()
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(
        [path, strange, broken]
    )
    until(page, "__map.probes === 2")
    expect(page.locator(".probe .flag", has_text="a <b>digit<b>.png")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_contain_text("broken.png")
    x, y = (f"{value:.3f}".replace("-", "−") for value in atlas.z[row])
    stored = page.locator(".sample", has_text="a <b>digit<b>.png")
    expect(stored.locator(".sample-facts.wide")).to_contain_text(f"{x}, {y}")
    assert atlas.locate(noise).off_map[0] > 99
    expect(page.locator(".probe.warn")).to_have_count(1)
    expect(page.locator(".sample-warning", has_text="Off the map")).to_have_count(1)


def test_file_let_go_over_the_map_lands(visit: Callable, atlas: Atlas) -> None:
    page = visit()
    row = int(np.argmin(atlas.points.off_map))
    buffer = io.BytesIO()
    Image.fromarray(atlas.picture(row)).save(buffer, "PNG")
    page.locator(".stage").evaluate(
        """(stage, bytes) => {
          const files = new DataTransfer();
          files.items.add(new File([Uint8Array.from(bytes)], 'let go.png', {type: 'image/png'}));
          for (const kind of ['dragover', 'drop']) {
            stage.dispatchEvent(new DragEvent(kind, {dataTransfer: files, cancelable: true}));
          }
        }""",
        list(buffer.getvalue()),
    )
    until(page, "__map.probes === 1")
    expect(page.locator(".probe .flag", has_text="let go.png")).to_be_visible()
    x, y = (f"{value:.3f}".replace("-", "−") for value in atlas.z[row])
    expect(page.locator(".sample-facts.wide")).to_contain_text(f"{x}, {y}")
    expect(page.locator(".probe .flag")).not_to_contain_text("approximate")
    page.get_by_role("radio", name="PCA").click()
    expect(page.locator(".probe .flag")).to_contain_text("approximate place")
    page.get_by_role("button", name="Take them off the map").click()
    until(page, "__map.probes === 0")


# ---------------------------------------------------------------- promises
def test_same_input_same_place_is_checked_with_one_click(visit: Callable) -> None:
    page = visit()
    page.get_by_role("button", name="Same input, same place?").click()
    notice = page.locator(".notice.good")
    expect(notice).to_contain_text("landed on its own dot again", timeout=PATIENCE)
    expect(notice).to_contain_text("alone twice: 0;")
    assert fact(page, "pinned") is not None


def test_view_is_saved_as_png_and_svg(visit: Callable, tmp_path: Path) -> None:
    page = visit("only=label:1,2")
    with page.expect_download() as download:
        page.get_by_label("Save as PNG").click()
    download.value.save_as(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.width > 1000
        colours = {pixel for _, pixel in image.convert("RGB").getcolors(1 << 24) or []}
    assert (0xFF, 0xA9, 0x0E) in colours
    with page.expect_download() as download:
        page.get_by_label("Save as SVG").click()
    download.value.save_as(tmp_path / "map.svg")
    root = ElementTree.fromstring((tmp_path / "map.svg").read_text("utf-8"))
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"1", "2", "Label", "estimated error (log10)", "z₁", "z₂"} <= texts
    image = next(root.iter("{http://www.w3.org/2000/svg}image"))
    assert image.attrib["href"].startswith("data:image/png;base64,")


def test_map_follows_the_theme_while_it_is_open(visit: Callable) -> None:
    page = visit()
    pick = """() => {
      const roots = [...document.querySelectorAll('*')].map(n => n.shadowRoot).filter(Boolean);
      const base = roots.map(r => r.querySelector('canvas.base')).find(Boolean);
      return base.getContext('2d').getImageData(2, 2, 1, 1).data[0];
    }"""
    assert page.evaluate(pick) > 150
    page.emulate_media(color_scheme="dark")
    deadline = time.monotonic() + 20
    while page.evaluate(pick) > 110 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert page.evaluate(pick) <= 110
    assert fact(page, "mounts") == 1


def test_marks_of_pictures_and_bars_follow_the_theme_while_they_are_open(
    visit: Callable, atlas: Atlas
) -> None:
    page = visit(f"pin={atlas.points.id[5]}")
    page.get_by_role("radio", name="Pinned sample").click()
    expect(page.locator(".tile")).to_have_count(10, timeout=PATIENCE)
    mark, bar = page.locator(".tile .tile-mark").first, page.locator(".bar-row i").first

    def colours() -> list[str]:
        read = "node => getComputedStyle(node).backgroundColor"
        return [mark.evaluate(read), bar.evaluate(read)]

    label = atlas.points.label[int(page.locator(".tile").first.get_attribute("data-row") or -1)]
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        palette = class_colours(10, dark=scheme == "dark")
        wanted = [f"rgb{rgb(palette[code])}" for code in (label, 0)]
        deadline = time.monotonic() + 20
        while colours() != wanted and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        assert colours() == wanted


def test_part_outlives_an_overtaken_call_and_leaves_nothing_behind(visit: Callable) -> None:
    page = visit()
    left = page.evaluate(
        """async () => {
          const own = performance.getEntriesByType("resource")
            .map(({ name }) => name).find((name) => name.endsWith("/activation_map.js"));
          const left = {};
          const names = ["activation_map", "brainbow", "brainbow_sample", "constellation",
                         "evolution", "attack_flow", "attack_player", "sample_pair"];
          for (const name of names) {
            const module = await import(own.replace("activation_map", name));
            const parentElement = document.createElement("div");
            document.body.append(parentElement);
            const data = { blobs: "/introspect/blob", manifest: "none", samples: [], cards: [] };
            const call = () => module.default({ parentElement, data: { ...data, map: "none" } });
            const [overtaken, latest] = await Promise.all([call(), call()]);
            const count = (remove) => (remove(), parentElement.childElementCount);
            left[name] = [count(overtaken), count(latest)];
            parentElement.remove();
          }
          return left;
        }"""
    )
    assert len(left) == 8 and all(counts == [1, 0] for counts in left.values()), left


def test_map_is_used_by_keyboard_alone(visit: Callable) -> None:
    page = visit()
    page.get_by_label("Find a sample by its id").focus()
    page.keyboard.press("Tab")
    assert "stage" in page.evaluate(
        """() => { let n = document.activeElement;
                   while (n.shadowRoot?.activeElement) n = n.shadowRoot.activeElement;
                   return n.className; }"""
    )
    home = fact(page, "centre")
    page.keyboard.press("ArrowRight")
    until(page, f"__map.centre[0] > {home[0]}")
    page.keyboard.press("+")
    until(page, "__map.zoom > 1.39")
    page.keyboard.press("Enter")
    pinned = until(page, "__map.pinned !== null && String(__map.pinned)")
    expect(page.locator(".sample-title")).to_contain_text(f"#{int(pinned):,}", timeout=PATIENCE)
    page.keyboard.press("Escape")
    until(page, "__map.pinned === null")
    page.keyboard.press("0")
    until(page, "__map.zoom < 1.0001")


def test_calm_visitors_see_no_movement(browser: Browser, server: Server, shelf: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=SIZE, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"/?atlas={shelf}")
    until(page, "window.__map && __map.ready && __map.rev > 0")
    before = fact(page, "rev")
    page.get_by_role("radio", name="PCA").click()
    until(page, f"__map.projection === 'pca' && __map.rev > {before}")
    page.wait_for_timeout(300)
    assert fact(page, "rev") <= before + 6  # a flight would take dozens of frames
    context.close()


def test_sharp_screens_get_sharp_dots(browser: Browser, server: Server, shelf: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=SIZE, device_scale_factor=2)
    page = context.new_page()
    page.goto(f"/?atlas={shelf}")
    until(page, "window.__map && __map.ready && __map.rev > 0")
    box = page.locator("canvas.base").bounding_box()
    assert box is not None
    assert page.locator("canvas.base").evaluate("node => node.width") == 2 * box["width"]
    page.set_viewport_size({"width": 1000, "height": 700})
    until(page, "__map.rev > 3")
    page.wait_for_timeout(200)
    box = page.locator("canvas.base").bounding_box()
    assert box is not None
    assert page.locator("canvas.base").evaluate("node => node.width") == 2 * box["width"]
    assert box["width"] < 700
    context.close()


def test_finger_pans_and_pinches(browser: Browser, server: Server, shelf: str) -> None:
    context = browser.new_context(base_url=server.url, viewport=SIZE, has_touch=True)
    page = context.new_page()
    page.goto(f"/?atlas={shelf}")
    until(page, "window.__map && __map.ready && __map.rev > 0")
    left, top = stage(page)
    session = context.new_cdp_session(page)

    def touch(kind: str, *spots: tuple[float, float]) -> None:
        points = [{"x": left + x, "y": top + y, "id": i} for i, (x, y) in enumerate(spots)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    centre = fact(page, "centre")
    touch("touchStart", (300, 250))
    for step in range(1, 6):
        touch("touchMove", (300 - 20 * step, 250))
    touch("touchEnd")
    until(page, f"__map.centre[0] > {centre[0]} + .1")
    touch("touchStart", (250, 250), (350, 250))
    for step in range(1, 6):
        touch("touchMove", (250 - 20 * step, 250), (350 + 20 * step, 250))
    touch("touchEnd")
    until(page, "__map.zoom > 2")
    context.close()
