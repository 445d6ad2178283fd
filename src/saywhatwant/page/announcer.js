/** Speaks to screen readers: what is new, a few at a time, and never what is still being written. */

import { excerpt } from "./text.js";

const PAUSE_MS = 700;
const MOST = 3;
const LENGTH = 240;

export class Announcer {
  #element;
  #waiting = [];
  #timer = 0;

  constructor(element) {
    this.#element = element;
  }

  messages(messages, nameOfOriginal) {
    for (const message of messages) {
      const original = nameOfOriginal(message);
      const says = original ? `${message.username} answers ${original}` : `${message.username} says`;
      this.#waiting.push(`${says}: ${excerpt(message.text, LENGTH)}`);
    }
    this.#soon();
  }

  say(sentence) {
    this.#waiting.push(sentence);
    this.#soon();
  }

  #soon() {
    if (this.#waiting.length) this.#timer ||= setTimeout(() => this.#speak(), PAUSE_MS);
  }

  #speak() {
    const sentences = this.#waiting.length > MOST ? [`${this.#waiting.length} new messages`] : this.#waiting;
    this.#element.replaceChildren(
      ...sentences.map((sentence) => {
        const line = document.createElement("p");
        line.textContent = sentence;
        return line;
      }),
    );
    this.#waiting = [];
    this.#timer = 0;
  }
}
