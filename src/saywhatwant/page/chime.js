/** A short sound, made by the browser. It has to be allowed by a click or a key on the page. */

/** Two notes: frequency in Hz, beginning in seconds. */
const NOTES = /** @type {const} */ ([
  [660, 0],
  [880, 0.14],
]);
const LOUDNESS = 0.12;
const SILENCE = 0.0001;
const SECONDS = 0.5;

export class Chime {
  /** @type {AudioContext | null} */
  #context = null;

  static get isThere() {
    return "AudioContext" in window;
  }

  /** Gets ready; called by a click or a key. */
  prepare() {
    this.#context ??= new AudioContext();
    this.#context.resume();
  }

  play() {
    const context = this.#context;
    if (!context) return;
    for (const [frequency, after] of NOTES) {
      const from = context.currentTime + after;
      const loudness = context.createGain();
      loudness.gain.setValueAtTime(LOUDNESS, from);
      loudness.gain.exponentialRampToValueAtTime(SILENCE, from + SECONDS);
      loudness.connect(context.destination);
      const note = context.createOscillator();
      note.frequency.value = frequency;
      note.connect(loudness);
      note.start(from);
      note.stop(from + SECONDS);
    }
  }
}
