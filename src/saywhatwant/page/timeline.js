/**
 * Turns the rows of the feed into flat models for the list, with a line before each new day and one before unread
 * messages. Without any DOM.
 *
 * @import { Entities } from "./entities.js"
 * @import { Feed } from "./feed.js"
 * @import { BotParams, Entry, FeedRow, Message, Model, ProgressState, View } from "./types"
 */

import { excerpt } from "./text.js";
import { answererOf } from "./view.js";

const QUOTE_LENGTH = 90;
const EVERYONE = "everyone";
/** @type {Record<ProgressState, string>} */
const DOING = { waking: "is waking up", thinking: "is thinking", writing: "is writing" };

/** Why there is no answer: "no answer from Zen: ...". @param {BotParams} botParams @param {Entities} entities */
export function noAnswer({ entity, error }, entities) {
  const from = entity ? ` from ${entities.nameOf(entity, "")}` : "";
  return `no answer${from}: ${error || "no reason was given"}`;
}

/**
 * Models for the list, with a line before each new day and before the row with `unreadKey`.
 * @param {FeedRow[]} rows
 * @param {Feed} feed
 * @param {Entities} entities
 * @param {View} view
 * @param {string | null} unreadKey
 */
export function timeline(rows, feed, entities, view, unreadKey) {
  /** @type {Model[]} */
  const models = [];
  const dayOf = days();
  let day = "";
  let latest = -Infinity;
  let previousKey = "";
  for (const row of rows) {
    const model = modelOf(row, feed, entities, view);
    const date = dayOf(model.timestamp);
    if (date !== day && model.timestamp > latest) {
      models.push({ key: `day:${date}`, kind: "day", timestamp: model.timestamp });
      day = date;
    }
    latest = Math.max(latest, model.timestamp);
    if (row.key === unreadKey) models.push({ key: "unread", kind: "unread", timestamp: model.timestamp });
    model.follows = Boolean(model.originalKey) && previousKey === model.originalKey;
    models.push(model);
    previousKey = row.key;
  }
  return models;
}

/** Names the day of a timestamp. Neighbors are mostly of one day, which is looked up once: dates are slow. */
function days() {
  let [from, until, name] = [Infinity, -Infinity, ""];
  return (/** @type {number} */ timestamp) => {
    if (timestamp >= from && timestamp < until) return name;
    const date = new Date(timestamp);
    name = date.toDateString();
    from = date.setHours(0, 0, 0, 0);
    until = date.setDate(date.getDate() + 1);
    return name;
  };
}

/** @param {FeedRow} row @param {Feed} feed @param {Entities} entities @param {View} view @returns {Model} */
function modelOf(row, feed, entities, view) {
  if (row.kind === "outbox") return outboxModel(row.key, row.message, entities);
  if (row.kind === "provisional") return provisionalModel(row, entities);
  const opens = row.message.conversation && row.message.conversation !== view.talk ? "talk" : "person";
  return Object.assign(messageModel(row.key, row.message, feed, entities), { opens });
}

/** @param {string} key @param {Message} message @param {Feed} feed @param {Entities} entities @returns {Model} */
function messageModel(key, message, feed, entities) {
  const { id, timestamp, text, username, color, messageType, replyTo, botParams, hidden } = message;
  const isHuman = messageType === "human";
  return {
    key,
    kind: messageType,
    id,
    status: botParams.status,
    timestamp,
    text,
    name: username,
    color,
    to: isHuman ? addresseeOf(botParams, entities) : "",
    ...(replyTo ? quoteOf(feed.get(replyTo), feed) : {}),
    ...(isHuman && !hidden ? noteOf(message, feed, entities) : {}),
    ...(hidden ? { note: hiddenNote(message), tone: "calm" } : {}),
  };
}

/** What stands in place of a text that nobody may read. @param {Message} message */
export function hiddenNote({ erased }) {
  return erased ? "An operator has erased this message" : "An operator has hidden this message";
}

/**
 * The reply to a message as written so far, in its final place and under the name of its author.
 * @param {Extract<FeedRow, { kind: "provisional" }>} row
 * @param {Entities} entities
 * @returns {Model}
 */
function provisionalModel({ key, message, text, state }, entities) {
  const { status, claimedAt } = message.botParams;
  return {
    key,
    kind: "provisional",
    id: "",
    status,
    timestamp: claimedAt ?? message.timestamp,
    text,
    doing: DOING[state],
    ...answererOf(message, entities),
    ...quote(message, message.id),
  };
}

/** @param {string} key @param {Entry} entry @param {Entities} entities @returns {Model} */
function outboxModel(key, entry, entities) {
  const { createdAt, text, username, color, state } = entry;
  return {
    key,
    kind: "outbox",
    id: "",
    status: state,
    timestamp: createdAt,
    text,
    name: username,
    color,
    to: addresseeOf(entry, entities),
    ...outboxNote(entry),
  };
}

/** @param {Pick<BotParams, "entity"> & { answer?: boolean }} addressed @param {Entities} entities */
function addresseeOf({ entity, answer }, entities) {
  return answer === false ? EVERYONE : entities.nameOf(entity, "");
}

/** @param {Message | undefined} original @param {Feed} feed */
function quoteOf(original, feed) {
  return original ? quote(original, feed.keyOf(original)) : { to: "an earlier message" };
}

/** @param {Message} original @param {string} originalKey */
function quote({ username, text, hidden }, originalKey) {
  return { originalKey, quotedName: username, quotedText: hidden ? "…" : excerpt(text, QUOTE_LENGTH) };
}

/** @param {Entry} entry @returns {Partial<Model>} */
function outboxNote({ state, attempt, reason }) {
  if (state === "refused") return { note: `Not posted: ${reason}`, tone: "bad", editable: true };
  if (state === "held")
    return { note: "Waits for review: it appears when an operator approves it", tone: "calm", discardable: true };
  const count = attempt > 1 ? ` · attempt ${attempt}` : "";
  if (state === "sending") return { state: `sending${count}` };
  if (!reason) return { state: "not sent yet" };
  return { note: `Not sent yet: ${reason}${count}`, tone: "calm" };
}

/** @param {Message} message @param {Feed} feed @param {Entities} entities @returns {Partial<Model>} */
function noteOf({ id, botParams }, feed, entities) {
  const { status, entity, attempt, retryAt, error, answeredBy } = botParams;
  if (status === "failed") return { note: `Got ${noAnswer(botParams, entities)}`, tone: "bad" };
  if (feed.answerTo(id)) return {};
  // A message that no bot has held was not work, and needs no reply.
  if (status === "complete" && !answeredBy && attempt > 0) return { note: "Finished without a reply", tone: "calm" };
  if (status === "removed")
    return { note: "Finished while the page was disconnected; the server has removed it", tone: "calm" };
  if (status !== "pending") return {};
  if (!retryAt && !error) return { state: "waiting" };
  return { note: `${entities.nameOf(entity, "Somebody")} will try again${error ? `: ${error}` : ""}`, tone: "calm" };
}
