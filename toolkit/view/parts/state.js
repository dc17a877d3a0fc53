// What the user has chosen, and who wants to know when it changes.
import { scene } from "./data.js";

const listeners = new Map();
export function on(what, hear) {
  for (const word of what.split(" ")) listeners.set(word, [...(listeners.get(word) ?? []), hear]);
}

export function tell(...words) {
  for (const word of words) for (const hear of listeners.get(word) ?? []) hear();
}

const middle = scene.shape.map((n) => Math.floor(n / 2));
export const view = { centre: scene.shape.map((n) => n / 2), slice: middle, scale: 1, planes: 1 };

export const look = { outline: true, fill: false, overlaps: true, shown: true, opacity: 0.45, by: "", hidden: new Set() };

export const pictures = scene.pictures.map((picture) => ({
  ...picture, on: picture.name === "", gamma: 1, version: 0,
  channels: picture.channels.map((channel) => ({ ...channel })),
}));

export const sides = scene.sides.map((side, number) => ({
  ...side, number, table: null, rows: new Uint32Array(0), shown: new Uint8Array(side.objects + 1).fill(1),
  colours: null, version: 0, sort: { name: "id", down: false }, ranges: new Map(), search: "",
}));

export const chosen = { side: 0, id: 0 };
export const active = { side: 0 };

// The partner of an object in the other set.
export function partner(side, id) {
  const match = sides.length === 2 && id ? sides[side].table?.match : null;
  return match ? match[id - 1] : 0;
}

export function choose(side, id, go = false) {
  chosen.side = active.side = side;
  chosen.id = id;
  if (go && id) centreOn(side, id);
  for (const one of sides) one.version += 1;
  tell("chosen", "objects");
}

function whereIs(side, id) {
  const table = sides[side].table;
  const names = scene.along === "t" ? ["frame", "centroid_y", "centroid_x"] : ["centroid_z", "centroid_y", "centroid_x"];
  return names.map((name, axis) => {
    const value = table?.[name]?.[id - 1] ?? (axis === 0 ? table?.centroid_t?.[id - 1] : undefined);
    return value === undefined || Number.isNaN(value) ? null : value / scene.factor[axis];
  });
}

function centreOn(side, id) {
  whereIs(side, id).forEach((value, axis) => {
    if (value === null) return;
    view.centre[axis] = value + 0.5;
    view.slice[axis] = Math.min(scene.shape[axis] - 1, Math.max(0, Math.round(value)));
  });
  // An object that would be a dot, or more than the screen, is seen at a size to look at.
  const { area_px: area, volume_px: volume } = sides[side].table;
  const size = (area ? area[id - 1] ** (1 / 2) : volume ? volume[id - 1] ** (1 / 3) : 0) / scene.factor[2];
  if (size && (size * view.scale < 16 || size * view.scale > 500)) view.scale = 150 / size;
  tell("view");
}
