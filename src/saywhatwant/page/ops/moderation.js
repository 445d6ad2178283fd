/**
 * What there is to moderate: read every few seconds while somebody looks, and after each action.
 *
 * @import { Moderated } from "./types"
 */

import { find } from "../dom.js";
import { Audit } from "./audit.js";
import { moderation } from "./calls.js";
import { Reports } from "./reports.js";
import { Review } from "./review.js";
import { Rules } from "./rules.js";
import { Tabs } from "./tabs.js";

const PAUSE_MS = 10_000;

export class Moderation {
  #audit = new Audit();
  #reports;
  #review;
  #rules;
  #tabs;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading = false;
  /** What was read last; null if nothing was. @type {Moderated | null} */
  current = null;

  /**
   * @param {() => boolean} mayChange
   * @param {(messageId: string) => void} open shows a message's story
   * @param {(entity: string) => string} named
   */
  constructor(mayChange, open, named) {
    const changed = () => this.read();
    this.#rules = new Rules(mayChange, changed);
    const ban = (/** @type {{ username: string, color: string }} */ person) => {
      this.#tabs.choose("rules");
      this.#rules.prepareBan(person);
    };
    this.#review = new Review(mayChange, changed, ban, named);
    this.#reports = new Reports(mayChange, changed, open, ban);
    this.#tabs = new Tabs(
      find("moderation-tabs", HTMLElement),
      {
        review: { title: "Waiting for review", panel: find("review", HTMLElement) },
        reports: { title: "Reports", panel: find("reports", HTMLElement) },
        rules: { title: "Rules", panel: find("rules", HTMLElement) },
        audit: { title: "Audit log", panel: find("audit", HTMLElement) },
      },
      ["review", "reports", "rules", "audit"],
      (name) => name === "audit" && this.#audit.read(),
    );
  }

  /** Reads what there is, if that was a while ago. */
  follow() {
    if (Date.now() - this.#readAt > PAUSE_MS) this.read();
  }

  async read() {
    this.#readAt = Date.now();
    if (this.#tabs.chosen === "audit") this.#audit.read();
    if (this.#reading) {
      this.#readAt = Number.NEGATIVE_INFINITY; // what is on its way may be from before the change
      return;
    }
    this.#reading = true;
    try {
      this.current = await moderation();
      this.#show(this.current);
    } catch {
      // The connection's state shows it, and there will be another try.
    }
    this.#reading = false;
  }

  /** @param {Moderated} found */
  #show(found) {
    this.#tabs.count("review", found.reviewCount);
    this.#tabs.count("reports", found.reportCount);
    this.#tabs.count("rules", found.bans.length + found.filters.length + (found.slowSeconds ? 1 : 0));
    this.#review.show(found);
    this.#reports.show(found);
    this.#rules.show(found);
  }
}
