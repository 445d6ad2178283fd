/**
 * The wall as the page knows it, without any DOM: what was read, what was pushed, what is being written, and what we
 * have posted ourselves, merged by id into one ordered list.
 */

const KEPT = 2_000;
const TRIMMED_TO = 1_500;
const WATCHED = 100;
const CLOCKS_APART_MS = 5_000;

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

  /** The first page, newest first. */
  load(messages, complete) {
    this.complete = complete;
    for (const message of messages) {
      this.#recognize(message, message.timestamp + CLOCKS_APART_MS);
      this.#put(message);
    }
    this.#sort();
    if (!complete) this.#horizon = this.oldest();
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
   * @returns which messages were not known (ours excepted), and whether any message is different
   */
  apply(events) {
    const taken = { fresh: [], changed: false };
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
  }

  /** Our post is on the wall: it stands in the list at once, until the server tells of it. */
  acknowledge(entry, { id, timestamp }) {
    for (const [other, key] of this.#ownKeys) if (key === entry.key) this.#ownKeys.delete(other);
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

  oldest() {
    return this.#sorted[0]?.timestamp ?? Infinity;
  }

  newest() {
    return this.#sorted.at(-1)?.timestamp ?? 0;
  }

  /** The `since` of a poll that misses neither new messages nor changes of unfinished ones. */
  pollSince() {
    const told = this.#sorted.filter(({ seq }) => seq > 0);
    const unfinished = told.slice(-WATCHED).find(isUnfinished);
    return unfinished ? unfinished.timestamp - 1 : (told.at(-1)?.timestamp ?? 0);
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

  /** Lets go of the oldest messages when there are very many. */
  trim() {
    if (this.#sorted.length <= KEPT) return;
    for (const { id, replyTo } of this.#sorted.splice(0, this.#sorted.length - TRIMMED_TO)) {
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
    const isNew = !this.#messages.has(message.id);
    if (isNew) this.#recognize(message, Infinity);
    if (!this.#put(message)) return;
    taken.changed = true;
    if (isNew && !this.isOwn(message.id)) taken.fresh.push(message);
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
  #recognize(message, latestCreation) {
    if (message.messageType !== "human" || this.#ownKeys.has(message.id)) return;
    const landed = new Set(this.#ownKeys.values());
    const twin = this.#outbox.find(
      (entry) => entry.attempt > 0 && entry.createdAt <= latestCreation && !landed.has(entry.key) && isTwin(entry, message),
    );
    if (twin) this.#ownKeys.set(message.id, twin.key);
  }
}

/** One commit may tell of two states of a message; they come in their order, under one number. */
function isLater({ seq, botParams }, known) {
  return seq > known.seq || (seq === known.seq && botParams.status !== known.botParams.status);
}

function isUnfinished({ messageType, botParams }) {
  return messageType === "human" && (botParams.status === "pending" || botParams.status === "processing");
}

function isTwin(entry, { text, username, color, botParams }) {
  return entry.text === text && entry.username === username && entry.color === color && (entry.entity || null) === botParams.entity;
}
