/**
 * One WebSocket connection, which is closed when it stays silent.
 *
 * @import { Frame } from "./types"
 */

import { isFrame } from "./wire.js";

/** The server sends a heartbeat every 25 seconds. */
const SILENCE_MS = 60_000;
const OPENING_MS = 10_000;

export class Socket {
  #socket;
  #timer = 0;
  #opened = false;
  #lastFrameAt = Date.now();
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

  /** The time since the last frame, including any sleep of the device. */
  get silentMs() {
    return Date.now() - this.#lastFrameAt;
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
    this.#lastFrameAt = Date.now();
    this.#giveUpAfter(SILENCE_MS);
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
