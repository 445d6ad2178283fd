/**
 * Colors: the nine digits of the interface (RRRGGGBBB), the browser's hex notation, and colors that are readable on a
 * background.
 *
 * @typedef {[number, number, number]} Rgb red, green and blue, 0 to 255
 * @typedef {{ hue: number, saturation: number, lightness: number }} Hsl
 */

/** A little more than WCAG's 4.5, for rounding. */
const CONTRAST = 4.7;
const STEP = 0.01;
/** Size of the cache: visitors may choose any of 16 million colors. */
const MOST = 500;
/** The names of hues, every 30 degrees. */
const HUES = "red orange yellow lime green mint cyan azure blue violet magenta pink".split(" ");
/** @type {Map<string, string>} */
const cache = new Map();

/** "#rrggbb" for nine digits. @param {string} nine */
export function toHex(nine) {
  return `#${channels(nine)
    .map((value) => value.toString(16).padStart(2, "0"))
    .join("")}`;
}

/** Nine digits for "#rrggbb". @param {string} hex */
export function fromHex(hex) {
  return digits(hexChannels(hex));
}

/** Nine digits of a random color that is neither gray nor glaring. */
export function randomColor() {
  return digits(toRgb({ hue: Math.random() * 360, saturation: 0.5, lightness: 0.48 }));
}

/**
 * The color in the same hue, made lighter or darker until text in it is readable.
 * @param {string} nine
 * @param {string} background "#rrggbb"
 */
export function readable(nine, background) {
  const name = nine + background;
  let color = cache.get(name);
  if (color === undefined) {
    if (cache.size >= MOST) cache.clear();
    color = corrected(channels(nine), hexChannels(background));
    cache.set(name, color);
  }
  return color;
}

/** What people call the color: "green", "dark blue". @param {string} nine nine digits; what follows is ignored */
export function colorWord(nine) {
  const { hue, saturation, lightness } = toHsl(channels(nine.slice(0, 9)));
  if (lightness > 0.92) return "white";
  if (lightness < 0.08) return "black";
  const name = saturation < 0.12 ? "gray" : (HUES[Math.round(hue / 30) % HUES.length] ?? "");
  return lightness > 0.7 ? `light ${name}` : lightness < 0.3 ? `dark ${name}` : name;
}

/** @param {Rgb} ink @param {Rgb} background */
function corrected(ink, background) {
  const [direction, end] = luminance(background) > 0.2 ? [-STEP, 0] : [STEP, 1];
  const color = toHsl(ink);
  let rgb = ink;
  while (contrast(rgb, background) < CONTRAST && color.lightness !== end) {
    color.lightness = Math.min(1, Math.max(0, color.lightness + direction));
    rgb = toRgb(color);
  }
  return `rgb(${rgb.join(" ")})`;
}

/** @param {string} nine @returns {Rgb} gray if it is not nine digits */
function channels(nine) {
  if (!/^\d{9}$/.test(nine)) return [128, 128, 128];
  const channel = (/** @type {number} */ at) => Math.min(255, Number(nine.slice(at, at + 3)));
  return [channel(0), channel(3), channel(6)];
}

/** @param {string} hex @returns {Rgb} */
function hexChannels(hex) {
  const channel = (/** @type {number} */ at) => Number.parseInt(hex.slice(at, at + 2), 16);
  return [channel(1), channel(3), channel(5)];
}

/** @param {Rgb} rgb */
function digits(rgb) {
  return rgb.map((value) => String(value).padStart(3, "0")).join("");
}

/** As WCAG defines it. @param {Rgb} one @param {Rgb} other */
function contrast(one, other) {
  const [first, second] = [luminance(one), luminance(other)];
  return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
}

/** As WCAG defines it. @param {Rgb} rgb */
function luminance([red, green, blue]) {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/** @param {number} value */
function linear(value) {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}

/** @param {Rgb} rgb @returns {Hsl} */
function toHsl(rgb) {
  const red = rgb[0] / 255;
  const green = rgb[1] / 255;
  const blue = rgb[2] / 255;
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

/** @param {Hsl} hsl @returns {Rgb} */
function toRgb({ hue, saturation, lightness }) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (/** @type {number} */ offset) => {
    const place = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}
