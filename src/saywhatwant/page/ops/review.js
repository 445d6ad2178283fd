/**
 * The posts that wait for review.
 *
 * @import { HeldPost, Moderated } from "./types"
 */

import { find } from "../dom.js";
import { moderate } from "./calls.js";
import { element, keep } from "./element.js";
import { row } from "./rows.js";
import { counted, moment } from "./words.js";

export class Review {
  #mayChange;
  #changed;
  #ban;
  #named;
  #list = find("held", HTMLElement);
  #hint = find("held-hint", HTMLElement);

  /**
   * @param {() => boolean} mayChange
   * @param {() => Promise<void>} changed
   * @param {(person: { username: string, color: string }) => void} ban
   * @param {(entity: string) => string} named
   */
  constructor(mayChange, changed, ban, named) {
    this.#mayChange = mayChange;
    this.#changed = changed;
    this.#ban = ban;
    this.#named = named;
  }

  /** @param {Moderated} found */
  show({ review, reviewCount }) {
    const version = String(this.#mayChange());
    keep(
      this.#list,
      review.map((post) => ({ key: post.id, version, make: () => this.#row(post) })),
    );
    const more = reviewCount - review.length;
    this.#hint.textContent = more > 0 ? `and ${counted(more, "more post")}` : "No post waits for review.";
    this.#hint.hidden = reviewCount > 0 && more <= 0;
  }

  /** @param {HeldPost} post */
  #row({ id, at, phrase, text, username, color, entity }) {
    const decide = (/** @type {"approve" | "reject"} */ decision) => async () => {
      await moderate(decision, { messageId: id });
      await this.#changed();
    };
    return row(
      [element("b", {}, username), entity ? ` to ${this.#named(entity)}: ` : ": ", text],
      [`${moment(at)}, held for “${phrase}”`],
      this.#mayChange()
        ? [
            { words: "Approve", act: decide("approve") },
            { words: "Reject", question: "Really reject it?", act: decide("reject") },
            { words: "Ban its author…", act: () => this.#ban({ username, color }) },
          ]
        : [],
    );
  }
}
