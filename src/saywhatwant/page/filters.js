/**
 * The panel with the filters: people or AI, words, and persons that the page knows.
 *
 * @import { Person, View } from "./types"
 */

import { colorWord, readable } from "./color.js";
import { find } from "./dom.js";
import { asPanel } from "./panel.js";
import { asText, parsed } from "./search.js";
import { isSame } from "./view.js";

/** After this pause in typing the words count. */
const PAUSE_MS = 250;

export class Filters {
  #panel = find("filters", HTMLDetailsElement);
  #words = find("words", HTMLInputElement);
  #person = find("person", HTMLSelectElement);
  #known;
  #changed;
  /** @type {View} */
  #view;
  /** @type {Person[]} */
  #offered = [];
  #timer = 0;

  /**
   * @param {View} view
   * @param {() => Person[]} known who may be chosen
   * @param {(view: View, typed: boolean) => void} changed `typed` while words are being typed
   */
  constructor(view, known, changed) {
    this.#view = view;
    this.#known = known;
    this.#changed = changed;
    find("kinds", HTMLElement).addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement) this.#change({ kind: /** @type {View["kind"]} */ (target.value) });
    });
    this.#words.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#typed(), PAUSE_MS);
    });
    this.#words.addEventListener("change", () => this.#typed());
    this.#person.addEventListener("change", () => this.#choosePerson());
    asPanel(this.#panel, () => this.#offer());
  }

  /** @param {View} view */
  show(view) {
    this.#view = view;
    for (const radio of find("kinds", HTMLElement).querySelectorAll("input")) radio.checked = radio.value === view.kind;
    const words = asText(view);
    // What is being typed stays as it is while it means the same.
    if (asText(parsed(this.#words.value)) !== words) this.#words.value = words;
    this.#offer();
  }

  close() {
    this.#panel.open = false;
  }

  /** @param {Partial<View>} condition @param {boolean} typed */
  #change(condition, typed = false) {
    this.#changed({ ...this.#view, ...condition }, typed);
  }

  #typed() {
    clearTimeout(this.#timer);
    const { words, without } = parsed(this.#words.value);
    const isSame = asText({ words, without }) === asText(this.#view);
    if (!isSame) this.#change({ words, without, paused: false }, true);
  }

  #choosePerson() {
    const person = this.#offered[this.#person.selectedIndex - 1];
    this.#person.selectedIndex = 0;
    if (person) this.#change({ people: [...this.#view.people, person], paused: false });
  }

  /** Lists the persons that are not chosen yet. */
  #offer() {
    if (!this.#panel.open) return;
    const paper = getComputedStyle(document.documentElement).getPropertyValue("--field").trim();
    this.#offered = this.#known().filter((person) => !this.#view.people.some((chosen) => isSame(chosen, person)));
    const names = this.#offered.map(({ name }) => name);
    const options = this.#offered.map(({ name, color }) => {
      const isAmbiguous = names.indexOf(name) !== names.lastIndexOf(name);
      const option = new Option(isAmbiguous ? `${name} (${colorWord(color)})` : name);
      option.style.color = readable(color.slice(0, 9), paper);
      return option;
    });
    this.#person.replaceChildren(new Option(this.#view.people.length ? "add somebody" : "anybody"), ...options);
  }
}
