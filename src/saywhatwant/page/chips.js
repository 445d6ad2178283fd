/**
 * The chips that show only what was written to and by one entity.
 *
 * @import { Entities } from "./entities.js"
 * @import { View } from "./types"
 */

export class Chips {
  #element;
  /** @type {Map<string, { radio: HTMLInputElement, caption: HTMLElement }>} */
  #chips = new Map();

  /** @param {HTMLElement} element @param {(entity: string) => void} chosen called with the entity; empty for everyone */
  constructor(element, chosen) {
    this.#element = element;
    this.#add("");
    element.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement) chosen(target.value);
    });
  }

  /** @param {Entities} entities */
  offer(entities) {
    for (const { name, displayName, served, reason } of entities) {
      const { caption } = this.#chips.get(name) ?? this.#add(name);
      const isAway = served === false;
      caption.textContent = isAway ? `${displayName} (away)` : displayName;
      caption.title = (isAway && reason) || "";
      caption.classList.toggle("away", isAway);
    }
  }

  /** Checks the chip of the view; none in a talk. @param {View} view */
  show({ talk, entity }) {
    for (const [name, { radio }] of this.#chips) radio.checked = !talk && name === entity;
  }

  /** @param {string} value */
  #add(value) {
    const radio = document.createElement("input");
    radio.type = "radio";
    radio.name = "filter";
    radio.value = value;
    const caption = document.createElement("span");
    caption.textContent = value || "Everyone";
    const label = document.createElement("label");
    label.className = "chip";
    label.append(radio, caption);
    this.#element.append(label);
    const chip = { radio, caption };
    this.#chips.set(value, chip);
    return chip;
  }
}
