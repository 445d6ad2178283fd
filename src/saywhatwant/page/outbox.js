/**
 * Posts on their way: kept across reloads, and sent in order, each exactly once (its key makes retries safe).
 *
 * @import { CallFailed } from "./api.js"
 * @import { Draft, Entry, Posted } from "./types"
 */

import { inTurn } from "./lock.js";
import { Backoff } from "./poll.js";
import { forget, namesUnder, onForgotten, recall, remember } from "./storage.js";

const PREFIX = "outbox.";
const LOCK = "saywhatwant.outbox";
/** The server remembers a key for 24 hours; the difference is a margin for requests on their way. */
const KEY_LIFETIME_MS = 20 * 60 * 60 * 1_000;
const OVERDUE = "it is too old to be sent again; it may have been posted already";

export class Outbox {
  /** In the order they were written. @type {Entry[]} */
  entries = [];
  #send;
  #newestKnown;
  #changed;
  #acknowledged;
  #refused;
  #held;
  #sending = false;
  #timer = 0;
  #notBefore = 0;
  #backoff = new Backoff(1_000, 30_000);
  /** Keys of entries whose latest state is in localStorage, where other tabs may change or remove them. @type {Set<string>} */
  #stored = new Set();
  /** Keys of entries that were sent or discarded: localStorage may have failed to remove them. @type {Set<string>} */
  #done = new Set();

  /**
   * @param {object} callbacks
   * @param {(entry: Entry) => Promise<Posted>} callbacks.send posts an entry; rejects with a `CallFailed`
   * @param {() => number | null} callbacks.newestKnown the timestamp of the newest message known; null before the first
   *   page is read, when nothing is sent
   * @param {() => void} callbacks.changed called when the entries have changed
   * @param {(entry: Entry, posted: Posted) => void} callbacks.acknowledged called when the server has accepted an entry
   * @param {(entry: Entry) => void} callbacks.refused called when the server will never accept an entry
   * @param {(entry: Entry) => void} callbacks.held called when an entry waits for an operator's review
   */
  constructor({ send, newestKnown, changed, acknowledged, refused, held }) {
    this.#send = send;
    this.#newestKnown = newestKnown;
    this.#changed = changed;
    this.#acknowledged = acknowledged;
    this.#refused = refused;
    this.#held = held;
  }

  /** Whether a reload would lose none of them: all are stored, and none is being sent. */
  get isKept() {
    return this.entries.every(({ key, state }) => this.#stored.has(key) && state !== "sending");
  }

  /** Loads the entries that an earlier visit left. */
  start() {
    onForgotten((name) => {
      if (name.startsWith(PREFIX)) this.#drop((entry) => nameOf(entry) === name);
    });
    this.#load();
  }

  /** @param {Draft} draft */
  add(draft) {
    /** @type {Entry} */
    const entry = {
      key: newKey(),
      createdAt: Date.now(),
      ...draft,
      sentAfter: null,
      attempt: 0,
      state: "queued",
      reason: "",
    };
    this.entries = [...this.entries, entry];
    this.#store(entry);
    if (!this.#timer) this.flush();
  }

  /** Removes an entry, and returns it. @param {string} key */
  discard(key) {
    const entry = this.entries.find((other) => other.key === key);
    if (entry) this.#remove(entry);
    return entry;
  }

  /** Removes the held entries whose messages are there. @param {(id: string) => boolean} isThere */
  settle(isThere) {
    for (const entry of this.entries.filter(({ heldAs }) => heldAs && isThere(heldAs))) this.#remove(entry);
  }

  /** Sends what is queued now, unless the server asked to wait. */
  async flush() {
    if (this.#sending || this.#newestKnown() === null || Date.now() < this.#notBefore) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#sending = true;
    try {
      do await inTurn(LOCK, () => this.#tryNext());
      while (!this.#timer && this.#next());
    } finally {
      this.#sending = false;
    }
  }

  async #tryNext() {
    this.#load();
    const entry = this.#next();
    if (entry) await this.#try(entry);
  }

  /** Applies what other tabs have added, sent or discarded. Entries that localStorage did not store stay as they are. */
  #load() {
    const ours = this.entries.filter(({ key }) => !this.#stored.has(key));
    const skipped = new Set([...this.#done, ...ours.map(({ key }) => key)]);
    const stored = namesUnder(PREFIX)
      .map((name) => recall(name))
      .filter((entry) => isEntry(entry) && !skipped.has(entry.key));
    for (const { key } of stored) this.#stored.add(key);
    this.entries = [...stored, ...ours].sort((one, other) => one.createdAt - other.createdAt);
    for (const entry of this.entries) if (isOnItsWay(entry)) entry.state = "queued";
    this.#changed();
    for (const entry of this.entries.filter(isOverdue)) this.#refuse(entry, OVERDUE);
  }

  #next() {
    return this.entries.find(isOnItsWay);
  }

  /** @param {Entry} entry */
  async #try(entry) {
    entry.sentAfter ??= this.#newestKnown();
    entry.attempt += 1;
    entry.state = "sending";
    this.#store(entry);
    try {
      const posted = await this.#send(entry);
      this.#backoff.reset();
      if (posted.status === "held") return this.#hold(entry, posted);
      this.#remove(entry);
      this.#acknowledged(entry, posted);
    } catch (error) {
      this.#failed(entry, /** @type {CallFailed} */ (error));
    }
  }

  /** @param {Entry} entry @param {CallFailed} error */
  #failed(entry, error) {
    if (this.#isGone(entry)) return this.#drop(({ key }) => key === entry.key);
    if (error.permanent) return this.#refuse(entry, error.message);
    entry.reason = error.message;
    entry.state = "queued";
    this.#store(entry);
    const askedMs = error.retryAfterMs ?? 0;
    this.#notBefore = Date.now() + askedMs;
    this.#timer = setTimeout(() => this.#retry(), Math.max(this.#backoff.next(), askedMs));
  }

  /** It stays until its message comes, or the visitor discards it. @param {Entry} entry @param {Posted} posted */
  #hold(entry, { id }) {
    entry.heldAs = id;
    entry.state = "held";
    entry.reason = "";
    this.#store(entry);
    this.#held(entry);
  }

  #retry() {
    this.#notBefore = 0;
    this.flush();
  }

  /** @param {Entry} entry @param {string} reason */
  #refuse(entry, reason) {
    entry.reason = reason;
    entry.state = "refused";
    this.#store(entry);
    this.#refused(entry);
  }

  /** @param {Entry} entry */
  #store(entry) {
    if (remember(nameOf(entry), entry)) this.#stored.add(entry.key);
    else this.#stored.delete(entry.key);
    this.#changed();
  }

  /** @param {Entry} entry */
  #remove(entry) {
    forget(nameOf(entry));
    this.#drop(({ key }) => key === entry.key);
  }

  /** Whether another tab has sent or discarded it meanwhile. @param {Entry} entry */
  #isGone(entry) {
    return this.#done.has(entry.key) || (this.#stored.has(entry.key) && recall(nameOf(entry)) === null);
  }

  /** @param {(entry: Entry) => boolean} matches */
  #drop(matches) {
    for (const { key } of this.entries.filter(matches)) this.#done.add(key);
    this.entries = this.entries.filter((entry) => !matches(entry));
    this.#changed();
  }
}

/** Each entry has its own name, so that two tabs never overwrite each other's entries. @param {Entry} entry */
function nameOf({ createdAt, key }) {
  return `${PREFIX}${createdAt}.${key}`;
}

/** @param {any} value @returns {value is Entry} */
function isEntry(value) {
  return typeof value?.key === "string" && typeof value.text === "string" && Number.isFinite(value.createdAt);
}

/** @param {Entry} entry */
function isOnItsWay({ state }) {
  return state !== "refused" && state !== "held";
}

/** @param {Entry} entry */
function isOverdue(entry) {
  const { createdAt, attempt } = entry;
  return isOnItsWay(entry) && attempt > 0 && Date.now() - createdAt > KEY_LIFETIME_MS;
}

/** A random UUID; `crypto.randomUUID` is missing when the page is not served over HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte, at) => {
    const value = at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte;
    return value.toString(16).padStart(2, "0");
  });
  return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
