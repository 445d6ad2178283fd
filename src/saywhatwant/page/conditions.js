/**
 * The bar above the wall: whose talk is shown, and the conditions that limit the view, each with a button that removes it.
 *
 * @import { View } from "./types"
 */

import { find } from "./dom.js";
import { WHOLE, without } from "./view.js";

export class Conditions {
  #bar = find("view", HTMLElement);
  #title = find("shown", HTMLElement);
  #list = find("conditions", HTMLElement);
  #pause = find("pause", HTMLButtonElement);
  #changed;
  #say;
  #shown = JSON.stringify([WHOLE, ""]);
  /** @type {View} */
  #view = WHOLE;

  /** @param {(view: View) => void} changed @param {(sentence: string) => void} say announces to screen readers */
  constructor(changed, say) {
    this.#changed = changed;
    this.#say = say;
    find("whole", HTMLButtonElement).addEventListener("click", () => {
      changed(WHOLE);
      // The button is gone.
      find("wall", HTMLElement).focus({ preventScroll: true });
    });
    this.#pause.addEventListener("click", () => changed({ ...this.#view, paused: !this.#view.paused }));
  }

  /** @param {View} view @param {string} title the talk's title; empty if the view is none */
  show(view, title) {
    const shown = JSON.stringify([view, title]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#view = view;
    const conditions = conditionsOf(view);
    this.#bar.hidden = !title && conditions.length === 0;
    this.#title.hidden = !title;
    this.#title.textContent = title;
    this.#list.hidden = conditions.length === 0;
    this.#list.classList.toggle("paused", view.paused);
    this.#list.replaceChildren(...conditions.map(({ words, condition }) => this.#item(words, condition)));
    this.#pause.hidden = !conditions.some(({ mayPause }) => mayPause);
    this.#pause.textContent = view.paused ? "Apply again" : "Pause";
    const words = [title, ...(view.paused ? [] : conditions.map((condition) => condition.words))].filter(Boolean);
    this.#say(words.length ? `Shown: ${words.join(", ")}` : "Everything is shown");
  }

  /** @param {string} words @param {Partial<View>} condition */
  #item(words, condition) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.title = `Remove: ${words}`;
    button.addEventListener("click", () => this.#remove(condition));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  /** @param {Partial<View>} condition */
  #remove(condition) {
    const next = without(this.#view, condition);
    const isPaused = next.paused && next.people.length + next.words.length + next.without.length > 0;
    this.#changed({ ...next, paused: isPaused });
    // The button is gone; the focus stays near.
    (this.#list.querySelector("button") ?? find("wall", HTMLElement)).focus({ preventScroll: true });
  }
}

/** What limits the view, in words, but for the talk and the entity, which are shown elsewhere. @param {View} view */
function conditionsOf({ kind, people, words, without: banned }) {
  return [
    ...(kind ? [{ words: kind === "human" ? "only people" : "only AI", condition: { kind }, mayPause: false }] : []),
    ...people.map((person) => ({ words: `by ${person.name}`, condition: { people: [person] }, mayPause: true })),
    ...words.map((word) => ({ words: `with “${word}”`, condition: { words: [word] }, mayPause: true })),
    ...banned.map((word) => ({ words: `without “${word}”`, condition: { without: [word] }, mayPause: true })),
  ];
}
