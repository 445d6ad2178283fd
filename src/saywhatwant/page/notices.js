/**
 * Tells the visitor of an answer that comes while the tab is hidden, by a notification and by a sound. Both are off until
 * the visitor asks for them; only then is the browser asked for its permission.
 *
 * @import { Feed } from "./feed.js"
 * @import { Identity } from "./identity.js"
 * @import { Message } from "./types"
 */

import { Chime } from "./chime.js";
import { find } from "./dom.js";
import { plain } from "./markdown.js";
import { recall, remember } from "./storage.js";
import { excerpt } from "./text.js";

const LENGTH = 140;
const NOT_ALLOWED = "The browser does not allow it. You can change that in the settings for this site.";
const NOT_THERE = "This browser cannot do that.";

export class Notices {
  #notify = find("notify", HTMLInputElement);
  #sound = find("sound", HTMLInputElement);
  #hint = find("notices-hint", HTMLElement);
  #chime = new Chime();
  #feed;
  #identity;
  #clicked;
  /** Those that may still be seen, by the ids of their messages. @type {Map<string, Notification>} */
  #shown = new Map();

  /** @param {Feed} feed @param {Identity} identity @param {(key: string) => void} clicked called with the key of the answer */
  constructor(feed, identity, clicked) {
    this.#feed = feed;
    this.#identity = identity;
    this.#clicked = clicked;
    this.#notify.checked = recall("notify", false) && permission() === "granted";
    this.#sound.checked = recall("sound", false) && Chime.isThere;
    this.#notify.addEventListener("change", () => this.#chooseNotify());
    this.#sound.addEventListener("change", () => this.#chooseSound());
    // Browsers let a page make sounds only after it was touched.
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => this.#touched(), { once: true });
  }

  /** @param {Message[]} fresh messages that have just come, of others @param {Message[]} failed our own that get no answer */
  tell(fresh, failed) {
    if (!document.hidden) return;
    const answers = fresh.filter((message) => this.#isToUs(message));
    if (!answers.length && !failed.length) return;
    if (this.#sound.checked) this.#chime.play();
    if (!this.#notify.checked) return;
    for (const message of answers) this.#show(message, `${message.username} answers`, plain(message.text));
    for (const message of failed) this.#show(message, "No answer", `To: ${message.text}`);
  }

  /** Closes the notifications of messages that were hidden. @param {Message[]} hidden */
  withdraw(hidden) {
    for (const { id } of hidden) this.#shown.get(id)?.close();
  }

  /** @param {Message} message */
  #isToUs({ messageType, replyTo }) {
    const question = this.#feed.get(replyTo);
    if (messageType !== "AI" || !question) return false;
    const { username, color, colorTail } = question;
    const isByUs = username === this.#identity.username && color === this.#identity.color && !colorTail;
    return isByUs || this.#feed.isOwn(question.id);
  }

  /** @param {Message} message @param {string} title @param {string} text */
  #show(message, title, text) {
    try {
      // With a tag, two tabs show one notification.
      const notification = new Notification(title, { body: excerpt(text, LENGTH), tag: message.id, icon: iconAddress() });
      this.#shown.set(message.id, notification);
      notification.addEventListener("close", () => this.#shown.delete(message.id));
      notification.addEventListener("click", () => {
        focus();
        notification.close();
        this.#clicked(this.#feed.keyOf(message));
      });
    } catch {
      // Browsers of phones have the permission, but only for pages with a worker.
      this.#refuse(this.#notify, NOT_THERE);
    }
  }

  async #chooseNotify() {
    this.#hint.hidden = true;
    if (!this.#notify.checked) return remember("notify", false);
    if (permission() === "missing") return this.#refuse(this.#notify, NOT_THERE);
    const answer = await Notification.requestPermission();
    if (answer !== "granted") return this.#refuse(this.#notify, NOT_ALLOWED);
    remember("notify", true);
  }

  #chooseSound() {
    this.#hint.hidden = true;
    if (this.#sound.checked && !Chime.isThere) return this.#refuse(this.#sound, NOT_THERE);
    remember("sound", this.#sound.checked);
    if (!this.#sound.checked) return;
    this.#chime.prepare();
    // So that one knows it.
    this.#chime.play();
  }

  #touched() {
    if (this.#sound.checked) this.#chime.prepare();
  }

  /** @param {HTMLInputElement} box @param {string} why */
  #refuse(box, why) {
    box.checked = false;
    remember(box.id, false);
    this.#hint.textContent = why;
    this.#hint.hidden = false;
  }
}

function permission() {
  return "Notification" in window ? Notification.permission : "missing";
}

function iconAddress() {
  return new URL("icon.svg", import.meta.url).href;
}
