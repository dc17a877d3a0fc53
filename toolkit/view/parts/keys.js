// The keyboard, and the list of what it does.
import { pan, slide, zoom } from "./camera.js";
import { set, threePlanes } from "./controls.js";
import { scene } from "./data.js";
import { fitted } from "./pane.js";
import { choose, chosen, look, pictures, tell, view } from "./state.js";
import { made } from "./table.js";

const deep = scene.shape[0] > 1, volume = deep && scene.along === "z";
const KEYS = [
  ["arrows", "move"], ["+ −", "zoom, as the wheel does"], ["0", "the whole image"],
  ...(deep ? [["[ ]", "slice before, after (shift and wheel)"]] : []), ...(volume ? [["t", "three planes"]] : []), ["o f v h", "outlines, fills, overlaps, objects at all"], ["i", "the image"], ["1 … 9", "a channel"],
  ["n p", "next, previous row"], ["/", "search"], ["Esc", "choose nothing"], ["?", "this list"],
];
const STEP = 80;

export function help() {
  return made("dialog", { id: "help", "aria-label": "Keys" }, made("h2", {}, "Keys"), made("dl", {}, ...KEYS.flatMap(([key, what]) => [
    made("dt", {}, made("kbd", {}, key)), made("dd", {}, what)])), made("form", { method: "dialog" }, made("button", {}, "close")));
}

export function listen(table) {
  const does = {
    ArrowLeft: () => pan(0, 0, STEP), ArrowRight: () => pan(0, 0, -STEP), ArrowUp: () => pan(0, STEP, 0),
    ArrowDown: () => pan(0, -STEP, 0), "+": () => zoom(0, 1.5), "=": () => zoom(0, 1.5), "-": () => zoom(0, 1 / 1.5),
    0: fitted, "[": () => slide(0, -1), "]": () => slide(0, 1), t: () => threePlanes(view.planes === 1),
    o: () => set("outline", !look.outline), f: () => set("fill", !look.fill), v: () => set("overlaps", !look.overlaps),
    h: () => set("shown", !look.shown), n: () => table.step(1), p: () => table.step(-1),
    i: () => { const image = pictures.find((one) => one.name === ""); if (image) { image.on = !image.on; tell("pictures"); } },
    "/": () => document.getElementById("search").focus(), Escape: () => choose(chosen.side, 0),
    "?": () => document.getElementById("help").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    // Who types into a field means the field; a slider keeps its arrows.
    if (event.ctrlKey || event.metaKey || event.altKey || at.matches?.("[type=search], [type=number], select")) return;
    if (at.type === "range" && event.key.startsWith("Arrow")) return;
    const channel = pictures[0]?.channels[Number(event.key) - 1];
    if (channel) {
      channel.on = !channel.on;
      pictures[0].version += 1;
      tell("pictures");
    } else if (does[event.key]) does[event.key]();
    else return;
    event.preventDefault();
  });
}
