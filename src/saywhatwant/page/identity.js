/**
 * The visitor's name and colour, kept between visits.
 *
 * @import { Person } from "./types"
 */

import { fromHex, randomColor, toHex } from "./color.js";
import { recall, remember } from "./storage.js";

const DEFAULT_NAME = "Human";

export class Identity {
  #name;
  #color;

  /** @param {HTMLInputElement} name @param {HTMLInputElement} color */
  constructor(name, color) {
    this.#name = name;
    this.#color = color;
    name.value = recall("name", DEFAULT_NAME);
    color.value = toHex(recall("color") ?? firstColor());
    name.addEventListener("change", () => this.#rename());
    color.addEventListener("change", () => remember("color", this.color));
  }

  get username() {
    return this.#name.value.trim() || DEFAULT_NAME;
  }

  /** Nine digits. */
  get color() {
    return fromHex(this.#color.value);
  }

  /** Becomes somebody else. @param {Person} person a tail of the colour is left out */
  become({ name, color }) {
    this.#name.value = name;
    this.#color.value = toHex(color.slice(0, 9));
    this.#rename();
    remember("color", this.color);
  }

  #rename() {
    this.#name.value = this.username;
    remember("name", this.username);
  }
}

function firstColor() {
  const color = randomColor();
  remember("color", color);
  return color;
}
