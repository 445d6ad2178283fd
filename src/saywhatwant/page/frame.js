/** Puts work that touches the DOM together: once a frame. A hidden tab has none until somebody looks again. */

/** @returns a function that has `work` run soon, once, however often it is called until then. */
export function batched(work) {
  let frame = 0;
  const run = () => {
    frame = 0;
    work();
  };
  return () => {
    frame ||= requestAnimationFrame(run);
  };
}
