/**
 * What is new since somebody last looked, without any DOM.
 *
 * @import { FeedRow } from "./types"
 */

import { recall, remember } from "./storage.js";

export class Unread {
  count = 0;
  /** The key of the first row that came while nobody looked. @type {string | null} */
  firstKey = null;
  /** The timestamp of the newest message that was seen. @type {number} */
  #seen = recall("seen", 0);

  /** The first page is loaded: marks what is newer than the last visit. @param {FeedRow[]} rows */
  startWith(rows) {
    const first = rows.findIndex(({ kind, message }) => kind !== "outbox" && message.timestamp > this.#seen);
    // A line above everything would mean nothing.
    this.firstKey = this.#seen && first > 0 ? (rows[first]?.key ?? null) : null;
  }

  /** Counts rows that came while nobody looked. @param {string[]} keys */
  add(keys) {
    if (this.count === 0 && keys[0]) this.firstKey = keys[0];
    this.count += keys.length;
  }

  /** Somebody sees the newest row. @param {number} timestamp */
  look(timestamp) {
    this.count = 0;
    if (timestamp <= this.#seen) return;
    this.#seen = timestamp;
    remember("seen", timestamp);
  }

  forgetLine() {
    this.firstKey = null;
  }
}
