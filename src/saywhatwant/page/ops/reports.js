/**
 * The messages that visitors have reported.
 *
 * @import { Moderated, Report } from "./types"
 */

import { find } from "../dom.js";
import { moderate } from "./calls.js";
import { button, element, keep } from "./element.js";
import { row } from "./rows.js";
import { counted, moment } from "./words.js";

export class Reports {
  #mayChange;
  #changed;
  #open;
  #ban;
  #list = find("reported", HTMLElement);
  #hint = find("reported-hint", HTMLElement);

  /**
   * @param {() => boolean} mayChange
   * @param {() => Promise<void>} changed
   * @param {(messageId: string) => void} open shows a message's story
   * @param {(person: { username: string, color: string }) => void} ban
   */
  constructor(mayChange, changed, open, ban) {
    this.#mayChange = mayChange;
    this.#changed = changed;
    this.#open = open;
    this.#ban = ban;
  }

  /** @param {Moderated} found */
  show({ reports, reportCount }) {
    keep(
      this.#list,
      reports.map((report) => {
        const version = `${this.#mayChange()} ${report.lastAt} ${report.count} ${report.message?.hidden} ${report.message === null}`;
        return { key: report.messageId, version, make: () => this.#row(report) };
      }),
    );
    const more = reportCount - reports.length;
    this.#hint.textContent = more > 0 ? `and ${counted(more, "more message")}` : "Nobody has reported a message.";
    this.#hint.hidden = reportCount > 0 && more <= 0;
  }

  /** @param {Report} report */
  #row({ messageId, lastAt, count, reasons, message }) {
    const act = (/** @type {"hide" | "dismiss"} */ action) => async () => {
      await moderate(action, { messageId });
      await this.#changed();
    };
    const open = button(messageId, () => this.#open(messageId));
    open.className = "id";
    open.setAttribute("aria-label", `All about ${messageId}`);
    const said = reasons.filter((reason) => reason.trim() !== "");
    const told = [
      ` reported by ${counted(count, "visitor")}, the last time ${moment(lastAt)}`,
      ...(said.length ? [element("ul", { class: "reasons" }, ...said.map((reason) => element("li", {}, reason)))] : []),
    ];
    const isShown = message !== null && !message.hidden;
    const person = message && message.messageType === "human" ? { username: message.username, color: message.color } : null;
    const hide = { words: "Hide", question: "Really hide it from everybody?", act: act("hide") };
    const ban = person ? [{ words: "Ban its author…", act: () => this.#ban(person) }] : [];
    const dismiss = { words: "Dismiss", act: act("dismiss") };
    return row(
      message
        ? [element("b", {}, message.username), ": ", message.hidden ? "(hidden)" : message.text]
        : ["(the wall has removed it)"],
      [message ? open : messageId, ...told],
      this.#mayChange() ? [...(isShown ? [hide] : []), dismiss, ...ban] : [],
    );
  }
}
