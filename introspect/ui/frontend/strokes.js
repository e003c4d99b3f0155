// From a drawing to what the network reads: pure arithmetic on grey or colour values, no DOM.

/** Mean of the source over each target pixel, for a box (x0, y0, x1, y1) of the source that may reach outside it. */
export function shrink(values, width, height, box, wide, high) {
  const [x0, y0, x1, y1] = box;
  const stepX = (x1 - x0) / wide;
  const stepY = (y1 - y0) / high;
  const out = new Float32Array(wide * high);
  for (let r = 0; r < high; r++) {
    const [top, bottom] = [y0 + r * stepY, y0 + (r + 1) * stepY];
    for (let c = 0; c < wide; c++) {
      const [left, right] = [x0 + c * stepX, x0 + (c + 1) * stepX];
      let sum = 0;
      for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, bottom); y++) {
        const tall = Math.min(bottom, y + 1) - Math.max(top, y);
        for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, right); x++) {
          sum += values[y * width + x] * tall * (Math.min(right, x + 1) - Math.max(left, x));
        }
      }
      out[r * wide + c] = sum / (stepX * stepY);
    }
  }
  return out;
}

/** The smallest box (x0, y0, x1, y1) round everything brighter than `least`, or null. */
export function bounds(values, width, height, least = 0.1) {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (values[y * width + x] < least) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x + 1);
      y0 = Math.min(y0, y);
      y1 = Math.max(y1, y + 1);
    }
  }
  return x1 > x0 ? [x0, y0, x1, y1] : null;
}

/**
 * The preparation of MNIST: the figure fits a box of 20/28 of the side, its centre of mass in the middle.
 *
 * @param values grey in 0..1, `width` × `height`, ink bright on 0
 */
export function centred(values, width, height, wide, high) {
  const box = bounds(values, width, height);
  if (!box) return new Float32Array(wide * high);
  const [x0, y0, x1, y1] = box;
  const inner = (20 / 28) * Math.min(wide, high);
  const perPixel = Math.max(x1 - x0, y1 - y0) / inner; // source pixels per target pixel
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const value = values[y * width + x];
      mass += value;
      massX += value * (x + 0.5);
      massY += value * (y + 0.5);
    }
  }
  const left = massX / mass - (wide / 2) * perPixel;
  const top = massY / mass - (high / 2) * perPixel;
  return shrink(values, width, height, [left, top, left + wide * perPixel, top + high * perPixel], wide, high);
}

/** Values in 0..1 as bytes in base64. */
export function toBase64(values) {
  let text = "";
  for (const value of values) text += String.fromCharCode(Math.round(255 * Math.min(1, Math.max(0, value))));
  return btoa(text);
}
