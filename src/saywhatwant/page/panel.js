/** A panel below its button: Escape and a click elsewhere close it. */

/** @param {HTMLDetailsElement} panel @param {() => void} opened called each time it was opened */
export function asPanel(panel, opened = () => {}) {
  panel.addEventListener("toggle", () => {
    if (panel.open) opened();
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel.open) return;
    // Chromium would also empty a search box.
    event.preventDefault();
    panel.open = false;
    panel.querySelector("summary")?.focus();
  });
  addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Node && !panel.contains(target)) panel.open = false;
  });
}
