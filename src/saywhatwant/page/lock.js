/** A lock across the tabs of one browser. */

const PATIENCE_MS = 20_000;

/**
 * Runs `task` while no other tab runs one under the same `name`. If the browser has no locks, or another tab holds the
 * lock for too long, `task` runs anyway.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} task
 */
export async function inTurn(name, task) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), PATIENCE_MS);
  let begun = false;
  const begin = () => {
    begun = true;
    clearTimeout(timer);
    return task();
  };
  try {
    await navigator.locks.request(name, { signal: giveUp.signal }, begin);
  } catch (error) {
    if (begun) throw error;
    await begin();
  }
}
