/** Schedules: how long to wait before the next call. They read no clock. */

const SHORTEST_MS = 5_000;
const LONGEST_MS = 30_000;
const HIDDEN_MS = 120_000;

/** The pause between two polls: short after something happened, longer when nothing does. */
export class PollSchedule {
  #delay = SHORTEST_MS;

  /** Something happened: poll often again. */
  reset() {
    this.#delay = SHORTEST_MS;
  }

  /** The milliseconds to wait now; the next pause will be longer. @param {boolean} hidden whether the page is hidden */
  next(hidden) {
    if (hidden) return HIDDEN_MS;
    const delay = this.#delay;
    this.#delay = Math.min(delay * 1.5, LONGEST_MS);
    return delay;
  }
}

/** A pause that doubles, with up to a quarter taken off at random, so that pages do not all return at the same moment. */
export class Backoff {
  #first;
  #longest;
  #next;

  /** @param {number} first milliseconds @param {number} longest milliseconds */
  constructor(first, longest) {
    this.#first = first;
    this.#longest = longest;
    this.#next = first;
  }

  reset() {
    this.#next = this.#first;
  }

  /** The milliseconds to wait now. */
  next() {
    const delay = this.#next * (1 - Math.random() / 4);
    this.#next = Math.min(this.#next * 2, this.#longest);
    return Math.round(delay);
  }
}
