/** What one tab does at a time. */

const PATIENCE_MS = 20_000;

/**
 * Does `task` while no other tab does one of that `name`: in turn where the browser can arrange that. Where it can not,
 * or another tab has stopped in the midst of it, `task` is done all the same.
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
