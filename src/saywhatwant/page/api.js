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

/** Messages younger than `since`, oldest first; `seq` is the commit that the caller knows already. */
export const newer = (since, limit, seq) => list({ since, limit, order: "asc" }, seq);

/** @returns {Promise<{id: string, timestamp: number}>} */
export async function post({ key, text, username, color, entity }) {
  const body = JSON.stringify({ text, username, color, botParams: { entity: entity || null } });
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return (await call("/api/comments", { method: "POST", headers, body })).json();
}

export async function entities() {
  return (await call("/api/entities")).json();
}

async function list(query, seq = null) {
  const headers = seq === null ? {} : { "If-None-Match": `"${seq}"` };
  const response = await call(`/api/comments?${new URLSearchParams(query)}`, { headers, cache: "no-store" });
  const messages = response.status === 304 ? [] : await response.json();
  return { messages, seq: sequence(response.headers.get("ETag")) };
}

/** The number in an ETag, which a proxy may have marked as weak. */
function sequence(etag) {
  const digits = /\d+/.exec(etag ?? "");
  return digits && Number(digits[0]);
}

async function call(url, options = {}) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, { ...options, signal: giveUp.signal });
  } catch {
    throw new CallFailed("the wall can not be reached");
  } finally {
    clearTimeout(timer);
  }
  if (response.ok || response.status === 304) return response;
  throw await refusal(response);
}

async function refusal(response) {
  const { status, headers } = response;
  const problem = await response.json().catch(() => null);
  const seconds = Number.parseFloat(headers.get("Retry-After"));
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : null;
  return new CallFailed(problem?.detail ?? problem?.title ?? `the wall answered ${status}`, { status, retryAfterMs });
}
