/** Text as DOM: text nodes, and links for what is plainly an address. Never markup. */

const ADDRESS = /https?:\/\/[^\s<>"`\p{Cc}]+/giu;
const BEFORE = /[\p{L}\p{N}:_]$/u;
const TRAILING = /[.,;:!?'"’”»…*_~]+$/u;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const PAIRS = { ")": "(", "]": "[", "}": "{" };

/** @returns {Node[]} the nodes of `text`. */
export function nodesOf(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const written = withoutTrail(found);
    const address = BEFORE.test(text.slice(Math.max(0, index - 2), index)) ? null : addressOf(written);
    if (!address) continue;
    if (index > end) nodes.push(new Text(text.slice(end, index)));
    nodes.push(link(address, written));
    end = index + written.length;
  }
  if (end < text.length) nodes.push(new Text(text.slice(end)));
  return nodes;
}

/** @returns the first words of `text` on one line. */
export function excerpt(text, length) {
  const line = text.replace(/\s+/g, " ");
  return line.length > length ? `${line.slice(0, length).trimEnd()}…` : line;
}

function link(address, written) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.rel = "noopener noreferrer nofollow ugc";
  anchor.target = "_blank";
  anchor.textContent = written;
  return anchor;
}

/** Punctuation at the end belongs to the sentence, and so does a bracket that was opened before the address. */
function withoutTrail(found) {
  let written = found;
  for (;;) {
    const last = written.at(-1);
    const shorter = last in PAIRS && !written.includes(PAIRS[last]) ? written.slice(0, -1) : written.replace(TRAILING, "");
    if (shorter === written) return written;
    written = shorter;
  }
}

/** @returns the address to go to, or null where the text could mislead about it. */
function addressOf(written) {
  const url = BIDI.test(written) ? null : parsed(written);
  if (!url) return null;
  const plain = (url.protocol === "http:" || url.protocol === "https:") && !url.username && !url.password;
  return plain ? url.href : null;
}

function parsed(written) {
  try {
    return new URL(written);
  } catch {
    return null;
  }
}
