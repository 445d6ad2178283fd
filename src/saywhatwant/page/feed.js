/**
 * The wall as the page knows it, without any DOM: what was read, what was pushed, what is being written, and what we
 * have posted ourselves, merged by id into one ordered list.
 */

/** Messages to keep while nobody reads back. */
export const KEPT = 2_000;
/** Messages to keep at all. */
export const MOST = 4_000;
/** The part that is left when there were more. */
const LEFT = 0.75;

export class Feed {
  /** True when there is nothing older on the server. */
  complete = false;
  #messages = new Map();
  #sorted = [];
  #growing = new Map();
  #replies = new Map();
  #outbox = [];
  #ownKeys = new Map();
  #horizon = -Infinity;

  // -- What comes in

  /** The first page, newest first; what comes back is that of `apply`, with nothing in it that calls for attention. */
  load(messages, complete) {
    this.complete = complete;
    for (const message of messages) if (this.#put(message)) this.#recognize(message);
    this.#sort();
    if (!complete) this.#horizon = this.oldest();
    return { fresh: [], failed: [], changed: true };
  }

  /** A page of older messages. */
  prepend(messages, complete) {
    this.complete = complete;
    this.#horizon = -Infinity;
    messages.forEach((message) => this.#put(message));
    this.#sort();
    if (!complete) this.#horizon = this.oldest();
  }

  /** Messages as they are now; what comes back is that of `apply`. */
  merge(messages) {
    return this.apply(messages.map((message) => ({ type: "message", message })));
  }

  /**
   * The events of one pushed frame, in their order.
   * @returns which messages were not known (ours excepted), which of ours have failed, and whether any message is different
   */
  apply(events) {
    const taken = { fresh: [], failed: [], changed: false };
    for (const event of events) {
      if (event.type === "message") this.#take(event.message, taken);
      else if (event.type === "progress") this.#grow(event);
      else if (event.type === "leaseEnded") this.#growing.delete(event.id);
    }
    if (taken.changed) this.#sort();
    return taken;
  }

  /** @param entries what waits to be posted, in order */
  setOutbox(entries) {
    this.#outbox = entries;
    // It was not that message after all, or its author is to know that it may be.
    for (const { key, state } of entries) if (state === "refused") this.#disown(key);
  }

  /** Our post is on the wall: it stands in the list at once, until the server tells of it. */
  acknowledge(entry, { id, timestamp }) {
    this.#disown(entry.key);
    this.#ownKeys.set(id, entry.key);
    const { text, username, color, entity } = entry;
    const botParams = { status: "pending", entity: entity || null, attempt: 0, retryAt: null, error: null };
    this.merge([{ id, timestamp, text, username, color, messageType: "human", replyTo: null, seq: 0, botParams }]);
  }

  // -- What is known

  get(id) {
    return this.#messages.get(id);
  }

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

  /** The AI message that answers the message `id`. */
  answerTo(id) {
    return this.#messages.get(this.#replies.get(id));
  }

  /**
   * Rows `{key, kind, message, text}` in the order they are read. The key of a reply is the same from its first word to
   * the finished message, and that of our own post from the moment we sent it.
   */
  rows() {
    const landed = new Set(this.#ownKeys.values());
    return [
      ...this.#sorted.map((message) => ({ key: this.keyOf(message), kind: message.messageType, message })),
      ...this.#outbox.filter(({ key }) => !landed.has(key)).map((message) => ({ key: message.key, kind: "outbox", message })),
      ...this.#sorted.filter((message) => this.#isBeingAnswered(message)).map((message) => this.#provisional(message)),
    ];
  }

  keyOf({ id, replyTo }) {
    if (replyTo && this.#replies.get(replyTo) === id) return `reply:${replyTo}`;
    return this.#ownKeys.get(id) ?? id;
  }

  /** Lets go of the oldest messages when there are more than `most`. */
  trim(most) {
    if (this.size <= most) return;
    for (const { id, replyTo } of this.#sorted.splice(0, this.size - most * LEFT)) {
      this.#messages.delete(id);
      this.#ownKeys.delete(id);
      this.#growing.delete(id);
      if (this.#replies.get(replyTo) === id) this.#replies.delete(replyTo);
    }
    this.complete = false;
    this.#horizon = this.oldest();
  }

  // -- Inside

  #take(message, taken) {
    const known = this.#messages.get(message.id);
    if (!this.#put(message)) return;
    taken.changed = true;
    if (!known) this.#recognize(message);
    if (!known && !this.isOwn(message.id)) taken.fresh.push(message);
    if (hasFailed(message) && !(known && hasFailed(known)) && this.isOwn(message.id)) taken.failed.push(message);
  }

  /** @returns whether `message` is news. What lies before the horizon is not: it would leave a gap behind it. */
  #put(message) {
    const known = this.#messages.get(message.id);
    if (known ? !isLater(message, known) : message.timestamp < this.#horizon) return false;
    this.#messages.set(message.id, message);
    if (message.messageType === "AI" && message.replyTo && !this.answerTo(message.replyTo)) {
      this.#replies.set(message.replyTo, message.id);
    }
    const { status, attempt } = message.botParams;
    if (status !== "processing" || this.#growing.get(message.id)?.attempt < attempt) this.#growing.delete(message.id);
    return true;
  }

  #sort() {
    this.#sorted = [...this.#messages.values()].sort((a, b) => a.timestamp - b.timestamp);
  }

  #grow({ id, attempt, text }) {
    const message = this.#messages.get(id);
    if (message?.botParams.status !== "processing" || attempt < message.botParams.attempt) return;
    const known = this.#growing.get(id);
    if (known && (attempt < known.attempt || (attempt === known.attempt && text.length < known.text.length))) return;
    this.#growing.set(id, { attempt, text });
  }

  #isBeingAnswered({ id, messageType, botParams }) {
    return messageType === "human" && botParams.status === "processing" && !this.answerTo(id);
  }

  #provisional(message) {
    return { key: `reply:${message.id}`, kind: "provisional", message, text: this.#growing.get(message.id)?.text ?? "" };
  }

  /** A push may overtake the answer to our post: a message that is just like one we are sending is that one. */
  #recognize(message) {
    if (message.messageType !== "human" || this.isOwn(message.id)) return;
    const landed = new Set(this.#ownKeys.values());
    const twin = this.#outbox.find((entry) => mayHaveLanded(entry) && !landed.has(entry.key) && isTwin(entry, message));
    if (twin) this.#ownKeys.set(message.id, twin.key);
  }

  #disown(key) {
    for (const [id, own] of this.#ownKeys) if (own === key) this.#ownKeys.delete(id);
  }
}

/** One commit may tell of two states of a message; they come in their order, under one number. */
function isLater({ seq, botParams }, known) {
  return seq > known.seq || (seq === known.seq && botParams.status !== known.botParams.status);
}

function hasFailed({ botParams }) {
  return botParams.status === "failed";
}

function mayHaveLanded({ attempt, state }) {
  return attempt > 0 && state !== "refused";
}

/** Timestamps only ever rise: what is no younger than all we knew when we first sent `entry` was there before it. */
function isTwin(entry, { timestamp, text, username, color, botParams }) {
  const isYounger = timestamp > (entry.sentAfter ?? 0);
  const isSame = entry.text === text && entry.username === username && entry.color === color;
  return isYounger && isSame && (entry.entity || null) === botParams.entity;
}
