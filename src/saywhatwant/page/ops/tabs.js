/** Tabs, with counts on them; the arrow keys go from one to the next. */

import { button, element, keep } from "./element.js";

/** @template {string} Name */
export class Tabs {
  #names;
  #panels;
  #onChoose;
  /** @type {Map<Name, HTMLButtonElement>} */
  #tabs = new Map();
  /** @type {Name} */
  chosen;

  /**
   * @param {HTMLElement} parent
   * @param {Record<Name, { title: string, panel: HTMLElement }>} panels several tabs may share one
   * @param {[Name, ...Name[]]} names in their order; the first one is chosen
   * @param {(name: Name) => void} onChoose
   */
  constructor(parent, panels, names, onChoose) {
    this.#names = names;
    this.#panels = panels;
    this.#onChoose = onChoose;
    this.chosen = names[0];
    for (const name of names) {
      const tab = button("", () => this.choose(name));
      tab.id = `tab-${name}`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panels[name].panel.id);
      this.#tabs.set(name, tab);
      this.count(name, null);
      parent.append(tab);
    }
    parent.addEventListener("keydown", (event) => this.#step(event));
    this.#mark();
  }

  /** Shows how many there are behind a tab; null is not known. @param {Name} name @param {number | null} count */
  count(name, count) {
    const tab = this.#tabs.get(name);
    if (!tab) return;
    const shown = count === null ? [] : [String(count)];
    keep(tab, [
      { key: "title", version: "", make: () => element("span", {}, this.#panels[name].title) },
      ...shown.map((words) => ({ key: "count", version: words, make: () => element("span", { class: "count" }, words) })),
    ]);
  }

  /** @param {Name} name */
  choose(name) {
    this.chosen = name;
    this.#mark();
    this.#onChoose(name);
  }

  #mark() {
    for (const [name, tab] of this.#tabs) {
      const isChosen = name === this.chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      this.#panels[name].panel.hidden = true;
    }
    const { panel } = this.#panels[this.chosen];
    panel.hidden = false;
    panel.setAttribute("aria-labelledby", `tab-${this.chosen}`);
  }

  /** @param {KeyboardEvent} event */
  #step({ key }) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step === undefined) return;
    const next = this.#names.at((this.#names.indexOf(this.chosen) + step) % this.#names.length) ?? this.chosen;
    this.choose(next);
    this.#tabs.get(next)?.focus();
  }
}
