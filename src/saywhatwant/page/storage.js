/** localStorage that never throws: a browser may forbid it, and it may be full. */

const PREFIX = "saywhatwant.";

/**
 * The value stored under `name`, or `fallback`.
 * @param {string} name
 * @param {any} fallback
 */
export function recall(name, fallback = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null") ?? fallback;
  } catch {
    return fallback;
  }
}

/**
 * Stores a value. If that fails the page still works, but forgets the value when it is closed.
 * @param {string} name
 * @param {unknown} value
 * @returns {boolean} whether it is stored
 */
export function remember(name, value) {
  const json = JSON.stringify(value);
  try {
    localStorage.setItem(PREFIX + name, json);
    return localStorage.getItem(PREFIX + name) === json;
  } catch {
    return false;
  }
}

/** Removes a value. It may still be there afterwards. @param {string} name */
export function forget(name) {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // A browser that forbids this usually stores nothing either.
  }
}

/** The names that begin with `start`, sorted. @param {string} start */
export function namesUnder(start) {
  try {
    return Object.keys(localStorage)
      .filter((name) => name.startsWith(PREFIX + start))
      .map((name) => name.slice(PREFIX.length))
      .sort();
  } catch {
    return [];
  }
}

/** Calls `listener(name)` when another tab removes a value. @param {(name: string) => void} listener */
export function onForgotten(listener) {
  addEventListener("storage", ({ key, newValue }) => {
    if (key?.startsWith(PREFIX) && newValue === null) listener(key.slice(PREFIX.length));
  });
}
