// The moving map as a picture file.

import { hex } from "./colour.js";
import { el } from "./element.js";
import { css } from "./evolution_map.js";
import { download } from "./export.js";

/** The map and the curve as they stand, under a title, as a picture file. */
export function savePicture(evolution) {
  const { ratio, view, theme, run, base, over, curve } = evolution;
  const { table } = run;
  const [head, foot, gap] = [54 * ratio, curve.canvas.height, 10 * ratio];
  const canvas = el("canvas", { width: Math.round(view.width * ratio) + 2 * gap, height: Math.round(view.height * ratio) + head + foot + 3 * gap });
  const pen = canvas.getContext("2d");
  pen.fillStyle = hex(theme.background);
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = hex(theme.text);
  pen.font = `600 ${15 * ratio}px ${theme.font}`;
  pen.fillText(`${table.manifest.name}: ${evolution.told}`, gap, 22 * ratio);
  paintNames(evolution, pen, gap, 42 * ratio, canvas.width - 2 * gap);
  pen.drawImage(base, gap, head);
  pen.drawImage(over, gap, head);
  pen.drawImage(curve.canvas, gap, head + base.height + gap);
  pen.fillStyle = css(theme.muted);
  pen.font = `${11 * ratio}px ${theme.font}`;
  pen.fillText(curve.title.textContent, gap + 46 * ratio, head + base.height + 8 * ratio);
  canvas.toBlob((blob) => {
    download(blob, "training-evolution.png");
    Object.assign(evolution.record, { saved: "png", savedBytes: blob.size });
  }, "image/png");
}

/** The key to the colours in one line, as far as it reaches. */
function paintNames({ ratio, theme, run, ground, only }, pen, left, y, wide) {
  pen.font = `${12 * ratio}px ${theme.font}`;
  let x = left;
  for (const [code, name] of run.table.classes.entries()) {
    if (only && !only.includes(code)) continue;
    const more = pen.measureText(name).width + 30 * ratio;
    if (x + more > left + wide) return pen.fillText("…", x, y);
    pen.fillStyle = css(ground.colours[code]);
    pen.beginPath();
    pen.arc(x + 5 * ratio, y - 4 * ratio, 5 * ratio, 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = css(theme.text);
    pen.fillText(name, x + 14 * ratio, y);
    x += more;
  }
}
