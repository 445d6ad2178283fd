/**
 * What the server remembers of a span, as values for plots.
 *
 * @import { Figures, Point, Sample, Span } from "./types"
 */

import { history } from "./calls.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const RETRY_MS = 5_000;

export class History {
  #span;
  #onChange;
  /** @type {Point[]} */
  #points = [];
  #dueAt = 0;
  #isKnown = false;

  /** @param {Span} span @param {() => void} onChange called when there are more points */
  constructor(span, onChange) {
    this.#span = span;
    this.#onChange = onChange;
  }

  /** Reads what is new, if something can be. @param {number} now by the server's clock */
  async follow(now) {
    const { ms, step, every, stepMs } = this.#span;
    const last = this.#points.at(-1)?.at ?? 0;
    if (now < this.#dueAt) return;
    // Servers report at the end of each minute, and the last point grows until its time is over.
    this.#dueAt = (Math.floor(now / MINUTE_MS) + 1) * MINUTE_MS;
    const from = now - ms - stepMs;
    try {
      const found = await history(step, every, Math.max(from, last - 1, 0));
      const kept = this.#points.filter(({ at }) => at > from && at < (found[0]?.at ?? Number.POSITIVE_INFINITY));
      this.#points = [...kept, ...found];
      this.#isKnown = true;
      this.#onChange();
    } catch {
      // The connection's state shows it, and the next figures lead to another try.
      this.#dueAt = now + RETRY_MS;
    }
  }

  /** @param {Figures} figures those of now */
  samples({ at, since }) {
    return this.#isKnown ? sampled(this.#points, this.#span, at, since) : [];
  }
}

/**
 * Points as samples. A time without a point is quiet if the server was there, and a gap if it was not.
 * @param {Point[]} points oldest first
 * @param {Span} span
 * @param {number} now
 * @param {number} upSince since when the server is there
 * @returns {Sample[]}
 */
export function sampled(points, span, now, upSince) {
  const { ms, stepMs } = span;
  const first = (Math.floor((now - ms) / stepMs) + 1) * stepMs;
  /** @type {Sample[]} */
  const samples = [];
  let end = first;
  let level = levelOf(null);
  let begins = true;

  /** @param {number} at @param {number} lasted @param {Sample["values"]} values */
  const add = (at, lasted, values) => {
    samples.push({ at: at + lasted / 2, ms: lasted, begins, values });
    begins = false;
    end = at + stepMs;
  };
  /** Fills the time until then with quiet, as far as the server was there. @param {number} until @param {number} since */
  const fill = (until, since) => {
    if (until <= end) return;
    const from = since <= end + stepMs ? end : Math.ceil(since / stepMs) * stepMs;
    if (from > end) begins = true;
    if (from < until) for (const at of new Set([from, until - stepMs])) add(at, stepMs, { ...QUIET, ...level });
  };

  for (const point of points) {
    if (point.at >= first) {
      fill(point.at, point.since ?? Number.POSITIVE_INFINITY);
      const lasted = Math.max(MINUTE_MS, Math.min(stepMs, now - point.at));
      add(point.at, lasted, valuesOf(point, lasted, span.unitMs));
    }
    level = levelOf(point);
  }
  fill(Math.floor(now / stepMs) * stepMs, upSince);
  return samples;
}

/** A time in which nobody came. */
const QUIET = { posts: 0, answers: 0, failures: 0, expiries: 0, commits: 0, rows: 0, requests: 0, errors: 0, dollars: 0 };

/** What stays as it is while nobody comes. @param {Point | null} point */
function levelOf(point) {
  return { waiting: point?.pending ?? 0, held: point?.held ?? 0, readers: point?.readers ?? 0, bots: point?.bots ?? 0 };
}

/** @param {Point} point @param {number} lasted @param {number} unitMs */
function valuesOf(point, lasted, unitMs) {
  const rate = unitMs / lasted;
  return {
    ...levelOf(point),
    posts: point.posts * rate,
    answers: point.answers * rate,
    failures: point.failures * rate,
    expiries: point.leaseExpiries * rate,
    p50: milliseconds(point.p50),
    p99: milliseconds(point.p99),
    commits: point.commits * rate,
    rows: point.rowsWritten * rate,
    perCommit: point.commits ? point.commitCalls / point.commits : null,
    requests: point.requests * rate,
    errors: point.errors * rate,
    dollars: point.dollars === null ? null : (point.dollars * HOUR_MS) / lasted,
  };
}

/** @param {number | null} seconds */
function milliseconds(seconds) {
  return seconds === null ? null : seconds * 1_000;
}
