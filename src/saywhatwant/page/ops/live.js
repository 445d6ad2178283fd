/**
 * The figures as they come: over a WebSocket, or by polls where there is none. Nothing comes while the page is hidden.
 *
 * @import { Figures } from "./types"
 */

import { CallFailed, figures } from "./calls.js";

/** The server sends once a second: a socket that is silent for longer is dead. */
const SILENT_MS = 10_000;
const POLL_MS = 2_000;
const LONGEST_PAUSE_MS = 15_000;
/** Polls until a socket is tried again. */
const POLLS = 15;

/** @typedef {"connecting" | "live" | "polling" | "offline" | "hidden"} LiveState */

export class Live {
  #onFigures;
  #onState;
  #onRefused;
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0;
  #failures = 0;
  #polls = 0;
  #running = false;

  /**
   * @param {(figures: Figures) => void} onFigures
   * @param {(state: LiveState) => void} onState
   * @param {() => void} onRefused the server does not let us look any more
   */
  constructor(onFigures, onState, onRefused) {
    this.#onFigures = onFigures;
    this.#onState = onState;
    this.#onRefused = onRefused;
    document.addEventListener("visibilitychange", () => this.#follow());
    addEventListener("online", () => this.#follow());
  }

  start() {
    this.#running = true;
    this.#follow();
  }

  stop() {
    this.#running = false;
    this.#close();
  }

  #follow() {
    if (!this.#running) return;
    this.#close();
    if (document.hidden) return this.#onState("hidden");
    this.#onState("connecting");
    this.#open();
  }

  #close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #open() {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/ops/ws`);
    this.#socket = socket;
    this.#expect(socket);
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.#socket) return;
      this.#expect(socket);
      this.#failures = 0;
      this.#onState("live");
      this.#onFigures(JSON.parse(data));
    });
    socket.addEventListener("close", () => {
      if (socket !== this.#socket) return;
      this.#close();
      this.#polls = POLLS;
      this.#poll();
    });
  }

  /** @param {WebSocket} socket */
  #expect(socket) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => socket.dispatchEvent(new Event("close")), SILENT_MS);
  }

  async #poll() {
    try {
      const found = await figures();
      if (!this.#running || document.hidden) return;
      this.#failures = 0;
      this.#onState("polling");
      this.#onFigures(found);
    } catch (error) {
      if (!this.#running || document.hidden) return;
      if (error instanceof CallFailed && (error.status === 401 || error.status === 403)) return this.#onRefused();
      this.#failures += 1;
      this.#onState("offline");
      this.#polls = 0;
    }
    this.#polls -= 1;
    const pause = this.#failures ? Math.min(POLL_MS * 2 ** (this.#failures - 1), LONGEST_PAUSE_MS) : POLL_MS;
    this.#timer = setTimeout(() => (this.#failures === 0 && this.#polls <= 0 ? this.#open() : this.#poll()), pause);
  }
}
