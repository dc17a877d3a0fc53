// Where one looks: the same for all panes.
import { ACROSS, scene } from "./data.js";
import { tell, view } from "./state.js";

const CLOSEST = 64;

export function fit(width, height) {
  const [, y, x] = scene.shape.map((n, axis) => n * scene.ratio[axis]);
  view.scale = Math.min(width / x, height / y) * 0.96;
  view.centre = scene.shape.map((n) => n / 2);
  tell("view");
}

export function pan(axis, dy, dx) {
  const [rows, columns] = ACROSS[axis];
  move(rows, -dy / (scene.ratio[rows] * view.scale));
  move(columns, -dx / (scene.ratio[columns] * view.scale));
  tell("view");
}

function move(axis, by) {
  view.centre[axis] = Math.min(scene.shape[axis], Math.max(0, view.centre[axis] + by));
}

// What lies `y`, `x` pixels from the middle of a pane stays where it is.
export function zoom(axis, by, y = 0, x = 0) {
  const least = 64 / Math.max(...scene.shape.map((n, a) => n * scene.ratio[a]));
  const scale = Math.min(CLOSEST, Math.max(Math.min(1, least), view.scale * by));
  ACROSS[axis].forEach((a, k) => {
    const away = [y, x][k];
    move(a, away / scene.ratio[a] * (1 / view.scale - 1 / scale));
  });
  view.scale = scale;
  tell("view");
}

export function slide(axis, by) {
  view.slice[axis] = Math.min(scene.shape[axis] - 1, Math.max(0, view.slice[axis] + by));
  if (view.planes === 3) view.centre[axis] = view.slice[axis] + 0.5;
  tell("view", "slice");
}

export function level() {
  const wanted = Math.floor(Math.log2(1 / (view.scale * devicePixelRatio)) + 0.3);
  return Math.min(scene.levels - 1, Math.max(0, wanted));
}
