/**
 * One WebSocket connection, which is closed when it stays silent.
 *
 * @import { Frame } from "./types"
 */

import { isFrame } from "./wire.js";

/** Most servers send a heartbeat every 25 seconds. One that sleeps meanwhile does not; it answers pings. */
const QUIET_MS = 40_000;
const ANSWER_MS = 20_000;
/** After this the device has slept: browsers delay timers of hidden pages by a minute at most. */
const SLEPT_MS = 180_000;
const PING = "ping";
const PONG = "pong";
const OPENING_MS = 10_000;

export class Socket {
  #socket;
  #timer = 0;
  #opened = false;
  #heardAt = Date.now();
  /** @type {(frame: Frame) => void} */
  #onFrame;
  /** @type {((opened: boolean) => void) | null} */
  #onEnd;

  /**
   * @param {string} since the token after which to begin
   * @param {(frame: Frame) => void} onFrame
   * @param {(opened: boolean) => void} onEnd called once, when the connection has ended, with whether it was ever open
   *   (browsers do not show why a handshake was refused)
   */
  constructor(since, onFrame, onEnd) {
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    this.#socket = new WebSocket(address(since));
    this.#socket.addEventListener("open", () => {
      this.#opened = true;
    });
    this.#socket.addEventListener("message", ({ data }) => this.#receive(data));
    this.#socket.addEventListener("close", () => this.close());
    this.#giveUpAfter(OPENING_MS);
  }

  /** The time since the last frame or answer, including any sleep of the device. */
  get silentMs() {
    return Date.now() - this.#heardAt;
  }

  /** Closes it, unless the server answers within this time; at once if nothing can have kept it open. @param {number} ms */
  check(ms) {
    if (this.silentMs > SLEPT_MS) {
      this.close();
      return;
    }
    if (this.#opened) this.#socket.send(PING);
    this.#giveUpAfter(ms);
  }

  close() {
    clearTimeout(this.#timer);
    const onEnd = this.#onEnd;
    this.#onEnd = null;
    this.#socket.close();
    onEnd?.(this.#opened);
  }

  /** @param {unknown} data */
  #receive(data) {
    if (!this.#onEnd) return;
    this.#heardAt = Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.check(ANSWER_MS), QUIET_MS);
    if (data === PONG) return;
    const frame = parsed(data);
    if (isFrame(frame)) this.#onFrame(frame);
    else this.close();
  }

  /** @param {number} ms */
  #giveUpAfter(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), ms);
  }
}

/** @param {string} since */
function address(since) {
  const url = new URL(`/api/ws?${new URLSearchParams({ since })}`, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** @param {unknown} data */
function parsed(data) {
  try {
    return JSON.parse(String(data));
  } catch {
    return null;
  }
}
