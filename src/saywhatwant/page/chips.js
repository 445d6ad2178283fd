/**
 * The chips that show only what was written to and by one entity.
 *
 * @import { Entities } from "./entities.js"
 * @import { View } from "./types"
 */

import { awayReason } from "./entities.js";

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
    for (const entity of entities) {
      const { name, displayName } = entity;
      const { caption } = this.#chips.get(name) ?? this.#add(name);
      const reason = awayReason(entity);
      caption.textContent = reason ? `${displayName} (away)` : displayName;
      caption.title = reason;
      caption.classList.toggle("away", reason !== "");
    }
  }

  /** Checks the chip of the view; none in a talk. @param {View} view */
  show({ talk, entity }) {
    for (const [name, { radio, caption }] of this.#chips) {
      radio.checked = !talk && name === entity;
      if (radio.checked) caption.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
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
