// Channels become colours: codes 0 … 255 through a table each, added up.
import { rgb } from "./colours.js";

// The intensity that a code stands for.
export function intensity(channel, code) {
  const part = code / 255;
  return channel.low + (channel.linear ? part : part * part) * (channel.high - channel.low);
}

function ramp(channel, gamma) {
  const table = new Float32Array(256);
  for (let code = 0; code < 256; code++) {
    const part = (intensity(channel, code) - channel.dark) / Math.max(1e-12, channel.bright - channel.dark);
    table[code] = Math.min(1, Math.max(0, part)) ** gamma;
  }
  return table;
}

// The picture itself is opaque; what a method thought lies over it, the clearer the less it says.
export function composed(codes, size, picture) {
  const [high, wide] = size, count = high * wide, data = new ImageData(wide, high), out = data.data;
  const over = picture.name !== "";
  for (let i = 3; i < out.length; i += 4) out[i] = over ? 0 : 255;
  picture.channels.forEach((channel, number) => {
    if (!channel.on) return;
    const table = ramp(channel, picture.gamma), [r, g, b] = rgb(channel.colour);
    for (let i = 0, from = number * count, to = 0; i < count; i++, from++, to += 4) {
      const part = table[codes[from]];
      if (over) {
        const alpha = Math.round(220 * part);
        if (alpha > out[to + 3]) { out[to] = r; out[to + 1] = g; out[to + 2] = b; out[to + 3] = alpha; }
      } else {
        out[to] += part * r; out[to + 1] += part * g; out[to + 2] += part * b;
      }
    }
  });
  const canvas = new OffscreenCanvas(wide, high);
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas;
}
