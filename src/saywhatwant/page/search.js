/**
 * The search box: words to look for, and with a minus words to leave out. Without any DOM.
 *
 * @import { View } from "./types"
 */

/** The words in a search box: `space "two words" -rude`. @param {string} text */
export function parsed(text) {
  const found = [...text.matchAll(/(-?)(?:"([^"]+)"?|([^\s"]+))/g)];
  const words = found.map(([, minus, quoted, plain]) => ({
    isBanned: minus === "-",
    word: (quoted ?? plain?.replace(/^-$/, "") ?? "").trim(),
  }));
  const those = (/** @type {boolean} */ banned) => [
    ...new Set(words.filter(({ isBanned, word }) => word && isBanned === banned).map(({ word }) => word)),
  ];
  return { words: those(false), without: those(true) };
}

/** The words as the search box has them. @param {Pick<View, "words" | "without">} view */
export function asText({ words, without }) {
  const quoted = (/** @type {string} */ word) => (/^-|\s/.test(word) ? `"${word}"` : word);
  return [...words.map(quoted), ...without.map((word) => `-${quoted(word)}`)].join(" ");
}
