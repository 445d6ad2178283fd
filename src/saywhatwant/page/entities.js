/**
 * The entities that answer here, and their names.
 *
 * @import { Entity, WallSummary } from "./types"
 */

import { entities } from "./api.js";
import { Backoff } from "./poll.js";

export class Entities {
  /** The longest text that the server accepts, in code points. */
  maxText = 5_000;
  /** @type {Entity[]} */
  #list = [];
  /** @type {Map<string, Entity>} */
  #byName = new Map();

  /** Asks the server until it answers, then calls `loaded`. @param {() => void} loaded */
  async load(loaded) {
    const backoff = new Backoff(5_000, 60_000);
    for (;;) {
      try {
        this.#take(await entities());
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
    loaded();
  }

  [Symbol.iterator]() {
    return this.#list[Symbol.iterator]();
  }

  /** The entity's display name; `nobody` if `name` is empty. @param {string | null} name @param {string} nobody */
  nameOf(name, nobody) {
    if (!name) return nobody;
    return this.#byName.get(name)?.displayName ?? name;
  }

  /** @param {string | null} name */
  colorOf(name) {
    return this.#byName.get(name ?? "")?.color ?? "128128128";
  }

  /** @param {WallSummary} summary */
  #take({ entities: list, maxText }) {
    this.#list = list;
    this.#byName = new Map(list.map((entity) => [entity.name, entity]));
    this.maxText = maxText ?? this.maxText;
  }
}
