// Points, ellipses and lines of what a method thought, over a plane.
import { ACROSS, marksOf, scene } from "./data.js";
import { tell, view } from "./state.js";

const MOST = 60000;
export const marks = scene.marks.map((one, number) => ({ ...one, number, on: false, data: null }));

// A row: z, y, x of a point; then, for lines, of the other end, for ellipses the radii; then the value.
export function drawMarks(context, pane) {
  for (const mark of marks) {
    if (!mark.on || mark.side !== pane.side) continue;
    if (!mark.data) { load(mark); continue; }
    draw(context, pane, mark);
  }
}

function load(mark) {
  if (mark.loading) return;
  mark.loading = true;
  marksOf(mark.number).then((data) => { mark.data = data; tell("marks"); });
}

function draw(context, pane, mark) {
  const wide = mark.kind === "points" ? 4 : 7, data = mark.data, [rows, columns] = ACROSS[pane.axis];
  const [height, width] = pane.size, slice = view.slice[pane.axis], near = Math.max(0.5, scene.shape[pane.axis] > 1 ? 1 : 0.5);
  const to = (i, shift) => [0, 1].map((dim) => {
    const axis = [rows, columns][dim];
    return pane.at(dim, data[i + shift + axis] / scene.factor[axis] + 0.5);
  });
  context.strokeStyle = context.fillStyle = mark.colour;
  context.lineWidth = mark.kind === "lines" ? 0.8 : 1.5;
  let left = MOST;
  for (let i = 0; i < data.length && left; i += wide) {
    if (Math.abs(data[i + pane.axis] / scene.factor[pane.axis] - slice) > near) continue;
    const [y, x] = to(i, 0);
    const other = mark.kind === "lines" ? to(i, 3) : [y, x];
    if ((y < -50 && other[0] < -50) || (x < -50 && other[1] < -50)) continue;
    if ((y > height + 50 && other[0] > height + 50) || (x > width + 50 && other[1] > width + 50)) continue;
    left -= 1;
    context.globalAlpha = mark.kind === "lines" ? 0.1 + 0.6 * Math.min(1, Math.abs(data[i + 6])) : 1;
    context.beginPath();
    if (mark.kind === "lines") {
      context.strokeStyle = data[i + 6] < 0 ? mark.against : mark.colour;
      context.moveTo(x, y);
      context.lineTo(other[1], other[0]);
    } else if (mark.kind === "ellipses") {
      const radius = [rows, columns].map((axis) => data[i + 3 + axis] / scene.factor[axis] * scene.ratio[axis] * view.scale);
      context.ellipse(x, y, Math.max(1, radius[1]), Math.max(1, radius[0]), 0, 0, 2 * Math.PI);
    } else {
      context.arc(x, y, 3, 0, 2 * Math.PI);
    }
    if (mark.kind === "points") context.fill(); else context.stroke();
  }
  context.globalAlpha = 1;
}
