/**
 * The menu of one message: copy its text, or all that is known about it.
 *
 * @import { Announcer } from "./announcer.js"
 * @import { Source } from "./source.js"
 * @import { Message } from "./types"
 */

import { copy } from "./clipboard.js";
import { find } from "./dom.js";
import { asJson } from "./written.js";

const GAP = 4;
/** With less room than this below its button the menu opens above it. */
const ROOM = 110;
const THANKS_MS = 1_200;

export class MessageMenu {
  #menu = find("message-menu", HTMLElement);
  #source;
  #announcer;
  #key = "";

  /** @param {Source} source @param {Announcer} announcer */
  constructor(source, announcer) {
    this.#source = source;
    this.#announcer = announcer;
    // The attribute "autofocus" would do it, but in a frame of another site browsers complain about it.
    this.#menu.addEventListener("toggle", (event) => {
      if (/** @type {ToggleEvent} */ (event).newState === "open") find("copy-text", HTMLButtonElement).focus();
    });
    this.#offer("copy-text", ({ text }) => text, "The text");
    this.#offer("copy-details", asJson, "The message with its details");
  }

  /**
   * The button of a row was clicked: prepares the menu, which the browser then opens. It also closes it at Escape or at a
   * click elsewhere, and gives the focus back.
   * @param {string} key
   * @param {HTMLButtonElement} button
   */
  open(key, button) {
    this.#key = key;
    button.popoverTargetElement = this.#menu;
    const { right, bottom, top } = button.getBoundingClientRect();
    const { style } = this.#menu;
    const isBelow = innerHeight - bottom > ROOM;
    style.right = `${Math.max(GAP, document.documentElement.clientWidth - right)}px`;
    style.top = isBelow ? `${bottom + GAP}px` : "auto";
    style.bottom = isBelow ? "auto" : `${innerHeight - top + GAP}px`;
  }

  /** @param {string} id @param {(message: Message) => string} write @param {string} what */
  #offer(id, write, what) {
    const button = find(id, HTMLButtonElement);
    const words = button.textContent;
    let timer = 0;
    const reset = () => {
      clearTimeout(timer);
      button.textContent = words;
    };
    this.#menu.addEventListener("beforetoggle", reset);
    button.addEventListener("click", async () => {
      const message = this.#source.find(this.#key)?.message;
      const isCopied = message && "id" in message && (await copy(write(message)));
      button.textContent = isCopied ? "Copied" : "Not allowed here";
      this.#announcer.say(isCopied ? `${what} is copied.` : "The browser does not allow copying here.");
      timer = setTimeout(() => this.#menu.hidePopover(), THANKS_MS);
    });
  }
}
