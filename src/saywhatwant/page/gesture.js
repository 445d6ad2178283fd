/** Detects that the visitor scrolls on purpose: wheel, finger, key or pointer. Events without a pause are one gesture. */

const KINDS = ["wheel", "touchmove", "keydown", "pointerdown"];
const PAUSE_MS = 300;

export class Gesture {
  #unused = false;
  #last = -Infinity;

  /** @param {HTMLElement} element @param {() => void} begun called with each new gesture */
  constructor(element, begun) {
    for (const kind of KINDS) element.addEventListener(kind, () => this.#moved(begun), { passive: true });
  }

  begin() {
    this.#unused = true;
  }

  /** Uses the latest gesture; returns whether it was unused. */
  use() {
    const wasUnused = this.#unused;
    this.#unused = false;
    return wasUnused;
  }

  /** @param {() => void} begun */
  #moved(begun) {
    const now = Date.now();
    const goesOn = now - this.#last < PAUSE_MS;
    this.#last = now;
    if (goesOn) return;
    this.begin();
    begun();
  }
}
