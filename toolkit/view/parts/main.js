// The page is put together, and the tables are asked for.
import { controls, details, search } from "./controls.js";
import { scene, tableOf } from "./data.js";
import { refilter } from "./filter.js";
import { Histogram } from "./histogram.js";
import { help, listen } from "./keys.js";
import { arrange, fitted, hover, redraw } from "./pane.js";
import { on, sides, tell } from "./state.js";
import { Table, made } from "./table.js";

function theme() {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = (root.dataset.theme ?? (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  tell("rows");
}

function start() {
  const table = new Table(), stage = made("main", { id: "stage", "aria-label": "Image" });
  const said = made("output", { class: "hover" });
  const histograms = [new Histogram(/^(area|volume)_px$/), new Histogram(/^score$/)];
  on("hover", () => { said.textContent = hover.text; });
  const notes = scene.notes.map((note) => made("p", { class: "note", role: "note" }, note));
  document.body.append(
    made("header", { class: "top" }, made("h1", {}, scene.name), said,
      made("button", { onclick: fitted, title: "the whole image (0)" }, "fit"),
      made("button", { id: "theme", onclick: theme }, "dark / light"),
      made("button", { onclick: () => document.getElementById("help").showModal() }, "keys (?)")),
    made("div", { class: "left" }, ...notes, stage, table.element),
    made("aside", { "aria-label": "Controls" }, details(), ...controls(),
      made("section", { class: "filter" }, made("h2", {}, "Filter"), search(), ...histograms.map((one) => one.element))),
    help());
  arrange(stage);
  fitted();
  listen(table);
  new ResizeObserver(redraw).observe(stage);
  for (const side of sides) {
    tableOf(side.number).then((columns) => {
      side.table = columns;
      refilter(side);
      tell("chosen");
      document.documentElement.dataset.ready = "true";
    });
  }
}

start();
