/** The visitor's name and colour, kept between visits. */

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
