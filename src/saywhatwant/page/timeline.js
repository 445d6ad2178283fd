/** From the rows of the feed to what is shown: flat models, days, the line of the unread. No DOM. */

import { excerpt } from "./text.js";

const QUOTE = 90;

/** The rows that belong to the conversation with `entity`; all of them where that is empty. */
export function conversation(rows, entity, feed, entities) {
  return entity ? rows.filter(({ message }) => concerns(message, entity, feed, entities)) : rows;
}

/** Whether `message` was said to `entity` or by it. */
export function concerns(message, entity, feed, entities) {
  if (!entity) return true;
  const addressed = message.botParams ? message.botParams.entity : message.entity;
  if (addressed === entity) return true;
  const isAnswer = message.messageType === "AI";
  const said = isAnswer ? message : message.id && feed.answerTo(message.id);
  const original = isAnswer && feed.get(message.replyTo);
  return original?.botParams?.entity === entity || said?.username === entities.nameOf(entity);
}

/** Why there is no answer, in words. */
export function failure({ entity, error }, entities) {
  return `${entities.nameOf(entity, "Nobody")} could not answer: ${error || "no reason was given"}`;
}

/** Flat models for the list, with a line before each new day and before the first unread row. */
export function timeline(rows, feed, entities, unreadKey) {
  const models = [];
  let day = "";
  let latest = -Infinity;
  let before = null;
  for (const row of rows) {
    const model = modelOf(row, feed, entities);
    const date = new Date(model.timestamp).toDateString();
    if (date !== day && model.timestamp > latest) {
      models.push({ key: `day:${date}`, kind: "day", timestamp: model.timestamp });
      day = date;
    }
    latest = Math.max(latest, model.timestamp);
    if (row.key === unreadKey) models.push({ key: "unread", kind: "unread", timestamp: model.timestamp });
    model.follows = Boolean(model.originalKey) && before?.key === model.originalKey;
    models.push(model);
    before = row;
  }
  return models;
}

function modelOf(row, feed, entities) {
  if (row.kind === "outbox") return outboxModel(row, entities);
  if (row.kind === "provisional") return provisionalModel(row, entities);
  return messageModel(row, feed, entities);
}

function messageModel({ key, kind, message }, feed, entities) {
  const { id, timestamp, text, username, color, replyTo, botParams } = message;
  return {
    key,
    kind,
    id,
    status: botParams.status,
    timestamp,
    text,
    name: username,
    color,
    to: kind === "human" ? entities.nameOf(botParams.entity, "") : "",
    ...(replyTo ? quoteOf(feed.get(replyTo), feed) : {}),
    ...(kind === "human" ? noteOf(message, feed, entities) : {}),
  };
}

/** What will be the reply: it stands where that will stand, under the name that will answer. */
function provisionalModel({ key, message, text }, entities) {
  const { entity, claimedAt } = message.botParams;
  return {
    key,
    kind: "provisional",
    id: "",
    status: message.botParams.status,
    timestamp: claimedAt ?? message.timestamp,
    text,
    name: entities.nameOf(entity, "Somebody"),
    color: entities.colorOf(entity),
    ...quote(message, message.id),
  };
}

function outboxModel({ key, message }, entities) {
  const { createdAt, text, username, color, entity, state, attempt, reason } = message;
  return {
    key,
    kind: "outbox",
    id: "",
    status: state,
    timestamp: createdAt,
    text,
    name: username,
    color,
    to: entities.nameOf(entity, ""),
    ...sendingNote(state, attempt, reason),
  };
}

function quoteOf(original, feed) {
  return original ? quote(original, feed.keyOf(original)) : { to: "an earlier message" };
}

function quote({ username, text }, originalKey) {
  return { originalKey, quotedName: username, quotedText: excerpt(text, QUOTE) };
}

function sendingNote(state, attempt, reason) {
  if (state === "refused") return { note: `Not posted: ${reason}`, tone: "bad", editable: true };
  const often = attempt > 1 ? ` · attempt ${attempt}` : "";
  if (state === "sending") return { state: `sending${often}` };
  if (!reason) return { state: "not sent yet" };
  return { note: `Not sent yet: ${reason}${often}`, tone: "calm" };
}

function noteOf({ id, botParams }, feed, entities) {
  const { status, entity, retryAt, error } = botParams;
  if (status === "failed") return { note: failure(botParams, entities), tone: "bad" };
  if (status !== "pending" || feed.answerTo(id)) return {};
  if (retryAt || error) return { note: `${entities.nameOf(entity, "Somebody")} stumbled and will try again${because(error)}`, tone: "calm" };
  return { state: "waiting" };
}

function because(error) {
  return error ? `: ${error}` : "";
}
