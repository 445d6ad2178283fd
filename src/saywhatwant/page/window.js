/**
 * Chooses the part of a long list that is in the DOM: the newest rows, or those around the reader's place.
 *
 * @import { Model } from "./types"
 */

const SIZE = 500;
const STEP = 200;

export class Window {
  /** The key of the first row; null while the window follows the newest. @type {string | null} */
  #first = null;
  #start = 0;

  /** The rows to show out of all `rows`. @param {Model[]} rows */
  slice(rows) {
    const newest = Math.max(0, rows.length - SIZE);
    const found = this.#first === null ? newest : rows.findIndex(({ key }) => key === this.#first);
    this.#start = found < 0 ? Math.min(this.#start, newest) : found;
    if (this.#first !== null) this.#first = rows[this.#start]?.key ?? null;
    return rows.slice(this.#start, this.#start + SIZE);
  }

  /** Follows the newest rows. */
  follow() {
    this.#first = null;
  }

  /** Stays in its place when rows are added. @param {Model[]} rows */
  hold(rows) {
    this.#first ??= rows[this.#start]?.key ?? null;
  }

  /** @param {Model[]} rows */
  reachesEnd(rows) {
    return this.#start + SIZE >= rows.length;
  }

  hasAbove() {
    return this.#start > 0;
  }

  /** @param {Model[]} rows */
  up(rows) {
    this.#moveTo(rows, this.#start - STEP);
  }

  /** @param {Model[]} rows */
  down(rows) {
    this.#moveTo(rows, this.#start + STEP);
  }

  /** Moves so that the row with `key` is in it. @param {Model[]} rows @param {string} key */
  include(rows, key) {
    const index = rows.findIndex((row) => row.key === key);
    if (index >= 0 && (index < this.#start || index >= this.#start + SIZE)) this.#moveTo(rows, index - SIZE / 2);
  }

  /** @param {Model[]} rows @param {number} start */
  #moveTo(rows, start) {
    this.#start = Math.max(0, Math.min(start, rows.length - SIZE));
    this.#first = rows[this.#start]?.key ?? null;
  }
}
