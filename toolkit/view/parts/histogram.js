// A histogram of a column: a drag over it shows those objects alone, in the picture and in the table.
import { limit } from "./filter.js";
import { active, chosen, on, sides, tell } from "./state.js";
import { made, written } from "./table.js";

const BINS = 40, HIGH = 72;

export class Histogram {
  constructor(wish) {
    this.wish = wish;
    this.select = made("select", { "aria-label": "Column", onchange: () => { this.name = this.select.value; this.draw(); } });
    this.canvas = made("canvas", { height: HIGH, tabindex: 0, role: "img" });
    this.bounds = ["low", "high"].map((end) => made("input", { type: "number", step: "any", placeholder: end,
      "aria-label": `${end} end`, onchange: () => this.typed() }));
    this.words = made("div", { class: "words" });
    this.element = made("div", { class: "histogram" }, this.select, this.canvas, made("div", { class: "bounds" }, ...this.bounds,
      made("button", { onclick: () => limit(sides[active.side], this.name, null) }, "all")), this.words);
    this.listen();
    on("rows active chosen", () => this.draw());
  }

  get column() { return sides[active.side].columns.find((column) => column.name === this.name); }

  // The names of the columns, once they are known.
  build() {
    const { columns, table } = sides[active.side];
    if (!table) return false;
    const names = columns.map((column) => column.name), key = names.join();
    if (key !== this.key) {
      this.key = key;
      this.select.replaceChildren(...names.map((name) => made("option", { value: name }, name)));
      if (!names.includes(this.name)) this.name = names.find((name) => this.wish.test(name)) ?? names[0];
    }
    this.select.value = this.name;
    return true;
  }

  draw() {
    if (!this.build()) return;
    const side = sides[active.side], values = side.table[this.name], { words } = this.column, range = side.ranges.get(this.name);
    let low = Infinity, high = -Infinity;
    for (const v of values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    if (!(high >= low)) { low = 0; high = 1; }
    const bins = words ? words.length : BINS, wide = words ? 1 : (high - low || 1) / BINS;
    this.scale = { low, wide, bins };
    const all = new Uint32Array(bins), shown = new Uint32Array(bins);
    values.forEach((v, k) => {
      const bin = Math.min(bins - 1, Math.floor((v - low) / wide));
      if (!(bin >= 0)) return;
      all[bin] += 1;
      shown[bin] += side.shown[k + 1];
    });
    this.paint(all, shown, range, values[chosen.side === side.number ? chosen.id - 1 : -1]);
    this.canvas.setAttribute("aria-label", `${this.name}: ${written(low)} to ${written(high)}`);
    this.bounds.forEach((input, k) => {
      input.hidden = Boolean(words);
      input.value = range && !range.words ? written([range.low, range.high][k]) : "";
    });
    this.words.replaceChildren(...(words ?? []).map((word, k) => made("label", {}, made("input", { type: "checkbox",
      checked: !range || range.words.has(k), onchange: () => this.toggled(k) }), `${word || "–"} (${all[k]})`)));
  }

  paint(all, shown, range, marked) {
    const context = this.canvas.getContext("2d"), most = Math.max(1, ...all), style = getComputedStyle(document.body);
    const width = this.canvas.width = this.canvas.clientWidth || 300, step = width / all.length;
    context.clearRect(0, 0, width, HIGH);
    for (const [counts, colour] of [[all, "--line"], [shown, "--accent"]]) {
      context.fillStyle = style.getPropertyValue(colour);
      counts.forEach((count, k) => {
        const high = count && Math.max(2, count / most * (HIGH - 6));
        context.fillRect(k * step + 0.5, HIGH - high, Math.max(1, step - 1), high);
      });
    }
    const x = (value) => (value - this.scale.low) / this.scale.wide * step;
    context.fillStyle = style.getPropertyValue("--ink");
    if (marked !== undefined && Number.isFinite(marked)) context.fillRect(x(marked) - 1, 0, 2, HIGH);
    if (range && !range.words) {
      context.globalAlpha = 0.15;
      context.fillRect(x(range.low), 0, x(range.high) - x(range.low), HIGH);
      context.globalAlpha = 1;
    }
  }

  listen() {
    let from = null;
    const value = (event) => this.scale.low + event.offsetX / this.canvas.clientWidth * this.scale.bins * this.scale.wide;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (this.column.words) return;
      from = value(event);
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const [low, high] = [from, value(event)].sort((a, b) => a - b);
      from = null;
      limit(sides[active.side], this.name, high - low > this.scale.wide / 4 ? { low, high } : null);
    });
  }

  typed() {
    const [low, high] = this.bounds.map((input) => input.value === "" ? NaN : Number(input.value));
    const none = Number.isNaN(low) && Number.isNaN(high);
    limit(sides[active.side], this.name, none ? null : { low: Number.isNaN(low) ? -Infinity : low, high: Number.isNaN(high) ? Infinity : high });
  }

  toggled(word) {
    const side = sides[active.side], all = this.column.words.map((_, k) => k);
    const words = new Set(side.ranges.get(this.name)?.words ?? all);
    if (!words.delete(word)) words.add(word);
    limit(side, this.name, words.size === all.length ? null : { words });
    tell("active");
  }
}
