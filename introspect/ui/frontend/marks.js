// What is drawn over the dots: axes, class names, the pinned sample and its neighbours, the lasso, paths of new pictures.

import { hex } from "./colour.js";

const css = (colour, alpha = 1) => `rgba(${colour.map(Math.round).join(",")},${alpha})`;

function haloed(context, text, x, y, ink, halo, width = 4) {
  context.lineJoin = "round";
  context.lineWidth = width;
  context.strokeStyle = halo;
  context.strokeText(text, x, y);
  context.fillStyle = ink;
  context.fillText(text, x, y);
}

export function drawAxes(context, { view, theme, axes }) {
  const [x0, y1] = view.toPlane(0, 0);
  const [x1, y0] = view.toPlane(view.width, view.height);
  context.font = `11px ${theme.font}`;
  const ink = css(theme.muted);
  const halo = css(theme.background, 0.85);
  const across = view.ticks(x0, x1);
  const up = view.ticks(y0, y1);
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (const x of across.values) {
    const px = view.toPixel(x, 0)[0];
    if (px > 70 && px < view.width - 60) haloed(context, x.toFixed(across.digits), px, view.height - 5, ink, halo, 3);
  }
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const y of up.values) {
    const py = view.toPixel(0, y)[1];
    if (py > 66 && py < view.height - 30) haloed(context, y.toFixed(up.digits), 6, py, ink, halo, 3);
  }
  context.font = `600 12px ${theme.font}`;
  context.textBaseline = "bottom";
  context.textAlign = "right";
  haloed(context, axes[0], view.width - 10, view.height - 5, ink, halo, 3);
  context.textAlign = "left";
  const length = context.measureText(axes[1]).width;
  if (length <= 24) return haloed(context, axes[1], 6, 20, ink, halo, 3);
  // A longer name stands upright, or it would run under the toolbar.
  context.save();
  context.translate(20, 10 + length);
  context.rotate(-Math.PI / 2);
  haloed(context, axes[1], 0, 0, ink, halo, 3);
  context.restore();
}

/** Class names at the median place of their samples; `bright(code)` says which stand out. */
export function drawLabels(context, { view, theme, centres, names, colours, bright }) {
  context.font = `700 15px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const crowded = centres.length > 24;
  const taken = [];
  for (const { code, x, y } of centres) {
    if (!bright(code)) continue;
    const [px, py] = view.toPixel(x, y);
    if (px < 0 || py < 0 || px > view.width || py > view.height) continue;
    if (crowded && taken.some(([a, b]) => Math.abs(a - px) < 34 && Math.abs(b - py) < 16)) continue;
    taken.push([px, py]);
    const text = names[code].length > 18 ? `${names[code].slice(0, 17)}…` : names[code];
    haloed(context, text, px, py, css(theme.text), css(theme.background, 0.92), 5);
    const half = context.measureText(text).width / 2;
    context.fillStyle = hex(colours[code]);
    context.fillRect(px - half, py + 9, 2 * half, 2.5);
  }
}

function ring(context, x, y, radius, theme, colour, width = 2.5) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = width + 2.5;
  context.strokeStyle = css(theme.background, 0.95);
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = css(colour);
  context.stroke();
}

export function drawPin(context, { view, theme, points, pinned, neighbours }) {
  if (pinned < 0) return;
  const [px, py] = view.toPixel(points.x[pinned], points.y[pinned]);
  for (const slot of neighbours) {
    const [nx, ny] = view.toPixel(points.x[slot], points.y[slot]);
    context.beginPath();
    context.moveTo(px, py);
    context.lineTo(nx, ny);
    context.lineWidth = 1;
    context.strokeStyle = css(theme.text, 0.55);
    context.stroke();
    ring(context, nx, ny, 4.5, theme, theme.text, 1.5);
  }
  ring(context, px, py, 9, theme, theme.primary, 3);
}

export function drawHover(context, { view, theme, points, hovered }) {
  if (hovered < 0) return;
  const [px, py] = view.toPixel(points.x[hovered], points.y[hovered]);
  ring(context, px, py, 7, theme, theme.text, 2);
}

export function drawOutline(context, { theme }, polygon, closed) {
  if (polygon.length < 2) return;
  context.beginPath();
  polygon.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fillStyle = css(theme.primary, closed ? 0.06 : 0.12);
  context.fill();
  context.setLineDash(closed ? [2, 4] : [6, 4]);
  context.lineWidth = 1.75;
  context.strokeStyle = css(theme.primary);
  context.stroke();
  context.setLineDash([]);
}

/** The way a new picture went while it was drawn. */
export function drawTrail(context, { view, theme }, trail) {
  if (trail.length < 2) return;
  context.lineWidth = 1.25;
  for (let i = 1; i < trail.length; i++) {
    const [ax, ay] = view.toPixel(...trail[i - 1]);
    const [bx, by] = view.toPixel(...trail[i]);
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.strokeStyle = css(theme.text, (0.5 * i ** 2) / trail.length ** 2);
    context.stroke();
  }
}

export function drawCross(context, { view, theme }) {
  const [x, y] = [view.width / 2, view.height / 2];
  context.strokeStyle = css(theme.text, 0.7);
  context.lineWidth = 1.25;
  context.beginPath();
  context.moveTo(x - 9, y);
  context.lineTo(x + 9, y);
  context.moveTo(x, y - 9);
  context.lineTo(x, y + 9);
  context.stroke();
}

/** Pictures in place of dots where there is room: at most one per cell, none over another. */
export function drawPictures(context, scene, grid, sheets, table, later) {
  const { view, points, colouring, theme } = scene;
  const tile = Math.max(26, Math.min(56, 26 * view.zoom ** 0.25));
  const cell = tile + 5;
  const taken = new Map();
  const [x0, y1] = view.toPlane(0, 0);
  const [x1, y0] = view.toPlane(view.width, view.height);
  grid.visit(x0, y0, x1, y1, (i) => {
    if (points.show[i] !== 2) return;
    const [px, py] = view.toPixel(points.x[i], points.y[i]);
    // The lattice is fixed to the plane, so that pictures stay the same ones while panning.
    const key = `${Math.floor((points.x[i] * view.scale) / cell)},${Math.floor((points.y[i] * view.scale) / cell)}`;
    const best = taken.get(key);
    if (px > -tile && py > -tile && px < view.width + tile && py < view.height + tile && !(best <= i)) taken.set(key, i);
  });
  for (const [key, i] of taken) {
    const [column, row] = key.split(",").map(Number);
    const left = (column + 0.5) * cell - view.x * view.scale + view.width / 2 - tile / 2;
    const top = view.height / 2 - (row + 0.5) * cell + view.y * view.scale - tile / 2;
    context.fillStyle = hex(colouring.colourOf(i, theme));
    context.fillRect(left - 2, top - 2, tile + 4, tile + 4);
    if (!sheets.draw(context, table.rows[i], left, top, tile, tile, later)) {
      context.fillStyle = css(theme.background);
      context.fillRect(left, top, tile, tile);
    }
  }
  return taken.size;
}
