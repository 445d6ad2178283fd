/**
 * One row of the list as DOM.
 *
 * @import { Model } from "./types"
 */

import { readable } from "./color.js";
import { Markdown } from "./markdown.js";
import { nodesOf } from "./text.js";

const LONG_TEXT = 1_200;
const MANY_LINES = 14;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/**
 * The actions of a row, each called with a row's key: scroll to it, mark it while the pointer is on its quote, open the talk
 * of its author or of its addressee, open its menu, take a refused post back into the form, or discard it.
 * @typedef {object} Actions
 * @property {(key: string) => void} reveal
 * @property {(key: string, on: boolean) => void} point
 * @property {(key: string, whose: "author" | "addressee") => void} open
 * @property {(key: string, button: HTMLButtonElement) => void} menu prepares the menu that the button opens
 * @property {(key: string) => void} edit
 * @property {(key: string) => void} discard
 */

/** A message or a dividing line: made once per key, updated when its model changes. */
export class Row {
  /** @type {HTMLElement} */
  element;
  /** @type {Model | null} */
  #model = null;
  #parts;

  /** @param {Model} model @param {Actions} actions */
  constructor(model, actions) {
    const isLine = model.kind === "day" || model.kind === "unread";
    this.element = isLine ? make("p", `line ${model.kind}`) : make("article", "message");
    this.#parts = isLine ? null : new Parts(this.element, model.key, actions);
  }

  /** @param {Model} model @param {string} background the color behind it, "#rrggbb" */
  update(model, background) {
    const before = this.#model;
    if (before && isSame(model, before)) return;
    this.#model = model;
    if (this.#parts) this.#parts.fill(model);
    else this.element.textContent = model.kind === "day" ? date.format(model.timestamp) : "New";
    if (model.color !== before?.color) this.recolor(background);
  }

  /** @param {string} background */
  recolor(background) {
    if (this.#model?.color) this.element.style.setProperty("--color", readable(this.#model.color, background));
  }
}

/** The elements inside a message's row. */
class Parts {
  #row;
  #key;
  #actions;
  #name = button("name");
  #to = make("bdi", "name");
  #addressed = make("span", "to", "to ", this.#to);
  #state = make("span", "state");
  #time = make("time");
  #menu = button("menu", "⋯");
  #quotedName = make("bdi", "name");
  #quotedText = make("bdi");
  // The quotation marks are outside of the isolated text, which may run from right to left.
  #quote = button("quote", "to ", this.#quotedName, make("span", "excerpt", "“", this.#quotedText, "”"));
  #text = make("div", "text");
  #markdown = new Markdown(this.#text);
  #more = button("more", "Show all");
  #noteWords = make("span");
  #note = make("p", "note", this.#noteWords);
  #expanded = false;
  #originalKey = "";
  #shownText = "";
  #shownDoing = "";
  #shownKind = "";

  /** @param {HTMLElement} row @param {string} key @param {Actions} actions */
  constructor(row, key, actions) {
    this.#row = row;
    this.#key = key;
    this.#actions = actions;
    this.#text.dir = "auto";
    this.#name.dir = "auto";
    const when = make("span", "when", this.#state, this.#time, this.#menu);
    row.append(make("header", "", this.#name, this.#addressed, this.#quote, when), this.#text, this.#more, this.#note);
    this.#listen();
  }

  /** @param {Model} model */
  fill(model) {
    const { dataset, classList } = this.#row;
    dataset.id = model.id;
    dataset.status = model.status;
    dataset.kind = model.kind;
    classList.toggle("reply", Boolean(model.originalKey));
    classList.toggle("follows", Boolean(model.follows));
    this.#name.textContent = model.name ?? "";
    this.#name.disabled = !model.opens;
    this.#name.title =
      model.opens === "talk" ? "Show only this talk" : model.opens ? `Show only what ${model.name} writes` : "";
    classList.toggle("opens", Boolean(model.opens));
    this.#menu.ariaLabel = `Copy or report what ${model.name} wrote`;
    this.#to.textContent = model.to ?? "";
    this.#addressed.hidden = !model.to;
    this.#state.textContent = model.state ?? "";
    this.#state.hidden = !model.state;
    this.#originalKey = model.originalKey ?? "";
    this.#quote.hidden = !model.originalKey;
    this.#quotedName.textContent = model.quotedName ?? "";
    this.#quotedText.textContent = model.quotedText ?? "";
    this.#fillTime(model.timestamp);
    this.#fillText(model);
    this.#fillNote(model);
  }

  #listen() {
    const { reveal, point, open, menu } = this.#actions;
    this.#menu.addEventListener("click", () => menu(this.#key, this.#menu));
    this.#name.addEventListener("click", () => open(this.#key, "author"));
    // For the pointer; the keyboard has the name.
    this.#addressed.addEventListener("click", () => open(this.#key, "addressee"));
    this.#quote.addEventListener("click", () => reveal(this.#originalKey));
    for (const type of ["pointerenter", "focus"]) this.#quote.addEventListener(type, () => point(this.#originalKey, true));
    for (const type of ["pointerleave", "blur"]) this.#quote.addEventListener(type, () => point(this.#originalKey, false));
    this.#more.addEventListener("click", () => {
      this.#expanded = !this.#expanded;
      this.#fold();
    });
  }

  /** @param {number} timestamp */
  #fillTime(timestamp) {
    const when = new Date(timestamp);
    this.#time.dateTime = when.toISOString();
    this.#time.title = moment.format(when);
    this.#time.textContent = clock.format(when);
  }

  /** @param {Model} model */
  #fillText({ text = "", kind, doing = "" }) {
    const isProvisional = kind === "provisional";
    // A reply that the visitor watched being written stays unfolded.
    if (isProvisional) this.#expanded = true;
    this.#row.classList.toggle("thinking", isProvisional && !text);
    this.#row.classList.toggle("growing", isProvisional && Boolean(text));
    if (text === this.#shownText && kind === this.#shownKind && doing === this.#shownDoing) return;
    this.#shownText = text;
    this.#shownDoing = doing;
    this.#shownKind = kind;
    // Only answers are Markdown: what people write is shown as they wrote it.
    if (kind === "AI") this.#markdown.show(text, false);
    else if (!isProvisional) this.#markdown.replace(nodesOf(text));
    else if (text) this.#markdown.show(text, true);
    else this.#markdown.replace([make("span", "dots", doing, make("i"), make("i"), make("i"))]);
    this.#fold();
  }

  #fold() {
    const text = this.#shownText;
    const isLong = text.length > LONG_TEXT || text.split("\n", MANY_LINES + 1).length > MANY_LINES;
    const isFoldable = isLong && this.#shownKind !== "provisional";
    this.#more.hidden = !isFoldable;
    this.#more.textContent = this.#expanded ? "Show less" : "Show all";
    this.#more.setAttribute("aria-expanded", String(this.#expanded));
    this.#row.classList.toggle("folded", isFoldable && !this.#expanded);
  }

  /** @param {Model} model */
  #fillNote({ note = "", tone = "calm", editable = false, discardable = false }) {
    this.#note.hidden = !note;
    this.#note.dataset.tone = tone;
    this.#noteWords.textContent = note;
    /** @type {("Edit" | "Discard")[]} */
    const offered = [
      ...(editable ? /** @type {const} */ (["Edit"]) : []),
      ...(editable || discardable ? /** @type {const} */ (["Discard"]) : []),
    ];
    // Keep the button elements: one of them may have the focus.
    if (this.#note.children.length === 1 + offered.length) return;
    this.#note.replaceChildren(this.#noteWords, ...offered.map((label) => this.#noteButton(label)));
  }

  /** @param {"Edit" | "Discard"} label */
  #noteButton(label) {
    const action = label === "Edit" ? "edit" : "discard";
    const element = button("", label);
    element.addEventListener("click", () => this.#actions[action](this.#key));
    return element;
  }
}

/** @param {Model} one @param {Model} other */
function isSame(one, other) {
  const names = /** @type {(keyof Model)[]} */ (Object.keys(one));
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** @param {string} className @param {(Node | string)[]} children */
function button(className, ...children) {
  const element = make("button", className, ...children);
  element.type = "button";
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} className
 * @param {(Node | string)[]} children
 */
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
