// Colours: parsing, ramps, packed pixels, and the theme of the page around us.

/** One RGBA pixel as ImageData keeps it on little-endian machines. */
export function pack(r, g, b, a = 255) {
  return ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** "#rgb", "#rrggbb", "rgb(…)" or "rgba(…)" to [r, g, b], each 0..255. */
export function rgb(text) {
  const value = String(text).trim();
  if (value.startsWith("#")) {
    const hex = value.length < 7 ? [...value.slice(1, 4)].map((c) => c + c).join("") : value.slice(1, 7);
    const number = parseInt(hex, 16);
    return [number >> 16, (number >> 8) & 255, number & 255];
  }
  const found = value.match(/[\d.]+/g) || [];
  return found.length < 3 ? [128, 128, 128] : found.slice(0, 3).map((part) => Math.round(Number(part)));
}

export function hex([r, g, b]) {
  return "#" + [r, g, b].map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");
}

export function mix(from, to, share) {
  return from.map((value, i) => value + (to[i] - value) * share);
}

/** The colour of a ramp (list of [r, g, b]) at t in 0..1. */
export function along(ramp, t) {
  const place = Math.min(1, Math.max(0, t)) * (ramp.length - 1);
  const left = Math.min(ramp.length - 2, Math.floor(place));
  return mix(ramp[left], ramp[left + 1], place - left);
}

/** Relative luminance (WCAG 2) of [r, g, b]. */
export function luminance(colour) {
  const [r, g, b] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** 256 packed pixels along a ramp. */
export function rampPixels(ramp, alpha = 255) {
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const [r, g, b] = along(ramp, i / 255);
    return pack(Math.round(r), Math.round(g), Math.round(b), alpha);
  });
}

/** The page's theme, read from Streamlit's CSS variables (with defaults outside Streamlit). */
export function readTheme(element) {
  const style = getComputedStyle(element);
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  const background = rgb(read("--st-background-color", "#ffffff"));
  const text = rgb(read("--st-text-color", "#31333f"));
  const dark = luminance(background) < 0.2;
  return {
    background,
    text,
    dark,
    primary: rgb(read("--st-primary-color", "#3f66da")),
    muted: mix(text, background, 0.42),
    faint: mix(text, background, 0.86),
    ghost: mix(text, background, dark ? 0.72 : 0.8),
    font: read("--st-font", "system-ui, sans-serif"),
    // Grey-blue, so that it stays apart from every class colour drawn over it.
    error: dark
      ? [background, mix(background, [116, 134, 168], 0.5), [148, 163, 192]]
      : [background, mix(background, [104, 118, 150], 0.42), [98, 110, 138]],
  };
}

/** A log10 error in plain digits: -0.3 is "0.50", -4.2 is "6.3 × 10⁻⁵". */
export function plainError(log10) {
  if (!Number.isFinite(log10)) return "unknown";
  const value = 10 ** log10;
  if (value >= 0.001) return value.toPrecision(2);
  const exponent = Math.floor(log10);
  const digits = [...String(exponent)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
  return `${(10 ** (log10 - exponent)).toFixed(1)} × 10${digits}`;
}

/** A number with so many digits, a true minus sign and no "−0.0". */
export function digits(value, places) {
  const text = value.toFixed(places);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

export function count(number) {
  return Number(number).toLocaleString("en-US");
}
