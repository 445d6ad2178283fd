/**
 * All that is known of one message, in a dialog: what was said, and what happened when.
 *
 * @import { Action, EndedAttempt, Message, Story } from "./types"
 */

import { find } from "../dom.js";
import { hiddenText, moderate, story, wordsOf } from "./calls.js";
import { element } from "./element.js";
import { buttonsOf } from "./rows.js";
import { duration, moment, time } from "./words.js";
import { actionsFor } from "./work.js";

export class StoryDialog {
  #dialog = find("story", HTMLDialogElement);
  #title = find("story-title", HTMLElement);
  #content = find("story-content", HTMLElement);
  #actions = find("story-actions", HTMLElement);
  #mayChange;
  #act;
  #named;
  #id = "";

  /**
   * @param {() => boolean} mayChange
   * @param {(action: Action, messageId: string) => Promise<void>} act
   * @param {(entity: string) => string} named
   */
  constructor(mayChange, act, named) {
    this.#mayChange = mayChange;
    this.#act = act;
    this.#named = named;
    find("story-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /** @param {string} messageId */
  async open(messageId) {
    this.#id = messageId;
    this.#title.textContent = `Message ${messageId}`;
    this.#content.replaceChildren(element("p", { class: "hint" }, "Loading"));
    this.#actions.replaceChildren();
    if (!this.#dialog.open) this.#dialog.showModal();
    try {
      const found = await story(messageId);
      if (this.#id === messageId) this.#show(found);
    } catch (error) {
      if (this.#id !== messageId) return;
      this.#content.replaceChildren(element("p", { class: "bad" }, wordsOf(error)));
    }
  }

  /** @param {Story} found */
  #show({ message, attempts, answer }) {
    const said = [this.#quote(message), ...(answer ? [this.#quote(answer)] : [])];
    this.#content.replaceChildren(
      ...said,
      element("h3", {}, "What happened"),
      element("ol", { class: "events" }, ...this.#events(message, attempts, answer)),
    );
    if (!this.#mayChange()) return;
    const act = async (/** @type {Action} */ action) => {
      await this.#act(action, message.id);
      if (action === "discard") this.#dialog.close();
      else await this.open(message.id);
    };
    this.#actions.replaceChildren(...actionsFor(message, act));
  }

  /** @param {Message} message */
  #quote(message) {
    const { username, text, messageType, botParams, hidden, erased } = message;
    const entity = botParams.entity ?? botParams.assignedEntity;
    const to = messageType === "human" && entity ? ` to ${this.#named(entity)}` : "";
    const words = element("p", { class: "words" }, erased ? "(erased for good)" : hidden ? "(hidden)" : text);
    const quote = element(
      "blockquote",
      { data: { kind: messageType } },
      element("p", { class: "by" }, element("b", {}, username), to),
      words,
    );
    quote.dir = "auto";
    if (!erased && this.#mayChange()) quote.append(...this.#textActions(message, words));
    return quote;
  }

  /** What hides a text, reads a hidden one, shows it again, and erases it. @param {Message} message @param {HTMLElement} words */
  #textActions({ id, hidden }, words) {
    const withName = element("input", { type: "checkbox" });
    const reason = element("input", { type: "text" });
    reason.maxLength = 500;
    const moderated = (/** @type {string} */ action) => async () => {
      const name = action === "restore" ? {} : { name: withName.checked };
      const { left } = await moderate(action, { messageId: id, reason: reason.value, ...name });
      await this.open(this.#id);
      if (left) this.#content.prepend(element("p", { class: "bad" }, left));
    };
    const read = async () => {
      words.textContent = (await hiddenText(id)).text;
    };
    const hide = { words: "Hide", question: "Really hide it from everybody?", act: moderated("hide") };
    const erase = {
      words: "Erase for good",
      question: "Really erase it? That cannot be undone",
      act: moderated("erase"),
    };
    const others = hidden
      ? [
          { words: "Read it", act: read },
          { words: "Show it again", act: moderated("restore") },
        ]
      : [hide];
    return [
      element(
        "div",
        { class: "given" },
        element("label", {}, "Reason, for the audit log ", reason),
        element("label", {}, withName, " the author’s name too"),
      ),
      ...buttonsOf([...others, erase]),
    ];
  }

  /** @param {Message} message @param {EndedAttempt[]} attempts @param {Message | undefined} answer */
  #events({ timestamp, detail, botParams }, attempts, answer) {
    const { status, priority, claimedBy, claimedAt, attempt, leaseExpiresAt, retryAt, expiresAt, error, completedAt } =
      botParams;
    const events = [event(timestamp, `posted, with priority ${priority}`, true)];
    const known = new Set(attempts.map((one) => one.attempt));
    const missing = attempt - known.size - (status === "processing" || (status === "complete" && claimedBy !== null) ? 1 : 0);
    if (missing > 0)
      events.push(
        element(
          "li",
          { class: "hint" },
          `${missing} earlier ${missing === 1 ? "attempt is" : "attempts are"} not remembered any more`,
        ),
      );
    for (const one of attempts) {
      const took = one.claimedAt === null ? "" : ` for ${duration(one.endedAt - one.claimedAt)}`;
      const end = one.reason === null ? "and gave it back" : `without an answer: ${one.reason}`;
      events.push(
        event(
          one.claimedAt ?? one.endedAt,
          `attempt ${one.attempt}: ${one.workerId ?? "a bot"} had it${took}, ${end}`,
          false,
          one.reason === null ? "" : "bad",
        ),
      );
    }
    if (status === "processing" && claimedAt !== null) {
      const until = leaseExpiresAt === null ? "" : `; it must give a sign until ${time(leaseExpiresAt)}`;
      events.push(event(claimedAt, `attempt ${attempt}: ${claimedBy} has it${until}`));
    }
    if (status === "pending") {
      const when = retryAt !== null && retryAt !== undefined ? `tried again at ${time(retryAt)}` : "waits for a bot";
      events.push(element("li", {}, `${when}${expiresAt ? `; it fails if none has come until ${moment(expiresAt)}` : ""}`));
    }
    if (status === "complete") {
      const took = ` ${duration((answer?.timestamp ?? completedAt ?? timestamp) - timestamp)} after the post`;
      const by = claimedBy === null ? "" : ` by ${claimedBy}, attempt ${attempt}`;
      events.push(
        event(
          answer?.timestamp ?? completedAt ?? timestamp,
          answer ? `answered${by},${took}` : `finished without an answer${by}`,
          false,
          "good",
        ),
      );
    }
    if (status === "failed") {
      events.push(event(completedAt ?? timestamp, `failed for good: ${error ?? "no reason"}`, false, "bad"));
      if (detail) events.push(element("li", { class: "detail" }, `What the provider said: ${detail}`));
    }
    return events;
  }
}

/** @param {number} at @param {string} words @param {boolean} [withDate] @param {string} [state] */
function event(at, words, withDate = false, state = "") {
  const when = element("time", {}, withDate ? moment(at) : time(at));
  when.dateTime = new Date(at).toISOString();
  return element("li", state ? { class: state } : {}, when, ` ${words}`);
}
