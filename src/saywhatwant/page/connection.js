/**
 * Keeps the feed up to date: by WebSocket if possible, else by polling.
 *
 * @import { CallFailed as Failure } from "./api.js"
 * @import { Feed } from "./feed.js"
 * @import { Changes, ConnectionState, Frame, Message } from "./types"
 */

import { CallFailed, changes, latest } from "./api.js";
import { Backoff, PollSchedule } from "./poll.js";
import { Reconciler } from "./reconciler.js";
import { Socket } from "./socket.js";

const FIRST_PAGE = 50;
const MISSED_PAGE = 200;
/** The token of having nothing. */
const NO_TOKEN = "0";
/** A live socket that is silent for longer may be dead: most servers send heartbeats more often. */
const SILENT_MS = 30_000;
/** How long it may then take to answer. */
const ANSWER_MS = 3_000;
/** A socket that was live for less time is reopened only after a pause. */
const STEADY_MS = 10_000;
/** Added to the pause after a refused socket while the server answers polls: it probably has too many sockets. */
const REFUSED_MS = 30_000;

/**
 * What happens to a connection:
 *   read      the server answered over HTTP, and the feed has its answer
 *   failed    the server did not answer
 *   caughtUp  the socket has sent everything that was missed
 *   lost      the socket was closed, or could not be opened
 *   wake      the page became visible, or the visitor wants to try now
 *   online    the network is back, perhaps a different one
 *   posted    our own post was accepted, and will be answered soon
 *   hidden    the page is no longer visible
 * @typedef {"read" | "failed" | "caughtUp" | "lost" | "wake" | "online" | "posted" | "hidden"} Event
 * @typedef {"loading" | "opening" | "live" | "asking" | "polling" | "offline"} State
 * @typedef {(connection: Connection, failure?: Failure) => void} Action
 * @typedef {{ shown?: ConnectionState["name"], enter: Action } & { [event in Event]?: State | Action }} Row
 */

export class Connection {
  /**
   * The states: how each is shown, its action on entry, and for each event the next state or an action. An event that a
   * state does not list is ignored. Polling and offline are shown with the time of the next read.
   *
   *   loading  reads the first page
   *   opening  opens a socket, now or after a pause
   *   live     has a socket, and everything that the server has
   *   asking   has no socket, and checks whether the server answers at all
   *   polling  reads by a schedule, and tries to open a socket now and then
   *   offline  reads now and then, until the server answers
   *
   * @type {Record<State, Row>}
   */
  static #STATES = {
    loading: { shown: "connecting", enter: (it) => it.#read(), read: "opening", failed: "offline" },
    opening: {
      shown: "connecting",
      enter: (it) => it.#openAfterPause(),
      caughtUp: "live",
      lost: "asking",
      wake: (it) => it.#open(),
      online: (it) => it.#open(),
    },
    live: {
      shown: "live",
      enter: (it) => it.#reconciler.check(),
      caughtUp: (it) => it.#reconciler.check(),
      lost: "opening",
      wake: (it) => it.#checkIfSilent(),
      online: (it) => it.#socket?.close(),
    },
    asking: { shown: "connecting", enter: (it) => it.#read(), read: "polling", failed: "offline" },
    polling: {
      enter: (it) => it.#startPolling(),
      read: (it) => it.#polled(),
      failed: "offline",
      caughtUp: "live",
      lost: (it) => it.#openAfterPause(),
      wake: (it) => it.#tryAll(),
      online: (it) => it.#tryAll(),
      posted: (it) => it.#pollNow(),
      hidden: (it) => it.#pollLater(),
    },
    offline: {
      enter: (it, failure) => it.#readLater(failure),
      read: (it) => it.#reopen(),
      failed: (it, failure) => it.#readLater(failure),
      // A socket may still have been opening when the last read failed.
      caughtUp: "live",
      wake: (it) => it.#read(),
      online: (it) => it.#read(),
    },
  };

  #feed;
  #changed;
  #show;
  #reconciler;
  /** @type {State} */
  #state = "loading";
  /** Stands for what the feed has, all of it; comes from the server and is sent back as it is. @type {string | null} */
  #token = null;
  #reading = false;
  /** @type {Socket | null} */
  #socket = null;
  #readTimer = 0;
  #socketTimer = 0;
  #schedule = new PollSchedule();
  #readBackoff = new Backoff(1_000, 30_000);
  #socketBackoff = new Backoff(250, 60_000);
  #socketPauseMs = 0;
  #liveSince = 0;

  /**
   * @param {Feed} feed
   * @param {(changes: Changes) => void} changed called each time the feed has changed
   * @param {(state: ConnectionState) => void} show called each time the state has changed
   */
  constructor(feed, changed, show) {
    this.#feed = feed;
    this.#changed = changed;
    this.#show = show;
    this.#reconciler = new Reconciler(feed, () => changed({ fresh: [], failed: [], hidden: [], changed: true }));
  }

  start() {
    addEventListener("online", () => this.#on("online"));
    addEventListener("focus", () => this.wake());
    document.addEventListener("visibilitychange", () => this.#on(document.hidden ? "hidden" : "wake"));
    this.#enter("loading");
  }

  /** Does the next scheduled work now. */
  wake() {
    this.#on("wake");
  }

  /** Our own post was accepted: look for it and for its answer soon. */
  posted() {
    this.#on("posted");
  }

  // -- States

  /** @param {Event} event @param {Failure} [failure] */
  #on(event, failure) {
    const next = Connection.#STATES[this.#state][event];
    if (typeof next === "string") this.#enter(next, failure);
    else next?.(this, failure);
  }

  /** @param {State} state @param {Failure} [failure] */
  #enter(state, failure) {
    clearTimeout(this.#readTimer);
    clearTimeout(this.#socketTimer);
    if (this.#state === "live") this.#reconciler.missed();
    if (state === "live") this.#liveSince = Date.now();
    this.#state = state;
    const { shown, enter } = Connection.#STATES[state];
    if (shown) this.#show({ name: shown });
    enter(this, failure);
  }

  #startPolling() {
    this.#schedule.reset();
    this.#pollLater();
    this.#openAfterPause();
  }

  #polled() {
    // Between two polls a message may have been finished and removed.
    this.#reconciler.missed();
    this.#reconciler.check();
    this.#pollLater();
  }

  #pollLater() {
    const everyMs = this.#schedule.next(document.hidden);
    this.#show({ name: "polling", everyMs });
    clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => this.#read(), everyMs);
  }

  #pollNow() {
    this.#schedule.reset();
    this.#read();
  }

  #tryAll() {
    this.#pollNow();
    this.#open();
  }

  /** @param {Failure} [failure] */
  #readLater(failure) {
    const waitMs = Math.max(this.#readBackoff.next(), failure?.retryAfterMs ?? 0);
    this.#show({ name: "offline", retryAt: Date.now() + waitMs });
    clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => this.#read(), waitMs);
  }

  /** The server is back: earlier failures to open a socket no longer count. */
  #reopen() {
    this.#socketPauseMs = 0;
    this.#enter("opening");
  }

  // -- Reading

  async #read() {
    if (this.#reading) return;
    this.#reading = true;
    clearTimeout(this.#readTimer);
    const failure = await this.#readAll().catch(asFailure);
    this.#reading = false;
    if (failure) return this.#on("failed", failure);
    this.#readBackoff.reset();
    this.#on("read");
  }

  async #readAll() {
    let more = true;
    while (more || this.#token === null)
      more = this.#token === null ? await this.#readFirst() : await this.#readChanges(this.#token);
  }

  async #readFirst() {
    const { messages, token, more } = await latest(FIRST_PAGE);
    this.#token = token ?? NO_TOKEN;
    this.#changed(this.#feed.load(messages, !more));
    return false;
  }

  /** @param {string} token @returns {Promise<boolean>} whether there is more */
  async #readChanges(token) {
    const { messages, token: next, more, reset } = await changes(token, MISSED_PAGE);
    if (reset) {
      if (this.#token === token) this.#forget();
      return false;
    }
    this.#merge(messages);
    // A proxy may have removed the token: then the same changes are read again. Or a socket has brought more meanwhile.
    if (next === null || this.#token !== token) return false;
    this.#token = next;
    return more && next !== token;
  }

  /** What we have is of another time: begin again. */
  #forget() {
    this.#token = null;
    this.#feed.forget();
  }

  /** @param {Message[]} messages */
  #merge(messages) {
    const merged = this.#feed.merge(messages);
    if (!merged.changed) return;
    this.#schedule.reset();
    this.#changed(merged);
  }

  // -- The socket

  #openAfterPause() {
    clearTimeout(this.#socketTimer);
    if (this.#socketPauseMs) this.#socketTimer = setTimeout(() => this.#open(), this.#socketPauseMs);
    else this.#open();
  }

  #open() {
    if (this.#socket) return;
    clearTimeout(this.#socketTimer);
    const since = /** @type {string} */ (this.#token); // the first page is read before any socket is opened
    this.#socket = new Socket(
      since,
      (frame) => this.#receive(frame),
      (opened) => this.#lost(opened),
    );
  }

  #checkIfSilent() {
    if (this.#socket && this.#socket.silentMs > SILENT_MS) this.#socket.check(ANSWER_MS);
  }

  /** @param {Frame} frame */
  #receive({ seq, events, more, reset }) {
    if (reset) {
      this.#forget();
      this.#socket?.close();
      this.#enter("loading");
      return;
    }
    const applied = this.#feed.apply(events);
    if (events.length) this.#changed(applied);
    // Also behind a page of what was missed: a socket that is lost before the last one need not begin again.
    this.#token = String(seq);
    if (!more) this.#on("caughtUp");
  }

  /** @param {boolean} opened */
  #lost(opened) {
    this.#socket = null;
    const wasSteady = this.#state === "live" && Date.now() - this.#liveSince > STEADY_MS;
    const wasRefused = this.#state === "polling" && !opened;
    if (wasSteady) this.#socketBackoff.reset();
    this.#socketPauseMs = wasSteady ? 0 : this.#socketBackoff.next() + (wasRefused ? REFUSED_MS : 0);
    this.#on("lost");
  }
}

/** @param {unknown} error @returns {Failure} */
function asFailure(error) {
  if (error instanceof CallFailed) return error;
  // A bug of the page; it keeps trying.
  reportError(error);
  return new CallFailed("unexpected error in the page");
}
