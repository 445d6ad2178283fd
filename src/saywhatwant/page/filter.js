/**
 * The chips that show only one conversation.
 *
 * @import { Entity } from "./types"
 */

export class Filter {
  /** The entity whose conversation is shown; empty for everything. */
  entity = "";
  #element;

  /** @param {HTMLElement} element @param {() => void} changed */
  constructor(element, changed) {
    this.#element = element;
    element.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement) this.entity = target.value;
      changed();
    });
  }

  /** Shows everything again. */
  clear() {
    this.entity = "";
    const everyone = this.#element.querySelector("input[value='']");
    if (everyone instanceof HTMLInputElement) everyone.checked = true;
  }

  /** @param {Iterable<Entity>} entities */
  offer(entities) {
    for (const { name, displayName } of entities) this.#element.append(chip(name, displayName));
  }
}

/** @param {string} value @param {string} words */
function chip(value, words) {
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "filter";
  radio.value = value;
  const caption = document.createElement("span");
  caption.textContent = words;
  const label = document.createElement("label");
  label.className = "chip";
  label.append(radio, caption);
  return label;
}
