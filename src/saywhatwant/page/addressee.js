/**
 * Whom a message is for: an entity, anyone, or everyone without an answer; and what that one is.
 *
 * @import { Entities } from "./entities.js"
 */

import { find } from "./dom.js";
import { awayReason } from "./entities.js";
import { recall, remember } from "./storage.js";

/** The value of "everyone, no answer"; no entity's name has a star. */
const NO_ANSWER = "*";

export class Addressee {
  #select = find("entity", HTMLSelectElement);
  #about = find("about", HTMLElement);
  /** @type {Entities | null} */
  #entities = null;

  /** @param {() => void} changed called when the visitor has chosen somebody else */
  constructor(changed) {
    this.#select.addEventListener("change", () => {
      remember("entity", this.#select.value);
      this.#describe();
      changed();
    });
  }

  /** Its name; empty for anyone and for everyone. */
  get entity() {
    return this.wantsAnswer ? this.#select.value : "";
  }

  get wantsAnswer() {
    return this.#select.value !== NO_ANSWER;
  }

  /** @param {Entities} entities */
  offer(entities) {
    const isFirst = this.#entities === null;
    this.#entities = entities;
    for (const entity of entities) {
      const { name, displayName } = entity;
      const option = this.#option(name) ?? this.#add(name);
      const isAway = awayReason(entity) !== "";
      option.text = isAway ? `${displayName} (away)` : displayName;
      option.classList.toggle("away", isAway);
    }
    if (isFirst) this.choose(recall("entity", ""));
    this.#describe();
  }

  /** Selects `value`, an entity that answers here or one of the other options. @param {string} value */
  choose(value) {
    if (this.#option(value)) this.#select.value = value;
    this.#describe();
  }

  /** Selects the addressee of an earlier draft. @param {{ entity: string, answer?: boolean }} draft */
  chooseAgain({ entity, answer }) {
    this.choose(answer === false ? NO_ANSWER : entity);
  }

  /** @param {string} value */
  #option(value) {
    return [...this.#select.options].find((option) => option.value === value);
  }

  /** Adds an entity before "everyone, no answer". @param {string} name */
  #add(name) {
    const option = new Option("", name);
    this.#select.add(option, this.#option(NO_ANSWER));
    return option;
  }

  #isNobodyHere() {
    const all = [...(this.#entities ?? [])];
    return all.length > 0 && all.every((entity) => awayReason(entity) !== "");
  }

  /** What the chosen entity is, and why it does not answer now. */
  #describe() {
    const entity = this.#entities?.get(this.entity);
    const reason = this.#select.value === "" && this.#isNobodyHere() ? "nobody answers at the moment" : awayReason(entity);
    this.#about.textContent = [entity?.about, reason && `${reason}; your message will wait`].filter(Boolean).join(" · ");
    this.#about.hidden = !this.#about.textContent;
  }
}
