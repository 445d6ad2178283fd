/**
 * The messages that the page knows, without any DOM: messages that were read or pushed, replies being written, and our
 * own posts, merged by id into one ordered list.
 *
 * @import { Changes, Entry, FeedRow, Message, Posted, ProgressState, ServerEvent } from "./types"
 */

/** Messages to keep while nobody scrolls back. */
export const KEPT = 2_000;
/** Messages to keep in any case. */
export const MOST = 4_000;
/** The share that is kept when there are more. */
const KEPT_PART = 0.75;

/** @type {{ attempt: number, text: string, length: number, state: ProgressState }} */
const NOTHING_WRITTEN = { attempt: 0, text: "", length: 0, state: "thinking" };

export class Feed {
  /** True when the server has nothing older. */
  complete = false;
  /** @type {Map<string, Message>} */
  #messages = new Map();
  /** @type {Message[]} */
  #sorted = [];
  /** Replies that are being written, by the id of their question; `length` is in code points. @type {Map<string, typeof NOTHING_WRITTEN>} */
  #written = new Map();
  /** Ids of replies by the id of their question. @type {Map<string, string>} */
  #replies = new Map();
  /** @type {Entry[]} */
  #outbox = [];
  /** Keys of our own posts by their ids. @type {Map<string, string>} */
  #ownKeys = new Map();
  /** @type {{ take: (events: ServerEvent[]) => void, forget: () => void }[]} */
  #followers = [];
  /** Messages older than this are left out, since there may be a gap before them. */
  #horizon = -Infinity;

  /**
   * Calls `take` with all events that come, and `forget` when all messages are forgotten.
   * @param {(events: ServerEvent[]) => void} take
   * @param {() => void} forget
   */
  follow(take, forget) {
    this.#followers.push({ take, forget });
  }

  // -- Input

  /**
   * The first page. None of its messages counts as fresh.
   * @param {Message[]} messages
   * @param {boolean} complete
   * @returns {Changes}
   */
  load(messages, complete) {
    this.complete = complete;
    for (const message of messages) if (this.#put(message)) this.#recognize(message);
    this.#sort();
    if (!complete) this.#horizon = this.oldest();
    return { fresh: [], failed: [], hidden: [], changed: true };
  }

  /** A page of older messages. @param {Message[]} messages @param {boolean} complete */
  prepend(messages, complete) {
    this.complete = complete;
    this.#horizon = -Infinity;
    for (const message of messages) this.#put(message);
    this.#sort();
    if (!complete) this.#horizon = this.oldest();
  }

  /** Messages in their current state. @param {Message[]} messages */
  merge(messages) {
    return this.apply(messages.map((message) => ({ type: "message", message })));
  }

  /** The events of one pushed frame, in their order. @param {ServerEvent[]} events @returns {Changes} */
  apply(events) {
    /** @type {Changes} */
    const changes = { fresh: [], failed: [], hidden: [], changed: false };
    for (const event of events) {
      if (event.type === "message") this.#take(event.message, changes);
      else if (event.type === "progress") this.#write(event);
    }
    if (changes.changed) this.#sort();
    for (const { take } of this.#followers) take(events);
    return changes;
  }

  /** The server's messages are of another time, so what is known of them is wrong. Posts on their way stay. */
  forget() {
    this.#messages.clear();
    this.#written.clear();
    this.#replies.clear();
    this.#sorted = [];
    this.#horizon = -Infinity;
    this.complete = false;
    for (const { forget } of this.#followers) forget();
  }

  /** @param {Entry[]} entries the posts on their way, in order */
  setOutbox(entries) {
    this.#outbox = entries;
    // Unlink a refused post from the message that we took for it.
    for (const { key, state } of entries) if (state === "refused") this.#disown(key);
  }

  /** Our post was accepted: it is in the list at once, until the server sends it. @param {Entry} entry @param {Posted} posted */
  acknowledge(entry, { id, timestamp }) {
    this.#disown(entry.key);
    this.#ownKeys.set(id, entry.key);
    const { text, username, color, entity, answer } = entry;
    /** @type {Message["botParams"]} */
    const botParams = { status: "pending", entity: entity || null, attempt: 0 };
    if (answer === false) Object.assign(botParams, { status: "complete", answer });
    this.merge([{ id, timestamp, text, username, color, messageType: "human", replyTo: null, seq: 0, botParams }]);
  }

  /** The server no longer has the messages with these ids: it finished and removed them unseen. @param {Iterable<string>} ids */
  markRemoved(ids) {
    for (const id of ids) {
      const known = this.#messages.get(id);
      if (!known || !isUnfinished(known)) continue;
      this.#messages.set(id, { ...known, botParams: { ...known.botParams, status: "removed" } });
      this.#written.delete(id);
    }
    this.#sort();
  }

  // -- Queries

  /** @param {string | null | undefined} id */
  get(id) {
    return id ? this.#messages.get(id) : undefined;
  }

  /** @param {string} id */
  isOwn(id) {
    return this.#ownKeys.has(id);
  }

  get size() {
    return this.#sorted.length;
  }

  oldest() {
    return this.#sorted[0]?.timestamp ?? Infinity;
  }

  newest() {
    return this.#sorted.at(-1)?.timestamp ?? 0;
  }

  /** The AI message that answers the message `id`. @param {string} id */
  answerTo(id) {
    return this.get(this.#replies.get(id));
  }

  /** The messages whose work is not finished, oldest first. */
  unfinished() {
    return this.#sorted.filter(isUnfinished);
  }

  /**
   * The rows in reading order. A reply keeps its key from its first word to the finished message, and our own post from
   * the moment we sent it.
   * @returns {FeedRow[]}
   */
  rows() {
    const posted = new Set(this.#ownKeys.values());
    return [
      ...this.#sorted.map((message) => ({ key: this.keyOf(message), kind: message.messageType, message })),
      ...this.#outbox.filter(({ key }) => !posted.has(key)).map(outboxRow),
      ...this.#sorted.filter((message) => this.#isBeingAnswered(message)).map((message) => this.#provisionalRow(message)),
    ];
  }

  /** @param {Message} message */
  keyOf({ id, replyTo }) {
    if (replyTo && this.#replies.get(replyTo) === id) return `reply:${replyTo}`;
    return this.#ownKeys.get(id) ?? id;
  }

  /** Removes the oldest messages when there are more than `most`. @param {number} most */
  trim(most) {
    if (this.size <= most) return;
    for (const { id, replyTo } of this.#sorted.splice(0, this.size - most * KEPT_PART)) {
      this.#messages.delete(id);
      this.#ownKeys.delete(id);
      this.#written.delete(id);
      if (replyTo && this.#replies.get(replyTo) === id) this.#replies.delete(replyTo);
    }
    this.complete = false;
    this.#horizon = this.oldest();
  }

  // -- Inside

  /** @param {Message} message @param {Changes} changes */
  #take(message, changes) {
    const known = this.#messages.get(message.id);
    if (!this.#put(message)) return;
    changes.changed = true;
    if (!known) this.#recognize(message);
    if (message.hidden) {
      changes.fresh = changes.fresh.filter(({ id }) => id !== message.id);
      if (known && !known.hidden) changes.hidden.push(message);
      return;
    }
    if (!known && !this.isOwn(message.id)) changes.fresh.push(message);
    if (hasFailed(message) && !(known && hasFailed(known)) && this.isOwn(message.id)) changes.failed.push(message);
  }

  /** @param {Message} message @returns whether it is new or changed */
  #put(message) {
    const known = this.#messages.get(message.id);
    if (known ? !isLater(message, known) : message.timestamp < this.#horizon) return false;
    this.#messages.set(message.id, message);
    if (message.messageType === "AI" && message.replyTo && !this.answerTo(message.replyTo)) {
      this.#replies.set(message.replyTo, message.id);
    }
    const { status, attempt } = message.botParams;
    const written = this.#written.get(message.id);
    if (written && (status !== "processing" || written.attempt < attempt)) this.#written.delete(message.id);
    return true;
  }

  #sort() {
    this.#sorted = [...this.#messages.values()].sort((a, b) => a.timestamp - b.timestamp);
  }

  /**
   * More of a reply: `text` continues the known text after `offset` code points; with offset 0, or without one, it
   * replaces it. Text that does not fit is ignored: the whole text comes again with offset 0. `state` is what the bot does.
   * @param {Extract<ServerEvent, { type: "progress" }>} event
   */
  #write({ id, attempt, text = "", offset = 0, state = "writing" }) {
    const message = this.#messages.get(id);
    const known = this.#written.get(id) ?? NOTHING_WRITTEN;
    if (message?.botParams.status !== "processing" || attempt < Math.max(message.botParams.attempt, known.attempt)) return;
    const before = offset > 0 && known.attempt === attempt ? known : NOTHING_WRITTEN;
    if (before.length !== offset) return;
    this.#written.set(id, { attempt, text: before.text + text, length: offset + codePoints(text), state });
  }

  /** @param {Message} message */
  #isBeingAnswered({ id, messageType, botParams, hidden }) {
    return messageType === "human" && botParams.status === "processing" && !hidden && !this.answerTo(id);
  }

  /** @param {Message} message @returns {FeedRow} */
  #provisionalRow(message) {
    const { text, state } = this.#written.get(message.id) ?? NOTHING_WRITTEN;
    return { key: `reply:${message.id}`, kind: "provisional", message, text, state };
  }

  /** A push may come before the answer to our post, so a message equal to one we are sending is ours. @param {Message} message */
  #recognize(message) {
    if (message.messageType !== "human" || this.isOwn(message.id)) return;
    const posted = new Set(this.#ownKeys.values());
    const mine = this.#outbox.filter(({ key }) => !posted.has(key));
    const twin =
      mine.find(({ heldAs }) => heldAs === message.id) ?? mine.find((entry) => mayBePosted(entry) && isTwin(entry, message));
    if (twin) this.#ownKeys.set(message.id, twin.key);
  }

  /** @param {string} key */
  #disown(key) {
    for (const [id, own] of this.#ownKeys) if (own === key) this.#ownKeys.delete(id);
  }
}

/** @param {Entry} entry @returns {FeedRow} */
function outboxRow(entry) {
  return { key: entry.key, kind: "outbox", message: entry };
}

/** One commit may change a message twice; both states come in order, with the same seq. @param {Message} message @param {Message} known */
function isLater({ seq, botParams }, known) {
  return seq > known.seq || (seq === known.seq && botParams.status !== known.botParams.status);
}

/** @param {Message} message */
function hasFailed({ botParams }) {
  return botParams.status === "failed";
}

/** @param {Message} message */
function isUnfinished({ botParams }) {
  return botParams.status === "pending" || botParams.status === "processing";
}

/** @param {Entry} entry */
function mayBePosted({ attempt, state }) {
  return attempt > 0 && state !== "refused" && state !== "held";
}

/**
 * Whether `message` may be our `entry`. Timestamps only increase: a message that is not newer than all we knew when we
 * first sent `entry` was there before it.
 * @param {Entry} entry
 * @param {Message} message
 */
function isTwin(entry, { timestamp, text, username, color, botParams }) {
  const isNewer = timestamp > (entry.sentAfter ?? 0);
  const isSame = entry.text === text && entry.username === username && entry.color === color;
  const isAddressed = (entry.entity || null) === botParams.entity && (entry.answer === false) === (botParams.answer === false);
  return isNewer && isSame && isAddressed;
}

/** @param {string} text */
function codePoints(text) {
  return [...text].length;
}
