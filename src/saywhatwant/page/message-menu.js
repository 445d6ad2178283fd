/**
 * The menu of one message: copy its text, or all that is known about it; report it to the operators.
 *
 * @import { Announcer } from "./announcer.js"
 * @import { Source } from "./source.js"
 * @import { Message } from "./types"
 */

import { report } from "./api.js";
import { copy } from "./clipboard.js";
import { find } from "./dom.js";
import { asJson } from "./written.js";

const GAP = 4;
/** With less room than this below its button the menu opens above it. */
const ROOM = 145;
const THANKS_MS = 1_200;

/** What a button says when its action is done, and what screen readers hear. @typedef {{ words: string, sentence: string }} Outcome */

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
    this.#offerCopy("copy-text", ({ text }) => text, "The text");
    this.#offerCopy("copy-details", asJson, "The message with its details");
    this.#offer("report", reported);
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
  #offerCopy(id, write, what) {
    this.#offer(id, async (message) =>
      (await copy(write(message)))
        ? { words: "Copied", sentence: `${what} is copied.` }
        : { words: "Not allowed here", sentence: "The browser does not allow copying here." },
    );
  }

  /** @param {string} id @param {(message: Message) => Promise<Outcome>} act */
  #offer(id, act) {
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
      if (!message || !("id" in message)) return;
      const { words, sentence } = await act(message);
      button.textContent = words;
      this.#announcer.say(sentence);
      timer = setTimeout(() => this.#menu.hidePopover(), THANKS_MS);
    });
  }
}

/** @param {Message} message @returns {Promise<Outcome>} */
async function reported({ id }) {
  try {
    await report(id);
    return { words: "Reported", sentence: "The message is reported to the operators." };
  } catch (error) {
    return { words: "Not reported", sentence: `The message was not reported: ${/** @type {Error} */ (error).message}.` };
  }
}
