/** Which part of a long list is in the DOM: the newest rows, or those around where somebody reads. No DOM. */

const SIZE = 500;
const STEP = 200;

export class Window {
  #first = null;
  #start = 0;

  /** The rows to show out of all `rows`. */
  slice(rows) {
    const newest = Math.max(0, rows.length - SIZE);
    const found = this.#first === null ? newest : rows.findIndex(({ key }) => key === this.#first);
    this.#start = found < 0 ? Math.min(this.#start, newest) : found;
    if (this.#first !== null) this.#first = rows[this.#start]?.key ?? null;
    return rows.slice(this.#start, this.#start + SIZE);
  }

  /** Follow the newest. */
  follow() {
    this.#first = null;
  }

  /** Stay where it is, whatever comes. */
  hold(rows) {
    this.#first ??= rows[this.#start]?.key ?? null;
  }

  reachesEnd(rows) {
    return this.#start + SIZE >= rows.length;
  }

  hasAbove() {
    return this.#start > 0;
  }

  up(rows) {
    this.#moveTo(rows, this.#start - STEP);
  }

  down(rows) {
    this.#moveTo(rows, this.#start + STEP);
  }

  /** Have the row with `key` in it. */
  include(rows, key) {
    const index = rows.findIndex((row) => row.key === key);
    if (index >= 0 && (index < this.#start || index >= this.#start + SIZE)) this.#moveTo(rows, index - SIZE / 2);
  }

  #moveTo(rows, start) {
    this.#start = Math.max(0, Math.min(start, rows.length - SIZE));
    this.#first = rows[this.#start]?.key ?? null;
  }
}
