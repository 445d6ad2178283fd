/** One row of the wall as DOM. */

import { readable } from "./color.js";
import { nodesOf } from "./text.js";

const LONG_TEXT = 1_200;
const MANY_LINES = 14;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** A row: made once for its key, updated when its model is different. */
export class Row {
  element;
  model = {};
  #parts;
  #actions;
  #expanded = false;

  /**
   * @param actions `reveal(key)`, `point(key, on)`, `edit(key)`, `discard(key)`
   */
  constructor(model, actions) {
    this.#actions = actions;
    this.element = isLine(model) ? make("p", `line ${model.kind}`) : make("article", "message");
    if (!isLine(model)) this.#build();
  }

  update(model, paper) {
    if (isSame(model, this.model)) return;
    const before = this.model;
    this.model = model;
    if (model.kind === "day") this.element.textContent = date.format(model.timestamp);
    else if (model.kind === "unread") this.element.textContent = "New since you looked";
    else this.#fill(before, paper);
  }

  recolor(paper) {
    if (this.model.color) this.element.style.setProperty("--color", readable(this.model.color, paper));
  }

  #build() {
    const name = make("bdi", "name");
    const to = make("bdi", "name");
    const addressed = make("span", "to", "to ", to);
    const state = make("span", "state");
    const time = make("time");
    const quotedName = make("bdi", "name");
    const quotedText = make("bdi");
    // The marks stand outside of the isolated text, which may run from right to left.
    const quote = button("quote", "to ", quotedName, make("span", "excerpt", "“", quotedText, "”"));
    const text = make("div", "text");
    text.dir = "auto";
    const more = button("more", "Show all");
    const noteWords = make("span");
    const note = make("p", "note", noteWords);
    this.#parts = { name, to, addressed, state, time, quote, quotedName, quotedText, text, more, note, noteWords };
    this.element.append(make("header", "", name, addressed, quote, make("span", "when", state, time)), text, more, note);
    this.#listen(quote, more);
  }

  #listen(quote, more) {
    const { reveal, point } = this.#actions;
    quote.addEventListener("click", () => reveal(this.model.originalKey));
    for (const type of ["pointerenter", "focus"]) quote.addEventListener(type, () => point(this.model.originalKey, true));
    for (const type of ["pointerleave", "blur"]) quote.addEventListener(type, () => point(this.model.originalKey, false));
    more.addEventListener("click", () => {
      this.#expanded = !this.#expanded;
      this.#fold();
    });
  }

  #fill(before, paper) {
    const { model, element } = this;
    const { name, to, addressed, state, quote, quotedName, quotedText } = this.#parts;
    element.dataset.id = model.id;
    element.dataset.status = model.status;
    element.dataset.kind = model.kind;
    element.classList.toggle("reply", Boolean(model.originalKey));
    element.classList.toggle("follows", model.follows);
    if (model.color !== before.color) this.recolor(paper);
    name.textContent = model.name;
    to.textContent = model.to ?? "";
    addressed.hidden = !model.to;
    state.hidden = !model.state;
    state.textContent = model.state ?? "";
    quote.hidden = !model.originalKey;
    quotedName.textContent = model.quotedName ?? "";
    quotedText.textContent = model.quotedText ?? "";
    this.#fillTime();
    this.#fillText(before);
    this.#fillNote();
  }

  #fillTime() {
    const { time } = this.#parts;
    const when = new Date(this.model.timestamp);
    time.dateTime = when.toISOString();
    time.title = moment.format(when);
    time.textContent = clock.format(when);
  }

  #fillText(before) {
    const { model } = this;
    const isProvisional = model.kind === "provisional";
    // What somebody has watched growing does not fold under their eyes.
    if (isProvisional) this.#expanded = true;
    this.element.classList.toggle("thinking", isProvisional && !model.text);
    this.element.classList.toggle("growing", isProvisional && Boolean(model.text));
    if (model.text === before.text && model.kind === before.kind) return;
    const { text } = this.#parts;
    if (isProvisional && !model.text) text.replaceChildren(thinking());
    else if (isProvisional) text.replaceChildren(model.text);
    else text.replaceChildren(...nodesOf(model.text));
    this.#fold();
  }

  #fold() {
    const { more } = this.#parts;
    const isLong = this.model.text.length > LONG_TEXT || this.model.text.split("\n", MANY_LINES + 1).length > MANY_LINES;
    const foldable = isLong && this.model.kind !== "provisional";
    more.hidden = !foldable;
    more.textContent = this.#expanded ? "Show less" : "Show all";
    more.setAttribute("aria-expanded", String(this.#expanded));
    this.element.classList.toggle("folded", foldable && !this.#expanded);
  }

  #fillNote() {
    const { note, noteWords } = this.#parts;
    const { note: words = "", tone = "", editable = false } = this.model;
    note.hidden = !words;
    note.dataset.tone = tone;
    noteWords.textContent = words;
    // Buttons stay the same while there are some: one of them may have the focus.
    const isEditable = note.children.length > 1;
    if (editable !== isEditable) note.replaceChildren(noteWords, ...(editable ? this.#noteButtons() : []));
  }

  #noteButtons() {
    return [this.#actionButton("Edit", "edit"), this.#actionButton("Discard", "discard")];
  }

  #actionButton(label, action) {
    const element = button("", label);
    element.addEventListener("click", () => this.#actions[action](this.model.key));
    return element;
  }
}

function isLine({ kind }) {
  return kind === "day" || kind === "unread";
}

function isSame(one, other) {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function thinking() {
  return make("span", "dots", "is thinking", make("i"), make("i"), make("i"));
}

function button(className, ...children) {
  const element = make("button", className, ...children);
  element.type = "button";
  return element;
}

function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
