/**
 * Notices that the server has a newer page, says so, and loads it when that disturbs nobody: nothing is being written,
 * nobody reads further back, and the visitor looks elsewhere or has done nothing for a while.
 */

import { find } from "./dom.js";

/** The folder that the page's files were loaded from is named after their version. */
const OWN = import.meta.url.split("/").at(-2) ?? "";
const IDLE_MS = 30_000;
const EVERY_MS = 5_000;
const INPUT = ["pointerdown", "keydown", "wheel", "touchmove"];
/** In sessionStorage: the version that this tab was loaded again for, in vain if it is still the server's. */
const TRIED = "saywhatwant.tried";

export class Version {
  #bar = find("outdated", HTMLElement);
  #isBusy;
  #said;
  /** The server's version, once it differs from ours. */
  #newer = "";
  #lastInput = Date.now();

  /**
   * @param {() => boolean} isBusy whether something that is being written, sent or read would be lost
   * @param {(sentence: string) => void} say announces to screen readers
   */
  constructor(isBusy, say) {
    this.#isBusy = isBusy;
    this.#said = say;
    find("reload", HTMLButtonElement).addEventListener("click", () => location.reload());
    for (const type of INPUT) {
      addEventListener(type, () => this.#touched(), { passive: true, capture: true });
    }
  }

  /** The server has named its version. @param {string | undefined} version */
  see(version) {
    if (!version || version === OWN || this.#newer) return;
    this.#newer = version;
    this.#bar.hidden = false;
    this.#said("There is a newer version of this page.");
    if (tried() === version) return;
    document.addEventListener("visibilitychange", () => this.#consider());
    setInterval(() => this.#consider(), EVERY_MS);
    this.#consider();
  }

  #touched() {
    this.#lastInput = Date.now();
  }

  #consider() {
    const isIdle = document.hidden || Date.now() - this.#lastInput > IDLE_MS;
    if (!isIdle || this.#isBusy() || !remembers(this.#newer)) return;
    location.reload();
  }
}

function tried() {
  try {
    return sessionStorage.getItem(TRIED);
  } catch {
    return null;
  }
}

/** Without this a server that goes on sending the old page would have it loaded for ever. @param {string} version */
function remembers(version) {
  try {
    sessionStorage.setItem(TRIED, version);
    return tried() === version;
  } catch {
    return false;
  }
}
