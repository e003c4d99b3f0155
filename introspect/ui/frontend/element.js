// Building DOM nodes: text always as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** el("button", {class: "x", onclick: f, title: "…"}, child, "text") */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const ICONS = {
  pan: "M12 3v18M3 12h18M12 3l-2.5 2.5M12 3l2.5 2.5M12 21l-2.5-2.5M12 21l2.5-2.5M3 12l2.5-2.5M3 12l2.5 2.5M21 12l-2.5-2.5M21 12l-2.5 2.5",
  lasso: "M12 4.5c5 0 9 2.6 9 6s-4 6-9 6-9-2.6-9-6 4-6 9-6zM7.5 15.8c-1.6 1-1.9 2.6-.8 3.4 1.2.8 2.6-.6 2-2.6",
  box: "M4 8V5.5A1.5 1.5 0 0 1 5.5 4H8M11 4h2M16 4h2.500a1.500 1.500 0 0 1 1.500 1.500V8M20 11v2M20 16v2.500a1.500 1.500 0 0 1-1.500 1.500H16M13 20h-2M8 20H5.500A1.500 1.500 0 0 1 4 18.500V16M4 13v-2",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  home: "M4 11.500 12 5l8 6.500M6.500 10v9h4v-5h3v5h4v-9",
  download: "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14",
  link: "M10 14a4 4 0 0 0 5.700 0l3-3a4 4 0 0 0-5.700-5.700l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3a4 4 0 0 0 5.700 5.700l1-1",
  full: "M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5",
  layers: "M12 4 3 9l9 5 9-5zM4 13.500l8 4.500 8-4.500",
  filter: "M4 6h16M7 12h10M10 18h4",
  search: "M11 5a6 6 0 1 1 0 12 6 6 0 0 1 0-12zM15.500 15.500 20 20",
  close: "M6 6l12 12M18 6 6 18",
  check: "M12 3.500 5 6v5.500c0 4.200 2.900 7.500 7 9 4.100-1.500 7-4.800 7-9V6zM9 11.800l2.200 2.200 4-4.200",
  undo: "M8 5 4 9l4 4M4 9h9a6 6 0 0 1 0 12h-3",
  trash: "M5 7h14M10 7V4.500h4V7M7 7l1 12.500h8L17 7",
  play: "M8 5.500v13l10.500-6.500z",
  pause: "M8.500 5.500v13M15.500 5.500v13",
  first: "M18 6l-8.500 6 8.500 6zM6 6v12",
  back: "M15.500 6 7 12l8.500 6",
  on: "M8.500 6l8.500 6-8.500 6",
  last: "M6 6l8.500 6L6 18zM18 6v12",
  pen: "M4 20l1-4.500L16.500 4 20 7.500 8.500 19zM14 6.500 17.500 10",
};

/** A 20-pixel line icon, hidden from screen readers (its button carries the name). */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** An icon button with a name for pointer and screen reader alike. */
export function tool(name, title, onclick, more = {}) {
  return el("button", { type: "button", class: "tool", "aria-label": title, "data-tip": title, onclick, ...more }, icon(name));
}

/** Adopts a stylesheet in the shadow root (or document) that holds the node, once per root. */
const sheets = new Map();
export async function adopt(node, url) {
  if (!sheets.has(url)) {
    sheets.set(
      url,
      fetch(url)
        .then((answer) => answer.text())
        .then((text) => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(text);
          return sheet;
        }),
    );
  }
  const sheet = await sheets.get(url);
  const root = node.getRootNode();
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}
