/**
 * The form for a new message: its text, its addressee, and posting it.
 *
 * @import { Entities } from "./entities.js"
 * @import { Identity } from "./identity.js"
 * @import { Draft } from "./types"
 */

import { Addressee } from "./addressee.js";
import { find } from "./dom.js";
import { recall, remember } from "./storage.js";

/** The counter appears when this share of the longest text is used. */
const NEAR_LIMIT = 0.9;
/** The key code of keys that an input method has handled. */
const PROCESSED_BY_IME = 229;

export class Composer {
  #text = find("text", HTMLTextAreaElement);
  #growing = find("growing", HTMLElement);
  #post = find("post", HTMLButtonElement);
  #counter = find("counter", HTMLElement);
  #identity;
  #maxText = 5_000;
  #submit;
  #addressee;

  /**
   * @param {HTMLFormElement} form
   * @param {Identity} identity
   * @param {(draft: Draft) => void} submit
   * @param {(entity: string) => void} addressed called when the visitor has chosen another addressee
   */
  constructor(form, identity, submit, addressed) {
    this.#identity = identity;
    this.#addressee = new Addressee(() => addressed(this.#addressee.entity));
    this.#submit = submit;
    this.#text.value = recall("draft", "");
    this.#listen(form);
    this.#edited();
  }

  /** @param {Entities} entities */
  offer(entities) {
    this.#maxText = entities.maxText;
    this.#addressee.offer(entities);
    this.#edited();
  }

  /** Selects `entity` as the addressee if it answers here. @param {string} entity */
  address(entity) {
    this.#addressee.choose(entity);
  }

  /** Puts a question into the form, after what is there, for the visitor to post. @param {string} entity @param {string} text */
  suggest(entity, text) {
    this.address(entity);
    this.#write([this.#text.value.trimEnd(), text]);
  }

  get isEmpty() {
    return this.#text.value.trim() === "";
  }

  focus() {
    this.#text.focus();
  }

  /** Puts a refused post back into the form, before its current text. @param {Draft} draft */
  takeBack(draft) {
    this.#addressee.chooseAgain(draft);
    this.#write([draft.text, this.#text.value]);
  }

  /** @param {string[]} parts */
  #write(parts) {
    this.#text.value = parts.filter(Boolean).join("\n\n");
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
    const { entity, wantsAnswer } = this.#addressee;
    this.#submit({ text, username, color, entity, ...(wantsAnswer ? {} : { answer: false }) });
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
