/**
 * The calls that the dashboard makes.
 *
 * @import { Action, AuditEntry, Entity, Figures, Message, Moderated, Point, Session, State, Step, Story } from "./types"
 */

const TIMEOUT_MS = 15_000;
const LISTED = 50;

/** A call that did not succeed; status 0 if nothing has answered. */
export class CallFailed extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Why something did not work. @param {unknown} error */
export function wordsOf(error) {
  return error instanceof CallFailed ? error.message : "the page has a fault";
}

/** Who calls. @returns {Promise<Session>} */
export const session = () => call("/api/ops/session");

/** @param {string} token */
export const signIn = (token) => call("/api/ops/sign-in", { token });

export const signOut = () => call("/api/ops/sign-out", {});

/** @returns {Promise<Figures>} */
export const figures = () => call("/api/ops/figures");

/** @returns {Promise<{ entities: Entity[] }>} */
export const entities = () => call("/api/entities");

/** @param {State} state @returns {Promise<Message[]>} */
export const messages = (state) => call(`/api/queue/messages?${new URLSearchParams({ state, limit: String(LISTED) })}`);

/**
 * The figures that begin after `since`, oldest first.
 * @param {Step} step
 * @param {number} every how many steps are one point
 * @param {number} since
 * @returns {Promise<Point[]>}
 */
export const history = async (step, every, since) =>
  (await call(`/api/ops/history?${new URLSearchParams({ step, every: String(every), since: String(since) })}`)).points;

/** @param {string} messageId @returns {Promise<Story>} */
export const story = (messageId) => call(`/api/ops/message?${new URLSearchParams({ messageId })}`);

/**
 * Changes one message, or all that are in a state where this can be done.
 * @param {Action} action
 * @param {string | null} messageId null is all
 * @returns {Promise<{ changed: string[], more: boolean }>}
 */
export const change = (action, messageId) =>
  call("/api/queue/batch", { action, ...(messageId === null ? { all: true } : { messageIds: [messageId] }) });

/** The rules in force, and what there is to look at. @returns {Promise<Moderated>} */
export const moderation = () => call("/api/moderation");

/** One of the calls that moderate. @param {string} action @param {object} body @returns {Promise<{ left?: string | null }>} */
export const moderate = (action, body) => call(`/api/moderation/${action}`, body);

/** What operators have done, newest first. @param {number} limit @param {number} [before] @returns {Promise<AuditEntry[]>} */
export const audit = async (limit, before) => {
  const query = new URLSearchParams({ limit: String(limit), ...(before === undefined ? {} : { before: String(before) }) });
  return (await call(`/api/moderation/audit?${query}`)).entries;
};

/** The text of a hidden message. @param {string} messageId @returns {Promise<{ text: string, username: string }>} */
export const hiddenText = (messageId) => call(`/api/moderation/hidden?${new URLSearchParams({ messageId })}`);

/**
 * @param {string} url
 * @param {object} [body]
 * @returns {Promise<any>} its answer
 */
async function call(url, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(url, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new CallFailed("the server cannot be reached");
  }
  const answer = await response.json().catch(() => undefined);
  if (!response.ok)
    throw new CallFailed(answer?.detail ?? `the server answered with status ${response.status}`, response.status);
  if (answer === undefined) throw new CallFailed("something else answered instead of the server");
  return answer;
}
