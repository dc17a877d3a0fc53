// Where tiles and tables come from: the address of the page, or the page itself. Every answer is Deflate compressed.
export const scene = JSON.parse(document.getElementById("scene").textContent);
export const ACROSS = [[1, 2], [0, 2], [1, 0]];
const AT_ONCE = 6;
const waiting = new Map();
let running = 0;

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// The latest wish comes first: it is what the eye is on.
function pump() {
  while (running < AT_ONCE && waiting.size) {
    const [address, job] = [...waiting].at(-1);
    waiting.delete(address);
    running += 1;
    fetch(address)
      .then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(`no ${address}`))))
      .then(inflated)
      .then(job.give, job.fail)
      .finally(() => { running -= 1; pump(); });
  }
}

function fetched(address) {
  return new Promise((give, fail) => { waiting.set(address, { give, fail }); pump(); });
}

// Tiles that nobody looks at any more are not asked for.
export function forget() {
  for (const [address, job] of [...waiting]) {
    if (!/^(picture|labels)\//.test(address)) continue;
    waiting.delete(address);
    job.fail(new Error("not wanted any more"));
  }
}

const blocks = new Map();
function block(name) {
  if (!blocks.has(name)) {
    const text = atob(document.getElementById(`data-${name}`).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    blocks.set(name, inflated(bytes));
  }
  return blocks.get(name);
}

// A rectangle of a plane of `all` (lead, A, Y, X), as the server cuts it.
function cut(all, lead, tile, border) {
  const [rows, columns] = ACROSS[tile.axis], shape = scene.shape;
  const stride = [shape[1] * shape[2], shape[2], 1], size = shape[0] * stride[0];
  const [dy, dx] = [scene.steps[tile.level][rows], scene.steps[tile.level][columns]];
  const [high, wide] = tileSize(tile).map((n) => n + 2 * border);
  const out = new all.constructor(lead * high * wide);
  for (let layer = 0, to = 0; layer < lead; layer++) {
    const from = layer * size + tile.at * stride[tile.axis];
    for (let i = 0; i < high; i++) {
      const y = (tile.row * scene.tile + i - border) * dy;
      for (let j = 0; j < wide; j++, to++) {
        const x = (tile.column * scene.tile + j - border) * dx;
        if (y >= 0 && x >= 0 && y < shape[rows] && x < shape[columns]) {
          out[to] = all[from + y * stride[rows] + x * stride[columns]];
        }
      }
    }
  }
  return out;
}

export function tileSize(tile) {
  return ACROSS[tile.axis].map((axis, k) => {
    const all = Math.ceil(scene.shape[axis] / scene.steps[tile.level][axis]);
    return Math.min(scene.tile, all - [tile.row, tile.column][k] * scene.tile);
  });
}

const place = (tile) => [tile.axis, tile.at, tile.level, tile.row, tile.column].join("/");

export async function pictureTile(number, tile) {
  if (!scene.embedded) return new Uint8Array(await fetched(`picture/${number}/${place(tile)}`));
  return cut(new Uint8Array(await block(`picture-${number}`)), scene.pictures[number].channels.length, tile, 0);
}

export async function labelTile(side, tile) {
  if (!scene.embedded) return new Uint32Array(await fetched(`labels/${side}/${place(tile)}`));
  return cut(new Uint32Array(await block(`labels-${side}`)), scene.sides[side].layers, tile, 1);
}

export async function tableOf(side) {
  const data = await (scene.embedded ? block(`table-${side}`) : fetched(`table/${side}`));
  const { columns, objects } = scene.sides[side];
  return Object.fromEntries(columns.map((c, k) => [c.name, new Float32Array(data, 4 * k * objects, objects)]));
}

export async function marksOf(number) {
  return new Float32Array(await (scene.embedded ? block(`marks-${number}`) : fetched(`marks/${number}`)));
}
