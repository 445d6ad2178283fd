/** When to ask again: pure schedules, without a clock. */

const SHORTEST_MS = 5_000;
const LONGEST_MS = 30_000;
const HIDDEN_MS = 120_000;

/** How long to wait between two polls: shortly after something happened, longer while nothing does. */
export class PollSchedule {
  #delay = SHORTEST_MS;

  active() {
    this.#delay = SHORTEST_MS;
  }

  /** @returns the milliseconds to wait now; the next time it will be longer. */
  next(hidden) {
    if (hidden) return HIDDEN_MS;
    const delay = this.#delay;
    this.#delay = Math.min(delay * 1.5, LONGEST_MS);
    return delay;
  }
}

/** Doubles from `first` to `longest`, with up to a quarter taken off so that many pages do not come back as one. */
export class Backoff {
  #first;
  #longest;
  #next;

  constructor(first, longest) {
    this.#first = first;
    this.#longest = longest;
    this.#next = first;
  }

  reset() {
    this.#next = this.#first;
  }

  /** @returns the milliseconds to wait now. */
  next() {
    const delay = this.#next * (1 - Math.random() / 4);
    this.#next = Math.min(this.#next * 2, this.#longest);
    return Math.round(delay);
  }
}
