/**
 * Shows the state of the connection, with a countdown while offline.
 *
 * @import { Announcer } from "./announcer.js"
 * @import { ConnectionState } from "./types"
 */

import { find } from "./dom.js";

const SECOND = 1_000;

export class Status {
  #element;
  #words = find("state", HTMLElement);
  #retry = find("retry", HTMLButtonElement);
  #announcer;
  #ticking = 0;
  /** @type {ConnectionState["name"]} */
  #name = "connecting";

  /** @param {HTMLElement} element @param {Announcer} announcer @param {() => void} tryNow */
  constructor(element, announcer, tryNow) {
    this.#element = element;
    this.#announcer = announcer;
    this.#retry.addEventListener("click", tryNow);
  }

  /** @param {ConnectionState} state */
  show({ name, everyMs = 0, retryAt = 0 }) {
    clearInterval(this.#ticking);
    this.#announce(name);
    this.#element.dataset.state = name;
    this.#retry.hidden = name !== "offline";
    if (name === "offline") this.#countDown(retryAt);
    else if (name === "polling") this.#words.textContent = `Polling every ${seconds(everyMs)} s`;
    else this.#words.textContent = name === "live" ? "Live" : "Connecting";
  }

  /** @param {number} retryAt */
  #countDown(retryAt) {
    const tick = () => {
      this.#words.textContent = `Offline · retrying in ${Math.max(0, seconds(retryAt - Date.now()))} s`;
    };
    tick();
    this.#ticking = setInterval(tick, SECOND);
  }

  /** @param {ConnectionState["name"]} name */
  #announce(name) {
    if (name === "connecting" || name === this.#name) return;
    if (name === "offline") this.#announcer.say("The server cannot be reached. Trying again.");
    else if (this.#name === "offline") this.#announcer.say("Connected again.");
    this.#name = name;
  }
}

/** @param {number} ms */
function seconds(ms) {
  return Math.ceil(ms / SECOND);
}
