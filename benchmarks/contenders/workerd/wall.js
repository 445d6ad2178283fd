// Shared by both contenders: the stateless worker in front, the routes, and the shape of a message.

import { DurableObject } from "cloudflare:workers";

export const RETENTION = 200;
const MAX_TEXT = 5_000;
const MAX_USERNAME = 32;
const MAX_CLAIM = 100;
const COLOR = /^([01]\d\d|2[0-4]\d|25[0-5]){3}$/;
const ENTITY = /^[a-z0-9-]{1,64}$/;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

/** A 4xx with a reason. */
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** An object that answers HTTP. Subclasses keep the messages: `post`, `list`, `claim`, `complete`, `stats`. */
export class Wall extends DurableObject {
  async fetch(request) {
    try {
      return Response.json(await this.#answer(request));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, message: detail } = error;
      const headers = { "content-type": "application/problem+json" };
      return Response.json({ type: "about:blank", status, detail }, { status, headers });
    }
  }

  async #answer(request) {
    const { pathname, searchParams } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case "POST /api/comments":
        return this.post(newMessage(await body(request)));
      case "GET /api/comments":
        return this.list(wholeNumber(searchParams, "since", 0), wholeNumber(searchParams, "limit", RETENTION));
      case "POST /api/queue/claim": {
        const { workerId, limit = 1 } = await body(request);
        check(typeof workerId === "string" && workerId, "workerId must be a name");
        check(Number.isInteger(limit) && limit >= 1 && limit <= MAX_CLAIM, `limit must be 1 to ${MAX_CLAIM}`);
        return { success: true, messages: await this.claim(workerId, limit) };
      }
      case "POST /api/queue/complete": {
        const { messageId, workerId, attempt, reply } = await body(request);
        check(typeof messageId === "string", "messageId must be an id");
        const answer = newMessage({ color: "128128128", ...reply }, { messageType: "AI", replyTo: messageId });
        return { success: true, ...(await this.complete(messageId, workerId, attempt, answer)) };
      }
      case "GET /api/stats":
        return this.stats();
      default:
        throw new Refusal(404, "no such path");
    }
  }
}

/** Every request goes to the one object. */
export default {
  fetch(request, { WALL }) {
    return WALL.get(WALL.idFromName("global-queue")).fetch(request);
  },
};

/** Strictly later than the newest message, though the clock stands still or steps back. */
export function later(newest) {
  return Math.max(Date.now(), newest + 1);
}

/** Refuses a completion by any attempt but the holding one. */
export function checkHeld(params, workerId, attempt) {
  if (!params) throw new Refusal(404, "no message has this id");
  if (params.status !== "processing") throw new Refusal(409, `the message is ${params.status}, not processing`);
  if (params.claimedBy !== workerId || params.attempt !== attempt) throw new Refusal(409, "another attempt holds the message");
}

function newMessage({ text, username, color, botParams }, { messageType = "human", replyTo = null } = {}) {
  const { entity = null, priority = 50 } = botParams ?? {};
  check(COLOR.test(color), "color must be RRRGGGBBB");
  check(entity === null || ENTITY.test(entity), "entity must be a plain name");
  check(Number.isInteger(priority) && priority >= 0 && priority <= 99, "priority must be 0 to 99");
  return {
    id: newId(),
    timestamp: 0, // set by the object
    text: trimmed(text, "text", MAX_TEXT),
    username: trimmed(username, "username", MAX_USERNAME),
    color,
    messageType,
    replyTo,
    botParams: {
      status: messageType === "human" ? "pending" : "complete",
      priority,
      entity,
      claimedBy: null,
      claimedAt: null,
      completedAt: null,
      attempt: 0,
    },
  };
}

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

async function body(request) {
  const parsed = await request.json().catch(() => null);
  check(parsed !== null && typeof parsed === "object", "the body must be a JSON object");
  return parsed;
}

function trimmed(value, field, most) {
  const text = typeof value === "string" ? value.trim() : "";
  check(text.length >= 1 && text.length <= most, `${field} must have 1 to ${most} characters after trimming`);
  return text;
}

function wholeNumber(searchParams, name, otherwise) {
  const number = Number(searchParams.get(name) ?? otherwise);
  check(Number.isSafeInteger(number) && number >= 0, `${name} must be a whole number`);
  return number;
}

function check(fine, detail) {
  if (!fine) throw new Refusal(400, detail);
}
