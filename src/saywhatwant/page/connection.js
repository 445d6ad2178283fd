/** Keeps the feed up to date: by socket when there is one, by polling while there is none. */

import * as api from "./api.js";
import { Backoff, PollSchedule } from "./poll.js";
import { RENEWED, Socket, TOO_SLOW } from "./socket.js";

const FIRST_PAGE = 50;
const MISSED_PAGE = 200;
/** Longer than the pause between two heartbeats. */
const SUSPICIOUS_MS = 30_000;
const AT_ONCE = new Set([TOO_SLOW, RENEWED]);

export class Connection {
  #feed;
  #changed;
  #showState;
  #socket = null;
  #token = null;
  #live = false;
  #asking = false;
  #askAgain = false;
  #askTimer = 0;
  #socketTimer = 0;
  #schedule = new PollSchedule();
  #askBackoff = new Backoff(1_000, 30_000);
  #socketBackoff = new Backoff(1_000, 60_000);
  // A quarter less is still half a minute.
  #refusedBackoff = new Backoff(40_000, 320_000);
  /** The wall has answered since the last live socket was lost. */
  #reached = false;
  /** While the next socket is waited for: the last one was never open, though the wall could be reached. */
  #refused = false;
  #state = { name: "connecting" };

  /**
   * @param changed called with what `Feed.apply` gives each time the feed has changed
   * @param showState called with `{name, everyMs?, retryAt?}` when the state has changed
   */
  constructor(feed, changed, showState) {
    this.#feed = feed;
    this.#changed = changed;
    this.#showState = showState;
  }

  start() {
    addEventListener("online", () => this.#renew());
    addEventListener("focus", () => this.wake());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#slowDown() : this.wake()));
    this.#ask();
  }

  /** Somebody looks, or the network is back: do at once what would be done later. */
  wake() {
    if (this.#live) return this.#doubt();
    this.#schedule.active();
    this.#ask();
    if (this.#state.name === "polling" && !this.#refused) this.#openSocket();
  }

  /** Whoever has slept can not tell by their timers whether the socket is alive still. */
  #doubt() {
    if (this.#socket.silentMs > SUSPICIOUS_MS) this.#socket.close();
  }

  /** The network is another one perhaps, and the socket of before may be dead without knowing. */
  #renew() {
    if (this.#live) return this.#socket.close();
    this.#stopSocketTimer();
    this.wake();
  }

  /** Something of ours has happened that the wall will show soon. */
  expect() {
    if (this.#state.name !== "polling") return;
    this.#schedule.active();
    this.#ask();
  }

  #become(state) {
    this.#state = state;
    this.#showState(state);
  }

  // -- Asking

  async #ask() {
    if (this.#asking) {
      this.#askAgain = true;
      return;
    }
    clearTimeout(this.#askTimer);
    this.#asking = true;
    try {
      await this.#read();
      this.#asked();
    } catch (error) {
      this.#unanswered(error);
    } finally {
      this.#asking = false;
    }
    if (this.#askAgain) {
      this.#askAgain = false;
      if (!this.#live) this.#ask();
    }
  }

  async #read() {
    const token = this.#token;
    if (token === null) return this.#load();
    const { messages, seq } = await api.changes(token, MISSED_PAGE);
    this.#take(messages);
    // An ETag may get lost on the way; the last message tells nearly as much.
    const next = seq ?? messages.at(-1)?.seq ?? token;
    // A socket may have told of more meanwhile.
    if (this.#token === token) this.#token = next;
    if (messages.length >= MISSED_PAGE && next > token) this.#askAgain = true;
  }

  async #load() {
    const { messages, seq } = await api.latest(FIRST_PAGE);
    this.#token = seq ?? 0;
    this.#changed(this.#feed.load(messages, messages.length < FIRST_PAGE));
  }

  #take(messages) {
    const taken = this.#feed.merge(messages);
    if (!taken.changed) return;
    this.#schedule.active();
    this.#changed(taken);
  }

  #asked() {
    this.#askBackoff.reset();
    this.#reached = true;
    if (this.#live) return;
    const reachedAgain = this.#state.name !== "polling";
    if (this.#state.name === "connecting" && !this.#socket && !this.#socketTimer) return this.#openSocket();
    this.#keepPolling();
    if (reachedAgain && !this.#socket && !this.#socketTimer) this.#openSocket();
  }

  #keepPolling() {
    const everyMs = this.#schedule.next(document.hidden);
    this.#become({ name: "polling", everyMs });
    clearTimeout(this.#askTimer);
    this.#askTimer = setTimeout(() => this.#ask(), everyMs);
  }

  #slowDown() {
    if (this.#state.name === "polling") this.#keepPolling();
  }

  #unanswered(error) {
    if (this.#live) return;
    this.#reached = false;
    this.#stopSocketTimer();
    const waitMs = Math.max(this.#askBackoff.next(), error.retryAfterMs ?? 0);
    this.#become({ name: "offline", retryAt: Date.now() + waitMs });
    clearTimeout(this.#askTimer);
    this.#askTimer = setTimeout(() => this.#ask(), waitMs);
  }

  // -- The socket

  #openSocket() {
    if (this.#socket || this.#token === null) return;
    this.#stopSocketTimer();
    const lost = (code, wasOpen) => this.#lostSocket(code, wasOpen);
    this.#socket = new Socket(this.#token, (frame) => this.#receive(frame), lost);
  }

  #receive({ seq, events, more }) {
    const taken = this.#feed.apply(events);
    if (events.length) this.#changed(taken);
    if (more) return;
    this.#token = seq;
    if (this.#live) return;
    this.#live = true;
    this.#reached = false;
    clearTimeout(this.#askTimer);
    this.#socketBackoff.reset();
    this.#refusedBackoff.reset();
    this.#become({ name: "live" });
  }

  #lostSocket(code, wasOpen) {
    this.#socket = null;
    const wasLive = this.#live;
    this.#live = false;
    if (wasLive || this.#state.name === "connecting") {
      this.#become({ name: "connecting" });
      this.#schedule.active();
    }
    if (wasLive && AT_ONCE.has(code)) return this.#openSocket();
    if (this.#state.name !== "offline") this.#retrySocket(wasOpen);
    if (this.#state.name === "connecting") this.#ask();
  }

  #retrySocket(wasOpen) {
    this.#stopSocketTimer();
    this.#refused = !wasOpen && this.#reached;
    const backoff = this.#refused ? this.#refusedBackoff : this.#socketBackoff;
    this.#socketTimer = setTimeout(() => this.#openSocket(), backoff.next());
  }

  #stopSocketTimer() {
    clearTimeout(this.#socketTimer);
    this.#socketTimer = 0;
    this.#refused = false;
  }
}
