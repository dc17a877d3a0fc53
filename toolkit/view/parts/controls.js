// What can be chosen beside the picture.
import { slide } from "./camera.js";
import { scene } from "./data.js";
import { refilter, refreshAll } from "./filter.js";
import { intensity } from "./image.js";
import { marks } from "./marks.js";
import { arrange, fitted } from "./pane.js";
import { active, chosen, look, on, pictures, sides, tell, view } from "./state.js";
import { made, written } from "./table.js";

const box = (text, checked, change) => made("label", { class: "check" },
  made("input", { type: "checkbox", checked, onchange: (event) => change(event.target.checked) }), text);

const group = (title, ...content) => made("details", { open: true }, made("summary", {}, title), ...content);

const slider = (text, low, high, value, change) => made("label", { class: "slider" }, text,
  made("input", { type: "range", min: low, max: high, step: (high - low) / 255 || 1, value,
    oninput: (event) => change(Number(event.target.value)) }));

function again(picture) { picture.version += 1; tell("pictures"); }

function channel(picture, one) {
  const top = intensity(one, 255), set = (key) => (value) => { one[key] = value; again(picture); };
  const shown = box(one.name, one.on, set("on"));
  on("pictures", () => { shown.firstChild.checked = one.on; });
  return made("fieldset", { class: "channel" }, made("legend", {},
    made("input", { type: "color", value: one.colour, "aria-label": `colour of ${one.name}`,
      oninput: (event) => { one.colour = event.target.value; again(picture); } }),
    shown),
  slider("dark", one.low, top, one.dark, set("dark")), slider("bright", one.low, top, one.bright, set("bright")));
}

function pictureGroup(picture) {
  const title = picture.name ? (sides.length > 1 ? `${picture.name} (${sides[picture.side].title})` : picture.name) : "Image";
  const shown = box(picture.name ? `show ${picture.name}` : "show image", picture.on, (value) => { picture.on = value; tell("pictures"); });
  on("pictures", () => { shown.firstChild.checked = picture.on; });
  const gamma = slider("gamma", 0.2, 2, picture.gamma, (value) => { picture.gamma = value; again(picture); });
  const details = group(title, shown, gamma, ...picture.channels.map((one) => channel(picture, one)));
  details.open = picture.name === "";
  if (picture.name) details.dataset.step = picture.name;
  return details;
}

export function set(key, value) {
  look[key] = value;
  refreshAll();
  tell("look");
}

function looks() {
  const names = sides[active.side].columns.map((column) => column.name);
  const by = made("select", { "aria-label": "Colour by", onchange: (event) => set("by", event.target.value) },
    made("option", { value: "" }, "each its own"), ...names.map((name) => made("option", { value: name }, name)));
  by.value = look.by;
  const layers = Math.max(...sides.map((side) => side.layers));
  const each = [...Array(layers).keys()].map((layer) => box(`layer ${layer}`, !look.hidden.has(layer), (value) => {
    look.hidden[value ? "delete" : "add"](layer);
    refreshAll();
  }));
  return [box("show (h)", look.shown, (v) => set("shown", v)), box("outlines (o)", look.outline, (v) => set("outline", v)),
    box("fills (f)", look.fill, (v) => set("fill", v)), box("hatch overlaps (v)", look.overlaps, (v) => set("overlaps", v)),
    slider("opacity", 0, 1, look.opacity, (v) => set("opacity", v)), made("label", {}, "colour ", by),
    ...(layers > 1 ? each : [])];
}

function planes() {
  if (scene.shape[0] < 2) return null;
  const names = [scene.along || "z", "y", "x"];
  const each = names.slice(0, scene.along === "z" ? 3 : 1).map((name, axis) => {
    const input = made("input", { type: "range", min: 0, max: scene.shape[axis] - 1, step: 1, "aria-label": `slice ${name}`,
      oninput: () => slide(axis, Number(input.value) - view.slice[axis]) });
    const said = made("output", {}, "");
    const show = () => { input.value = view.slice[axis]; said.textContent = Math.round(view.slice[axis] * scene.factor[axis]); };
    on("view slice", show);
    show();
    return made("label", { class: "slider" }, name, input, said);
  });
  const three = scene.along === "z" && box("three planes (t)", view.planes === 3, (value) => threePlanes(value));
  if (three) on("look", () => { three.firstChild.checked = view.planes === 3; });
  return group("Slices", ...(three ? [three] : []), ...each);
}

export function threePlanes(wanted) {
  view.planes = wanted && scene.along === "z" ? 3 : 1;
  arrange(document.getElementById("stage"));
  fitted();
  tell("look");
}

function steps() {
  const given = marks.map((mark) => {
    const whose = sides.length > 1 ? `, ${sides[mark.side].title}` : "";
    const label = box(`${mark.name} (${mark.count}${whose})`, mark.on, (value) => { mark.on = value; tell("marks"); });
    label.dataset.marks = mark.name;
    return label;
  });
  return given.length ? group("Points and lines", ...given) : null;
}

// All that is known of the chosen object.
export function details() {
  const list = made("dl", { class: "facts" }), element = made("section", { class: "chosen", "aria-live": "polite" });
  on("chosen rows", () => {
    const side = sides[chosen.side];
    list.replaceChildren(...(chosen.id && side.table ? side.columns.flatMap(({ name, words }) => [
      made("dt", {}, name), made("dd", {}, written(side.table[name][chosen.id - 1], words))]) : []));
    element.hidden = !chosen.id;
  });
  element.hidden = true;
  element.append(made("h2", {}, "Object"), list);
  return element;
}

export function search() {
  return made("input", { type: "search", id: "search", placeholder: "ids (3, 10-20) or a class", "aria-label": "Search objects",
    oninput: (event) => { sides[active.side].search = event.target.value; refilter(sides[active.side]); } });
}

export function controls() {
  const objects = made("div", {}, ...looks());
  on("look active", () => objects.replaceChildren(...looks()));
  return [planes(), group("Objects", objects), ...pictures.map(pictureGroup), steps()].filter(Boolean);
}
