/** The HTTP interface, as far as the page uses it. */

const TIMEOUT_MS = 15_000;
const RETRIED = new Set([408, 425, 429]);

/** A call that did not succeed. `permanent` is true when the same call would be refused again. */
export class CallFailed extends Error {
  constructor(message, { status = 0, retryAfterMs = null } = {}) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.permanent = status >= 400 && status < 500 && !RETRIED.has(status);
  }
}

/** The newest messages, newest first. */
export const latest = (limit) => list({ limit });

/** Messages older than `before`, newest first. */
export const older = (before, limit) => list({ before, limit });

/**
 * Messages as they stand that commits after `token` have changed, the last change last; `seq` is the next token.
 * There may be more behind that when they are `limit` or more.
 */
export const changes = (token, limit) => list({ changedAfter: token, limit }, { "If-None-Match": `"${token}"` });

/** @returns {Promise<{id: string, timestamp: number}>} */
export async function post({ key, text, username, color, entity }) {
  const body = JSON.stringify({ text, username, color, botParams: { entity: entity || null } });
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return (await call("/api/comments", { method: "POST", headers, body })).said;
}

export async function entities() {
  return (await call("/api/entities")).said;
}

async function list(query, headers = {}) {
  const { said, etag } = await call(`/api/comments?${new URLSearchParams(query)}`, { headers, cache: "no-store" });
  return { messages: said ?? [], seq: sequence(etag) };
}

/** The number in an ETag, which a proxy may have marked as weak. */
function sequence(etag) {
  const digits = /\d+/.exec(etag ?? "");
  return digits && Number(digits[0]);
}

/** @returns what the wall said, all of it, within the time that it has; nothing where that is known already. */
async function call(url, options = {}) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), TIMEOUT_MS);
  try {
    return await answer(await fetch(url, { ...options, signal: giveUp.signal }));
  } catch (error) {
    throw error instanceof CallFailed ? error : new CallFailed("the wall can not be reached");
  } finally {
    clearTimeout(timer);
  }
}

async function answer(response) {
  const { ok, status, headers } = response;
  const said = parsed(await response.text());
  if (!ok && status !== 304) throw refusal(response, said);
  if (ok && said === undefined) throw new CallFailed("something other than the wall answers here");
  return { said, etag: headers.get("ETag") };
}

/** Whatever stands between us and the wall may answer with a page of its own. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal({ status, headers }, problem) {
  const seconds = Number.parseFloat(headers.get("Retry-After"));
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : null;
  return new CallFailed(problem?.detail ?? problem?.title ?? `the wall answered ${status}`, { status, retryAfterMs });
}
