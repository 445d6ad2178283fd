/**
 * The lists of messages by state, and what an operator does with them.
 *
 * @import { Action, AtWork, Figures, Message, State } from "./types"
 */

import { find } from "../dom.js";
import { excerpt } from "../text.js";
import { change, messages, wordsOf } from "./calls.js";
import { button, carefulButton, element, keep } from "./element.js";
import { Tabs } from "./tabs.js";
import { ago, counted, roughly } from "./words.js";

/** A list is read again at most this often, and only if something has changed. */
const PAUSE_MS = 2_000;
const EXCERPT = 140;

/** @type {Record<State, { title: string, none: string, actions: Action[] }>} */
const STATES = {
  held: { title: "Held by a bot", none: "No bot holds a message.", actions: ["fail"] },
  pending: { title: "Waiting for a bot", none: "No message waits for a bot.", actions: ["fail"] },
  waiting: { title: "Waiting to be tried again", none: "No message waits to be tried again.", actions: ["fail"] },
  failed: { title: "Failed", none: "No message has failed.", actions: ["retry", "discard"] },
};
/** @type {Record<Action, { words: string, question: string, done: string }>} */
export const ACTIONS = {
  retry: { words: "Retry", question: "", done: "pending again, with all attempts" },
  fail: { words: "Fail", question: "Really fail it?", done: "failed" },
  discard: { words: "Discard", question: "Really remove it?", done: "removed" },
};
const STATE_WORDS = { waking: "its model wakes up", thinking: "its model thinks", writing: "writing" };

/** The actions for a message, as buttons. @param {Message} message @param {(action: Action) => void} act */
export function actionsFor({ botParams: { status } }, act) {
  /** @type {Action[]} */
  const possible = status === "failed" ? ["retry", "discard"] : status === "complete" ? [] : ["fail"];
  return possible.map((action) => {
    const { words, question } = ACTIONS[action];
    return question ? carefulButton(words, question, () => act(action)) : button(words, () => act(action));
  });
}

export class Work {
  #mayChange = () => false;
  #open;
  #named;
  #tabs;
  /** @type {State} */
  #state = "failed";
  #list = find("messages", HTMLElement);
  #none = find("no-messages", HTMLElement);
  #bulk = find("bulk", HTMLElement);
  #outcome = find("outcome", HTMLElement);
  /** @type {Message[]} */
  #messages = [];
  /** @type {Figures | null} */
  #figures = null;
  #readAt = 0;
  #readSeq = -1;
  #reading = false;

  /**
   * @param {() => boolean} mayChange
   * @param {(messageId: string) => void} open shows a message's story
   * @param {(entity: string) => string} named
   */
  constructor(mayChange, open, named) {
    this.#mayChange = mayChange;
    this.#open = open;
    this.#named = named;
    const panel = find("list", HTMLElement);
    const panelOf = (/** @type {State} */ state) => ({ title: STATES[state].title, panel });
    this.#tabs = new Tabs(
      find("states", HTMLElement),
      { failed: panelOf("failed"), held: panelOf("held"), pending: panelOf("pending"), waiting: panelOf("waiting") },
      ["failed", "held", "pending", "waiting"],
      (state) => this.#choose(state),
    );
    this.#choose("failed");
  }

  /** @param {Figures} figures */
  show(figures) {
    this.#figures = figures;
    const { depth, backingOff, seq } = figures.overview.stats;
    const counts = { held: depth.processing, pending: depth.pending - backingOff, waiting: backingOff, failed: depth.failed };
    this.#tabs.count("held", counts.held);
    this.#tabs.count("pending", counts.pending);
    this.#tabs.count("waiting", counts.waiting);
    this.#tabs.count("failed", counts.failed);
    if (seq !== this.#readSeq && Date.now() - this.#readAt > PAUSE_MS) this.#read(seq);
    this.#draw();
  }

  /** Does this with one message, or with all of the list; tells how it went. @param {Action} action @param {string | null} id */
  async act(action, id) {
    try {
      let count = 0;
      for (let more = true; more; ) {
        const done = await change(action, id);
        count += done.changed.length;
        more = done.more && done.changed.length > 0;
      }
      this.#outcome.textContent = `${counted(count, "message")} ${count === 1 ? "is" : "are"} ${ACTIONS[action].done}.`;
    } catch (error) {
      this.#outcome.textContent = `That did not work: ${wordsOf(error)}.`;
    }
    await this.#read(-1);
  }

  /** @param {State} state */
  #choose(state) {
    this.#state = state;
    this.#messages = [];
    this.#outcome.textContent = "";
    this.#none.textContent = STATES[state].none;
    this.#bulk.replaceChildren();
    this.#draw();
    if (this.#figures) this.#read(this.#figures.overview.stats.seq);
  }

  /** @param {number} seq the state of the queue that is read; -1 if it is not known */
  async #read(seq) {
    if (this.#reading) return;
    this.#reading = true;
    const state = this.#state;
    try {
      const found = await messages(state);
      if (state === this.#state) {
        this.#messages = found;
        this.#readSeq = seq;
      }
    } catch {
      // The connection's state shows it, and the next figures lead to another try.
    }
    this.#reading = false;
    this.#readAt = Date.now();
    if (state === this.#state) this.#draw();
    else await this.#read(seq);
  }

  #draw() {
    const now = this.#figures?.at ?? Date.now();
    const atWork = new Map((this.#figures?.atWork ?? []).map((work) => [work.id, work]));
    keep(
      this.#list,
      this.#messages.map((message) => {
        const told = this.#told(message, now, atWork.get(message.id));
        return { key: message.id, version: `${this.#mayChange()} ${told}`, make: () => this.#row(message, told) };
      }),
    );
    this.#none.hidden = this.#messages.length > 0;
    this.#showBulk();
  }

  /** @param {Message} message @param {string} told */
  #row(message, told) {
    const { id, text, username, botParams } = message;
    const entity = botParams.entity ?? botParams.assignedEntity;
    const words = element(
      "p",
      { class: "text" },
      element("b", {}, username),
      ` to ${entity ? this.#named(entity) : "anyone"} `,
      excerpt(text, EXCERPT) || "(no text)",
    );
    words.dir = "auto";
    const open = button(id, () => this.#open(id));
    open.className = "id";
    open.setAttribute("aria-label", `All about ${id}`);
    const actions = this.#mayChange() ? actionsFor(message, (action) => this.act(action, id)) : [];
    return element(
      "li",
      {},
      words,
      element("p", { class: "told" }, open, ` ${told}`),
      element("div", { class: "actions" }, ...actions),
    );
  }

  /** What a row says of its message. @param {Message} message @param {number} now @param {AtWork | undefined} work */
  #told({ timestamp, detail, botParams }, now, work) {
    const { status, claimedBy, claimedAt, attempt, retryAt, error, completedAt } = botParams;
    const reason = error ? `: ${error}${detail ? ` (${detail})` : ""}` : "";
    if (status === "processing") {
      const doing = work
        ? `, ${STATE_WORDS[work.state]}${work.characters ? `, ${work.characters} characters` : ""} for ${roughly(now - work.since)}`
        : "";
      return `${claimedBy} has it for ${roughly(now - (claimedAt ?? now))}, attempt ${attempt}${doing}`;
    }
    if (status === "failed")
      return `failed ${ago(completedAt ?? timestamp, now)} after ${counted(attempt, "attempt")}${reason}`;
    if (retryAt !== null && retryAt !== undefined)
      return `tried again in ${roughly(retryAt - now)}, after ${counted(attempt, "attempt")}${reason}`;
    return `waits for ${roughly(now - timestamp)}${attempt ? `, after ${counted(attempt, "attempt")}` : ""}${reason}`;
  }

  #showBulk() {
    const { actions } = STATES[this.#state];
    const some = this.#mayChange() && this.#messages.length > 1 && (this.#state === "failed" || this.#state === "pending");
    this.#bulk.hidden = !some;
    if (!some || this.#bulk.childElementCount) return;
    const which = this.#state === "failed" ? "all failed" : "all unfinished";
    this.#bulk.append(
      ...actions.map((action) => {
        const words = `${ACTIONS[action].words} ${which}`;
        return carefulButton(words, `Really ${words.toLowerCase()}?`, () => this.act(action, null));
      }),
    );
  }
}
