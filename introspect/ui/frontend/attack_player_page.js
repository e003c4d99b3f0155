// The player in a file of its own: everything it needs lies in the page, nothing is fetched.

import { Attack } from "./attack_player_data.js";
import { AttackPlayer } from "./attack_player_view.js";

function bytes(text) {
  const binary = atob(text.trim());
  const found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) found[i] = binary.charCodeAt(i);
  return found.buffer;
}

const manifest = JSON.parse(document.getElementById("manifest").textContent);
const parts = Object.fromEntries(Object.keys(manifest.parts).map((name) => [name, bytes(document.getElementById(`part-${name}`).textContent)]));
const attack = new Attack(manifest, parts);
const player = new AttackPlayer(document.getElementById("player"), attack);
window.__player = player.record;
