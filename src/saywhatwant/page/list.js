/** The list of rows in the DOM: keyed, batched by whoever calls `show`, and still under the reader's eyes. */

import { Row } from "./row.js";
import { Window } from "./window.js";

const NEAR_END = 48;
const NEAR_TOP = 800;
const FLASH_MS = 1_600;

export class List {
  /** True while the newest row is in view. */
  atNewest = true;
  #wall;
  #container;
  #actions;
  #moved;
  #rows = new Map();
  #models = [];
  #window = new Window();
  #newest = Infinity;
  #paper = "";
  #height = 0;

  /**
   * @param wall the element that scrolls
   * @param container the element the rows are in
   * @param actions what a row offers besides `reveal` and `point`, which the list does itself
   * @param moved called when the reader has scrolled, or the rows are others
   */
  constructor(wall, container, actions, moved) {
    this.#wall = wall;
    this.#container = container;
    this.#actions = { ...actions, reveal: (key) => this.reveal(key), point: (key, on) => this.#point(key, on) };
    this.#moved = moved;
    wall.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(wall);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#recolor());
    this.#recolor();
  }

  get isNearTop() {
    return this.#wall.scrollTop < NEAR_TOP && !this.#window.hasAbove();
  }

  get isEmpty() {
    return this.#models.length === 0;
  }

  show(models) {
    this.#models = models;
    this.#draw();
    this.#moved();
  }

  toNewest() {
    this.#window.follow();
    this.atNewest = true;
    this.#draw();
    this.#moved();
  }

  /** After older rows were put before: let them be in the DOM. */
  growUp() {
    if (this.atNewest) return;
    this.#window.up(this.#models);
    this.#draw();
  }

  reveal(key) {
    this.#window.include(this.#models, key);
    this.atNewest = false;
    this.#draw();
    const element = this.#rows.get(key)?.element;
    if (!element) return this.#scrolled();
    element.scrollIntoView({ block: "center" });
    this.#scrolled();
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
    element.classList.add("found");
    setTimeout(() => element.classList.remove("found"), FLASH_MS);
  }

  #point(key, on) {
    this.#rows.get(key)?.element.classList.toggle("pointed", on);
  }

  // -- Drawing

  #draw() {
    const shown = this.#window.slice(this.#models);
    const keys = new Set(shown.map(({ key }) => key));
    const anchor = this.atNewest ? null : this.#anchor(keys);
    this.#removeAllBut(keys);
    this.#place(shown);
    // What is there at first has not just arrived.
    this.#newest = shown.length ? Math.max(...shown.map(({ timestamp }) => timestamp)) : Infinity;
    if (anchor) this.#wall.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    else this.#stick();
  }

  #removeAllBut(keys) {
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
  }

  #place(models) {
    let next = this.#container.firstElementChild;
    for (const model of models) {
      const { element } = this.#rowOf(model);
      if (element === next) next = next.nextElementSibling;
      else this.#container.insertBefore(element, next);
    }
  }

  #rowOf(model) {
    let row = this.#rows.get(model.key);
    if (!row) {
      row = new Row(model, this.#actions);
      row.element.classList.toggle("arriving", model.timestamp > this.#newest);
      this.#rows.set(model.key, row);
    }
    row.update(model, this.#paper);
    return row;
  }

  /** The uppermost row in view that stays, one of `keys`, and where it is. */
  #anchor(keys) {
    const { top } = this.#wall.getBoundingClientRect();
    const staying = new Set([...this.#rows].filter(([key]) => keys.has(key)).map(([, { element }]) => element));
    for (const element of this.#container.children) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top && staying.has(element)) return { element, top: box.top };
    }
    return null;
  }

  #recolor() {
    this.#paper = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
    for (const row of this.#rows.values()) row.recolor(this.#paper);
  }

  // -- Scrolling

  #stick() {
    if (this.atNewest) this.#wall.scrollTop = this.#wall.scrollHeight;
  }

  #resized() {
    this.#height = this.#wall.clientHeight;
    this.#stick();
  }

  #scrolled() {
    // The wall was moved by a change of its size, not by the reader.
    if (this.#wall.clientHeight !== this.#height) return this.#resized();
    const below = this.#wall.scrollHeight - this.#wall.scrollTop - this.#wall.clientHeight;
    const reachesEnd = this.#window.reachesEnd(this.#models);
    this.atNewest = below < NEAR_END && reachesEnd;
    if (this.atNewest) this.#window.follow();
    else this.#window.hold(this.#models);
    if (below < NEAR_TOP && !reachesEnd) this.#shift("down");
    else if (this.#wall.scrollTop < NEAR_TOP && this.#window.hasAbove()) this.#shift("up");
    this.#moved();
  }

  #shift(direction) {
    this.#window[direction](this.#models);
    this.#draw();
  }
}
