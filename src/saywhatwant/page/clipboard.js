/** The clipboard, also where the browser lends it only to a selection. */

/** Copies a text, after a click. @param {string} text @returns {Promise<boolean>} whether the browser allowed it */
export async function copy(text) {
  // Browsers have this only for pages that come over HTTPS or from this machine, and in frames only if the site allows it.
  const isCopied = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  return isCopied || copySelection(text);
}

/** @param {string} text */
function copySelection(text) {
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}
