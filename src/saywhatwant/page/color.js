/** Colours: the nine digits of the interface (RRRGGGBBB), the hex of the browser, and what can be read on paper. */

const ENOUGH = 4.7;
const STEP = 0.01;
/** Colours kept: strangers choose them, and there are 16 million. */
const MOST = 500;
const cache = new Map();

/** @returns "#rrggbb" for nine digits. */
export function toHex(nine) {
  return `#${channels(nine).map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** @returns nine digits for "#rrggbb". */
export function fromHex(hex) {
  return hexChannels(hex).map((value) => String(value).padStart(3, "0")).join("");
}

/** @returns nine digits of a random, pleasant colour. */
export function randomColor() {
  return toRgb({ hue: Math.random() * 360, saturation: 0.5, lightness: 0.48 })
    .map((value) => String(value).padStart(3, "0"))
    .join("");
}

/** @returns the colour in the same hue, lighter or darker until text in it can be read on `paper` ("#rrggbb"). */
export function readable(nine, paper) {
  const name = nine + paper;
  if (cache.size >= MOST && !cache.has(name)) cache.clear();
  if (!cache.has(name)) cache.set(name, corrected(channels(nine), hexChannels(paper)));
  return cache.get(name);
}

function corrected(ink, paper) {
  const [direction, end] = luminance(paper) > 0.2 ? [-STEP, 0] : [STEP, 1];
  const color = toHsl(ink);
  let rgb = ink;
  while (contrast(rgb, paper) < ENOUGH && color.lightness !== end) {
    color.lightness = Math.min(1, Math.max(0, color.lightness + direction));
    rgb = toRgb(color);
  }
  return `rgb(${rgb.join(" ")})`;
}

function channels(nine) {
  return /^\d{9}$/.test(nine) ? [0, 3, 6].map((at) => Math.min(255, Number(nine.slice(at, at + 3)))) : [128, 128, 128];
}

function hexChannels(hex) {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}

/** As WCAG defines it. */
function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function toHsl(rgb) {
  const [red, green, blue] = rgb.map((value) => value / 255);
  const most = Math.max(red, green, blue);
  const span = most - Math.min(red, green, blue);
  const lightness = most - span / 2;
  const saturation = span ? span / (1 - Math.abs(2 * lightness - 1)) : 0;
  let hue = 0;
  if (span && most === red) hue = ((green - blue) / span + 6) % 6;
  else if (span && most === green) hue = (blue - red) / span + 2;
  else if (span) hue = (red - green) / span + 4;
  return { hue: hue * 60, saturation, lightness };
}

function toRgb({ hue, saturation, lightness }) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((offset) => {
    const place = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1))));
  });
}
