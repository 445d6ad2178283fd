/**
 * Loads older messages of the wall, or of a talk, page by page, as the visitor scrolls up.
 *
 * @import { Page } from "./api.js"
 * @import { Feed } from "./feed.js"
 */

const PAGE = 50;
const PAUSE_AFTER_FAILURE_MS = 5_000;

export class History {
  #element;
  #feed;
  #older;
  #loaded;
  #beginning;
  #loading = false;
  #notBefore = 0;

  /**
   * @param {HTMLElement} element
   * @param {Feed} feed
   * @param {(before: number, limit: number) => Promise<Page>} older
   * @param {() => void} loaded called when older messages are in the feed
   * @param {string} beginning the words above the oldest message
   */
  constructor(element, feed, older, loaded, beginning) {
    this.#element = element;
    this.#feed = feed;
    this.#older = older;
    this.#loaded = loaded;
    this.#beginning = beginning;
  }

  /**
   * Loads one more page, unless the first one is on its way, there is none, or the feed would have more than `most` messages.
   * @param {number} most
   */
  async more(most) {
    if (
      this.#feed.size === 0 ||
      this.#loading ||
      this.#feed.complete ||
      this.#feed.size + PAGE > most ||
      Date.now() < this.#notBefore
    )
      return;
    this.#loading = true;
    this.show();
    const before = this.#feed.oldest();
    const page = await this.#older(before, PAGE).catch(() => null);
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
    const words = this.#loading ? "Loading older messages…" : isBeginning ? this.#beginning : "";
    if (this.#element.textContent !== words) this.#element.textContent = words;
  }
}
