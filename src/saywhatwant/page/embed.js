/**
 * What the page reports to the site that shows it in a frame: that a message was sent, and that the visitor has chosen a
 * color. Never what was written. The types are those of the original page.
 *
 * @import { Entry, Posted } from "./types"
 */

export class Embed {
  #allowed;

  /** @param {string} allowed the origins that may show the page in a frame, with spaces between; empty for none */
  constructor(allowed) {
    this.#allowed = allowed
      .split(" ")
      .filter((origin) => URL.canParse(origin))
      .map((origin) => new URL(origin).origin);
  }

  /** The server has accepted a post. @param {Entry} entry @param {Posted} posted */
  sent({ entity }, { id }) {
    this.#report({ type: "sww-message-sent", hash: location.hash, entity: entity || null, id });
  }

  /** @param {string} color nine digits */
  recolored(color) {
    const channels = [0, 3, 6].map((at) => Number(color.slice(at, at + 3)));
    this.#report({ type: "sww-color-update", color, colorRgb: `rgb(${channels.join(", ")})` });
  }

  /** @param {object} message */
  #report(message) {
    if (parent === window) return;
    for (const origin of this.#targets()) parent.postMessage(message, origin);
  }

  /** The parent's origin, if the browser knows it; else all that are allowed, of which the browser takes the parent's. */
  #targets() {
    const direct = location.ancestorOrigins?.[0];
    return direct === undefined ? this.#allowed : this.#allowed.filter((origin) => origin === direct);
  }
}
