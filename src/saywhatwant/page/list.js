/**
 * The rows in the DOM. A row keeps its element while its key is the same, and the part in view stays in place.
 *
 * @import { Model, Spot } from "./types"
 * @import { Actions } from "./row.js"
 */

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
  /** @type {Actions} */
  #actions;
  #moved;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Model[]} */
  #models = [];
  #window = new Window();
  /** The timestamp of the newest row that was drawn: newer ones have just arrived. */
  #newest = Infinity;
  /** The color behind the rows, "#rrggbb". */
  #background = "";
  #height = 0;
  /** Where the next rows are to be scrolled to. @type {Spot | null} */
  #awaited = null;

  /**
   * @param {HTMLElement} wall the element that scrolls
   * @param {HTMLElement} container the element that the rows are in
   * @param {Pick<Actions, "open" | "menu" | "edit" | "discard">} actions
   * @param {() => void} moved called when the reader has scrolled, or the rows have changed
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

  /** The uppermost row in view; null at the newest. @type {Spot | null} */
  get spot() {
    const anchor = this.atNewest ? null : this.#anchor(new Set(this.#rows.keys()));
    const [key] = [...this.#rows].find(([, { element }]) => element === anchor?.element) ?? [];
    return anchor && key ? { key, top: this.#below(anchor.element) } : null;
  }

  /** Scrolls to a spot of the rows that are shown next, if it is among them. @param {Spot | null} spot */
  returnTo(spot) {
    this.#awaited = spot;
  }

  /** @param {Model[]} models */
  show(models) {
    const spot = this.#awaited;
    this.#awaited = null;
    this.#models = models;
    const isThere = models.some(({ key }) => key === spot?.key);
    const element = spot && isThere ? this.#scrollTo(spot.key, "start") : null;
    if (!element) this.#draw();
    this.#moved();
    // Only now are the words gone that stand above an empty list.
    if (spot && element) this.#wall.scrollTop += this.#below(element) - spot.top;
  }

  toNewest() {
    this.#window.follow();
    this.atNewest = true;
    this.#draw();
    this.#moved();
  }

  /** Older rows were added: adds them to the DOM. */
  growUp() {
    if (this.atNewest) return;
    this.#window.up(this.#models);
    this.#draw();
  }

  /** Scrolls to a row and marks it for a moment. @param {string} key */
  reveal(key) {
    const element = this.#scrollTo(key, "center");
    if (!element) return;
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
    element.classList.add("found");
    setTimeout(() => element.classList.remove("found"), FLASH_MS);
  }

  /** @param {string} key @param {"start" | "center"} block */
  #scrollTo(key, block) {
    this.#window.include(this.#models, key);
    this.atNewest = false;
    this.#draw();
    const element = this.#rows.get(key)?.element;
    element?.scrollIntoView({ block });
    this.#scrolled();
    return element;
  }

  /** @param {string} key @param {boolean} on */
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
    // The rows of the first page have not just arrived.
    this.#newest = shown.length ? Math.max(...shown.map(({ timestamp }) => timestamp)) : Infinity;
    if (anchor) this.#wall.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    else this.#stick();
  }

  /** @param {Set<string>} keys */
  #removeAllBut(keys) {
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
  }

  /** @param {Model[]} models */
  #place(models) {
    let next = this.#container.firstElementChild;
    for (const model of models) {
      const { element } = this.#rowOf(model);
      if (element === next) next = next.nextElementSibling;
      else this.#container.insertBefore(element, next);
    }
  }

  /** @param {Model} model */
  #rowOf(model) {
    let row = this.#rows.get(model.key);
    if (!row) {
      row = new Row(model, this.#actions);
      row.element.classList.toggle("arriving", model.timestamp > this.#newest);
      this.#rows.set(model.key, row);
    }
    row.update(model, this.#background);
    return row;
  }

  /** The uppermost row in view that stays, one of `keys`, and where it is. @param {Set<string>} keys */
  #anchor(keys) {
    const { top } = this.#wall.getBoundingClientRect();
    const staying = new Set([...this.#rows].filter(([key]) => keys.has(key)).map(([, { element }]) => element));
    for (const element of staying.size ? this.#container.children : []) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top && element instanceof HTMLElement && staying.has(element)) return { element, top: box.top };
    }
    return null;
  }

  /** How far below the top of the wall an element begins. @param {HTMLElement} element */
  #below(element) {
    return element.getBoundingClientRect().top - this.#wall.getBoundingClientRect().top;
  }

  #recolor() {
    this.#background = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
    for (const row of this.#rows.values()) row.recolor(this.#background);
  }

  // -- Scrolling

  #stick() {
    // Without rows the wall has words to read from their beginning.
    if (this.atNewest) this.#wall.scrollTop = this.isEmpty ? 0 : this.#wall.scrollHeight;
  }

  #resized() {
    this.#height = this.#wall.clientHeight;
    this.#stick();
  }

  #scrolled() {
    // A resize scrolled the wall, not the reader.
    if (this.#wall.clientHeight !== this.#height) return this.#resized();
    const below = this.#wall.scrollHeight - this.#wall.scrollTop - this.#wall.clientHeight;
    const reachesEnd = this.#window.reachesEnd(this.#models);
    // Without rows there is nothing newer, however long the words are that are shown instead.
    this.atNewest = this.isEmpty || (below < NEAR_END && reachesEnd);
    if (this.atNewest) this.#window.follow();
    else this.#window.hold(this.#models);
    if (below < NEAR_TOP && !reachesEnd) this.#shift("down");
    else if (this.#wall.scrollTop < NEAR_TOP && this.#window.hasAbove()) this.#shift("up");
    this.#moved();
  }

  /** @param {"up" | "down"} direction */
  #shift(direction) {
    this.#window[direction](this.#models);
    this.#draw();
  }
}
