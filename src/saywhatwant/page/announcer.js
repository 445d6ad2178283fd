/** Speaks to screen readers: what is new, a few at a time, and never what is still being written. */

import { excerpt } from "./text.js";

const PAUSE_MS = 700;
const MOST = 3;
const LENGTH = 240;

export class Announcer {
  #element;
  #messages = [];
  #sentences = [];
  #timer = 0;

  constructor(element) {
    this.#element = element;
  }

  messages(messages, nameOfOriginal) {
    for (const message of messages) {
      const original = nameOfOriginal(message);
      const says = original ? `${message.username} answers ${original}` : `${message.username} says`;
      this.#messages.push(`${says}: ${excerpt(message.text, LENGTH)}`);
    }
    this.#soon();
  }

  say(sentence) {
    this.#sentences.push(sentence);
    this.#soon();
  }

  #soon() {
    if (this.#messages.length || this.#sentences.length) this.#timer ||= setTimeout(() => this.#speak(), PAUSE_MS);
  }

  #speak() {
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
