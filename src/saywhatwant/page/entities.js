/** Who answers here, and how they are called. */

import { entities } from "./api.js";
import { Backoff } from "./poll.js";

export class Entities {
  /** Characters that a message may have. */
  maxText = 5_000;
  #list = [];
  #byName = new Map();

  /** Asks the server until it answers; then calls `known` once. */
  async load(known) {
    const backoff = new Backoff(5_000, 60_000);
    for (;;) {
      try {
        this.#take(await entities());
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
    known();
  }

  [Symbol.iterator]() {
    return this.#list[Symbol.iterator]();
  }

  /** @returns how the entity is called, or `nobody` where there is none. */
  nameOf(name, nobody) {
    if (!name) return nobody;
    return this.#byName.get(name)?.displayName ?? name;
  }

  colorOf(name) {
    return this.#byName.get(name)?.color ?? "128128128";
  }

  #take({ entities: list, maxText }) {
    this.#list = list;
    this.#byName = new Map(list.map((entity) => [entity.name, entity]));
    this.maxText = maxText ?? this.maxText;
  }
}
