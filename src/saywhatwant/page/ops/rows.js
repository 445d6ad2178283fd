/** Rows of lists: what somebody wrote, what is known of it, and what can be done with it. */

import { wordsOf } from "./calls.js";
import { button, carefulButton, element } from "./element.js";

/**
 * Something that can be done; with a question it asks before.
 * @typedef {{ words: string, question?: string, act: () => Promise<unknown> | void }} Deed
 */

/**
 * @param {(Node | string)[]} text
 * @param {(Node | string)[]} told
 * @param {Deed[]} deeds
 */
export function row(text, told, deeds) {
  const words = element("p", { class: "text" }, ...text);
  words.dir = "auto";
  return element("li", {}, words, element("div", { class: "told" }, ...told), ...buttonsOf(deeds));
}

/** A place that says what did not work, and the buttons. @param {Deed[]} deeds */
export function buttonsOf(deeds) {
  const failure = failurePlace();
  const buttons = deeds.map(({ words, question, act }) => {
    const press = () => attempt(failure, act);
    return question ? carefulButton(words, question, press) : button(words, press);
  });
  return [element("div", { class: "actions" }, ...buttons), failure];
}

/** A place for the words of `attempt`. */
export function failurePlace() {
  const place = element("p", { class: "failure bad" });
  place.setAttribute("role", "status");
  return place;
}

/**
 * Does something, and says at a place if it did not work.
 * @param {HTMLElement} place
 * @param {() => Promise<unknown> | void} act
 * @returns {Promise<boolean>} whether it worked
 */
export async function attempt(place, act) {
  place.textContent = "";
  try {
    await act();
    return true;
  } catch (error) {
    place.textContent = `That did not work: ${wordsOf(error)}.`;
    return false;
  }
}
