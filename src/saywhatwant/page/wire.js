/**
 * Checks answers of the server. Something else may answer instead, such as a network's login page, and must not be
 * mistaken for the server.
 *
 * @import { Frame, Message, Posted, WallSummary } from "./types"
 */

const ID = /^[a-z0-9]{4,32}$/;

/** @param {any} value @returns {value is Posted} */
export function isPosted(value) {
  return ["success", "held"].includes(value?.status) && isId(value.id) && Number.isFinite(value.timestamp);
}

/** @param {any} value @returns {value is { success: true }} */
export function isDone(value) {
  return value?.success === true;
}

/** @param {any} value @returns {value is Message[]} */
export function isMessages(value) {
  return Array.isArray(value) && value.every(isMessage);
}

/** @param {any} value @returns {value is WallSummary} */
export function isWallSummary(value) {
  return (
    Array.isArray(value?.entities) && value.entities.every((/** @type {any} */ entity) => typeof entity?.name === "string")
  );
}

/** @param {any} value @returns {value is Frame} */
export function isFrame(value) {
  return ["number", "string"].includes(typeof value?.seq) && Array.isArray(value.events);
}

/** @param {any} value */
function isMessage(value) {
  const texts = [value?.text, value?.username, value?.color, value?.botParams?.status];
  return isId(value?.id) && Number.isFinite(value.timestamp) && texts.every((text) => typeof text === "string");
}

/** @param {unknown} value */
function isId(value) {
  return typeof value === "string" && ID.test(value);
}
