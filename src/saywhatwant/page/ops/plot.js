/**
 * A small plot: one or two lines over time, drawn as SVG. Moving over it, or the arrow keys, tell the values of a moment.
 *
 * A library for charts would be a hundred times as much code as this page needs, and most of them set inline styles, which the
 * page's policy forbids.
 *
 * @import { PlotKind, Sample } from "./types"
 */

import { element } from "./element.js";
import { time } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 80;
/** More than this between two samples is a gap: the page was hidden, or the server away. */
const GAP_MS = 10_000;

export class Plot {
  #kind;
  #svg = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0" });
  #cursor = svg("line", { class: "cursor", y1: "0", y2: String(HEIGHT), visibility: "hidden" });
  #areas;
  #lines;
  #values;
  #top = element("span", { class: "top" });
  #when = element("span", { class: "when" });
  /** @type {Sample[]} */
  #samples = [];
  #shownMs = 1;
  /** The moment whose values are shown; null is the latest. @type {number | null} */
  #at = null;
  figure;

  /** @param {PlotKind} kind */
  constructor(kind) {
    this.#kind = kind;
    this.#areas = kind.lines.map((_, at) => svg("path", { class: `area line-${at + 1}` }));
    this.#lines = kind.lines.map((_, at) =>
      svg("path", { class: `line line-${at + 1}`, "vector-effect": "non-scaling-stroke" }),
    );
    this.#svg.append(...this.#areas, ...this.#lines, this.#cursor);
    this.#values = kind.lines.map(() => element("b"));
    const legend = kind.lines.map(({ name }, at) => {
      const words = element("span", { class: `key line-${at + 1}` }, name);
      return element("span", { class: "entry" }, this.#values[at] ?? "", words);
    });
    const caption = element("figcaption", {}, element("h3", {}, kind.title), element("p", {}, ...legend));
    const frame = element("div", { class: "frame" });
    frame.append(this.#svg, this.#top, this.#when);
    this.figure = element("figure", kind.hint ? { class: "plot", title: kind.hint } : { class: "plot" }, caption, frame);
    this.#svg.addEventListener("pointermove", (event) => this.#point(event));
    this.#svg.addEventListener("pointerleave", () => this.#tell(null));
    this.#svg.addEventListener("blur", () => this.#tell(null));
    this.#svg.addEventListener("keydown", (event) => this.#step(event));
  }

  /** @param {Sample[]} samples @param {number} shownMs how far it goes back */
  show(samples, shownMs) {
    this.#samples = samples;
    this.#shownMs = shownMs;
    const end = samples.at(-1)?.at ?? 0;
    const most = Math.max(...samples.flatMap((sample) => this.#kind.lines.map(({ key }) => sample[key] ?? 0)), 0);
    const top = nice(most);
    this.#top.textContent = most > 0 ? this.#kind.shown(top) : "";
    this.#kind.lines.forEach(({ key }, at) => {
      const pieces = piecesOf(samples, key).map((piece) => piece.map(([when, value]) => [this.#x(when, end), y(value, top)]));
      this.#lines[at]?.setAttribute("d", pieces.map(path).join(""));
      this.#areas[at]?.setAttribute("d", pieces.map(area).join(""));
    });
    this.#tell(this.#at);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { left, width } = this.#svg.getBoundingClientRect();
    const end = this.#samples.at(-1)?.at ?? 0;
    this.#tell(end - this.#shownMs * (1 - (event.clientX - left) / width));
  }

  /** @param {KeyboardEvent} event */
  #step({ key }) {
    const step = { ArrowLeft: -5_000, ArrowRight: 5_000 }[key];
    const end = this.#samples.at(-1)?.at;
    if (step === undefined || end === undefined) return;
    this.#tell(Math.min(end, Math.max(end - this.#shownMs, (this.#at ?? end) + step)));
  }

  /** @param {number} at @param {number} end */
  #x(at, end) {
    return round(WIDTH * (1 - (end - at) / this.#shownMs));
  }

  /** Tells the values at a moment; null is now. @param {number | null} at */
  #tell(at) {
    const end = this.#samples.at(-1)?.at ?? 0;
    const sample = at === null ? this.#samples.at(-1) : nearest(this.#samples, at);
    this.#at = at;
    this.#cursor.setAttribute("visibility", at === null || !sample ? "hidden" : "visible");
    this.#when.textContent = at === null || !sample ? "" : time(sample.at);
    if (sample) {
      const place = String(this.#x(sample.at, end));
      this.#cursor.setAttribute("x1", place);
      this.#cursor.setAttribute("x2", place);
    }
    const told = this.#kind.lines.map(({ key, name }, line) => {
      const value = sample?.[key];
      const words = value === null || value === undefined ? "–" : this.#kind.shown(value);
      const element = this.#values[line];
      if (element) element.textContent = words;
      return `${name} ${words}`;
    });
    this.#svg.setAttribute("aria-label", `${this.#kind.title}: ${told.join(", ")}`);
  }
}

/** The samples where a line is known, in pieces without gaps. @param {Sample[]} samples @param {string} key */
function piecesOf(samples, key) {
  /** @type {[number, number][][]} */
  const pieces = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const sample of samples) {
    const value = sample[key];
    if (value === null || value === undefined) continue;
    if (sample.at - last > GAP_MS) pieces.push([]);
    pieces.at(-1)?.push([sample.at, value]);
    last = sample.at;
  }
  return pieces;
}

/** @param {Sample[]} samples @param {number} at */
function nearest(samples, at) {
  return samples.reduce(
    (best, sample) => (best && Math.abs(best.at - at) <= Math.abs(sample.at - at) ? best : sample),
    /** @type {Sample | undefined} */ (undefined),
  );
}

/** @param {number} value @param {number} top */
function y(value, top) {
  return round(HEIGHT - 1.5 - (HEIGHT - 8) * (value / top));
}

/** @param {number[][]} points */
function path(points) {
  return `M${points.map((point) => point.join(" ")).join("L")}`;
}

/** @param {number[][]} points */
function area(points) {
  return `${path(points)}L${points.at(-1)?.[0]} ${HEIGHT}L${points[0]?.[0]} ${HEIGHT}Z`;
}

/** A round number that is at least this: 1, 2 or 5 times a power of ten. @param {number} most */
export function nice(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most * 0.999) ?? most;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} attributes
 */
function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
