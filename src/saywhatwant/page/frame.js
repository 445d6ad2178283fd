/** Collects work on the DOM and does it once a frame. A hidden tab has no frames until it is shown again. */

/** A function that runs `work` once in the next frame, however often it is called before. @param {() => void} work */
export function batched(work) {
  let requested = false;
  const run = () => {
    requested = false;
    work();
  };
  return () => {
    if (!requested) requestAnimationFrame(run);
    requested = true;
  };
}
