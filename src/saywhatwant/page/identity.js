/**
 * The visitor's name and color, kept between visits.
 *
 * @import { Person } from "./types"
 */

import { fromHex, randomColor, toHex } from "./color.js";
import { recall, remember } from "./storage.js";

const DEFAULT_NAME = "Human";

export class Identity {
  #name;
  #color;
  /** Who the visitor was before a link named somebody else. @type {Person | null} */
  #before = null;

  /** @param {HTMLInputElement} name @param {HTMLInputElement} color @param {() => void} chosen called when the visitor has chosen a name or a color */
  constructor(name, color, chosen) {
    this.#name = name;
    this.#color = color;
    name.value = recall("name", DEFAULT_NAME);
    color.value = toHex(recall("color") ?? firstColor());
    for (const field of [name, color]) {
      field.addEventListener("change", () => {
        this.#before = null;
        this.#keep();
        chosen();
      });
    }
  }

  get username() {
    return this.#name.value.trim() || DEFAULT_NAME;
  }

  /** Nine digits. */
  get color() {
    return fromHex(this.#color.value);
  }

  /** Whether a link has named the visitor. */
  get isFromLink() {
    return this.#before !== null;
  }

  /** Becomes the person that a link names. @param {Person} person a tail of the color is left out */
  become(person) {
    const before = this.#before ?? { name: this.username, color: this.color };
    this.#fill(person);
    this.#before = before.name === this.username && before.color === this.color ? null : before;
  }

  /** Becomes who the visitor was before the link. */
  goBack() {
    if (this.#before) this.#fill(this.#before);
    this.#before = null;
  }

  /** @param {Person} person */
  #fill({ name, color }) {
    this.#name.value = name;
    this.#color.value = toHex(color.slice(0, 9));
    this.#keep();
  }

  #keep() {
    this.#name.value = this.username;
    remember("name", this.username);
    remember("color", this.color);
  }
}

function firstColor() {
  const color = randomColor();
  remember("color", color);
  return color;
}
