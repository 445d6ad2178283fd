/**
 * Markdown as DOM nodes, for answers. markdown-it makes the tokens; elements are created from a fixed list, so no text
 * becomes markup: no HTML, no images, nothing remote. Without a DOM that is parsed, the strict content policy holds.
 *
 * @import { Token } from "markdown-it"
 */

import { addressOf, link, nodesOf } from "./text.js";
import { closed } from "./unfinished.js";
import MarkdownIt from "./vendor/markdown-it.js";

/** Lists and quotations nest this deep at most (a list counts twice); what is deeper is a paragraph. */
const DEEPEST_BLOCK = 12;
/** Elements nest this deep at most inside one block. */
const DEEPEST_ELEMENT = 24;
/** A text with more tokens is shown as plain text: a few characters can make many cells of a table. */
const MOST_TOKENS = 10_000;
/** Elements by the beginning of their token's name. Headings begin below the page's own. */
const ELEMENTS = new Map([
  ["paragraph", "p"],
  ["bullet_list", "ul"],
  ["ordered_list", "ol"],
  ["list_item", "li"],
  ["blockquote", "blockquote"],
  ["table", "table"],
  ["thead", "thead"],
  ["tbody", "tbody"],
  ["tr", "tr"],
  ["th", "th"],
  ["td", "td"],
  ["em", "em"],
  ["strong", "strong"],
  ["s", "s"],
]);
const HEADINGS = new Map([
  ["h1", "h2"],
  ["h2", "h3"],
  ["h3", "h4"],
  ["h4", "h5"],
]);
/** Elements with a direction of their own: a list may mix languages. */
const DIRECTED = new Set(["p", "li", "th", "td", "h2", "h3", "h4", "h5", "h6"]);
const ALIGNMENT = /text-align:(left|center|right)/;
/** A label like this claims to be an address. */
const ADDRESS_LIKE = /^\s*(?:https?:\/\/|www\.)|^\s*[\w-]+(?:\.[\w-]+)+(?:\/\S*)?\s*$/iu;

/**
 * Left out: what would hide text (definitions of references, entities), what people write without meaning Markdown
 * (indented code, headings by underlining), and links to anything but web and mail addresses. HTML is text.
 */
const parser = new MarkdownIt({ html: false, breaks: false, linkify: false, typographer: false, maxNesting: 20 });
parser.disable(["reference", "entity", "code", "lheading", "html_block", "html_inline"]);
parser.validateLink = (address) => hrefOf(address) !== null;
parser.block.ruler.before("table", "too_deep", (state, from, to) => {
  if (state.level < DEEPEST_BLOCK) return false;
  state.push("paragraph_open", "p", 1);
  const content = state.getLines(from, to, state.blkIndent, false).trim();
  Object.assign(state.push("inline", "", 0), { content, children: [] });
  state.push("paragraph_close", "p", -1);
  state.line = to;
  return true;
});

/**
 * A top-level block: its source, and the element that shows it.
 * @typedef {{ source: string, element: HTMLElement }} Block
 */

/** Shows a text in an element. Blocks that have not changed keep their elements, so a growing answer does not flicker. */
export class Markdown {
  #element;
  /** @type {Block[]} */
  #blocks = [];

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} text @param {boolean} growing whether more of it will come */
  show(text, growing) {
    const parts = partsOf(growing ? closed(text) : text);
    if (parts) this.#patch(parts);
    else this.replace(nodesOf(text));
  }

  /** Shows other nodes instead. @param {(Node | string)[]} nodes */
  replace(nodes) {
    this.#blocks = [];
    this.#element.classList.remove("markdown");
    this.#element.replaceChildren(...nodes);
  }

  /** @param {Part[]} parts */
  #patch(parts) {
    if (!this.#blocks.length) this.#element.replaceChildren();
    this.#element.classList.add("markdown");
    const before = this.#blocks;
    this.#blocks = parts.map(({ source, tokens }, index) => {
      const known = before[index];
      return known?.source === source ? known : { source, element: elementOf(tokens) };
    });
    for (const [index, { element }] of this.#blocks.entries()) {
      const known = before[index]?.element;
      if (!known) this.#element.append(element);
      else if (known !== element) known.replaceWith(element);
    }
    for (const { element } of before.slice(parts.length)) element.remove();
  }
}

/** The text of a Markdown source without its marks, for quotes and screen readers. @param {string} text */
export function plain(text) {
  const parts = partsOf(text);
  return parts ? parts.map(({ tokens }) => elementOf(tokens).textContent).join("\n") : text;
}

/**
 * The tokens of one top-level block, and its lines.
 * @typedef {{ source: string, tokens: Token[] }} Part
 */

/** The top-level blocks of a text; null if they are too many tokens. @param {string} text @returns {Part[] | null} */
function partsOf(text) {
  const tokens = parser.parse(text, {});
  const count = tokens.reduce((sum, { children }) => sum + 1 + (children?.length ?? 0), 0);
  if (count > MOST_TOKENS) return null;
  const lines = text.split(/\r\n?|\n/);
  /** @type {Part[]} */
  const parts = [];
  let from = 0;
  for (const [index, { level, nesting }] of tokens.entries()) {
    if (level > 0 || nesting > 0) continue;
    const part = tokens.slice(from, index + 1);
    const [start, end] = part[0]?.map ?? [0, 0];
    parts.push({ source: `${part[0]?.type}\n${lines.slice(start, end).join("\n")}`, tokens: part });
    from = index + 1;
  }
  return parts;
}

/** The element of one top-level block. @param {Token[]} tokens */
function elementOf(tokens) {
  const builder = new Builder();
  builder.add(tokens);
  const [first] = builder.root.children;
  return first instanceof HTMLElement && builder.root.childNodes.length === 1 ? first : builder.root;
}

/** Makes the elements of tokens. */
class Builder {
  root = document.createElement("div");
  /** The open elements, outermost first. @type {HTMLElement[]} */
  #open = [this.root];
  /** Links do not nest. */
  #links = 0;

  get #inner() {
    return /** @type {HTMLElement} */ (this.#open.at(-1));
  }

  /** @param {Token[]} tokens */
  add(tokens) {
    for (const token of tokens) {
      if (token.nesting > 0) this.#begin(token);
      else if (token.nesting < 0) this.#end(token);
      else this.#leaf(token);
    }
  }

  /** @param {Token} token */
  #begin(token) {
    const element = token.hidden || this.#open.length > DEEPEST_ELEMENT ? null : this.#elementOf(token);
    if (token.type === "link_open") this.#links += 1;
    // One for each opening token, so that each closing token closes its own.
    if (element) this.#inner.append(element);
    this.#open.push(element ? innermost(element) : this.#inner);
  }

  /** @param {Token} token */
  #end(token) {
    const element = this.#open.pop();
    if (token.type !== "link_close") return;
    this.#links -= 1;
    if (element instanceof HTMLAnchorElement) revealAddress(element);
  }

  /** @param {Token} token */
  #leaf(token) {
    const { type, content, children } = token;
    if (type === "inline") this.add(children ?? []);
    else if (type === "fence") this.#inner.append(scrolling("Code", "pre", code(content.replace(/\n$/, ""))));
    else if (type === "code_inline") this.#inner.append(code(content));
    else if (type === "hr") this.#inner.append(document.createElement("hr"));
    else if (type === "softbreak" || type === "hardbreak") this.#inner.append("\n");
    else if (type === "image") this.#picture(token);
    else this.#inner.append(...(this.#links ? [content] : nodesOf(content)));
  }

  /** A link instead of the picture, which would be loaded from elsewhere. @param {Token} token */
  #picture(token) {
    const href = hrefOf(String(token.attrGet("src")));
    const words = token.content || "picture";
    this.#inner.append(href && !this.#links ? link(href, words) : words);
  }

  /** @param {Token} token */
  #elementOf(token) {
    const name = token.type.replace(/_open$/, "");
    if (name === "link") return anchor(String(token.attrGet("href")));
    const tag = name === "heading" ? (HEADINGS.get(token.tag) ?? "h6") : ELEMENTS.get(name);
    if (!tag) return null;
    const element = document.createElement(tag);
    if (DIRECTED.has(tag)) element.dir = "auto";
    const start = Number(token.attrGet("start") ?? 1);
    if (element instanceof HTMLOListElement && start !== 1) element.start = start;
    const [, alignment] = ALIGNMENT.exec(String(token.attrGet("style") ?? "")) ?? [];
    if (alignment) element.classList.add(alignment);
    return tag === "table" ? scrolling("Table", "div", element) : element;
  }
}

/** A table is inside of what scrolls it. @param {HTMLElement} element */
function innermost(element) {
  const [first] = element.children;
  return first instanceof HTMLTableElement ? first : element;
}

/** An element that scrolls sideways, also with the keyboard. @param {string} label @param {"pre" | "div"} tag @param {HTMLElement} content */
function scrolling(label, tag, content) {
  const element = document.createElement(tag);
  element.className = "scrolling";
  element.tabIndex = 0;
  element.role = "region";
  element.ariaLabel = label;
  element.append(content);
  return element;
}

/** @param {string} content */
function code(content) {
  const element = document.createElement("code");
  element.append(content);
  return element;
}

/** @param {string} address */
function anchor(address) {
  const href = hrefOf(address);
  if (!href) return null;
  const element = link(href, "");
  element.title = href;
  return element;
}

/** Shows where a link leads whose words are another address. @param {HTMLAnchorElement} element */
function revealAddress(element) {
  const words = element.textContent ?? "";
  if (!ADDRESS_LIKE.test(words)) return;
  const claimed = addressOf(/^\s*https?:/i.test(words) ? words.trim() : `https://${words.trim()}`);
  if (claimed && new URL(claimed).host === new URL(element.href).host) return;
  element.textContent = `${words} (${element.href})`;
}

/** The address of a link that the page may show; null for all others. @param {string} address */
function hrefOf(address) {
  if (!/^mailto:/i.test(address)) return /^https?:/i.test(address) ? addressOf(address) : null;
  try {
    return new URL(address).href;
  } catch {
    return null;
  }
}
