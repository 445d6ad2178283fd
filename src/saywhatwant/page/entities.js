/**
 * The entities that answer here: their names, and whether anybody answers for them now.
 *
 * @import { Entity, WallSummary } from "./types"
 */

import { entities } from "./api.js";
import { Backoff } from "./poll.js";

/** While somebody uses the page, it asks this often which entities are served. A page that is only open asks nothing. */
const EVERY_MS = 60_000;
const USE = ["pointermove", "pointerdown", "keydown", "focusin", "wheel"];
/** The least time between two questions. */
const LEAST_MS = 10_000;

/** Why an entity does not answer now: nobody serves it, or its model is down; empty if it does. @param {Entity | undefined} entity */
export function awayReason(entity) {
  return entity?.reason || (entity?.served === false ? "nobody answers for it now" : "");
}

export class Entities {
  /** The longest text that the server accepts, in code points. */
  maxText = 5_000;
  /** The version of the page that the server has. @type {string | undefined} */
  page;
  /** @type {Entity[]} */
  #list = [];
  /** @type {Map<string, Entity>} */
  #byName = new Map();
  /** The last answer, as text: a new one may be the same. */
  #latest = "";
  #changed = () => {};
  #askedAt = -Infinity;
  #asking = false;
  #timer = 0;
  #backoff = new Backoff(5_000, EVERY_MS);

  /** Asks the server until it answers, then now and then while the page is used. @param {() => void} changed called when an answer is a new one */
  start(changed) {
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => this.refresh());
    for (const type of USE) addEventListener(type, () => this.#used(), { passive: true, capture: true });
    this.#ask();
  }

  /** Asks again soon, unless it has just asked or the page is hidden: the connection is back, or the page is looked at. */
  refresh() {
    const pauseMs = this.#askedAt + LEAST_MS - Date.now();
    this.#askAfter(Math.max(pauseMs, (Math.random() * LEAST_MS) / 4));
  }

  [Symbol.iterator]() {
    return this.#list[Symbol.iterator]();
  }

  /** @param {string | null | undefined} name */
  get(name) {
    return this.#byName.get(name ?? "");
  }

  /** The entity's display name; `nobody` if `name` is empty. @param {string | null} name @param {string} nobody */
  nameOf(name, nobody) {
    if (!name) return nobody;
    return this.get(name)?.displayName ?? name;
  }

  /** @param {string | null} name */
  colorOf(name) {
    return this.get(name)?.color ?? "128128128";
  }

  #used() {
    if (!this.#timer && Date.now() >= this.#askedAt + EVERY_MS) this.refresh();
  }

  /** @param {number} ms */
  #askAfter(ms) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!document.hidden && !this.#asking) this.#timer = setTimeout(() => this.#ask(), ms);
  }

  async #ask() {
    this.#timer = 0;
    this.#asking = true;
    this.#askedAt = Date.now();
    const summary = await entities().catch(() => null);
    this.#asking = false;
    if (!summary) return this.#askAfter(this.#backoff.next());
    this.#backoff.reset();
    this.#take(summary);
  }

  /** @param {WallSummary} summary */
  #take(summary) {
    const text = JSON.stringify(summary);
    if (text === this.#latest) return;
    this.#latest = text;
    this.#list = summary.entities;
    this.#byName = new Map(this.#list.map((entity) => [entity.name, entity]));
    this.page = summary.page;
    this.maxText = summary.maxText ?? this.maxText;
    this.#changed();
  }
}
