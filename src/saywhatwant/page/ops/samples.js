/**
 * The figures of the last minutes as values for plots: what only grows becomes a rate.
 *
 * @import { Figures, Sample } from "./types"
 */

/** Rates are means over this time, so that a lone post is a hill and not a needle. */
const RATE_MS = 5_000;
/** What little costs is spread over a longer time. */
const COST_MS = 60_000;
const HOUR_MS = 3_600_000;
/** After such a pause (the page was hidden, or the server away) figures begin again. */
const PAUSE_MS = 10_000;

export class Samples {
  #shownMs;
  /** @type {Figures[]} */
  #figures = [];
  /** @type {Sample[]} */
  samples = [];

  /** @param {number} shownMs how far they go back, once there is as much to show */
  constructor(shownMs) {
    this.#shownMs = shownMs;
  }

  /** @param {Figures} figures */
  add(figures) {
    const last = this.#figures.at(-1);
    if (last && figures.at <= last.at) return; // the server's clock has stepped back
    if (last && figures.at - last.at > PAUSE_MS) {
      this.#figures = [];
      this.samples = [];
    }
    this.#figures.push(figures);
    this.samples.push(this.#sampled(figures));
    while (figures.at - (this.#figures[0]?.at ?? figures.at) > this.#shownMs + COST_MS) this.#figures.shift();
    while (figures.at - (this.samples[0]?.at ?? figures.at) > this.#shownMs) this.samples.shift();
  }

  /** @param {Figures} now @returns {Sample} */
  #sampled(now) {
    const { stats } = now.overview;
    const events = /** @type {const} */ ([RATE_MS, (/** @type {Figures} */ { countingSince }) => countingSince]);
    const commits = this.#rate(now, ({ commits }) => commits);
    const calls = this.#rate(now, ({ commitCalls }) => commitCalls);
    const cost = this.#rate(now, ({ dollars }) => dollars, COST_MS);
    const values = {
      posts: this.#rate(now, ({ posts }) => posts, ...events),
      answers: this.#rate(now, ({ answers }) => answers, ...events),
      failures: this.#rate(now, ({ overview }) => overview.stats.failures),
      expiries: this.#rate(now, ({ overview }) => overview.stats.leaseExpiries),
      p50: now.latency?.p50 ?? null,
      p99: now.latency?.p99 ?? null,
      waiting: stats.depth.pending,
      held: stats.depth.processing,
      commits,
      perCommit: commits && calls ? calls / commits : null,
      requests: this.#rate(now, ({ requests }) => requests),
      errors: this.#rate(now, ({ errors }) => errors),
      rows: this.#rate(now, ({ rowsWritten }) => rowsWritten),
      readers: now.readers,
      bots: now.bots.filter(({ here }) => here).length,
      dollars: cost === null ? null : (cost * HOUR_MS) / 1_000,
    };
    return { at: now.at, ms: 0, begins: false, values };
  }

  /**
   * How fast a counter has grown lately, in a second; null if that is not known.
   * @param {Figures} now
   * @param {(figures: Figures) => number | undefined} count
   * @param {number} overMs
   * @param {(figures: Figures) => number} began when the counting began
   */
  #rate(now, count, overMs = RATE_MS, began = ({ since }) => since) {
    const before = this.#figures.find((figures) => figures.at >= now.at - overMs && began(figures) === began(now));
    const [first, last] = [before && count(before), count(now)];
    if (!before || first === undefined || last === undefined || before === now || last < first) return null;
    return ((last - first) * 1_000) / (now.at - before.at);
  }
}
