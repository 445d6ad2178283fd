/**
 * The figures of the last minutes as values for plots: what only grows becomes a rate.
 *
 * @import { Figures, Sample } from "./types"
 */

/** How far the plots go back, once there is as much to show. */
const SHOWN_MS = 300_000;
const LEAST_SHOWN_MS = 60_000;
/** Rates are means over this time, so that a lone post is a hill and not a needle. */
const RATE_MS = 5_000;
/** What little costs is spread over a longer time. */
const COST_MS = 60_000;
const HOUR_MS = 3_600_000;

export class Samples {
  /** @type {Figures[]} */
  #figures = [];
  /** @type {Sample[]} */
  samples = [];

  /** How far the plots go back now. */
  get shownMs() {
    const span = (this.samples.at(-1)?.at ?? 0) - (this.samples[0]?.at ?? 0);
    return Math.max(LEAST_SHOWN_MS, span);
  }

  /** @param {Figures} figures */
  add(figures) {
    const last = this.#figures.at(-1);
    if (last && figures.at <= last.at) return; // the server's clock has stepped back
    this.#figures.push(figures);
    this.samples.push(this.#sampled(figures));
    while (figures.at - (this.#figures[0]?.at ?? figures.at) > SHOWN_MS + COST_MS) this.#figures.shift();
    while (figures.at - (this.samples[0]?.at ?? figures.at) > SHOWN_MS) this.samples.shift();
  }

  /** @param {Figures} now @returns {Sample} */
  #sampled(now) {
    const { stats } = now.overview;
    const commits = this.#rate(now, ({ commits }) => commits);
    const calls = this.#rate(now, ({ commitCalls }) => commitCalls);
    const cost = this.#rate(now, ({ dollars }) => dollars, COST_MS);
    return {
      at: now.at,
      posts: this.#rate(
        now,
        ({ posts }) => posts,
        RATE_MS,
        ({ countingSince }) => countingSince,
      ),
      answers: this.#rate(
        now,
        ({ answers }) => answers,
        RATE_MS,
        ({ countingSince }) => countingSince,
      ),
      failures: this.#rate(now, ({ overview }) => overview.ended),
      p50: now.latency?.p50 ?? null,
      p99: now.latency?.p99 ?? null,
      waiting: stats.depth.pending,
      held: stats.depth.processing,
      commits,
      perCommit: commits && calls ? calls / commits : null,
      requests: this.#rate(now, ({ requests }) => requests),
      rows: this.#rate(now, ({ rowsWritten }) => rowsWritten),
      readers: now.readers,
      bots: now.bots.filter(({ here }) => here).length,
      dollars: cost === null ? null : (cost * HOUR_MS) / 1_000,
    };
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
