/** Markdown that is still being written: closes what its last block has opened, so that no mark shows and vanishes again. */

const FENCE = /^\s*(`{3,}|~{3,})/;
const UNFINISHED_FENCE = /\n[ \t]*(?:`+|~+)$/;
/** A line that begins a block of its own: emphasis cannot reach into it. */
const ITEM = /^\s*(?:[-+*]|\d{1,9}[.)]|>|#{1,6})\s/;
/** The beginning of a line that may become a heading, a list, a quotation, a rule or a fence. */
const UNDECIDED_LINE = /(?:^|\n)[ \t]*(?:#{1,6}|[-+*]{1,3}|\d{1,9}[.)]?|>|`{1,3}|~{1,3})$/;
/** The first line of a table, until the one below it shows that it is one. */
const UNDECIDED_TABLE = /^[ \t]*\|[^\n]*(?:\n[-:| \t]*)?$/;
const UNDECIDED_ROW = /\n(?=[^\n]*[|])[-:| \t]+$/;
const UNDECIDED_MARK = /(?<![\p{L}\p{N}])(?:\*{1,3}|_{1,3}|~{1,2}|`+|!?\[)$/u;
const LINK_LABEL = /!?\[([^\][\n]*)$/;
const LINK_ADDRESS = /!?\[([^\][\n]*)\](?:\([^()\s]*)?$/;
const MARK = /\\[\s\S]|`+|\*\*|\*|~~|~|__|_/g;
const WORD = /[\p{L}\p{N}]/u;

/** The text with its last block closed. @param {string} text */
export function closed(text) {
  const { fence, start } = lastBlock(text);
  // A block of code ends by itself.
  return fence ? text.replace(UNFINISHED_FENCE, "") : text.slice(0, start) + closedInline(text.slice(start));
}

/** The mark that ends the block of code that is open at the end; empty if none is. @param {string} text */
export function openFence(text) {
  return lastBlock(text).fence;
}

/** The fence that is open at the end, and where the last paragraph begins. @param {string} text */
function lastBlock(text) {
  let fence = "";
  let start = 0;
  let at = 0;
  for (const line of text.split("\n")) {
    const [, mark = ""] = FENCE.exec(line) ?? [];
    const next = at + line.length + 1;
    if (fence ? mark.startsWith(fence) : mark) {
      fence = fence ? "" : mark;
      start = next;
    } else if (!fence && !line.trim() && next <= text.length) start = next;
    else if (!fence && ITEM.test(line)) start = at;
    at = next;
  }
  return { fence, start: Math.min(start, text.length) };
}

/** @param {string} block */
function closedInline(block) {
  if (UNDECIDED_TABLE.test(block)) return "";
  const decided = block.replace(UNDECIDED_ROW, "").replace(UNDECIDED_LINE, "").replace(UNDECIDED_MARK, "");
  const linked = decided.replace(LINK_ADDRESS, "$1").replace(LINK_LABEL, "$1");
  const { open, end } = openMarks(linked);
  return open.length ? linked.slice(0, end).trimEnd() + open.reverse().join("") : linked.slice(0, end);
}

/** The marks that are open at the end, outermost first; and where a mark begins there that is not whole yet. @param {string} block */
function openMarks(block) {
  /** @type {string[]} */
  const open = [];
  let end = block.length;
  for (const { 0: mark, index } of block.matchAll(MARK)) {
    const last = open.at(-1);
    const after = block[index + mark.length];
    if (mark.startsWith("\\")) continue;
    if (mark === last && (isCode(mark) || /\S/.test(block[index - 1] ?? " "))) open.pop();
    else if (after === undefined) end = index;
    else if (opens(mark, block[index - 1] ?? " ", after) && !isCode(last)) open.push(mark);
  }
  return { open, end };
}

/** @param {string} mark @param {string} before @param {string} after */
function opens(mark, before, after) {
  if (isCode(mark)) return true;
  return mark !== "~" && /\S/.test(after) && !(WORD.test(before) && WORD.test(after));
}

/** @param {string | undefined} mark */
function isCode(mark) {
  return Boolean(mark?.startsWith("`"));
}
