/** The writing desk: text, addressee, and posting. */

import { recall, remember } from "./storage.js";

const NEAR_LIMIT = 0.9;
const PROCESSED_BY_IME = 229;

export class Composer {
  #text;
  #entity;
  #post;
  #counter;
  #identity;
  #maxText = 5_000;
  #submit;

  /** @param submit called with `{text, username, color, entity}` */
  constructor(form, identity, submit) {
    this.#text = form.querySelector("#text");
    this.#entity = form.querySelector("#entity");
    this.#post = form.querySelector("#post");
    this.#counter = form.querySelector("#counter");
    this.#identity = identity;
    this.#submit = submit;
    this.#text.value = recall("draft", "");
    this.#listen(form);
    this.#edited();
  }

  offer(entities, maxText) {
    this.#maxText = maxText;
    for (const { name, displayName } of entities) this.#entity.add(new Option(displayName, name));
    this.address(recall("entity", ""));
    this.#edited();
  }

  /** Addresses `entity`, if it is one that can be. */
  address(entity) {
    if ([...this.#entity.options].some(({ value }) => value === entity)) this.#entity.value = entity;
  }

  focus() {
    this.#text.focus();
  }

  /** Puts a post back on the desk, before what lies there. */
  takeBack({ text, entity }) {
    this.#text.value = [text, this.#text.value].filter(Boolean).join("\n\n");
    this.address(entity);
    this.#edited();
    this.focus();
  }

  #listen(form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("input", () => this.#edited());
    this.#text.addEventListener("keydown", (event) => this.#pressed(event));
    form.querySelector("#name").addEventListener("keydown", (event) => this.#pressedInName(event));
    this.#entity.addEventListener("change", () => remember("entity", this.#entity.value));
  }

  #pressed(event) {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    this.#send();
  }

  /** Whoever has written their name wants to go on, not to post what lies on the desk. */
  #pressedInName(event) {
    if (event.key !== "Enter" || isComposing(event)) return;
    event.preventDefault();
    this.focus();
  }

  #send() {
    const text = this.#text.value.trim();
    this.focus();
    if (!text || this.#room() < 0) return;
    this.#text.value = "";
    this.#edited();
    const { username, color } = this.#identity;
    this.#submit({ text, username, color, entity: this.#entity.value });
  }

  #edited() {
    remember("draft", this.#text.value);
    // CSS lets the field grow with a copy of what is in it.
    this.#text.parentElement.dataset.text = this.#text.value;
    this.#count();
  }

  #count() {
    const room = this.#room();
    const isOver = room < 0;
    this.#counter.hidden = room > this.#maxText * (1 - NEAR_LIMIT);
    this.#counter.textContent = isOver ? `${-room} too many` : `${room} left`;
    this.#counter.classList.toggle("over", isOver);
    this.#text.setAttribute("aria-invalid", String(isOver));
    this.#post.disabled = isOver;
  }

  /** Counted as the server does: in code points. */
  #room() {
    return this.#maxText - [...this.#text.value.trim()].length;
  }
}

/** Safari ends a composition before the key that ended it. */
function isComposing(event) {
  return event.isComposing || event.keyCode === PROCESSED_BY_IME;
}
