/**
 * A view: the part of the wall that is shown. Without any DOM.
 *
 * Conditions of different kinds must all hold; of several people, or several words, one is enough.
 *
 * @import { Entities } from "./entities.js"
 * @import { Feed } from "./feed.js"
 * @import { Asked, Entry, FeedRow, Message, Person, View } from "./types"
 */

/** @type {Readonly<View>} */
export const WHOLE = Object.freeze({ talk: "", entity: "", people: [], kind: "", words: [], without: [], paused: false });

/** @type {Readonly<Asked>} */
export const NOTHING_ASKED = Object.freeze({ entity: "", ais: "", priority: null, context: null, model: "" });

/** Whether the view shows everything. @param {View} view */
export function isWhole(view) {
  return !view.talk && !isFiltered(view);
}

/** Whether anything but a talk limits what is shown. @param {View} view */
export function isFiltered({ entity, people, kind, words, without, paused }) {
  return Boolean(entity || kind || (!paused && (people.length || words.length || without.length)));
}

/**
 * Whether the view shows a row.
 * @param {FeedRow} row
 * @param {View} view
 * @param {Feed} feed
 * @param {Entities} entities
 */
export function shows(row, view, feed, entities) {
  const { talk, entity, people, kind, words, without, paused } = view;
  if (talk && !belongs(row.message, talk)) return false;
  if (entity && !concerns(row.message, entity, feed, entities)) return false;
  const isAI = row.kind === "AI" || row.kind === "provisional";
  if (kind && (kind === "AI") !== isAI) return false;
  if (paused) return true;
  if (people.length && !people.some((person) => isSame(person, authorOf(row, entities)))) return false;
  const text = (row.kind === "provisional" ? row.text : row.message.text).toLowerCase();
  const has = (/** @type {string} */ word) => text.includes(word.toLowerCase());
  return (words.length === 0 || words.some(has)) && !without.some(has);
}

/** Who wrote a row, or is writing it. @param {FeedRow} row @param {Entities} entities @returns {Person} */
export function authorOf(row, entities) {
  if (row.kind === "provisional") return answererOf(row.message, entities);
  return personOf(row.message);
}

/** Who answers a message: the entity, under the name that the post asked for if the entity allows it. @param {Message} message @param {Entities} entities @returns {Person} */
export function answererOf({ botParams }, entities) {
  const entity = botParams.entity ?? botParams.assignedEntity ?? null;
  const alias = entities.get(entity)?.alias ? /^(.+):(\d{9})/.exec(botParams.ais ?? "") : null;
  if (alias?.[1] && alias[2]) return { name: alias[1], color: alias[2] };
  return { name: entities.nameOf(entity, "Somebody"), color: entities.colorOf(entity) };
}

/** @param {Message | Entry} message @returns {Person} */
export function personOf(message) {
  const tail = "colorTail" in message && message.colorTail ? `-${message.colorTail}` : "";
  return { name: message.username, color: message.color + tail };
}

/**
 * Whether `one`, as a filter names it, is `other`. Links of the original leave out everything but letters and digits, and
 * may have a tail behind the color, which tells apart people of one color.
 * @param {Person} one
 * @param {Person} other
 */
export function isSame(one, other) {
  const [color, tail] = one.color.split("-");
  const [otherColor, otherTail] = other.color.split("-");
  if (color !== otherColor || (tail && otherTail && tail !== otherTail)) return false;
  const [name, otherName] = [one.name.toLowerCase(), other.name.toLowerCase()];
  return name === otherName || name === otherName.replace(/[^a-z0-9]/g, "");
}

/** Whether `message` was written to or by `entity`. @param {Message | Entry} message @param {string} entity @param {Feed} feed @param {Entities} entities */
export function concerns(message, entity, feed, entities) {
  if (!("id" in message)) return message.entity === entity;
  const isAnswer = message.messageType === "AI";
  const answer = isAnswer ? message : feed.answerTo(message.id);
  const { botParams } = (isAnswer ? feed.get(message.replyTo) : message) ?? message;
  return (botParams.entity ?? botParams.assignedEntity) === entity || answer?.username === entities.nameOf(entity, "");
}

/** Our own posts name no talk until the server does. @param {Message | Entry} message @param {string} talk */
function belongs(message, talk) {
  return !("conversation" in message) || message.conversation === undefined || message.conversation === talk;
}

/** The view without one of its conditions. @param {View} view @param {Partial<View>} condition @returns {View} */
export function without(view, condition) {
  const { people = [], words = [], without: banned = [] } = condition;
  return {
    ...view,
    ...("kind" in condition ? { kind: "" } : {}),
    ...("entity" in condition ? { entity: "" } : {}),
    ...("talk" in condition ? { talk: "" } : {}),
    people: view.people.filter((person) => !people.includes(person)),
    words: view.words.filter((word) => !words.includes(word)),
    without: view.without.filter((word) => !banned.includes(word)),
  };
}
