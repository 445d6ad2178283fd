/** Who we are on the wall: a name and a colour, kept from visit to visit. */

import { fromHex, randomColor, toHex } from "./color.js";
import { recall, remember } from "./storage.js";

const NOBODY = "Human";

export class Identity {
  #name;
  #color;

  constructor(name, color) {
    this.#name = name;
    this.#color = color;
    name.value = recall("name", NOBODY);
    color.value = toHex(recall("color") ?? firstColor());
    name.addEventListener("change", () => this.#rename());
    color.addEventListener("change", () => remember("color", this.color));
  }

  get username() {
    return this.#name.value.trim() || NOBODY;
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
