/**
 * Finds messages that the page shows as unfinished though the server finished and removed them meanwhile.
 *
 * The server keeps a limited number of finished messages. While the page is not connected (a phone that sleeps, the pause
 * between two polls), the server may finish a message and remove it, and then no change shows that.
 *
 * @import { Feed } from "./feed.js"
 */

import { CallFailed, newer } from "./api.js";

const PAGE = 200;
/** The least time between two checks. */
const PAUSE_MS = 60_000;

export class Reconciler {
  #feed;
  #changed;
  #missed = false;
  #checking = false;
  #checkedAt = Date.now();

  /** @param {Feed} feed @param {() => void} changed called when the feed has changed */
  constructor(feed, changed) {
    this.#feed = feed;
    this.#changed = changed;
  }

  /** The page was not connected: changes may have been missed. */
  missed() {
    this.#missed = true;
  }

  /** Compares with the server if changes may have been missed, but not too often. If it fails, a later call tries again. */
  async check() {
    if (!this.#missed || this.#checking || Date.now() - this.#checkedAt < PAUSE_MS) return;
    this.#missed = false;
    this.#checking = true;
    this.#checkedAt = Date.now();
    try {
      await this.#compare();
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      this.#missed = true;
    } finally {
      this.#checking = false;
    }
  }

  /** Reads the server's messages from the oldest unfinished one on, and marks those that are missing from them. */
  async #compare() {
    let unfinished = this.#feed.unfinished();
    while (unfinished[0]) {
      const { messages, more } = await newer(unfinished[0].timestamp - 1, PAGE);
      const ids = new Set(messages.map(({ id }) => id));
      const end = more ? (messages.at(-1)?.timestamp ?? 0) : Infinity;
      const removed = unfinished.filter(({ id, timestamp }) => timestamp < end && !ids.has(id));
      const rest = unfinished.filter(({ id, timestamp }) => timestamp >= end && !ids.has(id));
      if (removed.length) {
        this.#feed.markRemoved(removed.map(({ id }) => id));
        this.#changed();
      }
      if (rest.length === unfinished.length) return;
      unfinished = rest;
    }
  }
}
