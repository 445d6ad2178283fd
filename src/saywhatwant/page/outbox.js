/** Our posts on their way: kept across reloads, sent in order, each exactly once (its key makes a repeat harmless). */

import { Backoff } from "./poll.js";
import { forget, namesUnder, onForgotten, recall, remember } from "./storage.js";

const PLACE = "outbox.";

export class Outbox {
  /** In the order they were written. `state` is "waiting", "sending" or "refused". */
  entries = [];
  #send;
  #changed;
  #acknowledged;
  #refused;
  #sending = false;
  #timer = 0;
  #notBefore = 0;
  #backoff = new Backoff(1_000, 30_000);

  /**
   * @param send posts an entry; rejects with a `CallFailed`
   * @param changed called when the entries are different
   * @param acknowledged called with an entry and the server's answer
   * @param refused called with an entry that the server will never take as it is
   */
  constructor({ send, changed, acknowledged, refused }) {
    this.#send = send;
    this.#changed = changed;
    this.#acknowledged = acknowledged;
    this.#refused = refused;
  }

  /** Takes up what an earlier visit has left. */
  start() {
    this.entries = namesUnder(PLACE).map((name) => recall(name)).filter(isEntry);
    for (const entry of this.entries) if (entry.state === "sending") entry.state = "waiting";
    onForgotten((name) => {
      if (name.startsWith(PLACE)) this.#drop((entry) => place(entry) === name);
    });
    this.#changed();
    this.flush();
  }

  add({ text, username, color, entity }) {
    const entry = { key: newKey(), createdAt: Date.now(), text, username, color, entity, attempt: 0, state: "waiting", reason: "" };
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
    if (this.#sending || Date.now() < this.#notBefore) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#sending = true;
    for (let entry; !this.#timer && (entry = this.#next()); ) await this.#try(entry);
    this.#sending = false;
  }

  #next() {
    return this.entries.find(({ state }) => state !== "refused");
  }

  async #try(entry) {
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
    entry.reason = error.message;
    entry.state = error.permanent ? "refused" : "waiting";
    this.#keep(entry);
    if (error.permanent) return this.#refused(entry);
    const askedMs = error.retryAfterMs ?? 0;
    this.#notBefore = Date.now() + askedMs;
    this.#timer = setTimeout(() => this.#retry(), Math.max(this.#backoff.next(), askedMs));
  }

  #retry() {
    this.#notBefore = 0;
    this.flush();
  }

  #keep(entry) {
    remember(place(entry), entry);
    this.#changed();
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

/** A random UUID; `crypto.randomUUID` is missing where the page is not served over HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
