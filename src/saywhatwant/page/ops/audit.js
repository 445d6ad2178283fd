/**
 * What operators have done, a page at a time.
 *
 * @import { AuditEntry } from "./types"
 */

import { find } from "../dom.js";
import { audit, wordsOf } from "./calls.js";
import { element, keep } from "./element.js";
import { moment } from "./words.js";

const PAGE = 50;

export class Audit {
  #list = find("entries", HTMLElement);
  #older = find("older", HTMLButtonElement);
  #hint = find("entries-hint", HTMLElement);
  /** The newest first. @type {AuditEntry[]} */
  #entries = [];
  /** Whether the oldest one is known. */
  #isAll = false;

  constructor() {
    this.#older.addEventListener("click", () => this.#read(this.#entries.at(-1)?.number));
  }

  /** Reads what is new. */
  read() {
    return this.#read();
  }

  /** @param {number} [before] */
  async #read(before) {
    let found;
    try {
      found = await audit(PAGE, before);
    } catch (error) {
      this.#tell(`The log cannot be read: ${wordsOf(error)}.`);
      return;
    }
    const last = found.at(-1)?.number ?? 0;
    const first = this.#entries[0]?.number ?? 0;
    if (before !== undefined) {
      this.#entries = [...this.#entries, ...found];
      this.#isAll = found.length < PAGE;
    } else if (last > first + 1) {
      // More than a page is new: what is known does not follow on it.
      this.#entries = found;
      this.#isAll = false;
    } else this.#entries = [...found, ...this.#entries.filter(({ number }) => number < last)];
    this.#older.hidden = this.#isAll || (this.#entries.at(-1)?.number ?? 1) === 1;
    this.#tell(this.#entries.length ? "" : "No operator has done anything yet.");
    keep(
      this.#list,
      this.#entries.map((entry) => ({ key: String(entry.number), version: "", make: () => entryRow(entry) })),
    );
  }

  /** @param {string} words */
  #tell(words) {
    this.#hint.textContent = words;
    this.#hint.hidden = words === "";
  }
}

/** @param {AuditEntry} entry */
function entryRow({ at, by, action, about, reason }) {
  const when = element("time", {}, moment(at));
  when.dateTime = new Date(at).toISOString();
  return element(
    "li",
    {},
    when,
    " ",
    element("b", {}, by),
    ` ${action} `,
    element("bdi", {}, about),
    reason ? ": " : "",
    element("bdi", {}, reason),
  );
}
