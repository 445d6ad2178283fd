/** Keeps the feed up to date: by socket when there is one, by polling while there is none. */

import * as api from "./api.js";
import { Backoff, PollSchedule } from "./poll.js";
import { RENEWED, Socket, TOO_MANY, TOO_SLOW } from "./socket.js";

const FIRST_PAGE = 50;
const PAGE = 500;
const CROWDED_MS = 30_000;
const AT_ONCE = new Set([TOO_SLOW, RENEWED]);

export class Connection {
  #feed;
  #changed;
  #showState;
  #socket = null;
  #token = null;
  #polledSeq = null;
  #live = false;
  #asking = false;
  #askAgain = false;
  #askTimer = 0;
  #socketTimer = 0;
  #schedule = new PollSchedule();
  #askBackoff = new Backoff(1_000, 30_000);
  #socketBackoff = new Backoff(1_000, 60_000);
  #state = { name: "connecting" };

  /**
   * @param changed called with the messages that are new each time the feed has changed
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
    if (this.#live) return;
    this.#schedule.active();
    this.#ask();
    if (this.#state.name === "polling") this.#openSocket();
  }

  /** The network is another one perhaps, and the socket of before may be dead without knowing. */
  #renew() {
    if (this.#live) this.#socket.close();
    else this.wake();
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
    if (this.#token === null) {
      const { messages, seq } = await api.latest(FIRST_PAGE);
      this.#feed.load(messages, messages.length < FIRST_PAGE);
      this.#token = this.#polledSeq = seq ?? 0;
      this.#changed([]);
      return;
    }
    let since = this.#feed.pollSince();
    let page;
    do {
      page = await api.newer(since, PAGE, this.#polledSeq);
      this.#take(page.messages);
      since = page.messages.at(-1)?.timestamp;
    } while (page.messages.length === PAGE);
    this.#polledSeq = page.seq;
  }

  #take(messages) {
    const { fresh, changed } = this.#feed.merge(messages);
    if (!changed) return;
    this.#schedule.active();
    this.#changed(fresh);
  }

  #asked() {
    this.#askBackoff.reset();
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
    this.#socket = new Socket(this.#token, (frame) => this.#receive(frame), (code) => this.#lostSocket(code));
  }

  #receive({ seq, events, more }) {
    const { fresh } = this.#feed.apply(events);
    if (events.length) this.#changed(fresh);
    if (more) return;
    this.#token = seq;
    if (this.#live) return;
    this.#live = true;
    clearTimeout(this.#askTimer);
    this.#socketBackoff.reset();
    this.#become({ name: "live" });
  }

  #lostSocket(code) {
    this.#socket = null;
    const wasLive = this.#live;
    this.#live = false;
    if (wasLive || this.#state.name === "connecting") {
      this.#become({ name: "connecting" });
      this.#polledSeq = null;
      this.#schedule.active();
    }
    if (wasLive && AT_ONCE.has(code)) return this.#openSocket();
    if (this.#state.name !== "offline") this.#retrySocket(code);
    if (this.#state.name === "connecting") this.#ask();
  }

  #retrySocket(code) {
    const waitMs = Math.max(this.#socketBackoff.next(), code === TOO_MANY ? CROWDED_MS : 0);
    this.#stopSocketTimer();
    this.#socketTimer = setTimeout(() => {
      this.#socketTimer = 0;
      this.#openSocket();
    }, waitMs);
  }

  #stopSocketTimer() {
    clearTimeout(this.#socketTimer);
    this.#socketTimer = 0;
  }
}
