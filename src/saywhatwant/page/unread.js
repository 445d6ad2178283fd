/**
 * Counts the messages that are new since the visitor last looked. Without any DOM.
 *
 * @import { FeedRow } from "./types"
 */

import { recall, remember } from "./storage.js";

export class Unread {
  count = 0;
  /** The key of the first unread row. @type {string | null} */
  firstKey = null;
  /** The timestamp of the newest message that was seen. @type {number} */
  #seen = recall("seen", 0);

  /** The first page is loaded: marks the first row that is newer than the last visit. @param {FeedRow[]} rows */
  startWith(rows) {
    const first = rows.findIndex(({ kind, message }) => kind !== "outbox" && message.timestamp > this.#seen);
    // A line above all rows would be useless.
    this.firstKey = this.#seen && first > 0 ? (rows[first]?.key ?? null) : null;
  }

  /** Counts rows that arrived out of view. @param {string[]} keys */
  add(keys) {
    if (this.count === 0 && keys[0]) this.firstKey = keys[0];
    this.count += keys.length;
  }

  /** The visitor sees the newest row. @param {number} timestamp */
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
