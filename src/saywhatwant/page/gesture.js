/** Somebody moves the wall: a turn of the wheel, a stroke of the finger, a key, with all that follows without a pause. */

const KINDS = ["wheel", "touchmove", "keydown", "pointerdown"];
const PAUSE_MS = 300;

export class Gesture {
  #unused = false;
  #last = -Infinity;

  /** @param begun called with each new gesture */
  constructor(element, begun) {
    for (const kind of KINDS) element.addEventListener(kind, () => this.#moved(begun), { passive: true });
  }

  begin() {
    this.#unused = true;
  }

  /** @returns whether it is good for something still; it is so once. */
  use() {
    const wasUnused = this.#unused;
    this.#unused = false;
    return wasUnused;
  }

  #moved(begun) {
    const now = Date.now();
    const goesOn = now - this.#last < PAUSE_MS;
    this.#last = now;
    if (goesOn) return;
    this.begin();
    begun();
  }
}
