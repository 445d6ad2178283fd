/** Our posts on their way: kept across reloads, sent in order, each exactly once (its key makes a repeat harmless). */

import { inTurn } from "./lock.js";
import { Backoff } from "./poll.js";
import { forget, namesUnder, onForgotten, recall, remember } from "./storage.js";

const PLACE = "outbox.";
const LOCK = "saywhatwant.outbox";
/** The server knows a key for 24 hours. Some are left for an attempt that is on its way. */
const KEY_IS_GOOD_MS = 20 * 60 * 60 * 1_000;
const OVERDUE = "it is too old to be sent again, and it is not known whether it was posted before";

export class Outbox {
  /** In the order they were written. `state` is "waiting", "sending" or "refused". */
  entries = [];
  #send;
  #newestKnown;
  #changed;
  #acknowledged;
  #refused;
  #sending = false;
  #timer = 0;
  #notBefore = 0;
  #backoff = new Backoff(1_000, 30_000);
  /** The keys of entries that localStorage has taken: for these it tells what has become of them. */
  #kept = new Set();

  /**
   * @param send posts an entry; rejects with a `CallFailed`
   * @param newestKnown gives the timestamp of the newest message known; null before any could be, when nothing is sent
   * @param changed called when the entries are different
   * @param acknowledged called with an entry and the server's answer
   * @param refused called with an entry that the server will never take as it is
   */
  constructor({ send, newestKnown, changed, acknowledged, refused }) {
    this.#send = send;
    this.#newestKnown = newestKnown;
    this.#changed = changed;
    this.#acknowledged = acknowledged;
    this.#refused = refused;
  }

  /** Takes up what an earlier visit has left. */
  start() {
    onForgotten((name) => {
      if (name.startsWith(PLACE)) this.#drop((entry) => place(entry) === name);
    });
    this.#takeUp();
  }

  add({ text, username, color, entity }) {
    const state = { sentAfter: null, attempt: 0, state: "waiting", reason: "" };
    const entry = { key: newKey(), createdAt: Date.now(), text, username, color, entity, ...state };
    this.entries = [...this.entries, entry];
    this.#keep(entry);
    if (!this.#timer) this.flush();
  }

  discard(key) {
    forget(place(this.get(key)));
    this.#drop((entry) => entry.key === key);
  }

  get(key) {
    return this.entries.find((entry) => entry.key === key);
  }

  /** Sends what waits, now; later only where the server has asked for that. */
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
    this.#takeUp();
    const entry = this.#next();
    if (entry) await this.#try(entry);
  }

  /** What other tabs have left, sent or discarded is seen in localStorage; what that could not take is ours alone. */
  #takeUp() {
    const kept = namesUnder(PLACE).map((name) => recall(name)).filter(isEntry);
    const ours = this.entries.filter(({ key }) => !this.#kept.has(key));
    for (const entry of kept) this.#kept.add(entry.key);
    this.entries = [...kept, ...ours].sort((one, other) => one.createdAt - other.createdAt);
    for (const entry of this.entries) if (entry.state === "sending") entry.state = "waiting";
    this.#changed();
    this.entries.filter(isOverdue).forEach((entry) => this.#refuse(entry, OVERDUE));
  }

  #next() {
    return this.entries.find(({ state }) => state !== "refused");
  }

  async #try(entry) {
    entry.sentAfter ??= this.#newestKnown();
    entry.attempt += 1;
    entry.state = "sending";
    this.#keep(entry);
    try {
      const answer = await this.#send(entry);
      this.#backoff.reset();
      this.#drop(({ key }) => key === entry.key);
      forget(place(entry));
      this.#acknowledged(entry, answer);
    } catch (error) {
      this.#failed(entry, error);
    }
  }

  #failed(entry, error) {
    if (this.#isGone(entry)) return this.#drop(({ key }) => key === entry.key);
    if (error.permanent) return this.#refuse(entry, error.message);
    entry.reason = error.message;
    entry.state = "waiting";
    this.#keep(entry);
    const askedMs = error.retryAfterMs ?? 0;
    this.#notBefore = Date.now() + askedMs;
    this.#timer = setTimeout(() => this.#retry(), Math.max(this.#backoff.next(), askedMs));
  }

  #retry() {
    this.#notBefore = 0;
    this.flush();
  }

  #refuse(entry, reason) {
    entry.reason = reason;
    entry.state = "refused";
    this.#keep(entry);
    this.#refused(entry);
  }

  #keep(entry) {
    if (remember(place(entry), entry)) this.#kept.add(entry.key);
    this.#changed();
  }

  /** Another tab has sent or discarded it meanwhile. */
  #isGone(entry) {
    return !this.get(entry.key) || (this.#kept.has(entry.key) && recall(place(entry)) === null);
  }

  #drop(matches) {
    this.entries = this.entries.filter((entry) => !matches(entry));
    this.#changed();
  }
}

/** Each entry has a place of its own, so that two tabs never overwrite what the other has written. */
function place({ createdAt, key }) {
  return `${PLACE}${createdAt}.${key}`;
}

function isEntry(value) {
  return typeof value?.key === "string" && typeof value.text === "string" && Number.isFinite(value.createdAt);
}

function isOverdue({ createdAt, attempt, state }) {
  return state !== "refused" && attempt > 0 && Date.now() - createdAt > KEY_IS_GOOD_MS;
}

/** A random UUID; `crypto.randomUUID` is missing where the page is not served over HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
