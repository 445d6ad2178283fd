/**
 * Where the visitor is: the view, and what posts ask for, kept in the address. Whatever changes it makes a step that the
 * browser's back button takes back, except for words that are being typed. It also leads back to what was read there.
 *
 * @import { Asked, Bookmark, Spot, View } from "./types"
 */

import { read, write } from "./hash.js";
import { NOTHING_ASKED, WHOLE } from "./view.js";

export class Place {
  /** @type {View} */
  view = WHOLE;
  /** @type {Asked} */
  asked = NOTHING_ASKED;
  #arrived;
  #spot;

  /**
   * @param {(bookmark: Bookmark, spot: Spot | null) => void} arrived called when a link was opened, or the browser went back or
   *   forth, with what was read there
   * @param {() => Spot | null} spot what is read now; null for the newest
   */
  constructor(arrived, spot) {
    this.#arrived = arrived;
    this.#spot = spot;
    addEventListener("popstate", ({ state }) => this.arrive(state));
  }

  /** Reads the address. @param {Spot | null} spot what was read there */
  arrive(spot = null) {
    const bookmark = read(location.hash);
    this.view = bookmark.view;
    this.asked = bookmark.asked;
    // Who the visitor is does not stay in the address: somebody who gets the link would take over the name.
    this.#write("replaceState");
    this.#arrived(bookmark, spot);
  }

  /** Goes to another view. @param {View} view */
  go(view) {
    this.view = view;
    if (this.#hash() === location.hash) return;
    history.replaceState(this.#spot(), "");
    this.#write("pushState");
  }

  /** Changes the view in its place. @param {View} view */
  amend(view) {
    this.view = view;
    this.#write("replaceState");
  }

  /** Posts ask for nothing any more. */
  askNothing() {
    this.asked = NOTHING_ASKED;
    this.#write("replaceState");
  }

  /** The address that shows others the same. */
  get link() {
    return location.origin + location.pathname + location.search + this.#hash();
  }

  #hash() {
    return write(this.view, this.asked);
  }

  /** @param {"pushState" | "replaceState"} how */
  #write(how) {
    history[how](null, "", location.pathname + location.search + this.#hash());
  }
}
