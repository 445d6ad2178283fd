/**
 * Who looks: signs in and out.
 *
 * @import { Session } from "./types"
 */

import { find } from "../dom.js";
import { CallFailed, session, signIn, signOut, wordsOf } from "./calls.js";

const RETRY_MS = 3_000;

export class SignIn {
  #form = find("sign-in", HTMLFormElement);
  #token = find("token", HTMLInputElement);
  #error = find("sign-in-error", HTMLElement);
  #onChange;
  /** @type {Session | null} */
  current = null;

  /** @param {() => void} onChange called when somebody has signed in or out */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try();
    });
    find("sign-out", HTMLButtonElement).addEventListener("click", () => this.#leave());
  }

  get mayChange() {
    return this.current?.mayChange ?? false;
  }

  /** Looks who we are. */
  async look() {
    try {
      this.#become(await session());
    } catch (error) {
      const isRefused = error instanceof CallFailed && error.status >= 400 && error.status < 500;
      if (isRefused) this.#become(null);
      else setTimeout(() => this.look(), RETRY_MS);
    }
  }

  async #try() {
    try {
      await signIn(this.#token.value.trim());
      this.#token.value = "";
      this.#tell("");
      await this.look();
    } catch (error) {
      this.#tell(wordsOf(error));
      this.#token.focus();
    }
  }

  async #leave() {
    await signOut().catch(() => {});
    await this.look();
  }

  /** @param {Session | null} found */
  #become(found) {
    this.current = found;
    this.#form.hidden = found !== null;
    find("board", HTMLElement).hidden = found === null;
    find("read-only", HTMLElement).hidden = this.mayChange;
    for (const form of document.querySelectorAll("form.changes")) /** @type {HTMLElement} */ (form).hidden = !this.mayChange;
    find("who", HTMLElement).hidden = !this.mayChange;
    find("who-name", HTMLElement).textContent = `Signed in as ${found?.name}`;
    find("connection", HTMLElement).hidden = found === null;
    this.#onChange();
    if (found === null) this.#token.focus();
  }

  /** @param {string} words */
  #tell(words) {
    this.#error.textContent = words;
    this.#error.hidden = words === "";
  }
}
