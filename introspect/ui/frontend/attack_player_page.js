// The player in a file of its own: everything it needs lies in the page, nothing is fetched.

import { Attack } from "./attack_player_data.js";
import { playerOf } from "./attack_player_pair.js";

function bytes(text) {
  const binary = atob(text.trim());
  const found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) found[i] = binary.charCodeAt(i);
  return found.buffer;
}

/** The attack whose manifest and parts carry this mark; null where there is none. */
function read(mark) {
  const told = document.getElementById(`manifest${mark}`);
  if (!told) return null;
  const manifest = JSON.parse(told.textContent);
  const parts = Object.fromEntries(Object.keys(manifest.parts).map((name) => [name, bytes(document.getElementById(`part-${name}${mark}`).textContent)]));
  return new Attack(manifest, parts);
}

const attacks = ["", "-2"].map(read).filter(Boolean);
window.__player = playerOf(document.getElementById("player"), attacks).record;
