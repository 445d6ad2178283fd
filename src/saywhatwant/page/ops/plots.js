/**
 * Which plots there are.
 *
 * @import { Figures, PlotKind } from "./types"
 */

import { Plot } from "./plot.js";
import { Samples } from "./samples.js";
import { dollars, duration, number } from "./words.js";

/** @param {number} value */
const perSecond = (value) => `${number(value)}/s`;

/** @type {PlotKind[]} */
const KINDS = [
  {
    title: "Posts and answers",
    lines: [
      { key: "posts", name: "posts" },
      { key: "answers", name: "answers" },
    ],
    shown: perSecond,
  },
  {
    title: "From post to answer",
    lines: [
      { key: "p50", name: "median" },
      { key: "p99", name: "99 %" },
    ],
    shown: duration,
    hint: "Of the messages that were answered in the last minute",
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
    title: "Attempts without an answer",
    lines: [{ key: "failures", name: "failed" }],
    shown: perSecond,
  },
  {
    title: "Commits",
    lines: [
      { key: "commits", name: "commits" },
      { key: "rows", name: "rows" },
    ],
    shown: perSecond,
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
    hint: "What this would cost there, at the rate of the last minute",
  },
];

export class Plots {
  #samples = new Samples();
  #plots;

  /** @param {Element} parent */
  constructor(parent) {
    this.#plots = KINDS.map((kind) => new Plot(kind));
    parent.append(...this.#plots.map(({ figure }) => figure));
  }

  /** @param {Figures} figures */
  show(figures) {
    this.#samples.add(figures);
    for (const plot of this.#plots) plot.show(this.#samples.samples, this.#samples.shownMs);
  }
}
