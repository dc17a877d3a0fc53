// Tiles that were asked for and drawn, as long as there is room.
import { tileSize } from "./data.js";
import { tell } from "./state.js";

const KEPT = 2 ** 28;
const raw = new Map(), drawn = new Map();

// What was used last stays; of the rest what fits into so many bytes.
function kept(store, key, value) {
  store.bytes = (store.bytes ?? 0) + (value.bytes ?? 0) - (store.get(key)?.bytes ?? 0);
  store.delete(key);
  store.set(key, value);
  for (const [old, { bytes = 0 }] of store) {
    if (store.bytes <= KEPT || old === key) break;
    store.delete(old);
    store.bytes -= bytes;
  }
  return value;
}

// The numbers of a tile, or nothing while they are on their way.
export function numbers(name, tile, load) {
  const key = `${name} ${tile.axis} ${tile.at} ${tile.level} ${tile.row} ${tile.column}`, found = raw.get(key);
  if (found) return found.data && kept(raw, key, found).data;
  kept(raw, key, { data: null });
  load(tile).then((data) => { kept(raw, key, { data, bytes: data.byteLength }); tell("tiles"); }, () => raw.delete(key));
  return null;
}

// The drawing of a tile; an older one if this frame has no time left.
export function drawing(name, tile, version, load, make, budget) {
  const key = `${name} ${tile.axis} ${tile.at} ${tile.level} ${tile.row} ${tile.column}`, found = drawn.get(key);
  if (found?.version === version) return kept(drawn, key, found).canvas;
  const data = numbers(name, tile, load);
  if (!data || performance.now() > budget.end) {
    if (data) tell("tiles");
    return found?.canvas;
  }
  const canvas = make(data, tileSize(tile));
  return kept(drawn, key, { version, canvas, bytes: 4 * canvas.width * canvas.height }).canvas;
}
