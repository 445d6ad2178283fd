/** Older messages, page by page, as somebody scrolls up. */

import { older } from "./api.js";

const PAGE = 50;
const AFTER_TROUBLE_MS = 5_000;

export class History {
  #element;
  #feed;
  #loaded;
  #loading = false;
  #notBefore = 0;

  /** @param loaded called when older messages are in the feed */
  constructor(element, feed, loaded) {
    this.#element = element;
    this.#feed = feed;
    this.#loaded = loaded;
  }

  /** Loads one page more, unless there is none, or one is on its way. */
  async more() {
    if (this.#loading || this.#feed.complete || Date.now() < this.#notBefore) return;
    this.#loading = true;
    this.show();
    const before = this.#feed.oldest();
    try {
      const { messages } = await older(before, PAGE);
      const page = messages.filter(({ timestamp }) => timestamp < before);
      this.#feed.prepend(page, page.length < PAGE);
      this.#loading = false;
      this.#loaded();
    } catch {
      this.#notBefore = Date.now() + AFTER_TROUBLE_MS;
      this.#loading = false;
    }
    this.show();
  }

  show() {
    const begins = this.#feed.complete && this.#feed.newest();
    const words = this.#loading ? "Turning back…" : begins ? "Here the wall begins" : "";
    if (this.#element.textContent !== words) this.#element.textContent = words;
  }
}
