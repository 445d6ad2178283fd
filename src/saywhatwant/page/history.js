/**
 * Loads older messages, page by page, as the visitor scrolls up.
 *
 * @import { Page } from "./api.js"
 * @import { Feed } from "./feed.js"
 */

import { older } from "./api.js";

const PAGE = 50;
const PAUSE_AFTER_FAILURE_MS = 5_000;

export class History {
  #element;
  #feed;
  #loaded;
  #loading = false;
  #notBefore = 0;

  /** @param {HTMLElement} element @param {Feed} feed @param {() => void} loaded called when older messages are in the feed */
  constructor(element, feed, loaded) {
    this.#element = element;
    this.#feed = feed;
    this.#loaded = loaded;
  }

  /** Loads one more page, unless there is none, or the feed would have more than `most` messages. @param {number} most */
  async more(most) {
    if (this.#loading || this.#feed.complete || this.#feed.size + PAGE > most || Date.now() < this.#notBefore) return;
    this.#loading = true;
    this.show();
    const before = this.#feed.oldest();
    const page = await older(before, PAGE).catch(() => null);
    this.#loading = false;
    if (page) this.#take(page, before);
    else this.#notBefore = Date.now() + PAUSE_AFTER_FAILURE_MS;
    this.show();
  }

  /** @param {Page} page @param {number} before */
  #take({ messages, more }, before) {
    // The feed dropped some of its oldest messages meanwhile: this page would leave a gap.
    if (this.#feed.oldest() !== before) return;
    this.#feed.prepend(messages, !more);
    this.#loaded();
  }

  show() {
    const isBeginning = this.#feed.complete && this.#feed.size > 0;
    const words = this.#loading ? "Loading older messages…" : isBeginning ? "The wall begins here" : "";
    if (this.#element.textContent !== words) this.#element.textContent = words;
  }
}
