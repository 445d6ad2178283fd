/**
 * Announces new messages to screen readers, a few at a time, and never a reply that is still being written.
 *
 * @import { Message } from "./types"
 */

import { plain } from "./markdown.js";
import { excerpt } from "./text.js";

const PAUSE_MS = 700;
const MOST = 3;
const LENGTH = 240;

export class Announcer {
  #element;
  /** @type {string[]} */
  #messages = [];
  /** @type {string[]} */
  #sentences = [];
  #timer = 0;

  /** @param {HTMLElement} element a live region */
  constructor(element) {
    this.#element = element;
  }

  /** @param {Message[]} messages @param {(message: Message) => string | undefined} nameOfOriginal */
  messages(messages, nameOfOriginal) {
    for (const message of messages) {
      const original = nameOfOriginal(message);
      const author = original ? `${message.username} answers ${original}` : `${message.username} says`;
      const words = message.messageType === "AI" ? plain(message.text) : message.text;
      this.#messages.push(`${author}: ${excerpt(words, LENGTH)}`);
    }
    this.#announceSoon();
  }

  /** @param {string} sentence */
  say(sentence) {
    this.#sentences.push(sentence);
    this.#announceSoon();
  }

  /** Takes back the messages that were announced last, and those that wait: one of them was hidden. */
  forget() {
    this.#messages = [];
    this.#element.replaceChildren();
  }

  #announceSoon() {
    if (this.#messages.length || this.#sentences.length) this.#timer ||= setTimeout(() => this.#announce(), PAUSE_MS);
  }

  #announce() {
    const { length } = this.#messages;
    const messages = length > MOST ? [`${length} new messages`] : this.#messages;
    this.#element.replaceChildren(
      ...[...messages, ...this.#sentences].map((sentence) => {
        const line = document.createElement("p");
        line.textContent = sentence;
        return line;
      }),
    );
    this.#messages = [];
    this.#sentences = [];
    this.#timer = 0;
  }
}
