/** Text as DOM nodes: plain text, with links for clear web addresses. Never markup. */

const ADDRESS = /https?:\/\/[^\s<>"`\p{Cc}]+/giu;
const PART_OF_WORD = /[\p{L}\p{N}:_]$/u;
const TRAILING = /[.,;:!?'"’”»…*_~]+$/u;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const OPENING = new Map([
  [")", "("],
  ["]", "["],
  ["}", "{"],
]);

/** The nodes of `text`. @param {string} text */
export function nodesOf(text) {
  /** @type {Node[]} */
  const nodes = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const written = withoutTrail(found);
    const isInWord = PART_OF_WORD.test(text.slice(Math.max(0, index - 2), index));
    const address = isInWord ? null : addressOf(written);
    if (!address) continue;
    if (index > end) nodes.push(new Text(text.slice(end, index)));
    nodes.push(link(address, written));
    end = index + written.length;
  }
  if (end < text.length) nodes.push(new Text(text.slice(end)));
  return nodes;
}

/** The first words of `text` on one line. @param {string} text @param {number} length */
export function excerpt(text, length) {
  // No more of a long text is read than a line with many spaces needs.
  const most = 4 * length;
  const line = text.slice(0, most).replace(/\s+/g, " ");
  return line.length > length || text.length > most ? `${line.slice(0, length).trimEnd()}…` : line;
}

/** A link that gives nothing away about this page. @param {string} address @param {string} written */
export function link(address, written) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.rel = "noopener noreferrer nofollow ugc";
  anchor.target = "_blank";
  anchor.textContent = written;
  return anchor;
}

/** Punctuation at the end belongs to the sentence, and so does a bracket that was opened before the address. @param {string} found */
function withoutTrail(found) {
  let written = found;
  for (;;) {
    const opening = OPENING.get(written.at(-1) ?? "");
    const shorter = opening && !written.includes(opening) ? written.slice(0, -1) : written.replace(TRAILING, "");
    if (shorter === written) return written;
    written = shorter;
  }
}

/** The address to link to; null if the text could mislead about it. @param {string} written */
export function addressOf(written) {
  const url = BIDI.test(written) ? null : parsed(written);
  if (!url) return null;
  const isPlain = (url.protocol === "http:" || url.protocol === "https:") && !url.username && !url.password;
  return isPlain ? url.href : null;
}

/** @param {string} written */
function parsed(written) {
  try {
    return new URL(written);
  } catch {
    return null;
  }
}
