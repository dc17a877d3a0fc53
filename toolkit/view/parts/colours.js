// Colours: of objects by id, of values by a scale that the eye reads in order, of channels.
const GOLDEN = 0.6180339887;
const SCALE = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98],
  [173, 220, 48], [253, 231, 37]];

export function rgb(text) {
  const n = parseInt(text.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

// Hue by golden angle; blue is lightened, which drowns on black.
export function ofId(id) {
  const hue = ((id * GOLDEN) % 1) * 6, sector = Math.floor(hue), part = hue - sector;
  const all = [[1, part, 0], [1 - part, 1, 0], [0, 1, part], [0, 1 - part, 1], [part, 0, 1], [1, 0, 1 - part]][sector];
  const light = 0.2126 * all[0] + 0.7152 * all[1] + 0.0722 * all[2], lift = Math.max(0, 0.5 - light) / (1 - light);
  return all.map((v) => Math.round(255 * (v + (1 - v) * lift)));
}

export function ofValue(part) {
  const at = Math.min(1, Math.max(0, part)) * (SCALE.length - 1), low = Math.min(SCALE.length - 2, Math.floor(at));
  return SCALE[low].map((v, k) => Math.round(v + (SCALE[low + 1][k] - v) * (at - low)));
}

export const pack = ([r, g, b], a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
