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

  /** Loads one page more, unless there is none, or one is on its way, or there would be more than `most` messages. */
  async more(most) {
    if (this.#loading || this.#feed.complete || this.#feed.size + PAGE > most || Date.now() < this.#notBefore) return;
    this.#loading = true;
    this.show();
    const before = this.#feed.oldest();
    const found = await older(before, PAGE).catch(() => null);
    this.#loading = false;
    if (found) this.#take(found.messages, before);
    else this.#notBefore = Date.now() + AFTER_TROUBLE_MS;
    this.show();
  }

  #take(messages, before) {
    // Some were let go meanwhile: what has come would leave a gap.
    if (this.#feed.oldest() !== before) return;
    const page = messages.filter(({ timestamp }) => timestamp < before);
    this.#feed.prepend(page, page.length < PAGE);
    this.#loaded();
  }

  show() {
    const begins = this.#feed.complete && this.#feed.newest();
    const words = this.#loading ? "Turning back…" : begins ? "Here the wall begins" : "";
    if (this.#element.textContent !== words) this.#element.textContent = words;
  }
}
