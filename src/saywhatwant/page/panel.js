/** A panel below its button: Escape, a click elsewhere, and the Tab key that leaves it close it. */

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
  addEventListener("keyup", ({ key }) => {
    if (key === "Tab" && panel.open && !panel.contains(document.activeElement)) panel.open = false;
  });
  addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Node && !panel.contains(target)) panel.open = false;
  });
}
