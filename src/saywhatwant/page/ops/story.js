/**
 * All that is known of one message, in a dialog: what was said, and what happened when.
 *
 * @import { Action, EndedAttempt, Message, Story, TextAction } from "./types"
 */

import { find } from "../dom.js";
import { CallFailed, hiddenText, moderate, story } from "./calls.js";
import { button, carefulButton, element } from "./element.js";
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
      const words = error instanceof CallFailed ? error.message : "the page has a fault";
      this.#content.replaceChildren(element("p", { class: "bad" }, words));
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
    if (!erased && this.#mayChange()) quote.append(element("div", { class: "actions" }, ...this.#textActions(message, words)));
    return quote;
  }

  /** The buttons that hide a text, read a hidden one, and show it again. @param {Message} message @param {HTMLElement} words */
  #textActions({ id, hidden }, words) {
    const act = async (/** @type {() => Promise<void>} */ what) => {
      try {
        await what();
      } catch (error) {
        words.textContent = error instanceof CallFailed ? error.message : "the page has a fault";
      }
    };
    const moderated = (/** @type {TextAction} */ action) => () =>
      act(async () => {
        await moderate(action, id);
        await this.open(this.#id);
      });
    const read = async () => {
      words.textContent = (await hiddenText(id)).text;
    };
    if (!hidden) return [carefulButton("Hide", "Really hide it from everybody?", moderated("hide"))];
    return [button("Read it", () => act(read)), button("Show it again", moderated("restore"))];
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
