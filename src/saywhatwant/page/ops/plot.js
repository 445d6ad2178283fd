/**
 * A small plot: one or two lines over time, drawn as SVG. Moving over it, or the arrow keys, tell the values of a moment.
 *
 * A library for charts would be a hundred times as much code as this page needs, and most of them set inline styles, which the
 * page's policy forbids.
 *
 * @import { PlotKind, Sample, View } from "./types"
 */

import { element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 80;
/** A line goes on over times of this length in which it is not known. */
const BRIDGED_MS = 10_000;
const STEPS = 60;

export class Plot {
  #kind;
  #svg = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0" });
  #cursor = svg("line", { class: "cursor", y1: "0", y2: String(HEIGHT), visibility: "hidden" });
  #gaps = svg("path", { class: "gap" });
  #areas;
  #lines;
  #values;
  #top = element("span", { class: "top" });
  #when = element("span", { class: "when" });
  /** @type {Sample[]} */
  #samples = [];
  /** @type {View} */
  #view = { from: 0, to: 1, unit: "s", timeOf: String, showsStart: false };
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
    this.#svg.append(this.#gaps, ...this.#areas, ...this.#lines, this.#cursor);
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

  /** @param {Sample[]} samples @param {View} view */
  show(samples, view) {
    this.#samples = samples;
    this.#view = view;
    const most = Math.max(...samples.flatMap((sample) => this.#kind.lines.map(({ key }) => sample.values[key] ?? 0)), 0);
    const top = nice(most);
    this.#top.textContent = most > 0 ? this.#kind.shown(top, view.unit) : "";
    this.#gaps.setAttribute(
      "d",
      gapsOf(samples, view)
        .map(([from, to]) => `M${this.#x(from)} 0H${this.#x(to)}V${HEIGHT}H${this.#x(from)}Z`)
        .join(""),
    );
    this.#kind.lines.forEach(({ key }, at) => {
      const pieces = piecesOf(samples, key).map((piece) => piece.map(([when, value]) => [this.#x(when), y(value, top)]));
      this.#lines[at]?.setAttribute("d", pieces.map(path).join(""));
      this.#areas[at]?.setAttribute("d", pieces.map(area).join(""));
    });
    this.#tell(this.#at);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { left, width } = this.#svg.getBoundingClientRect();
    const { from, to } = this.#view;
    this.#tell(from + ((to - from) * (event.clientX - left)) / width);
  }

  /** @param {KeyboardEvent} event */
  #step({ key }) {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (direction === undefined) return;
    const { from, to } = this.#view;
    this.#tell(Math.min(to, Math.max(from, (this.#at ?? to) + (direction * (to - from)) / STEPS)));
  }

  /** @param {number} at */
  #x(at) {
    const { from, to } = this.#view;
    return round((WIDTH * (at - from)) / (to - from));
  }

  /** Tells the values at a moment; null is now. @param {number | null} at */
  #tell(at) {
    const { unit, timeOf } = this.#view;
    const sample = at === null ? this.#samples.at(-1) : nearest(this.#samples, at);
    this.#at = at;
    this.#cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    const when = at === null ? "" : timeOf(sample ? sample.at - sample.ms / 2 : at);
    this.#when.textContent = at === null || sample ? when : `${when}: no figures`;
    if (at !== null) {
      const place = String(this.#x(sample?.at ?? at));
      this.#cursor.setAttribute("x1", place);
      this.#cursor.setAttribute("x2", place);
    }
    const told = this.#kind.lines.map(({ key, name }, line) => {
      const value = sample?.values[key];
      const words = value === null || value === undefined ? "–" : this.#kind.shown(value, unit);
      const element = this.#values[line];
      if (element) element.textContent = words;
      return `${name} ${words}`;
    });
    this.#svg.setAttribute("aria-label", `${this.#kind.title}${when ? `, ${when}` : ""}: ${told.join(", ")}`);
  }
}

/** The samples where a line is known, in pieces without gaps. @param {Sample[]} samples @param {string} key */
function piecesOf(samples, key) {
  /** @type {[number, number][][]} */
  const pieces = [];
  /** @type {Sample | null} */
  let last = null;
  for (const sample of samples) {
    if (sample.begins) last = null;
    const value = sample.values[key];
    if (value === null || value === undefined) continue;
    if (!last || sample.at - last.at > Math.max(BRIDGED_MS, 2 * last.ms, 2 * sample.ms)) pieces.push([]);
    pieces.at(-1)?.push([sample.at, value]);
    last = sample;
  }
  return pieces;
}

/** The times of which nothing is known. @param {Sample[]} samples @param {View} view @returns {[number, number][]} */
function gapsOf(samples, { from, to, showsStart }) {
  /** @type {[number, number][]} */
  const gaps = [];
  let end = showsStart ? from : null;
  for (const { at, ms, begins } of samples) {
    if (begins && end !== null && at - ms / 2 > end) gaps.push([end, at - ms / 2]);
    end = at + ms / 2;
  }
  if (samples.length === 0 && showsStart) gaps.push([from, to]);
  return gaps;
}

/** The sample of a moment, if there is one. @param {Sample[]} samples @param {number} at */
function nearest(samples, at) {
  /** @type {Sample | undefined} */
  let best;
  for (const [number, sample] of samples.entries()) {
    if (!best || Math.abs(sample.at - at) < Math.abs(best.at - at)) best = sample;
    const next = samples[number + 1];
    const isBetween = next && at > sample.at + sample.ms / 2 && at < next.at - next.ms / 2;
    if (isBetween && next.begins) return undefined;
  }
  const [first] = samples;
  return first && at < first.at - Math.max(first.ms, BRIDGED_MS) ? undefined : best;
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
