/** What has come since somebody looked. No DOM. */

import { recall, remember } from "./storage.js";

export class Unread {
  /** How many have come. */
  count = 0;
  /** The key of the first row that was new when we last looked away. */
  firstKey = null;
  #seen = recall("seen", 0);

  /** The first page is there: what is younger than the last visit is marked. */
  startWith(rows) {
    if (this.#seen) this.firstKey = rows.find(({ message }) => message.timestamp > this.#seen)?.key ?? null;
    // A line above everything tells nothing.
    if (this.firstKey === rows[0]?.key) this.firstKey = null;
  }

  /** @param keys of the rows that have come while nobody looked */
  add(keys) {
    if (this.count === 0 && keys.length) this.firstKey = keys[0];
    this.count += keys.length;
  }

  /** Somebody looks at the newest row. */
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
