/**
 * Messages as a text, as Markdown and as JSON, to copy or to save. Without any DOM.
 *
 * @import { Entities } from "./entities.js"
 * @import { Feed } from "./feed.js"
 * @import { Message } from "./types"
 */

import { hiddenNote, noAnswer } from "./timeline.js";
import { openFence } from "./unfinished.js";

/** What has a meaning in Markdown wherever it stands, and at the beginning of a line. */
const MARKS = /[\\`*_[\]<>&|~#]/g;
const BEGINNING = /^(\s*(?:\d{1,9}(?=[.)]))?)([-+=.)])/;

const TEXT = { suffix: "txt", type: "text/plain", write: asText };
/** @type {Map<string, Format>} */
const FORMATS = new Map([
  ["text", TEXT],
  ["markdown", { suffix: "md", type: "text/markdown", write: asMarkdown }],
  ["json", { suffix: "json", type: "application/json", write: asJson }],
]);

/**
 * The end of its files' names, its media type, and what makes it.
 * @typedef {{ suffix: string, type: string, write: (messages: Message[], about: About) => string }} Format
 */

/**
 * What the messages do not say themselves: their heading, and the names of those they are for.
 * @typedef {{ title: string, feed: Feed, entities: Entities }} About
 */

/** The format called `name`; text if there is none. @param {string} name @returns {Format} */
export function formatOf(name) {
  return FORMATS.get(name) ?? TEXT;
}

/** As the server sent it, or them, oldest first. @param {Message | Message[]} messages */
export function asJson(messages) {
  return `${JSON.stringify(messages, null, 2)}\n`;
}

/** @param {Message[]} messages @param {About} about */
function asText(messages, about) {
  const parts = messages.map((message) => {
    const to = addresseeOf(message, about);
    const head = `${message.username}${to && ` to ${to}`}, ${when(message)}`;
    return [head, textOf(message), ...noteOf(message, about)].join("\n");
  });
  return `${parts.join("\n\n")}\n`;
}

/** @param {Message[]} messages @param {About} about */
function asMarkdown(messages, about) {
  const parts = messages.map((message) => {
    const to = addresseeOf(message, about);
    const head = `**${escaped(message.username)}**${to && ` to ${escaped(to)}`}, ${when(message)}`;
    // An answer is Markdown already, unless it leaves a block of code open.
    const isMarkdown = message.messageType === "AI" && !message.hidden;
    const fence = isMarkdown ? openFence(message.text) : "";
    const text = isMarkdown ? message.text + (fence && `\n${fence}`) : escapedLines(textOf(message));
    return [head, text, ...noteOf(message, about).map(escaped)].join("\n\n");
  });
  return `# ${escaped(about.title)}\n\n${parts.join("\n\n")}\n`;
}

/** @param {Message} message @param {About} about */
function addresseeOf({ messageType, replyTo, botParams }, { feed, entities }) {
  if (messageType === "AI") return feed.get(replyTo)?.username ?? "";
  return entities.nameOf(botParams.entity ?? botParams.assignedEntity ?? null, "");
}

/** @param {Message} message */
function textOf(message) {
  return message.hidden ? `(${hiddenNote(message)})` : message.text;
}

/** @param {Message} message @param {About} about */
function noteOf({ botParams, hidden }, { entities }) {
  return botParams.status === "failed" && !hidden ? [`(${noAnswer(botParams, entities)})`] : [];
}

/** Date and time here. @param {Message} message */
function when({ timestamp }) {
  const time = new Date(timestamp);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/\s+/g, " ").replace(MARKS, "\\$&").replace(BEGINNING, "$1\\$2");
}

/** Each line stays a line. @param {string} text */
function escapedLines(text) {
  const lines = text.split(/\r\n?|\n/).map((line) => escaped(line).trim());
  return lines.map((line, at) => (line && lines[at + 1] ? `${line}\\` : line)).join("\n");
}
