/** Puts work that touches the DOM together: once a frame, and in hidden tabs too, where frames do not come. */

const HIDDEN_MS = 200;

/** @returns a function that has `work` run soon, once, however often it is called until then. */
export function batched(work) {
  let frame = 0;
  let timer = 0;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    timer = 0;
    work();
  };
  return () => {
    if (timer) return;
    frame = requestAnimationFrame(run);
    timer = setTimeout(run, HIDDEN_MS);
  };
}
