// A tile of ids becomes outlines and fills, as fine as the screen wants them.
import { ofId, ofValue, pack } from "./colours.js";
import { chosen, look, partner, sides } from "./state.js";

const MARKED = pack([255, 255, 255]), TWICE = pack([255, 255, 255], 130);

// A colour for each id; 0 for what a filter hides.
export function coloursOf(side) {
  const colours = new Uint32Array(side.objects + 1), column = look.by && side.table?.[look.by];
  let low = Infinity, high = -Infinity;
  if (column) for (const v of column) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  for (let id = 1; id <= side.objects; id++) {
    if (!side.shown[id]) continue;
    colours[id] = pack(column ? ofValue((column[id - 1] - low) / Math.max(1e-12, high - low)) : ofId(id));
  }
  return colours;
}

// Twice as fine, with the corners of diagonal borders cut (EPX).
function doubled(ids, wide, high) {
  const out = new Uint32Array(4 * wide * high), w2 = 2 * wide;
  for (let y = 0, i = 0; y < high; y++) {
    for (let x = 0; x < wide; x++, i++) {
      const p = ids[i], a = y ? ids[i - wide] : p, d = y + 1 < high ? ids[i + wide] : p;
      const c = x ? ids[i - 1] : p, b = x + 1 < wide ? ids[i + 1] : p, o = 2 * y * w2 + 2 * x;
      const flat = a === d || c === b;
      out[o] = !flat && a === c ? a : p;
      out[o + 1] = !flat && a === b ? a : p;
      out[o + w2] = !flat && d === c ? d : p;
      out[o + w2 + 1] = !flat && d === b ? d : p;
    }
  }
  return out;
}

// `fine`: 1, 2 or 4 pixels for each voxel of the tile.
export function painted(all, size, number, fine) {
  const side = sides[number], [high, wide] = size, each = (high + 2) * (wide + 2);
  const width = wide * fine, data = new ImageData(width, high * fine), out = new Uint32Array(data.data.buffer);
  const times = look.overlaps ? new Uint8Array(out.length) : null;
  side.colours ??= coloursOf(side);
  const marked = chosen.id && (chosen.side === number ? chosen.id : partner(chosen.side, chosen.id));
  const veil = Math.round(255 * look.opacity), thick = fine > 1 ? 2 : 1;
  for (let layer = 0; layer < side.layers; layer++) {
    if (look.hidden.has(layer)) continue;
    let ids = all.subarray(layer * each, (layer + 1) * each), w = wide + 2, h = high + 2;
    for (let f = fine; f > 1; f /= 2) { ids = doubled(ids, w, h); w *= 2; h *= 2; }
    for (let y = 0, to = 0; y < high * fine; y++) {
      for (let x = 0, i = (y + fine) * w + fine; x < width; x++, i++, to++) {
        const id = ids[i], colour = id ? side.colours[id] : 0;
        if (!colour) continue;
        if (times && ++times[to] > 1 && (x + y) % (4 * fine) < fine) { out[to] = TWICE; continue; }
        let edge = ids[i - 1] !== id || ids[i + 1] !== id || ids[i - w] !== id || ids[i + w] !== id;
        if (!edge && thick > 1) {
          edge = ids[i - 2] !== id || ids[i + 2] !== id || ids[i - 2 * w] !== id || ids[i + 2 * w] !== id;
        }
        if (id === marked) out[to] = edge ? MARKED : (colour & 0xffffff) | (110 << 24);
        else if (edge && look.outline) out[to] = colour;
        else if (look.fill && out[to] >>> 24 < veil) out[to] = (colour & 0xffffff) | (veil << 24);
      }
    }
  }
  const canvas = new OffscreenCanvas(width, high * fine);
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas;
}
