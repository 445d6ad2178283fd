/**
 * The calls of the HTTP interface that the page makes.
 *
 * @import { Entry, Message, Posted, WallSummary } from "./types"
 */

import { isDone, isMessages, isPosted, isWallSummary } from "./wire.js";

const TIMEOUT_MS = 15_000;
/** The longest pause that a response may ask for; browsers take one of more than 24 days for none. */
const LONGEST_PAUSE_MS = 300_000;
const RETRIED = new Set([408, 425, 429]);
/** What the fields of the form are called in sentences. */
const FIELDS = new Map([
  ["text", "your message"],
  ["username", "your name"],
  ["color", "your color"],
  ["botParams.entity", "the addressee"],
  ["botParams.priority", "the urgency that the link asks for"],
  ["botParams.ais", "the name that the link asks an answer under"],
  ["context", "the memory that the link asks for"],
]);

/** A call that did not succeed. `permanent` is true when the same call would be refused again. */
export class CallFailed extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, retryAfterMs?: number | null }} [response]
   */
  constructor(message, { status = 0, retryAfterMs = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.permanent = status >= 400 && status < 500 && !RETRIED.has(status);
  }
}

/**
 * A page of messages. `token` stands for the state it was read at, and only the server knows what is in it; null if a
 * proxy removed it. `more` is true if there is another page. `reset` is true if the token that was sent is of another time, as
 * when the wall was restored from a backup: these are the first of all messages, and no changes of those that we have.
 * @typedef {{ messages: Message[], token: string | null, more: boolean, reset: boolean }} Page
 */

/** The newest messages, newest first. @param {number} limit */
export const latest = (limit) => list({ limit });

/** Messages older than `before`, newest first. @param {number} before @param {number} limit */
export const older = (before, limit) => list({ before, limit });

/** Messages newer than `since`, oldest first. @param {number} since @param {number} limit */
export const newer = (since, limit) => list({ since, limit, order: "asc" });

/**
 * The messages changed after `token`, in their current state, ordered by last change.
 * @param {string} token
 * @param {number} limit
 */
export const changes = (token, limit) => list({ changedAfter: token, limit }, { "If-None-Match": `"${token}"` });

/**
 * Messages of one talk, newest first; only those older than `before` unless that is null.
 * @param {string} conversation
 * @param {number | null} before
 * @param {number} limit
 */
export const talkBefore = (conversation, before, limit) =>
  list({ conversation, limit, ...(before === null ? {} : { before }) });

/** @param {Entry} entry @returns {Promise<Posted>} */
export async function post({ key, text, username, color, entity, answer, ais, priority, context }) {
  const botParams = answer === false ? { answer } : { entity: entity || null, ais, priority };
  // What is undefined is left out.
  const body = JSON.stringify({ text, username, color, botParams, context });
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  const { content } = await call("/api/comments", isPosted, { method: "POST", headers, body });
  return content;
}

/** Reports a message to the operators. @param {string} messageId */
export async function report(messageId) {
  const headers = { "Content-Type": "application/json" };
  await call("/api/report", isDone, { method: "POST", headers, body: JSON.stringify({ messageId }) });
}

/** @returns {Promise<WallSummary>} */
export async function entities() {
  const { content } = await call("/api/entities", isWallSummary);
  return content;
}

/**
 * @param {Record<string, string | number> & { limit: number }} query
 * @param {Record<string, string>} headers
 * @returns {Promise<Page>}
 */
async function list(query, headers = {}) {
  const parameters = Object.entries(query).map(([name, value]) => [name, String(value)]);
  const url = `/api/comments?${new URLSearchParams(parameters)}`;
  const { content: messages, response } = await call(url, isMessages, { headers, cache: "no-store" });
  // A page that would have too many bytes ends early, with a link to the next one.
  const [, next] = /<([^>]*)>; rel="?next/.exec(response.headers.get("Link") ?? "") ?? [];
  const token = tokenOf(response.headers.get("ETag")) ?? linked(next, "changedAfter");
  const reset = response.headers.has("SWW-Reset");
  return { messages, token, more: next !== undefined || messages.length >= query.limit, reset };
}

/** The token in an ETag, which a proxy may have marked as weak or as compressed. @param {string | null} etag */
function tokenOf(etag) {
  return /"(.+?)([-;](gzip|br|zstd))?"/.exec(etag ?? "")?.[1] ?? null;
}

/** A parameter of a link, or null. @param {string | undefined} link @param {string} parameter */
function linked(link, parameter) {
  return link === undefined ? null : new URL(link, location.href).searchParams.get(parameter);
}

/**
 * The response and its content, once all of it has arrived. Throws `CallFailed` when that takes too long, when the
 * server refuses, and when `check` rejects the content, which then came from something else.
 * @template T
 * @param {string} url
 * @param {(value: unknown) => value is T} check
 * @param {RequestInit} options
 */
async function call(url, check, options = {}) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(url, { ...options, signal: giveUp.signal });
    return { content: contentOf(response, await response.text(), check), response };
  } catch (error) {
    throw error instanceof CallFailed ? error : new CallFailed("the server cannot be reached");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @template T
 * @param {Response} response
 * @param {string} text
 * @param {(value: unknown) => value is T} check
 */
function contentOf(response, text, check) {
  // Not modified: nothing new in a list.
  const content = response.status === 304 ? [] : parsed(text);
  if (!response.ok && response.status !== 304) throw refusal(response, content);
  if (!check(content)) throw new CallFailed("something else answered instead of the server, perhaps this network's login page");
  return content;
}

/** @param {string} text @returns {any} its content, or undefined if it is not JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {Response} response @param {any} problem */
function refusal({ status, headers }, problem) {
  const seconds = Number.parseFloat(headers.get("Retry-After") ?? "");
  const retryAfterMs = Number.isFinite(seconds) ? Math.min(seconds * 1_000, LONGEST_PAUSE_MS) : null;
  return new CallFailed(reasonOf(problem) ?? `the server answered with status ${status}`, { status, retryAfterMs });
}

/** @param {any} problem a problem document (RFC 9457), or anything else */
function reasonOf(problem) {
  const { field, rule, detail, title } = problem ?? {};
  if (field && rule) return `${FIELDS.get(field) ?? field} ${rule}`;
  return detail ?? title;
}
