/**
 * One talk: its messages, also those that are too old for the wall's list, kept up to date by the same events.
 *
 * @import { CallFailed } from "./api.js"
 * @import { Entities } from "./entities.js"
 * @import { Draft, Entry, Message, Posted, ServerEvent } from "./types"
 */

import { talkBefore } from "./api.js";
import { Feed, MOST } from "./feed.js";
import { Backoff } from "./poll.js";

const FIRST_PAGE = 100;

export class Talk {
  feed = new Feed();
  loaded = false;
  /** Why it could not be read; empty if it could. */
  problem = "";
  #closed = false;
  #changed;

  /** @param {string} id @param {() => void} changed called when it was read, or could not be */
  constructor(id, changed) {
    this.id = id;
    this.#changed = changed;
    this.#load();
  }

  /** Events of the whole wall. @param {ServerEvent[]} events */
  take(events) {
    this.feed.apply(events.filter((event) => this.#isOurs(event)));
    this.feed.trim(MOST);
  }

  /** Of all posts on their way, shows those that will belong to this talk. @param {Entry[]} entries */
  setOutbox(entries) {
    this.feed.setOutbox(entries.filter((entry) => this.isJoinedBy(entry)));
  }

  /** @param {Entry} entry @param {Posted} posted */
  acknowledge(entry, posted) {
    if (this.isJoinedBy(entry)) this.feed.acknowledge(entry, posted);
  }

  /** Whether a post belongs to this talk: it is the same person's, to the same entity. @param {Draft} draft */
  isJoinedBy({ username, color, entity, answer }) {
    const { question } = this;
    if (!question || answer === false || question.colorTail || question.botParams.sessionId) return false;
    const isMine = question.username === username && question.color === color;
    return isMine && entity === (question.botParams.entity ?? question.botParams.assignedEntity);
  }

  /** The person and the entity whose talk it is, in words. @param {Entities} entities */
  title(entities) {
    const { question } = this;
    if (!question) return "One talk";
    const { entity, assignedEntity } = question.botParams;
    return `${question.username} with ${entities.nameOf(entity ?? assignedEntity ?? null, "an entity")}`;
  }

  /** The entity that it is with; empty if that is unknown. */
  get entity() {
    return this.question?.botParams.entity ?? this.question?.botParams.assignedEntity ?? "";
  }

  /** @type {Message | undefined} */
  get question() {
    const found = this.feed.rows().find(({ kind, message }) => kind === "human" && "conversation" in message);
    return /** @type {Message | undefined} */ (found?.message);
  }

  close() {
    this.#closed = true;
  }

  /** Reads the newest page; tries again until the server answers, or the talk is closed. */
  async #load() {
    const backoff = new Backoff(2_000, 30_000);
    while (!this.loaded && !this.#closed) {
      try {
        const { messages, more } = await talkBefore(this.id, null, FIRST_PAGE);
        this.feed.load(messages, !more);
        this.loaded = true;
        this.problem = "";
      } catch (error) {
        const { message, permanent } = /** @type {CallFailed} */ (error);
        this.problem = message;
        if (permanent) this.#closed = true;
      }
      this.#changed();
      if (!this.loaded && !this.#closed) await new Promise((resolve) => setTimeout(resolve, backoff.next()));
    }
  }

  /** @param {ServerEvent} event */
  #isOurs(event) {
    return event.type !== "message" || event.message.conversation === this.id || Boolean(this.feed.get(event.message.id));
  }
}
