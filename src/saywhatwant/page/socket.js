/** The WebSocket that carries the wall: one connection, and a watch over its silence. */

const SILENCE_MS = 60_000;
const OPENING_MS = 10_000;

/** The server could not keep this reader supplied: it may come back at once. */
export const TOO_SLOW = 4008;
/** We have closed it ourselves. */
export const RENEWED = 1000;
/** It has ended without a word. */
const LOST = 1006;

export class Socket {
  #socket;
  #watch = 0;
  #opened = false;
  #lastHeard = Date.now();
  #onFrame;
  #onDown;

  /**
   * @param {number} since the commit from which on the server shall tell
   * @param onFrame called with each frame
   * @param onDown called once when the connection has ended or is given up, with the close code, and whether it was ever
   *   open: a server that has too many refuses one in HTTP, of which a browser tells nothing
   */
  constructor(since, onFrame, onDown) {
    this.#onFrame = onFrame;
    this.#onDown = onDown;
    this.#socket = new WebSocket(address(since));
    this.#socket.addEventListener("open", () => (this.#opened = true));
    this.#socket.addEventListener("message", ({ data }) => this.#heard(data));
    this.#socket.addEventListener("close", ({ code }) => this.#down(code));
    this.#watchFor(OPENING_MS);
  }

  /** How long ago the server has said anything, the sleep of this machine included. */
  get silentMs() {
    return Date.now() - this.#lastHeard;
  }

  close() {
    this.#down(RENEWED);
  }

  #heard(data) {
    if (!this.#onDown) return;
    this.#lastHeard = Date.now();
    this.#watchFor(SILENCE_MS);
    if (data) this.#onFrame(JSON.parse(data));
  }

  #watchFor(ms) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#down(LOST), ms);
  }

  #down(code) {
    clearTimeout(this.#watch);
    const onDown = this.#onDown;
    this.#onDown = null;
    this.#socket.close();
    onDown?.(code, this.#opened);
  }
}

function address(since) {
  const url = new URL(`/api/ws?since=${since}`, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
