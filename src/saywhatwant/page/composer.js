/**
 * The form for a new message: its text, its addressee, and posting it.
 *
 * @import { Entities } from "./entities.js"
 * @import { Identity } from "./identity.js"
 * @import { Draft } from "./types"
 */

import { find } from "./dom.js";
import { recall, remember } from "./storage.js";

/** The counter appears when this share of the longest text is used. */
const NEAR_LIMIT = 0.9;
/** The key code of keys that an input method has handled. */
const PROCESSED_BY_IME = 229;

export class Composer {
  #text = find("text", HTMLTextAreaElement);
  #growing = find("growing", HTMLElement);
  #entity = find("entity", HTMLSelectElement);
  #post = find("post", HTMLButtonElement);
  #counter = find("counter", HTMLElement);
  #identity;
  #maxText = 5_000;
  #submit;

  /** @param {HTMLFormElement} form @param {Identity} identity @param {(draft: Draft) => void} submit */
  constructor(form, identity, submit) {
    this.#identity = identity;
    this.#submit = submit;
    this.#text.value = recall("draft", "");
    this.#listen(form);
    this.#edited();
  }

  /** @param {Entities} entities */
  offer(entities) {
    this.#maxText = entities.maxText;
    for (const { name, displayName } of entities) this.#entity.add(new Option(displayName, name));
    this.address(recall("entity", ""));
    this.#edited();
  }

  /** Selects `entity` as the addressee if it answers here. @param {string} entity */
  address(entity) {
    if ([...this.#entity.options].some(({ value }) => value === entity)) this.#entity.value = entity;
  }

  focus() {
    this.#text.focus();
  }

  /** Puts a refused post back into the form, before its current text. @param {Draft} draft */
  takeBack({ text, entity }) {
    this.#text.value = [text, this.#text.value].filter(Boolean).join("\n\n");
    this.address(entity);
    this.#edited();
    this.focus();
  }

  /** @param {HTMLFormElement} form */
  #listen(form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#text.addEventListener("input", () => this.#edited());
    this.#text.addEventListener("keydown", (event) => this.#pressed(event));
    find("name", HTMLInputElement).addEventListener("keydown", (event) => this.#pressedInName(event));
    this.#entity.addEventListener("change", () => remember("entity", this.#entity.value));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    this.#send();
  }

  /** Enter in the name field moves to the text; it does not post. @param {KeyboardEvent} event */
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
    // CSS makes the field as high as a copy of its text.
    this.#growing.dataset.text = this.#text.value;
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

  /** Code points left for the text; the server counts code points too. */
  #room() {
    return this.#maxText - [...this.#text.value.trim()].length;
  }
}

/** Safari ends a composition before the key that ended it. @param {KeyboardEvent} event */
function isComposing(event) {
  return event.isComposing || event.keyCode === PROCESSED_BY_IME;
}
