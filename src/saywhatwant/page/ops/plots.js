/**
 * Which plots there are, and the span of time that all of them show.
 *
 * @import { Figures, PlotKind, Sample, Span, View } from "./types"
 */

import { element } from "./element.js";
import { History } from "./history.js";
import { Plot } from "./plot.js";
import { Samples } from "./samples.js";
import { named, SPANS, timeIn } from "./spans.js";
import { dollars, duration, number, time } from "./words.js";

const LEAST_SHOWN_MS = 60_000;
const [LIVE] = SPANS;

/** @param {number} value @param {string} unit */
const rate = (value, unit) => `${number(value)}/${unit}`;

/** @type {PlotKind[]} */
const KINDS = [
  {
    title: "Posts and answers",
    lines: [
      { key: "posts", name: "posts" },
      { key: "answers", name: "answers" },
    ],
    shown: rate,
  },
  {
    title: "From post to answer",
    lines: [
      { key: "p50", name: "median" },
      { key: "p99", name: "99 %" },
    ],
    shown: duration,
    hint: "Of the messages that were answered in the time of a point, or in the last minute",
  },
  {
    title: "Unfinished messages",
    lines: [
      { key: "held", name: "held" },
      { key: "waiting", name: "waiting" },
    ],
    shown: number,
  },
  {
    title: "Failures",
    lines: [
      { key: "failures", name: "messages" },
      { key: "expiries", name: "leases" },
    ],
    shown: rate,
    hint: "Messages that have failed for good, and leases that ran out because a bot gave no sign",
  },
  {
    title: "Requests",
    lines: [
      { key: "requests", name: "all" },
      { key: "errors", name: "errors" },
    ],
    shown: rate,
    hint: "Errors are answers with a status of 500 and above",
  },
  {
    title: "Commits",
    lines: [
      { key: "commits", name: "commits" },
      { key: "rows", name: "rows" },
    ],
    shown: rate,
    hint: "What reaches the disk: commits, each with an fsync, and the rows in them",
  },
  {
    title: "Calls in one commit",
    lines: [{ key: "perCommit", name: "calls" }],
    shown: number,
    hint: "The busier the wall, the more calls share a commit",
  },
  {
    title: "Connected",
    lines: [
      { key: "bots", name: "bots" },
      { key: "readers", name: "readers" },
    ],
    shown: number,
  },
  {
    title: "Cost on Cloudflare",
    lines: [{ key: "dollars", name: "an hour" }],
    shown: dollars,
    hint: "What this would cost there, at the rate of that time",
  },
];

export class Plots {
  #samples = new Samples(LIVE.ms);
  #plots = KINDS.map((kind) => new Plot(kind));
  #links;
  #span = named(location.hash) ?? LIVE;
  #history = this.#historyOf(this.#span);
  /** @type {Figures | null} */
  #figures = null;

  /** @param {Element} parent @param {Element} choice gets the links to the spans */
  constructor(parent, choice) {
    this.#links = SPANS.map(({ name, words }) => {
      const link = element("a", {}, words);
      link.href = `#span=${name}`;
      return link;
    });
    choice.append(...this.#links);
    parent.append(...this.#plots.map(({ figure }) => figure));
    addEventListener("hashchange", () => this.#choose(named(location.hash)));
    this.#mark();
  }

  /** @param {Figures} figures */
  show(figures) {
    this.#figures = figures;
    this.#samples.add(figures);
    if (this.#span !== LIVE || this.#liveFrom(figures) > figures.at - LIVE.ms) this.#history.follow(figures.at);
    this.#draw();
  }

  /** @param {Span | undefined} span */
  #choose(span) {
    if (!span || span === this.#span) return;
    this.#span = span;
    this.#history = this.#historyOf(span);
    this.#mark();
    if (this.#figures) this.#history.follow(this.#figures.at);
    this.#draw();
  }

  /** @param {Span} span */
  #historyOf(span) {
    return new History(span, () => this.#span === span && this.#draw());
  }

  /** Marks the link to the span that is shown. */
  #mark() {
    this.#links.forEach((link, at) => {
      if (SPANS[at] === this.#span) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }

  #draw() {
    const figures = this.#figures;
    if (!figures) return;
    const samples = this.#span === LIVE ? this.#liveSamples(figures) : this.#history.samples(figures);
    const view = this.#view(figures.at, samples);
    for (const plot of this.#plots) plot.show(samples, view);
  }

  /** @param {number} to @param {Sample[]} samples @returns {View} */
  #view(to, samples) {
    const span = this.#span;
    const isLive = span === LIVE;
    const shownMs = isLive ? Math.max(LEAST_SHOWN_MS, to - (samples[0]?.at ?? to)) : span.ms;
    return {
      from: to - shownMs,
      to,
      unit: span.unit,
      timeOf: isLive ? time : (at) => timeIn(span, at),
      showsStart: !isLive,
    };
  }

  /** Since when there are figures of each second. @param {Figures} figures */
  #liveFrom({ at }) {
    return this.#samples.samples[0]?.at ?? at;
  }

  /** Those of each second, and of each minute before that. @param {Figures} figures */
  #liveSamples(figures) {
    const from = this.#liveFrom(figures);
    const before = this.#history.samples(figures).filter(({ at, ms }) => at + ms / 2 <= from);
    return [...before, ...this.#samples.samples];
  }
}
