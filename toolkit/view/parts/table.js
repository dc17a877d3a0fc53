// The table: only the rows that are seen are there.
import { order } from "./filter.js";
import { active, choose, chosen, on, partner, sides, tell } from "./state.js";

const ROW = 24, COLUMN = 116;

export function made(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-")) element.setAttribute(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...content.filter((part) => part !== null));
  return element;
}

export function written(value, words) {
  if (words) return words[value] ?? "";
  if (Number.isNaN(value)) return "";
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : Math.abs(value) >= 1 ? value.toFixed(2) : value.toPrecision(3);
}

export class Table {
  constructor() {
    this.head = made("div", { class: "row head", role: "row" });
    this.space = made("div", { class: "space", role: "rowgroup" });
    this.scroll = made("div", { class: "scroll", role: "grid", tabindex: "0", "aria-label": "Objects",
      onscroll: () => this.draw(), onkeydown: (event) => this.key(event) }, this.head, this.space);
    this.count = made("output", { class: "count" });
    this.tabs = made("div", { class: "tabs", role: "tablist" });
    this.element = made("section", { class: "table", "aria-label": "Table" }, made("header", {}, this.tabs, this.count), this.scroll);
    on("rows", () => this.draw());
    on("chosen", () => { this.show(); this.build(); this.reveal(); });
    this.build();
  }

  get side() { return sides[active.side]; }

  build() {
    this.tabs.replaceChildren(...(sides.length < 2 ? [] : sides.map((side) => made("button", {
      role: "tab", "aria-selected": side.number === active.side,
      onclick: () => { active.side = side.number; this.build(); tell("active"); },
    }, side.title))));
    const { sort, columns } = this.side;
    this.head.replaceChildren(...columns.map(({ name }) => made("button", {
      role: "columnheader", "data-column": name, title: name,
      "aria-sort": sort.name !== name ? "none" : sort.down ? "descending" : "ascending",
      onclick: () => this.sorted(name),
    }, name, sort.name === name ? (sort.down ? " ↓" : " ↑") : "")));
    this.head.style.width = this.space.style.width = `${columns.length * COLUMN}px`;
    this.draw();
  }

  sorted(name) {
    const { sort } = this.side;
    sort.down = sort.name === name ? !sort.down : false;
    sort.name = name;
    order(this.side);
    this.build();
  }

  draw() {
    const side = this.side, { rows, table, columns } = side;
    this.count.textContent = `${rows.length.toLocaleString("en")} of ${side.objects.toLocaleString("en")} objects`;
    this.space.style.height = `${rows.length * ROW}px`;
    if (!table) return;
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - 4);
    const last = Math.min(rows.length, first + Math.ceil(this.scroll.clientHeight / ROW) + 8);
    const marked = chosen.id && (chosen.side === side.number ? chosen.id : partner(chosen.side, chosen.id));
    this.space.replaceChildren(...[...rows.subarray(first, last)].map((id, k) => {
      const row = made("div", { class: "row", role: "row", "data-id": id, "aria-rowindex": first + k + 1,
        "aria-selected": id === marked, onclick: () => choose(side.number, id, true) },
      ...columns.map(({ name, words }) => made("span", { role: "gridcell" }, written(table[name][id - 1], words))));
      row.style.top = `${(first + k) * ROW}px`;
      return row;
    }));
  }

  // The row of what was clicked comes into sight.
  reveal() {
    const at = this.side.rows.indexOf(chosen.id);
    if (chosen.side !== active.side || at < 0) return;
    const top = at * ROW, low = this.scroll.scrollTop, high = low + this.scroll.clientHeight - 2 * ROW;
    if (top < low || top > high) this.scroll.scrollTop = Math.max(0, top - this.scroll.clientHeight / 2);
    this.draw();
  }

  show() { tell("active"); }

  step(by) {
    const { rows, number } = this.side, at = chosen.side === number ? rows.indexOf(chosen.id) : -1;
    if (rows.length) choose(number, rows[Math.min(rows.length - 1, Math.max(0, at + by))], true);
  }

  key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    this.step(by);
  }
}
