/**
 * Copies or downloads the messages that are shown; of a talk all that the server has.
 *
 * @import { Announcer } from "./announcer.js"
 * @import { Entities } from "./entities.js"
 * @import { Source } from "./source.js"
 * @import { Message } from "./types"
 */

import { talkBefore } from "./api.js";
import { copy } from "./clipboard.js";
import { find } from "./dom.js";
import { recall, remember } from "./storage.js";
import { formatOf } from "./written.js";

const PAGE = 200;
/** The most messages of a talk that are read for this. */
const MOST = 4_000;

export class Save {
  #format = find("format", HTMLSelectElement);
  #result = find("saved", HTMLElement);
  #source;
  #entities;
  #announcer;

  /** @param {Source} source @param {Entities} entities @param {Announcer} announcer */
  constructor(source, entities, announcer) {
    this.#source = source;
    this.#entities = entities;
    this.#announcer = announcer;
    this.#format.value = recall("format", "text");
    if (!this.#format.value) this.#format.value = "text";
    this.#format.addEventListener("change", () => remember("format", this.#format.value));
    find("copy", HTMLButtonElement).addEventListener("click", () => this.#run((made) => this.#copy(made)));
    find("download", HTMLButtonElement).addEventListener("click", () => this.#run((made) => this.#download(made)));
  }

  /** @param {(made: Made) => Promise<string> | string} act returns what to tell the visitor */
  async #run(act) {
    const isWhole = await this.#readTalk();
    const messages = this.#messages();
    const count = messages.length === 1 ? "1 message" : `${messages.length} messages`;
    const words = messages.length ? await act(this.#made(messages, count)) : "There is no message to save.";
    this.#tell(isWhole ? words : `${words} Older ones could not be read.`);
  }

  /** Reads what the server has of the talk that is shown. @returns {Promise<boolean>} whether there is no more */
  async #readTalk() {
    const { talk } = this.#source;
    while (talk && !talk.feed.complete && talk.feed.size < MOST) {
      const before = talk.feed.oldest();
      const page = Number.isFinite(before) ? await talkBefore(talk.id, before, PAGE).catch(() => null) : null;
      if (!page) return false;
      // Scrolling may have loaded the same page meanwhile.
      if (talk.feed.oldest() === before) talk.feed.prepend(page.messages, !page.more);
    }
    return true;
  }

  /** The messages that are shown, without those on their way. @returns {Message[]} */
  #messages() {
    const rows = this.#source.rows().filter(({ kind }) => kind === "human" || kind === "AI");
    return rows.map(({ message }) => /** @type {Message} */ (message));
  }

  /**
   * The text, and its file.
   * @typedef {{ text: string, type: string, name: string, count: string }} Made
   */

  /** @param {Message[]} messages @param {string} count @returns {Made} */
  #made(messages, count) {
    const { suffix, type, write } = formatOf(this.#format.value);
    const title = this.#source.talk?.title(this.#entities) ?? document.querySelector("h1")?.textContent ?? "";
    const text = write(messages, { title, feed: this.#source.feed, entities: this.#entities });
    const stem = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
    return { text, type, name: `${stem}-${new Date().toISOString().slice(0, 10)}.${suffix}`, count };
  }

  /** @param {Made} made */
  async #copy({ text, count }) {
    return (await copy(text)) ? `Copied ${count}.` : "The browser does not allow copying here.";
  }

  /** @param {Made} made */
  #download({ text, type, name, count }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    link.download = name;
    link.click();
    // The browser has taken it by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return `Saved ${count} as ${name}.`;
  }

  /** @param {string} words */
  #tell(words) {
    this.#result.textContent = words;
    this.#announcer.say(words);
  }
}
