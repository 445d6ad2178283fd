/** localStorage that never throws: a browser may forbid it, and it may be full. */

const PREFIX = "saywhatwant.";

/** @returns the value kept under `name`, or `fallback`. */
export function recall(name, fallback = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? fallback;
  } catch {
    return fallback;
  }
}

/** @returns whether it can be recalled now. The page works without; it only forgets when it is closed. */
export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return recall(name) !== null;
  } catch {
    return false;
  }
}

export function forget(name) {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // What could not be kept need not be removed.
  }
}

/** @returns {string[]} the names that begin with `start`, sorted. */
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

/** Calls `listener(name)` when another tab removes a value. */
export function onForgotten(listener) {
  addEventListener("storage", ({ key, newValue }) => {
    if (key?.startsWith(PREFIX) && newValue === null) listener(key.slice(PREFIX.length));
  });
}
