// A worker and its Durable Objects whose code is Python: each event goes to a method of the Python class of the same name.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import { interpreter } from "python.mjs";
import snapshot from "snapshot.bin";

/** Names that the platform asks every object for, to see whether it is a promise. */
const HIDDEN = new Set(["then", "toJSON"]);

/**
 * The module dispatch.py, of the one interpreter that the worker and all its objects share.
 *
 * It is loaded before there is any request, as on Cloudflare, since requests must not wait for each other's promises. A module
 * cannot wait for a thread or for I/O, so that nothing in it depends on who is faster.
 */
const python = (await interpreter(snapshot)).pyimport("dispatch");

/** The worker's entry: the Python class `name`, made again for each request, as on Cloudflare. */
export function worker(name) {
  return class extends WorkerEntrypoint {
    async fetch(request) {
      return dated(await python.fetch(python.create(name, this.ctx, this.env), request));
    }
  };
}

/** The same answer with the header that Cloudflare's network adds. */
function dated(response) {
  if (response.webSocket) return response;
  const answer = new Response(response.body, response);
  answer.headers.set("Date", new Date().toUTCString());
  return answer;
}

/** A Durable Object: the Python class `name`. All its methods can be called over RPC. */
export function durableObject(name) {
  class Object_ extends DurableObject {
    constructor(ctx, env) {
      super(ctx, env);
      this.object = python.create(name, ctx, env);
    }

    fetch(request) {
      return python.fetch(this.object, request);
    }

    alarm(info) {
      return python.handle(this.object, "alarm", info);
    }

    webSocketMessage(socket, message) {
      return python.handle(this.object, "webSocketMessage", socket, message);
    }

    webSocketClose(socket, code, reason, wasClean) {
      return python.handle(this.object, "webSocketClose", socket, code, reason, wasClean);
    }

    webSocketError(socket, error) {
      return python.handle(this.object, "webSocketError", socket, error);
    }
  }
  // workerd looks for a method up to the root of the prototypes: any other name is one of the Python class.
  const others = new Proxy(DurableObject.prototype, {
    get(target, method, receiver) {
      if (typeof method !== "string" || method in target || HIDDEN.has(method)) return Reflect.get(target, method, receiver);
      return function (...args) {
        return python.call(this.object, method, args);
      };
    },
  });
  Object.setPrototypeOf(Object_.prototype, others);
  return Object_;
}
