/** The button that copies a link to what is shown. */

import { copy } from "./clipboard.js";
import { find } from "./dom.js";

const THANKS_MS = 2_500;

export class Share {
  #button = find("share", HTMLButtonElement);
  #field = find("link", HTMLInputElement);
  #link;
  #say;
  #words = this.#button.textContent;
  #timer = 0;

  /** @param {() => string} link @param {(sentence: string) => void} say announces to screen readers */
  constructor(link, say) {
    this.#link = link;
    this.#say = say;
    this.#button.addEventListener("click", () => this.#share());
    this.#field.addEventListener("blur", () => {
      this.#field.hidden = true;
    });
  }

  async #share() {
    const link = this.#link();
    if (await copy(link)) this.#thank();
    else this.#show(link);
  }

  #thank() {
    this.#field.hidden = true;
    this.#button.textContent = "Link copied";
    this.#say("The link to this view is copied.");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#button.textContent = this.#words;
    }, THANKS_MS);
  }

  /** Shows the link, selected, for the visitor to copy. @param {string} link */
  #show(link) {
    this.#field.hidden = false;
    this.#field.value = link;
    this.#field.focus();
    this.#field.select();
    this.#say("The link to this view is selected; copy it.");
  }
}
