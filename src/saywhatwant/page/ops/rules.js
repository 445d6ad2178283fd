/**
 * The rules for posts: bans, word filters, slow mode.
 *
 * @import { Ban, Filter, Moderated } from "./types"
 */

import { find } from "../dom.js";
import { moderate } from "./calls.js";
import { element, keep } from "./element.js";
import { attempt, failurePlace, row } from "./rows.js";
import { counted, moment } from "./words.js";

const ACTIONS = { refuse: "Refused", hold: "Held for review" };

export class Rules {
  #mayChange;
  #changed;
  #bans = find("bans", HTMLElement);
  #filters = find("filters", HTMLElement);
  #person = find("ban-person", HTMLFormElement);
  #slow = find("slow", HTMLFormElement);
  #slowSeconds = -1;

  /** @param {() => boolean} mayChange @param {() => Promise<void>} changed */
  constructor(mayChange, changed) {
    this.#mayChange = mayChange;
    this.#changed = changed;
    this.#on(this.#person, "ban", ({ username, color, seconds, reason }) => ({
      username,
      color,
      seconds: Number(seconds),
      reason,
    }));
    this.#on(find("ban-address", HTMLFormElement), "ban", ({ address, seconds, reason }) => ({
      address,
      seconds: Number(seconds),
      reason,
    }));
    this.#on(find("filter", HTMLFormElement), "filter", ({ phrase, action, reason }) => ({ phrase, action, reason }));
    this.#on(this.#slow, "slow", ({ seconds }) => ({ seconds: Number(seconds) }), false);
  }

  /** @param {Moderated} found */
  show({ bans, filters, slowSeconds }) {
    const mayChange = String(this.#mayChange());
    keep(
      this.#bans,
      bans.map((ban) => ({ key: ban.id, version: `${mayChange} ${ban.until} ${ban.reason}`, make: () => this.#banRow(ban) })),
    );
    keep(
      this.#filters,
      filters.map((filter) => ({
        key: filter.phrase,
        version: `${mayChange} ${filter.action} ${filter.reason}`,
        make: () => this.#filterRow(filter),
      })),
    );
    find("none-banned", HTMLElement).hidden = bans.length > 0;
    find("no-filters", HTMLElement).hidden = filters.length > 0;
    find("slow-now", HTMLElement).textContent = slowSeconds
      ? `One post in ${counted(slowSeconds, "second")} from one address.`
      : "Off.";
    if (slowSeconds !== this.#slowSeconds) {
      this.#slowSeconds = slowSeconds;
      /** @type {HTMLInputElement} */ (this.#slow.elements.namedItem("seconds")).value = String(slowSeconds);
    }
  }

  /** Fills in the form of a ban. @param {{ username: string, color: string }} person */
  prepareBan({ username, color }) {
    for (const [name, value] of Object.entries({ username, color })) {
      /** @type {HTMLInputElement} */ (this.#person.elements.namedItem(name)).value = value;
    }
    const choice = /** @type {HTMLSelectElement} */ (this.#person.elements.namedItem("seconds"));
    choice.focus();
  }

  /**
   * @param {HTMLFormElement} form
   * @param {string} call
   * @param {(fields: Record<string, string>) => object} bodyOf
   * @param {boolean} empties whether it is empty afterwards
   */
  #on(form, call, bodyOf, empties = true) {
    const outcome = failurePlace();
    form.append(outcome);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
      const worked = await attempt(outcome, async () => {
        await moderate(call, bodyOf(fields));
        await this.#changed();
      });
      if (worked && empties) form.reset();
    });
  }

  /** @param {Ban} ban */
  #banRow({ id, username, color, colorTail, address, until, by, reason }) {
    const who = address ?? `${username} ${color}${colorTail ? `-${colorTail}` : ""}`;
    const lift = async () => {
      await moderate("unban", { banId: id });
      await this.#changed();
    };
    return row(
      [element("b", {}, who)],
      [`until ${moment(until)}, by ${by}${reason ? `: ${reason}` : ""}`],
      this.#mayChange() ? [{ words: "Lift", question: "Really lift it?", act: lift }] : [],
    );
  }

  /** @param {Filter} filter */
  #filterRow({ phrase, action, by, reason }) {
    const remove = async () => {
      await moderate("unfilter", { phrase });
      await this.#changed();
    };
    return row(
      [element("b", {}, phrase)],
      [`${ACTIONS[action]}, by ${by}${reason ? `: ${reason}` : ""}`],
      this.#mayChange() ? [{ words: "Remove", question: "Really remove it?", act: remove }] : [],
    );
  }
}
