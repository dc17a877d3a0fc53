// A plane on a canvas: tiles as they come, coarser ones until then.
import { fit, level, pan, slide, zoom } from "./camera.js";
import { ACROSS, forget, labelTile, pictureTile, scene, tileSize } from "./data.js";
import { composed } from "./image.js";
import { drawMarks } from "./marks.js";
import { painted } from "./objects.js";
import { active, choose, chosen, look, on, pictures, sides, tell, view } from "./state.js";
import { drawing, numbers } from "./tiles.js";

const FRAME = 12;
const panes = [];
let asked = false;

class Pane {
  constructor(side, axis) {
    this.side = side;
    this.axis = axis;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${sides[side].title}, plane ${["YX", "across Y", "across X"][axis]}`);
    this.canvas.dataset.axis = axis;
    this.canvas.dataset.side = side;
    this.listen();
  }

  get size() { return [this.canvas.clientHeight, this.canvas.clientWidth]; }

  // Pixels of the pane at voxel `v` of its row (0) or column (1) axis.
  at(dim, v) {
    const axis = ACROSS[this.axis][dim];
    return this.size[dim] / 2 + (v - view.centre[axis]) * scene.ratio[axis] * view.scale;
  }

  voxel(dim, pixel) {
    const axis = ACROSS[this.axis][dim];
    return view.centre[axis] + (pixel - this.size[dim] / 2) / (scene.ratio[axis] * view.scale);
  }

  // The tiles of a level that are seen.
  *tiles(level) {
    const steps = ACROSS[this.axis].map((axis) => scene.steps[level][axis] * scene.tile);
    const [rows, columns] = ACROSS[this.axis].map((axis, dim) => {
      const last = Math.ceil(scene.shape[axis] / steps[dim]) - 1;
      const low = Math.max(0, Math.floor(this.voxel(dim, 0) / steps[dim]));
      return [low, Math.min(last, Math.floor(this.voxel(dim, this.size[dim]) / steps[dim]))];
    });
    for (let row = rows[0]; row <= rows[1]; row++) {
      for (let column = columns[0]; column <= columns[1]; column++) {
        yield { axis: this.axis, at: view.slice[this.axis], level, row, column };
      }
    }
  }

  draw(budget) {
    const [height, width] = this.size, dpr = devicePixelRatio, context = this.canvas.getContext("2d");
    if (!height || !width) return;
    if (this.canvas.width !== Math.round(width * dpr) || this.canvas.height !== Math.round(height * dpr)) {
      this.canvas.width = Math.round(width * dpr);
      this.canvas.height = Math.round(height * dpr);
    }
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, width, height);
    const now = level(), coarse = scene.levels - 1;
    for (const l of now === coarse ? [now] : [coarse, now]) {
      pictures.forEach((picture, number) => {
        if (!picture.on || (picture.name && picture.side !== this.side)) return;
        for (const tile of this.tiles(l)) {
          this.put(context, tile, drawing(`p${number}`, tile, picture.version, (t) => pictureTile(number, t),
            (data, size) => composed(data, size, picture), budget));
        }
      });
    }
    if (look.shown) this.drawObjects(context, now, budget);
    drawMarks(context, this);
    if (view.planes === 3) this.cross(context);
    if (scene.calibrated) this.bar(context);
  }

  // A scale bar of 1, 2 or 5 times a power of ten micrometres.
  bar(context) {
    const each = view.scale / Math.min(...scene.voxel), wanted = 120 / each, power = 10 ** Math.floor(Math.log10(wanted));
    const long = [5, 2, 1].find((n) => n * power <= wanted) * power, [height] = this.size;
    context.fillStyle = "#fff";
    context.font = "12px system-ui, sans-serif";
    context.fillRect(12, height - 14, long * each, 3);
    context.fillText(long >= 1000 ? `${long / 1000} mm` : `${Number(long.toPrecision(1))} µm`, 12, height - 19);
  }

  drawObjects(context, now, budget) {
    const side = sides[this.side];
    const zoomed = view.scale * devicePixelRatio * scene.steps[now][ACROSS[this.axis][1]];
    const fine = zoomed > 3 ? 4 : zoomed > 1.4 ? 2 : 1;
    for (const tile of this.tiles(now)) {
      this.put(context, tile, drawing(`l${this.side}`, tile, `${side.version} ${fine}`, (t) => labelTile(this.side, t),
        (data, size) => painted(data, size, this.side, fine), budget));
    }
  }

  // Edges lie on whole pixels, so that neighbours leave no gap.
  put(context, tile, canvas) {
    if (!canvas) return;
    const size = tileSize(tile), ends = [0, 1].map((dim) => {
      const step = scene.steps[tile.level][ACROSS[this.axis][dim]], low = [tile.row, tile.column][dim] * scene.tile;
      return [Math.round(this.at(dim, low * step)), Math.round(this.at(dim, (low + size[dim]) * step))];
    });
    context.imageSmoothingEnabled = canvas.width > ends[1][1] - ends[1][0];
    context.drawImage(canvas, ends[1][0], ends[0][0], ends[1][1] - ends[1][0], ends[0][1] - ends[0][0]);
  }

  cross(context) {
    const [height, width] = this.size, [y, x] = [0, 1].map((d) => this.at(d, view.slice[ACROSS[this.axis][d]] + 0.5));
    context.strokeStyle = "#ffd54a99";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, y); context.lineTo(width, y); context.moveTo(x, 0); context.lineTo(x, height);
    context.stroke();
  }

  // The ids under a pixel, of the layers that are shown.
  under(y, x) {
    const now = level(), where = [this.voxel(0, y), this.voxel(1, x)], ids = [];
    for (const tile of this.tiles(now)) {
      const data = numbers(`l${this.side}`, tile, (t) => labelTile(this.side, t)), size = tileSize(tile);
      const [i, j] = [0, 1].map((dim) => Math.floor(where[dim] / scene.steps[now][ACROSS[this.axis][dim]])
        - [tile.row, tile.column][dim] * scene.tile);
      if (!data || i < 0 || j < 0 || i >= size[0] || j >= size[1]) continue;
      const each = (size[0] + 2) * (size[1] + 2), at = (i + 1) * (size[1] + 2) + j + 1;
      for (let layer = 0; layer < sides[this.side].layers; layer++) {
        const id = data[layer * each + at];
        if (id && sides[this.side].shown[id] && !look.hidden.has(layer)) ids.push(id);
      }
    }
    return { ids, where };
  }

  listen() {
    let from = null, moved = 0;
    const place = (event) => [event.offsetY, event.offsetX];
    this.canvas.addEventListener("pointerdown", (event) => {
      from = place(event);
      moved = 0;
      active.side = this.side;
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const to = place(event);
      if (from) {
        moved += Math.abs(to[0] - from[0]) + Math.abs(to[1] - from[1]);
        pan(this.axis, to[0] - from[0], to[1] - from[1]);
        from = to;
      }
      tell("hover");
      hovered(this, to);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      from = null;
      if (moved < 4) this.click(...place(event));
    });
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [y, x] = place(event), [height, width] = this.size;
      if (event.shiftKey) slide(this.axis, Math.sign(event.deltaY || event.deltaX));
      else zoom(this.axis, 2 ** (-event.deltaY / 400), y - height / 2, x - width / 2);
    }, { passive: false });
  }

  // Where objects overlap, one click after the other goes through them.
  click(y, x) {
    const { ids, where } = this.under(y, x);
    ACROSS[this.axis].forEach((axis, dim) => {
      view.slice[axis] = Math.min(scene.shape[axis] - 1, Math.max(0, Math.floor(where[dim])));
    });
    const at = chosen.side === this.side ? ids.indexOf(chosen.id) : -1;
    choose(this.side, ids.length ? ids[(at + 1) % ids.length] : 0);
    tell("slice");
  }
}

export const hover = { text: "" };
function hovered(pane, [y, x]) {
  const { ids, where } = pane.under(y, x), [rows, columns] = ACROSS[pane.axis], at = [...view.slice];
  at[rows] = Math.floor(where[0]);
  at[columns] = Math.floor(where[1]);
  const names = [scene.along || "z", "y", "x"];
  const shown = at.map((v, axis) => `${names[axis]} ${Math.round(v * scene.factor[axis])}`).slice(scene.shape[0] > 1 ? 0 : 1);
  hover.text = `${shown.join("  ")}${ids.length ? `   object ${ids.join(", ")}` : ""}`;
  tell("hover");
}

export function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const budget = { end: performance.now() + FRAME };
    for (const pane of panes) pane.draw(budget);
  });
}

// The panes of one or two sets of objects, of one or three planes each.
export function arrange(stage) {
  panes.length = 0;
  stage.replaceChildren(...sides.map((side) => {
    const box = document.createElement("section"), title = document.createElement("h2"), grid = document.createElement("div");
    title.textContent = side.title;
    grid.className = view.planes === 3 ? "planes three" : "planes";
    for (const axis of view.planes === 3 ? [0, 2, 1] : [0]) {
      const pane = new Pane(side.number, axis);
      panes.push(pane);
      grid.append(pane.canvas);
    }
    box.append(title, grid);
    return box;
  }));
  redraw();
}

export function fitted() {
  const [height, width] = panes[0].size;
  fit(width, height);
}

on("view slice objects pictures marks tiles", redraw);
on("slice", forget);
