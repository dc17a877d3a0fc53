// Which objects are shown, and in what order.
import { sides, tell } from "./state.js";

// `12`, `40-50`, several with commas: ids; anything else: the beginning of a word of a text column.
function wanted(side, text) {
  const words = text.split(",").map((word) => word.trim().toLowerCase()).filter(Boolean);
  const spans = words.map((word) => /^(\d+)(?:-(\d+))?$/.exec(word));
  const texts = side.columns.filter((column) => column.words);
  return (id) => words.some((word, k) => {
    if (spans[k]) return id >= Number(spans[k][1]) && id <= Number(spans[k][2] ?? spans[k][1]);
    return texts.some(({ name, words: all }) => all[side.table[name][id - 1]]?.toLowerCase().startsWith(word));
  });
}

export function refilter(side) {
  if (!side.table) return;
  const { shown, table, objects } = side, fits = side.search.trim() ? wanted(side, side.search) : null;
  let count = 0;
  for (let id = 1; id <= objects; id++) {
    let keep = !fits || fits(id);
    for (const [name, range] of side.ranges) {
      const value = table[name][id - 1];
      keep &&= range.words ? range.words.has(value) : value >= range.low && value <= range.high;
    }
    shown[id] = keep ? 1 : 0;
    count += shown[id];
  }
  side.rows = new Uint32Array(count);
  for (let id = 1, to = 0; id <= objects; id++) if (shown[id]) side.rows[to++] = id;
  order(side);
  refresh(side);
}

export function order(side) {
  const { name, down } = side.sort, column = side.table[name], sign = down ? -1 : 1;
  side.rows.sort((a, b) => {
    const [p, q] = [column[a - 1], column[b - 1]];
    if (p !== q && !(Number.isNaN(p) && Number.isNaN(q))) {
      if (Number.isNaN(p)) return 1;
      if (Number.isNaN(q)) return -1;
      return sign * (p - q);
    }
    return a - b;
  });
}

// Colours are made anew when the next tile is drawn.
export function refresh(side) {
  side.colours = null;
  side.version += 1;
  tell("objects", "rows");
}

export function refreshAll() {
  for (const side of sides) refresh(side);
}

export function limit(side, name, range) {
  if (range) side.ranges.set(name, range);
  else side.ranges.delete(name);
  refilter(side);
}
